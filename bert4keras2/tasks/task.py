"""`Task`: what all tasks share: from a checkpoint to a model with a head, training, and batches of predictions."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from bert4keras2.arguments import at_least
from bert4keras2.embeddings.batches import WINDOW, TextBatches
from bert4keras2.embeddings.compiled import Compiled
from bert4keras2.exporting import ExportedModel
from bert4keras2.progress import progress_bar
from bert4keras2.snippets.sequences import sequence_padding
from bert4keras2.tasks.fitting import train
from bert4keras2.tasks.folders.kinds import KINDS
from bert4keras2.tasks.folders.methods import TaskFolders
from bert4keras2.tasks.report import Report
from bert4keras2.tasks.rows.values import numbered, rows_of
from bert4keras2.training.model import Model

__all__ = ["Task"]

# Lengths of training batches are multiples of this, so that few shapes occur.
MULTIPLE = 16


class Task(TaskFolders, ABC):
    """A pre-trained model, its tokenizer, and a head: from rows to a fitted model, from texts to plain objects.

    Args:
        transformer: the model of `build_transformer_model(..., return_keras_model=False)`; or an exported one, which
            predicts and is not trained.
        tokenizer: its tokenizer.
        labels: the labels that there are; found in the rows of the first `fit` if None.
        maxlen: longest sequence of tokens; if None, the task's usual one, or what the model knows if that is less.
        prefix: put before each text, such as "query: " for E5 models.
        batch_size: texts that are predicted at once.

    Attributes:
        model: the Keras model, for whoever goes on by hand.
        labels: the labels, None before they are known.
    """

    #: Longest sequence of tokens where nobody says it.
    usual_maxlen = 128

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        KINDS[cls.__name__] = cls

    def __init__(
        self,
        transformer: Any,
        tokenizer: Any,
        labels: Iterable[Any] | None = None,
        maxlen: int | None = None,
        prefix: str = "",
        batch_size: int = 64,
    ):
        exported = isinstance(transformer, ExportedModel)
        if not exported and not hasattr(transformer, "hidden_states"):
            raise TypeError(
                f"{type(self).__name__} takes a Transformer of build_transformer_model(..., return_keras_model=False),"
                f" not {type(transformer).__name__}; {type(self).__name__}.from_checkpoint(folder) loads one"
            )
        if not isinstance(prefix, str):
            raise TypeError(f"prefix is a str, not {type(prefix).__name__} {prefix!r:.60}")
        self.transformer, self.tokenizer, self.prefix = transformer, tokenizer, prefix
        if maxlen is None:
            positions = None if exported else transformer.config.positions
            maxlen = min(self.usual_maxlen, positions or self.usual_maxlen)
        self.maxlen, self.batch_size = at_least("maxlen", maxlen, 3), at_least("batch_size", batch_size, 1)
        self.labels = numbered(labels) if self.labelled else None
        self._model: Model | None = None
        #: What the model and the tokenizer were built with, for a saved folder.
        self.build_options: dict[str, Any] = {}
        self.tokenizer_options: dict[str, Any] = {}
        if self.labels is not None or not self.labelled:
            self._build()

    # -- construction ----------------------------------------------------------------------------------------

    @property
    def model(self) -> Model:
        """The Keras model.

        Raises:
            ValueError: before the labels are known.
        """
        if isinstance(self.transformer, ExportedModel):
            raise ValueError(
                f"this {type(self).__name__} is an exported model: it predicts and evaluates; load the folder that it"
                " was exported from to train or save it"
            )
        if self._model is None:
            raise ValueError(
                f"{type(self).__name__} knows no labels yet, so there is no model: pass labels=[...] or call fit(rows)"
            )
        return self._model

    def _build(self) -> None:
        """Put the head on the model; an exported one has it."""
        if isinstance(self.transformer, ExportedModel):
            self._cutter = TextBatches(self.transformer, self.tokenizer, self.maxlen)
            self._compiled: Any = self.transformer.run
            return
        before = set(self.transformer.layers)
        output = self.build_head()
        added = {name.removeprefix(self.transformer.config.prefix) for name in set(self.transformer.layers) - before}
        self.transformer.task_layers = self.transformer.task_layers | frozenset(added)
        self._head = frozenset(added)
        self._model = Model(self.transformer.inputs, output)
        self._cutter = TextBatches(self._model, self.tokenizer, self.maxlen)
        self._compiled = Compiled(self._model)

    @property
    def usual_head_rate(self) -> float:
        """What multiplies the learning rate of the head's weights unless `fit` is told otherwise."""
        return 1.0

    def head_paths(self) -> list[str]:
        """Return parts of paths that tell the weights of the head from all others."""
        layers = (self.transformer.layers[self.transformer.config.prefix + name] for name in self._head)
        # The transitions of a CRF have a rate of their own.
        return sorted(f"{x.name}/" for x in layers if x.trainable_variables and not hasattr(x, "lr_multiplier"))

    def parts(self) -> dict[str, Any]:
        """Return what predictions need beside the model's outputs, as JSON holds it: an exported folder keeps it."""
        return {}

    def _check_ready(self) -> None:
        """Raise a ValueError if there is nothing to predict with."""
        if not isinstance(self.transformer, ExportedModel):
            self.model  # noqa: B018  (an error where there is none yet)

    @abstractmethod
    def build_head(self) -> Any:
        """Return the symbolic output of the task's model."""

    # -- training --------------------------------------------------------------------------------------------

    def fit(
        self,
        rows: Any,
        validation: Any = None,
        epochs: int = 3,
        batch_size: int = 32,
        learning_rate: Any = None,
        callbacks: Iterable[Any] = (),
        techniques: Iterable[Callable[[Any], Any]] = (),
        warmup: float = 0.1,
        weight_decay: float = 0.01,
        best_path: str | os.PathLike | None = None,
        verbose: Any = "auto",
        optimizer: Any = None,
        head_rate: float | None = None,
    ) -> Any:
        """Train on rows, and keep the weights of the epoch that is best on others.

        Args:
            rows: a file, a list, a DataFrame or a Dataset, as `read_rows` takes them.
            validation: rows on which each epoch is evaluated; the best one's weights are those at the end.
            epochs: passes over the rows.
            batch_size: rows of a batch; batches have rows of similar length.
            learning_rate: the highest one, a usual one for the model's width if None; or a schedule of Keras.
            callbacks: further ones of Keras.
            techniques: functions of the model, such as lambda model: adversarial_training(model, "Embedding-Token").
            warmup: share of the steps in which the learning rate rises from 0; it then falls to 0 in a line.
            weight_decay: of all weights but biases and normalizations.
            best_path: file of the best weights, in memory if None.
            verbose: of keras.Model.fit.
            optimizer: one of Keras in place of Adam; it brings its own learning rate and decay.
            head_rate: what multiplies the learning rate of the head, which begins at nothing; if None, what is usual
                for the task (`usual_head_rate`), and 1 for an optimizer of your own.

        Returns:
            Keras' History; what `evaluate` measures stands in it under names that begin with "val_".

        Raises:
            RowError: for a row that the task cannot learn from, with its place.
        """
        if isinstance(self.transformer, ExportedModel):
            self.model  # noqa: B018  (an error: it cannot be trained)
        read = self.read(rows_of(rows), learn=True)
        valid = None if validation is None else self.read(rows_of(validation, "validation"), learn=False)
        if self._model is None:
            self._build()
        score = None if valid is None else lambda model: self.report(valid, progress=False).metrics
        return train(
            self, self.samples(read), score, epochs, batch_size, learning_rate, callbacks, techniques, warmup,
            weight_decay, best_path, verbose, optimizer, head_rate,
        )  # fmt: skip

    @abstractmethod
    def read(self, rows: Any, learn: bool) -> list[Any]:
        """Return rows as the task knows them, checked; with `learn`, the labels are those that occur if none are known.

        Args:
            rows: `Rows`.
            learn: whether they are to be trained on.

        Raises:
            RowError: for a row that cannot be.
        """

    @abstractmethod
    def samples(self, rows: list[Any]) -> list[Any]:
        """Return rows as they are trained on, token ids first."""

    @abstractmethod
    def collate(self, batch: list[Any]) -> Any:
        """Return (inputs, targets) of a batch of samples."""

    @abstractmethod
    def loss(self) -> Any:
        """Return the loss that the model is compiled with."""

    def keras_metrics(self) -> list[Any]:
        """Return what `fit` shows besides the loss."""
        return []

    def inputs(self, ids: Sequence[Any], segments: Sequence[Any]) -> list[np.ndarray]:
        """Return the arrays that the model takes for rows of ids and segment ids."""
        longest = max(map(len, ids))
        length = min(-(-longest // MULTIPLE) * MULTIPLE, max(self.maxlen, longest))
        fixed = self.model.inputs[0].shape[1]
        padded = sequence_padding(ids, length=fixed or length, value=self._cutter.pad)
        arrays = self._cutter.inputs(padded, sequence_padding(segments, length=fixed or length))
        return arrays if len(arrays) > 1 else arrays[0]

    # -- prediction ------------------------------------------------------------------------------------------

    def encode(self, texts: list[str], seconds: list[str] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and segment ids of texts or pairs, with the task's prefix and length."""
        if self.prefix:
            texts = [self.prefix + text for text in texts]
        return self.tokenizer.encode_batch(texts, seconds, maxlen=self.maxlen)

    def encoded(self, texts: list[str], seconds: list[str] | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the ids and segment ids of each text, without padding."""
        for start in range(0, len(texts), WINDOW):
            part = slice(start, start + WINDOW)
            ids, segments = self.encode(texts[part], None if seconds is None else seconds[part])
            for row, own, length in zip(ids, segments, self._cutter.lengths(ids), strict=True):
                yield row[:length], own[:length]

    def outputs(
        self, texts: list[str], seconds: list[str] | None = None, progress: bool | None = None, packed: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield (row numbers, the model's outputs for them, their lengths in tokens), in batches of similar length.

        Args:
            texts: N texts.
            seconds: their N second texts, or None.
            progress: show a bar; if None, on a terminal, where it takes some seconds.
            packed: what runs rows of several texts (`PackedVectors`) in place of the model; None for a row each.
        """
        self._check_ready()
        with progress_bar("Predicting", len(texts), "text", progress) as advance:
            for start in range(0, len(texts), WINDOW):
                part = slice(start, start + WINDOW)
                ids, segments = self.encode(texts[part], None if seconds is None else seconds[part])
                lengths = self._cutter.lengths(ids)
                for rows, found in self._found(ids, segments) if packed is None else packed.vectors(ids, segments):
                    yield start + rows, found, lengths[rows]
                    advance(len(rows))

    def _found(self, ids: np.ndarray, segments: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows, arrays in self._cutter.cut(ids, segments, self.batch_size, self._compiled.by_shape):
            yield rows, self._compiled(arrays)[: len(rows)]

    @abstractmethod
    def predict_rows(self, rows: Any, **options: Any) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return what `predict` was asked of each row, by name, and what it says.

        Args:
            rows: `Rows` without labels, or with some, which are not looked at.
            **options: of `predict`.

        Raises:
            RowError: for a row without a text.
        """

    def evaluate(self, rows: Any, progress: bool | None = None) -> Report:
        """Return how well the task does on labelled rows.

        Args:
            rows: as for `fit`.
            progress: show a bar; if None, on a terminal, where it takes some seconds.

        Returns:
            `Report`: figures by name, and a text to print.

        Raises:
            RowError: for a row that is none, or whose label is none of the task's.
        """
        self._check_ready()
        return self.report(self.read(rows_of(rows), learn=False), progress)

    @abstractmethod
    def report(self, rows: list[Any], progress: bool | None = None) -> Report:
        """Return how well the task does on rows that `read` returned."""
