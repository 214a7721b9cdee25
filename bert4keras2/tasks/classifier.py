"""`TextClassifier`: a label, several labels, or a number for a text or a pair of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from keras.layers import Dense

from bert4keras2.embeddings.packed import PackedVectors
from bert4keras2.embeddings.pooling import POOLINGS
from bert4keras2.exporting import ExportedModel
from bert4keras2.functional.losses import multilabel_categorical_crossentropy
from bert4keras2.metrics import accuracy, macro_f1, matthews, multilabel_f1, span_f1, spearman
from bert4keras2.settings import check_choice
from bert4keras2.tasks.heads.pooled import implied_pooler, pooled, pooled_parts
from bert4keras2.tasks.predictions import LabelPrediction, LabelsPrediction, NumberPrediction
from bert4keras2.tasks.report import Report, confusion_text, label_table
from bert4keras2.tasks.rows.values import (
    check_label,
    check_text,
    found_labels,
    label_list,
    label_text,
    label_value,
    trimmed,
    values_of,
)
from bert4keras2.tasks.task import Task

__all__ = ["TextClassifier"]

KINDS = ("single", "multi", "number")
ORDERS = (("text", "label"), ("text", "second", "label"))


class _Row(NamedTuple):
    text: str
    second: str | None
    label: Any  # a label, a list of labels, or a number


class TextClassifier(Task):
    """Classifies texts or pairs of texts.

        task = TextClassifier.from_checkpoint(folder, labels=["负面", "正面"])
        task.fit("train.tsv", validation="valid.tsv")
        task.predict("这家店的火锅很好吃").label

    The head is a dense layer on the pooled hidden states. With pooling="pooler" it is the head of Hugging Face's
    classes (BertForSequenceClassification and its like), which then read a saved folder.

    Rows are (text, label) or (text, second text, label), or mappings. A row of several labels has a list of them.

    Args:
        transformer: the model of `build_transformer_model(..., return_keras_model=False)`.
        tokenizer: its tokenizer.
        labels: the labels that there are; found in the rows of the first `fit` if None.
        kind: "single": one label a text; "multi": any number of them, learnt by the loss of
            kexue.fm/archives/7359; "number": a number, learnt by its squared error. If None, "single" with `labels`,
            and without them what the rows of the first `fit` have.
        pooling: "cls", "mean", "first-last" as of `SentenceEncoder`, or "pooler".
        pairs: whether rows are pairs of texts; found in the rows if None.
        maxlen: longest sequence of tokens; 128, or what the model knows, if None.
        prefix: put before each text (of a pair, before the first), such as "query: " for E5 models.
        dropout: before the dense layer; the model's own if None.
        batch_size: texts that are predicted at once.
    """

    def __init__(
        self,
        transformer: Any,
        tokenizer: Any,
        labels: Iterable[Any] | None = None,
        kind: str | None = None,
        pooling: str = "cls",
        pairs: bool | None = None,
        maxlen: int | None = None,
        prefix: str = "",
        dropout: float | None = None,
        batch_size: int = 64,
    ):
        if kind is not None:
            check_choice("kind", kind, KINDS)
        check_choice("pooling", pooling, POOLINGS)
        self.kind = "number" if kind == "number" else kind or ("single" if labels is not None else None)
        if self.kind == "number" and labels is None:
            labels = ["value"]
        self.pooling, self.pairs, self.dropout = pooling, pairs, dropout
        super().__init__(transformer, tokenizer, labels, maxlen, prefix, batch_size)

    @classmethod
    def implied_options(cls, own: dict[str, Any], folder: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return with_pool where the head stands on the model's pooler."""
        return implied_pooler(own.get("pooling", "cls"), folder, options)

    def build_head(self) -> Any:
        """Return the symbolic (B, labels) output: probabilities of a single label, otherwise scores."""
        transformer = self.transformer
        x = pooled(transformer, self.pooling, self.dropout, "Classifier")
        return transformer.apply(
            x,
            Dense,
            units=len(self.labels),
            activation="softmax" if self.kind == "single" else None,
            kernel_initializer=transformer.initializer,
            dtype="float32",
            name=self._head_name,
        )

    @property
    def _head_name(self) -> str:
        # A name that Hugging Face's classes have for a head that computes what theirs do.
        return "Classifier" if self.pooling == "pooler" else "Pooled-Classifier"

    # -- rows ------------------------------------------------------------------------------------------------

    def read(self, rows: Any, learn: bool) -> list[_Row]:
        """Return checked rows; of those to learn from, kind, labels and pairs follow where they are not known."""
        found = [(values_of(row, rows.where(i), ORDERS, ("second",)), rows.where(i)) for i, row in enumerate(rows)]
        first, where = found[0]
        kind, pairs = self.kind or _kind_of([row["label"] for row, _ in found]), self.pairs
        pairs = "second" in first if pairs is None else pairs
        read = {"single": label_text, "multi": label_list, "number": label_value}[kind]
        result = []
        for row, where in found:
            text = check_text(row["text"], where)
            second = check_text(row.get("second"), where, "second text") if pairs else None
            result.append(_Row(text, second, read(row["label"], where)))
        labels = self.labels
        if labels is None and learn:
            labels = ["value"] if kind == "number" else found_labels(x for row in result for x in _each(row.label))
        if kind != "number":
            known = set(labels)
            for row, (_, where) in zip(result, found, strict=True):
                for label in _each(row.label):
                    if label not in known:
                        check_label(label, labels, where)
        if learn:
            self.kind, self.pairs, self.labels = kind, pairs, labels
        return result

    def samples(self, rows: list[_Row]) -> list[tuple[np.ndarray, np.ndarray, Any]]:
        """Return (ids, segment ids, target) of rows."""
        place = {label: index for index, label in enumerate(self.labels)}
        targets = {
            "single": lambda label: place[label],
            "multi": lambda labels: [place[label] for label in labels],
            "number": float,
        }[self.kind]
        encoded = self.encoded(*_sides(rows))
        return [(*ids, targets(row.label)) for ids, row in zip(encoded, rows, strict=True)]

    def collate(self, batch: list[Any]) -> Any:
        """Return (inputs, targets) of samples."""
        ids, segments, targets = zip(*batch, strict=True)
        x = self.inputs(ids, segments)
        if self.kind == "single":
            return x, np.array(targets, "int32")
        if self.kind == "number":
            return x, np.array(targets, "float32")[:, None]
        y = np.zeros((len(batch), len(self.labels)), "float32")
        for row, places in enumerate(targets):
            y[row, places] = 1
        return x, y

    def loss(self) -> Any:
        """Return the loss of the kind."""
        losses = {"single": "sparse_categorical_crossentropy", "multi": multilabel_categorical_crossentropy}
        return losses.get(self.kind, "mean_squared_error")

    def keras_metrics(self) -> list[Any]:
        """Return the accuracy, where there is one."""
        return ["accuracy"] if self.kind == "single" else []

    # -- prediction ------------------------------------------------------------------------------------------

    def predict(
        self,
        texts: Any,
        pairs: Any = None,
        threshold: float = 0.5,
        progress: bool | None = None,
        packed: bool = False,
    ) -> Any:
        """Return what the task says of texts.

        Args:
            texts: a text or a list of them; a list may hold pairs (text, second text).
            pairs: the second texts, if `texts` are the first ones.
            threshold: of several labels, those with a higher probability are given.
            progress: show a bar; if None, on a terminal, where it takes some seconds.
            packed: put several texts into each row of the model, where no text sees another: nothing is computed of
                padding.

        Returns:
            A list of `LabelPrediction`, `LabelsPrediction` or `NumberPrediction`; one of them for one text.

        Raises:
            ValueError: for an empty text, if second texts are missing or too many, or, with packed=True, if texts of
                one row would mix in the model.
        """
        if isinstance(texts, str):
            return self.predict([texts], None if pairs is None else [pairs], threshold, progress, packed)[0]
        firsts, seconds = _texts_of(texts, pairs)
        if self.pairs is not None and self.pairs != (seconds is not None):
            what = "pairs of texts: predict([(text, second text), ...])" if self.pairs else "single texts"
            raise ValueError(f"this task takes {what}")
        return self.predictions(self.scores(firsts, seconds, progress, packed), threshold)

    def predict_rows(self, rows: Any, **options: Any) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return the texts of rows by name, and what `predict` says of them."""
        pairs = self.pairs
        if pairs is None and rows and isinstance(rows[0], Mapping):  # of a folder that does not say
            pairs = "second" in values_of(rows[0], rows.where(0), (("text", "second"),), ("second",))
        names = ("text", "second") if pairs else ("text",)
        inputs = [values_of(trimmed(row, names), rows.where(i), (names,)) for i, row in enumerate(rows)]
        for index, values in enumerate(inputs):
            for text in values.values():
                check_text(text, rows.where(index))
        texts = [tuple(values.values()) if pairs else values["text"] for values in inputs]
        return inputs, self.predict(texts, **options)

    def scores(
        self, texts: list[str], seconds: list[str] | None = None, progress: bool | None = None, packed: bool = False
    ) -> np.ndarray:
        """Return the model's (N, labels) float32 output for texts, in their order; `packed` as of `predict`."""
        found = np.empty((len(texts), len(self.labels or ())), "float32")
        for rows, output, _ in self.outputs(texts, seconds, progress, self._packed if packed else None):
            found[rows] = output
        return found

    @cached_property
    def _packed(self) -> PackedVectors:
        """What runs packed rows, to the head's output."""
        self._check_ready()
        if isinstance(self.transformer, ExportedModel):
            raise ValueError("packed=True needs the model's blocks, and this task is an exported one: leave it out")
        pooling, layers = pooled_parts(self.transformer, self.pooling, "Classifier")
        layers.append(self.transformer.layers[self.transformer.prefixed(self._head_name)])
        by_shape = self._compiled.by_shape
        return PackedVectors(self.transformer, self._cutter, pooling, layers, self.batch_size, by_shape)

    def predictions(self, scores: np.ndarray, threshold: float = 0.5) -> list[Any]:
        """Return plain objects for the (N, labels) output of the model."""
        labels = tuple(self.labels)
        if self.kind == "number":
            return [NumberPrediction(value) for value in scores[:, 0].tolist()]
        if self.kind == "single":
            best = scores.argmax(1)
            top = scores[np.arange(len(scores)), best].tolist()
            rows = zip(best.tolist(), top, scores, strict=True)
            return [LabelPrediction(labels[place], value, labels, row) for place, value, row in rows]
        found = 1 / (1 + np.exp(-scores.astype("float64")))
        order = np.argsort(-found, axis=1, kind="stable").tolist()
        counts = (found > threshold).sum(1).tolist()
        return [
            LabelsPrediction(tuple(labels[place] for place in places[:count]), labels, row)
            for places, count, row in zip(order, counts, found, strict=True)
        ]

    def report(self, rows: list[_Row], progress: bool | None = None) -> Report:
        """Return accuracy and F1 of labels, F1 of several, or the correlation of numbers."""
        found = self.predictions(self.scores(*_sides(rows), progress))
        true = [row.label for row in rows]
        if self.kind == "number":
            values = [one.value for one in found]
            error = float(np.mean(np.square(np.subtract(values, true))))
            return Report({"spearman": spearman(true, values), "mse": error}, len(rows))
        if self.kind == "multi":
            predicted = [one.labels for one in found]
            same = [set(a) == set(b) for a, b in zip(true, predicted, strict=True)]
            figures = {"f1": multilabel_f1(true, predicted), "exact": float(np.mean(same))}
            counts = Counter(label for labels in true for label in labels)
            return Report(figures, len(rows), label_table(_scores_of(true, predicted), counts))
        predicted = [one.label for one in found]
        figures = {"accuracy": accuracy(true, predicted), "macro_f1": macro_f1(true, predicted, self.labels)}
        if len(self.labels) == 2:
            figures["matthews"] = matthews(true, predicted)
        table = label_table(_scores_of([[x] for x in true], [[x] for x in predicted]), Counter(true))
        details = f"{table}\n\n{confusion_text(true, predicted, self.labels)}"
        return Report(figures, len(rows), details, true, predicted)

    # -- files -----------------------------------------------------------------------------------------------

    def huggingface_keys(self) -> dict[str, Any]:
        """Return labels and problem of config.json, and the class where there is one that computes the same."""
        problems = {"single": "single_label_classification", "multi": "multi_label_classification"}
        keys = {**super().huggingface_keys(), "problem_type": problems.get(self.kind, "regression")}
        if self.has_class("Classifier"):
            keys["architectures"] = self.class_name("ForSequenceClassification")
        return keys


def _sides(rows: list[_Row]) -> tuple[list[str], list[str] | None]:
    """Return the first texts of rows, and the second ones if they are pairs."""
    seconds = [row.second for row in rows if row.second is not None]
    return [row.text for row in rows], seconds or None


def _scores_of(true: Sequence[Iterable[str]], predicted: Sequence[Iterable[str]]) -> dict[str, dict[str, float]]:
    """Return precision, recall and F1 of each label, a label being a span of type "label" over its whole text."""
    spans = [[[(0, 1, label) for label in labels] for labels in side] for side in (true, predicted)]
    return span_f1(*spans)["types"]


def _each(label: str | list[str]) -> list[str]:
    return [label] if isinstance(label, str) else label


def _kind_of(values: list[Any]) -> str:
    """Return what labels are: lists, numbers with a fraction, or one label each."""
    if any(isinstance(value, list | tuple | set) for value in values):
        return "multi"
    fractions = any(isinstance(value, float) and not float(value).is_integer() for value in values)
    return "number" if fractions else "single"


def _texts_of(texts: Any, pairs: Any) -> tuple[list[str], list[str] | None]:
    """Return checked first and second texts."""
    firsts = list(texts)
    if pairs is None and firsts and all(isinstance(text, tuple | list) and len(text) == 2 for text in firsts):
        firsts, pairs = map(list, zip(*firsts, strict=True))
    seconds = None if pairs is None else list(pairs)
    if not firsts:
        raise ValueError("predict() got no texts")
    if seconds is not None and len(seconds) != len(firsts):
        raise ValueError(f"{len(firsts)} texts but {len(seconds)} second texts: each text needs its own")
    for name, found in (("texts", firsts), ("pairs", seconds or [])):
        for index, text in enumerate(found):
            if not (isinstance(text, str) and text.strip()):
                check_text(text, f"{name}[{index}]")
    return firsts, seconds
