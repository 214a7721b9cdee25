"""`MultipleChoice`: which of several answers is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from keras.layers import Dense

from bert4keras2.embeddings.pooling import POOLINGS
from bert4keras2.metrics import accuracy
from bert4keras2.settings import check_choice
from bert4keras2.snippets.arrays import softmax
from bert4keras2.tasks.heads.losses import choice_crossentropy
from bert4keras2.tasks.heads.pooled import implied_pooler, pooled
from bert4keras2.tasks.report import Report
from bert4keras2.tasks.rows.tables import RowError, Rows
from bert4keras2.tasks.rows.values import check_text, values_of
from bert4keras2.tasks.task import Task

__all__ = ["Choice", "MultipleChoice"]

# Rows of a training batch are filled up to a multiple of this, so that few shapes occur.
MULTIPLE = 8
ORDERS = (("text", "question", "choices", "answer"), ("text", "choices", "answer"))


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice that is right.

    Attributes:
        index: its number, from 0.
        text: the choice itself.
        probability: its probability.
        probabilities: of all choices, in their order.
    """

    index: int
    text: str
    probability: float
    probabilities: tuple[float, ...] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return all but the other probabilities, as they are written to files."""
        return {"index": self.index, "text": self.text, "probability": round(self.probability, 6)}


class _Row(NamedTuple):
    text: str
    question: str
    choices: list[str]
    answer: int | None


class MultipleChoice(Task):
    """Chooses one of several answers to a question about a text; there may be any number of them.

        task = MultipleChoice.from_checkpoint(folder)
        task.fit([("小明在北京上学。", "小明在哪里？", ["上海", "北京"], 1), ...])
        task.predict([("她在上海。", "她在哪里？", ["上海", "北京"])])[0].text

    The model reads the text, and behind it question and choice, once for each choice, and gives it a score; a softmax
    over the choices makes probabilities of them. Rows are (text, question, choices, answer) or (text, choices, answer),
    or mappings; the answer is the number of the right choice, from 0, or the choice itself.

    Args:
        transformer: the model of `build_transformer_model(..., return_keras_model=False)`.
        tokenizer: its tokenizer.
        pooling: "cls", "mean", "first-last" as of `SentenceEncoder`, or "pooler".
        maxlen: longest sequence of tokens, of which the longer part loses its end first; 512, or what the model knows,
            if None.
        prefix: put before each text.
        dropout: before the dense layer; the model's own if None.
        batch_size: choices that are predicted at once.
    """

    labelled = False
    usual_maxlen = 512

    def __init__(
        self,
        transformer: Any,
        tokenizer: Any,
        pooling: str = "cls",
        maxlen: int | None = None,
        prefix: str = "",
        dropout: float | None = None,
        batch_size: int = 32,
    ):
        check_choice("pooling", pooling, POOLINGS)
        self.pooling, self.dropout = pooling, dropout
        super().__init__(transformer, tokenizer, None, maxlen, prefix, batch_size)

    @classmethod
    def implied_options(cls, own: dict[str, Any], folder: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return with_pool where the head stands on the model's pooler."""
        return implied_pooler(own.get("pooling", "cls"), folder, options, own_layer=False)

    def build_head(self) -> Any:
        """Return the symbolic (N, 1) scores of choices."""
        x = pooled(self.transformer, self.pooling, self.dropout, "Choice", own_layer=False)
        options = {"kernel_initializer": self.transformer.initializer, "dtype": "float32"}
        name = "Choice-Classifier" if self.pooling == "pooler" else "Pooled-Choice"
        return self.transformer.apply(x, Dense, units=1, name=name, **options)

    # -- rows ------------------------------------------------------------------------------------------------

    def read(self, rows: Any, learn: bool) -> list[_Row]:
        """Return checked rows."""
        return [_row(row, rows.where(index)) for index, row in enumerate(rows)]

    def samples(self, rows: list[_Row]) -> list[tuple[np.ndarray, list[Any], int]]:
        """Return (the longest ids, (ids, segment ids) of each choice, the right one) of rows."""
        encoded = self.encoded(*_sides(rows))
        samples = []
        for row in rows:
            parts = [next(encoded) for _ in row.choices]
            samples.append((max((ids for ids, _ in parts), key=len), parts, row.answer))
        return samples

    def collate(self, batch: list[Any]) -> Any:
        """Return (inputs, targets) of samples: all choices of a batch, and which question each is of."""
        parts = [part for _, choices, _ in batch for part in choices]
        y = [
            (float(choice == answer), number)
            for number, (_, choices, answer) in enumerate(batch)
            for choice in range(len(choices))
        ]
        filling = -len(parts) % MULTIPLE
        parts += parts[:1] * filling
        y += [(0.0, -1)] * filling  # of no question, and not right: they cost nothing
        return self.inputs([ids for ids, _ in parts], [segments for _, segments in parts]), np.array(y, "float32")

    def loss(self) -> Any:
        """Return the cross entropy over each question's choices."""
        return choice_crossentropy

    # -- prediction ------------------------------------------------------------------------------------------

    def predict(self, rows: Any, progress: bool | None = None) -> Any:
        """Return the choices that are right.

        Args:
            rows: a list of (text, question, choices) or (text, choices), or of mappings; or one of them.
            progress: show a bar; if None, on a terminal, where it takes some seconds.

        Returns:
            A list of `Choice`; one of them for one row.

        Raises:
            ValueError: for a row without a text or choices.
        """
        if isinstance(rows, Mapping | tuple):
            return self.predict([rows], progress)[0]
        found = Rows(row if isinstance(row, Mapping) else (*row, None) for row in rows)
        read = [_row(row, found.where(index), answered=False) for index, row in enumerate(found)]
        if not read:
            raise ValueError("predict() got no rows")
        return self.choices(read, progress)

    def predict_rows(self, rows: Any, **options: Any) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return the texts and choices of rows by name, and what `predict` says of them."""
        read = [_row(row, rows.where(index), answered=False) for index, row in enumerate(rows)]
        inputs = [{"text": row.text, "question": row.question, "choices": row.choices} for row in read]
        return inputs, self.choices(read, **options)

    def choices(self, rows: list[_Row], progress: bool | None = None) -> list[Choice]:
        """Return what is right of rows that `read` returned."""
        texts, seconds = _sides(rows)
        scores = np.empty(len(texts), "float64")
        for numbers, output, _ in self.outputs(texts, seconds, progress):
            scores[numbers] = output[:, 0]
        result, start = [], 0
        for row in rows:
            own = softmax(scores[start : start + len(row.choices)])
            start += len(row.choices)
            best = int(own.argmax())
            result.append(Choice(best, row.choices[best], float(own[best]), tuple(own.tolist())))
        return result

    def report(self, rows: list[_Row], progress: bool | None = None) -> Report:
        """Return the share of questions whose right choice was found."""
        found = self.choices(rows, progress)
        return Report({"accuracy": accuracy([row.answer for row in rows], [one.index for one in found])}, len(rows))

    # -- files -----------------------------------------------------------------------------------------------

    def huggingface_keys(self) -> dict[str, Any]:
        """Return the class for multiple choice, where there is one that computes the same."""
        return {"architectures": self.class_name("ForMultipleChoice")} if self.has_class("Choice-Classifier") else {}


def _sides(rows: Sequence[_Row]) -> tuple[list[str], list[str]]:
    """Return texts, and questions with their choices, one pair for each choice."""
    texts = [row.text for row in rows for _ in row.choices]
    seconds = [f"{row.question} {choice}" if row.question else choice for row in rows for choice in row.choices]
    return texts, seconds


def _row(row: Any, where: str, answered: bool = True) -> _Row:
    """Return a checked row."""
    optional = ("question",) if answered else ("question", "answer")
    values = values_of(row, where, ORDERS, optional)
    choices = values["choices"]
    if isinstance(choices, str | bytes) or not isinstance(choices, Sequence) or len(choices) < 2:
        raise RowError(f"{where}: the choices are {choices!r:.80}, expected a list of two or more texts")
    choices = [check_text(choice, where, f"choice {number}") for number, choice in enumerate(choices)]
    text = check_text(values["text"], where)
    question = check_text(values["question"], where, "question") if values.get("question") else ""
    answer = values.get("answer")
    if not answered:
        return _Row(text, question, choices, None)
    if isinstance(answer, str) and answer in choices:
        return _Row(text, question, choices, choices.index(answer))
    try:
        number = int(answer)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < len(choices):
        raise RowError(
            f"{where}: the answer {answer!r:.80} is none of the {len(choices)} choices, nor a number from 0 to"
            f" {len(choices) - 1}"
        )
    return _Row(text, question, choices, number)
