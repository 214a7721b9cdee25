"""`ConditionalClassifier`: several tasks of one form in one model, told apart by conditional layer normalization."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from bert4keras2.arguments import whole_number
from bert4keras2.embeddings.batches import TextBatches
from bert4keras2.embeddings.compiled import Compiled
from bert4keras2.layers import Dropout, FirstToken, GlobalAveragePooling1D
from bert4keras2.metrics import accuracy, best_threshold, macro_f1
from bert4keras2.settings import check_choice
from bert4keras2.tasks.predictions import LabelPrediction
from bert4keras2.tasks.report import Report
from bert4keras2.tasks.rows.values import check_label, check_text, found_labels, label_text, rows_of, trimmed, values_of
from bert4keras2.tasks.task import Task
from bert4keras2.training.model import Model

__all__ = ["ConditionalClassifier", "task_condition"]

INPUT, CONDITION = "Input-Task", "Task-Condition"
POOLINGS = {"mean": GlobalAveragePooling1D, "cls": FirstToken}
ORDERS = (("task", "text", "label"), ("task", "text", "second", "label"))


class _Row(NamedTuple):
    task: int
    text: str
    second: str | None
    label: str


def task_condition(tasks: int, size: int = 128) -> dict[str, Any]:
    """Return the options of `build_transformer_model` by which the number of a task moves all layer normalizations.

        build_transformer_model(folder, **task_condition(6), return_keras_model=False)

    The task's vector c makes gamma + W c and beta + V c of each; W and V begin with zeros, so that the model begins as
    the one that was pre-trained (kexue.fm/archives/8337).

    Args:
        tasks: how many there are.
        size: of the vectors.

    Returns:
        layer_norm_cond and additional_input_layers, of an input "Input-Task" (B, 1).
    """
    given = keras.Input((None,), dtype="int32", name=INPUT)
    vectors = keras.layers.Embedding(whole_number("tasks", tasks, 1), whole_number("size", size, 1), name=CONDITION)(
        given
    )
    return {"layer_norm_cond": FirstToken(name=f"{CONDITION}-First")(vectors), "additional_input_layers": given}


class ConditionalClassifier(Task):
    """Classifies texts or pairs for several tasks that have the same labels and differ in their standard.

        task = ConditionalClassifier.from_checkpoint(folder, tasks=["loose", "strict"])
        task.fit([("loose", text, second, "1"), ...])
        task.predict("strict", pairs)

    One model serves all tasks: what a task is moves the model's layer normalizations, as in the baseline for Sohu's
    matching contest of 2021 (kexue.fm/archives/8337). Rows are (task, text, label) or (task, text, second text, label).

    Args:
        transformer: a model with `task_condition(len(tasks))`; `from_checkpoint` builds one.
        tokenizer: its tokenizer.
        labels: the labels that there are; found in the rows of the first `fit` if None.
        tasks: the names of the tasks.
        condition_size: of the vectors of tasks.
        pooling: "mean" or "cls".
        pairs: whether rows are pairs of texts; found in the rows if None.
        balance: rows of a task come in proportion to (their number)^balance: 1 as there are, 0 equally often.
        thresholds: {task: probability from which the second of two labels is given}; see `fit_thresholds`.
        maxlen: longest sequence of tokens; 128, or what the model knows, if None.
        prefix: put before each text.
        dropout: before the dense layer; the model's own if None.
        batch_size: texts that are predicted at once.

    Raises:
        ValueError: if there are no tasks, or the model knows another number of them.
    """

    def __init__(
        self,
        transformer: Any,
        tokenizer: Any,
        labels: Iterable[Any] | None = None,
        tasks: Iterable[Any] = (),
        condition_size: int = 128,
        pooling: str = "mean",
        pairs: bool | None = None,
        balance: float = 1.0,
        thresholds: Mapping[str, float] | None = None,
        maxlen: int | None = None,
        prefix: str = "",
        dropout: float | None = None,
        batch_size: int = 64,
    ):
        self.tasks = [str(task) for task in tasks]
        if not self.tasks or len(set(self.tasks)) != len(self.tasks):
            raise ValueError(f"tasks are names, each once: tasks=['loose', 'strict'], not {self.tasks}")
        known = (
            [layer for layer in transformer.model.layers if layer.name == CONDITION]
            if hasattr(transformer, "model")
            else []
        )
        if not known or known[0].input_dim != len(self.tasks):
            raise ValueError(
                f"{len(self.tasks)} tasks need a model of build_transformer_model(...,"
                f" **task_condition({len(self.tasks)})), as from_checkpoint builds it"
            )
        check_choice("pooling", pooling, POOLINGS)
        self._condition, self.condition_size = known[0], known[0].output_dim
        self.pooling, self.pairs, self.dropout, self.balance = pooling, pairs, dropout, float(balance)
        self.thresholds = None if thresholds is None else {str(k): float(v) for k, v in thresholds.items()}
        super().__init__(transformer, tokenizer, labels, maxlen, prefix, batch_size)

    @classmethod
    def implied_options(cls, own: dict[str, Any], folder: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return the condition."""
        own["tasks"] = list(own.get("tasks", ()))
        return task_condition(max(len(own["tasks"]), 1), own.get("condition_size", 128))

    def _build(self) -> None:
        before = set(self.transformer.layers)
        self.transformer.layers[CONDITION] = self._condition
        output = self.build_head()
        added = set(self.transformer.layers) - before
        # What a condition moves a normalization by has no place in a Hugging Face model either.
        added |= {name for name, layer in self.transformer.layers.items() if getattr(layer, "conditional", False)}
        added = {name.removeprefix(self.transformer.config.prefix) for name in added}
        self.transformer.task_layers = self.transformer.task_layers | frozenset(added)
        self._model = Model(self.transformer.inputs, output)
        self._cutter = _TaskBatches(self._model, self.tokenizer, self.maxlen)
        self._compiled = Compiled(self._model)

    def build_head(self) -> Any:
        """Return the symbolic (B, labels) probabilities."""
        transformer = self.transformer
        rate = transformer.config.dropout_rate if self.dropout is None else self.dropout
        x = transformer.apply(transformer.hidden_states[-1], POOLINGS[self.pooling], name="Conditional-Pooling")
        x = transformer.apply(x, Dropout, rate=rate, name="Conditional-Dropout")
        return transformer.apply(
            x,
            keras.layers.Dense,
            units=len(self.labels),
            activation="softmax",
            kernel_initializer=transformer.initializer,
            dtype="float32",
            name="Conditional-Classifier",
        )

    # -- rows ------------------------------------------------------------------------------------------------

    def read(self, rows: Any, learn: bool) -> list[_Row]:
        """Return checked rows."""
        found = [(values_of(row, rows.where(i), ORDERS, ("second",)), rows.where(i)) for i, row in enumerate(rows)]
        pairs = "second" in found[0][0] if self.pairs is None else self.pairs
        result = []
        for row, where in found:
            name = label_text(row["task"], where)
            check_label(name, self.tasks, where)
            second = check_text(row.get("second"), where, "second text") if pairs else None
            text = check_text(row["text"], where)
            result.append(_Row(self.tasks.index(name), text, second, label_text(row["label"], where)))
        labels = found_labels(row.label for row in result) if self.labels is None and learn else self.labels
        for row, (_, where) in zip(result, found, strict=True):
            check_label(row.label, labels, where)
        if learn:
            self.pairs, self.labels = pairs, labels
        return result

    def samples(self, rows: list[_Row]) -> list[tuple[np.ndarray, np.ndarray, int, int]]:
        """Return (ids, segment ids, task, label) of rows; those of small tasks come again if `balance` says so."""
        counts = np.bincount([row.task for row in rows], minlength=len(self.tasks))
        # The largest task's rows come once each.
        often = np.array([(counts.max() / max(count, 1)) ** (1 - self.balance) for count in counts])
        encoded = self.encoded([row.text for row in rows], [row.second for row in rows] if self.pairs else None)
        found, seen = [], np.zeros(len(self.tasks))
        for ids, row in zip(encoded, rows, strict=True):
            before = int(seen[row.task])
            seen[row.task] += often[row.task]
            found += [(*ids, row.task, self.labels.index(row.label))] * (int(seen[row.task] + 1e-9) - before)
        return found

    def collate(self, batch: list[Any]) -> Any:
        """Return (inputs, labels) of samples."""
        ids, segments, tasks, labels = zip(*batch, strict=True)
        x = self.inputs(ids, segments)
        place = next(i for i, name in enumerate(self._cutter.names) if name.endswith(INPUT))
        x[place] = np.array(tasks, "int32")[:, None]
        return x, np.array(labels, "int32")

    def loss(self) -> Any:
        """Return the loss of probabilities and class numbers."""
        return "sparse_categorical_crossentropy"

    def keras_metrics(self) -> list[Any]:
        """Return the accuracy."""
        return ["accuracy"]

    # -- prediction ------------------------------------------------------------------------------------------

    def scores(
        self, tasks: list[int], texts: list[str], seconds: list[str] | None = None, progress: bool | None = None
    ) -> np.ndarray:
        """Return (N, labels) probabilities of texts, each for a task's number."""
        found = np.empty((len(texts), len(self.labels or ())), "float32")
        of = np.asarray(tasks)
        for task in np.unique(of):
            rows = np.flatnonzero(of == task)
            self._cutter.task = int(task)
            own = None if seconds is None else [seconds[i] for i in rows]
            for part, output, _ in self.outputs([texts[i] for i in rows], own, progress):
                found[rows[part]] = output
        return found

    def _predictions(self, tasks: list[int], scores: np.ndarray) -> list[LabelPrediction]:
        labels, best = tuple(self.labels), scores.argmax(1)
        if self.thresholds and len(labels) == 2:
            bounds = np.array([self.thresholds.get(self.tasks[task], 0.5) for task in tasks])
            best = (scores[:, 1] >= bounds).astype(int)
        return [LabelPrediction(labels[k], float(row[k]), labels, row) for k, row in zip(best, scores, strict=True)]

    def predict(self, task: str, texts: Any, pairs: Any = None, progress: bool | None = None) -> Any:
        """Return the labels of texts for a task.

        Args:
            task: its name.
            texts: a text or a list of them; a list may hold pairs (text, second text).
            pairs: the second texts, if `texts` are the first ones.
            progress: show a bar; if None, on a terminal, where it takes some seconds.

        Returns:
            A list of `LabelPrediction`; one of them for one text.

        Raises:
            ValueError: for an unknown task, or if second texts are missing or too many.
        """
        check_choice("task", task, self.tasks)
        if isinstance(texts, str):
            return self.predict(task, [texts], None if pairs is None else [pairs], progress)[0]
        firsts = list(texts)
        if pairs is None and firsts and all(isinstance(one, tuple | list) and len(one) == 2 for one in firsts):
            firsts, pairs = map(list, zip(*firsts, strict=True))
        if not firsts or bool(self.pairs) != (pairs is not None) or (pairs is not None and len(pairs) != len(firsts)):
            raise ValueError(f"predict() takes {'pairs of texts' if self.pairs else 'single texts'} here, at least one")
        numbers = [self.tasks.index(task)] * len(firsts)
        return self._predictions(
            numbers, self.scores(numbers, firsts, None if pairs is None else list(pairs), progress)
        )

    def predict_rows(self, rows: Any, **options: Any) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return task and texts of rows by name, and their labels."""
        names = ("task", "text", "second") if self.pairs else ("task", "text")
        inputs = [values_of(trimmed(row, names), rows.where(i), (names,)) for i, row in enumerate(rows)]
        numbers = [self.tasks.index(label_text(values["task"], "")) for values in inputs]
        seconds = [values["second"] for values in inputs] if self.pairs else None
        scores = self.scores(numbers, [values["text"] for values in inputs], seconds, options.get("progress"))
        return inputs, self._predictions(numbers, scores)

    def fit_thresholds(self, rows: Any) -> dict[str, float]:
        """Choose for each task the probability from which the second label is given, by its F1 on labelled rows.

        Args:
            rows: as for `evaluate`, rows that were not learnt from.

        Returns:
            {task: threshold}, which `predict`, `evaluate` and saved folders follow from then on.

        Raises:
            ValueError: if there are not two labels.
        """
        if len(self.labels or ()) != 2:
            raise ValueError("thresholds are for tasks with two labels")
        found = self.read(rows_of(rows), learn=False)
        seconds = [row.second for row in found] if self.pairs else None
        scores = self.scores([row.task for row in found], [row.text for row in found], seconds)[:, 1]
        true = np.array([row.label == self.labels[1] for row in found])
        of = np.array([row.task for row in found])
        self.thresholds = {
            name: best_threshold(true[of == k], scores[of == k]) for k, name in enumerate(self.tasks) if (of == k).any()
        }
        return self.thresholds

    def report(self, rows: list[_Row], progress: bool | None = None) -> Report:
        """Return macro F1 as the mean over tasks, accuracy, and both for each task."""
        seconds = [row.second for row in rows] if self.pairs else None
        tasks = [row.task for row in rows]
        found = self._predictions(tasks, self.scores(tasks, [row.text for row in rows], seconds, progress))
        lines, means = [], []
        for number, name in enumerate(self.tasks):
            pairs = [(row.label, one.label) for row, one in zip(rows, found, strict=True) if row.task == number]
            if pairs:
                true, predicted = map(list, zip(*pairs, strict=True))
                means.append(macro_f1(true, predicted, self.labels))
                lines.append(
                    f"{name}: macro_f1 {means[-1]:.4f}  accuracy {accuracy(true, predicted):.4f}  ({len(pairs)} rows)"
                )
        true, predicted = [row.label for row in rows], [one.label for one in found]
        figures = {"macro_f1": float(np.mean(means)), "accuracy": accuracy(true, predicted)}
        return Report(figures, len(rows), "\n".join(lines))


class _TaskBatches(TextBatches):
    """Batches of texts, all for one task.

    Attributes:
        task: its number.
    """

    task = 0

    def inputs(self, ids: np.ndarray, segments: np.ndarray) -> list[np.ndarray]:
        """Return the arrays that the model takes, in its order."""
        positions = np.broadcast_to(np.arange(ids.shape[1], dtype="int32"), ids.shape)
        task = np.full((len(ids), 1), self.task, "int32")
        arrays = {"Input-Token": ids, "Input-Segment": segments, "Input-Position": positions, INPUT: task}
        return [next(arrays[key] for key in arrays if name.endswith(key)) for name in self.names]
