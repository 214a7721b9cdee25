"""`TextMatcher`: vectors of texts, learnt from texts, pairs, graded pairs or triplets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bert4keras2.embeddings.encoder import SentenceEncoder
from bert4keras2.embeddings.pooling import check_pooling, vector_model
from bert4keras2.embeddings.saving import write_modules
from bert4keras2.metrics import spearman
from bert4keras2.settings import check_choice
from bert4keras2.tasks.predictions import NumberPrediction
from bert4keras2.tasks.report import Report
from bert4keras2.tasks.rows.values import check_text, label_value, trimmed, values_of
from bert4keras2.tasks.task import Task
from bert4keras2.training.sentences import cosent, in_batch_contrastive, matryoshka, simcse, triplet

__all__ = ["TextMatcher"]

GRADED = ("text", "second", "label")
# What the rows of each objective hold, and its loss.
OBJECTIVES: dict[str, tuple[tuple[str, ...], Any]] = {
    "cosent": (GRADED, cosent),
    "contrastive": (("text", "second"), in_batch_contrastive),
    "simcse": (("text",), simcse),
    "triplet": (("text", "second", "negative"), triplet),
}
WHAT = {"text": "text", "second": "second text", "negative": "negative text"}


class _Row(NamedTuple):
    texts: tuple[str, ...]
    label: float | None


class TextMatcher(Task):
    """Tells how near two texts are by the cosine of their vectors, which it learns.

        task = TextMatcher.from_checkpoint(folder)
        task.fit("train.tsv", validation="valid.tsv")       # text, second text, grade
        task.predict([("花呗怎么还款", "怎样还花呗")])[0].value
        vectors = task.encoder.encode(texts)

    Rows are (text, second text, grade) for "cosent"; for the others see `objective`. Those of `validation` and
    `evaluate` have grades always; the measure is Spearman's correlation of cosines and grades.

    Args:
        transformer: the model of `build_transformer_model(..., return_keras_model=False)`.
        tokenizer: its tokenizer.
        objective: "cosent": pairs with grades or with labels 0 and 1; "contrastive": (text, second text) that belong
            together, all others of a batch do not; "simcse": (text,) alone, whose model needs dropout
            (from_checkpoint(..., dropout_rate=0.1)); "triplet": (text, second text, one that is farther).
        pooling: as of `SentenceEncoder`.
        widths: numbers of which vectors are to serve by themselves as well (Matryoshka).
        maxlen: longest sequence of tokens; 64, or what the model knows, if None.
        prefix: put before each text, such as "query: " for E5 models.
        batch_size: texts that are encoded at once.
    """

    labelled = False
    usual_maxlen = 64

    def __init__(
        self,
        transformer: Any,
        tokenizer: Any,
        objective: str = "cosent",
        pooling: str | Sequence[str] = "mean",
        widths: Sequence[int] | None = None,
        maxlen: int | None = None,
        prefix: str = "",
        batch_size: int = 64,
    ):
        check_choice("objective", objective, OBJECTIVES)
        check_pooling(pooling)
        self.objective, self.pooling = objective, pooling
        self.widths = None if widths is None else [int(width) for width in widths]
        super().__init__(transformer, tokenizer, None, maxlen, prefix, batch_size)
        #: The `SentenceEncoder` of the same weights.
        self.encoder = SentenceEncoder(
            transformer, tokenizer, pooling, self.maxlen, prefix=self.prefix, batch_size=self.batch_size
        )

    @classmethod
    def implied_options(cls, own: dict[str, Any], folder: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return with_pool where vectors are those of the pooler."""
        return {"with_pool": True} if "pooler" in check_pooling(own.get("pooling", "mean")) else {}

    def build_head(self) -> Any:
        """Return the symbolic (B, D) vectors."""
        return vector_model(self.transformer, self.pooling).output

    # -- rows ------------------------------------------------------------------------------------------------

    def read(self, rows: Any, learn: bool) -> list[_Row]:
        """Return checked rows: what the objective learns from, or graded pairs."""
        config = self.transformer.config
        if learn and self.objective == "simcse" and not (config.dropout_rate or config.attention_dropout_rate):
            raise ValueError(
                "objective='simcse' learns from what dropout changes, and the model has none: build it with"
                " TextMatcher.from_checkpoint(..., dropout_rate=0.1)"
            )
        order = OBJECTIVES[self.objective][0] if learn else GRADED
        found = []
        for index, row in enumerate(rows):
            where = rows.where(index)
            values = values_of(trimmed(row, order), where, (order,))
            names = [name for name in order if name != "label"]
            texts = tuple(check_text(values[name], where, WHAT[name]) for name in names)
            found.append(_Row(texts, label_value(values["label"], where) if "label" in order else None))
        return found

    def samples(self, rows: list[_Row]) -> list[tuple[np.ndarray, list[Any], float | None]]:
        """Return (longest ids, ids and segment ids of all rows of a group, label)."""
        groups = [row.texts * 2 if self.objective == "simcse" else row.texts for row in rows]
        encoded = iter(self.encoded([text for group in groups for text in group]))
        found = []
        for group, row in zip(groups, rows, strict=True):
            parts = [next(encoded) for _ in group]
            found.append((max((ids for ids, _ in parts), key=len), parts, row.label))
        return found

    def collate(self, batch: list[Any]) -> Any:
        """Return (inputs, labels) of groups, row by row."""
        size = len(batch[0][1])
        ids, segments = zip(*(part for _, parts, _ in batch for part in parts), strict=True)
        labels = [place if label is None else label for place, (_, _, label) in enumerate(batch)]
        return self.inputs(ids, segments), np.array(labels, "float32").repeat(size)[:, None]

    def loss(self) -> Any:
        """Return the loss of the objective."""
        loss = OBJECTIVES[self.objective][1]()
        return loss if self.widths is None else matryoshka(loss, self.widths)

    # -- prediction ------------------------------------------------------------------------------------------

    def predict(self, texts: Any, pairs: Any = None, progress: bool | None = None) -> Any:
        """Return how near pairs of texts are.

        Args:
            texts: first texts, or one; or a list of pairs (text, second text).
            pairs: the second texts, if `texts` are the first ones.
            progress: show a bar; if None, on a terminal, where it takes some seconds.

        Returns:
            A list of `NumberPrediction`, cosines from -1 to 1; one of them for one pair.

        Raises:
            ValueError: if second texts are missing or too many, or a text is empty.
        """
        if isinstance(texts, str):
            return self.predict([texts], None if pairs is None else [pairs], progress)[0]
        firsts = list(texts)
        if pairs is None and firsts and all(isinstance(one, tuple | list) and len(one) == 2 for one in firsts):
            firsts, pairs = map(list, zip(*firsts, strict=True))
        seconds = [] if pairs is None else list(pairs)
        if not firsts or len(firsts) != len(seconds):
            raise ValueError(
                f"{len(firsts)} texts but {len(seconds)} second texts: predict([(text, second text), ...])"
            )
        for name, found in (("texts", firsts), ("pairs", seconds)):
            for index, text in enumerate(found):
                check_text(text, f"{name}[{index}]")
        return [NumberPrediction(value) for value in self.cosines(firsts, seconds, progress).tolist()]

    def predict_rows(self, rows: Any, **options: Any) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return the texts of rows by name, and how near they are."""
        names = ("text", "second")
        inputs = [values_of(trimmed(row, names), rows.where(i), (names,)) for i, row in enumerate(rows)]
        return inputs, self.predict([tuple(values.values()) for values in inputs], **options)

    def cosines(self, texts: list[str], seconds: list[str], progress: bool | None = None) -> np.ndarray:
        """Return the cosines (N,) of N texts and their second ones."""
        vectors = self.encoder.encode([*texts, *seconds], progress=progress)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.sum(vectors[: len(texts)] * vectors[len(texts) :], axis=1)

    def report(self, rows: list[_Row], progress: bool | None = None) -> Report:
        """Return Spearman's correlation of cosines and grades."""
        firsts, seconds = map(list, zip(*(row.texts for row in rows), strict=True))
        found = self.cosines(firsts, seconds, progress)
        return Report({"spearman": spearman([row.label for row in rows], found)}, len(rows))

    def save(self, folder: Any) -> None:
        """Write the task; the folder is one of sentence-transformers as well, which `SentenceEncoder.load` reads."""
        super().save(folder)
        write_modules(self.encoder, str(folder), self.transformer.config.hidden_size)
