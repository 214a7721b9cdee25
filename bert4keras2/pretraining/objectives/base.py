"""What all objectives share: rows made of texts, and a graph whose outputs are compared with labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from bert4keras2.pretraining.packing import cut_texts, pack

__all__ = ["Batch", "Graph", "Objective", "Packed", "Rows", "Setup"]

Batch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]  # arrays by the names of inputs, and of outputs
Graph = tuple[list[Any], dict[str, Any]]  # symbolic inputs, and outputs by their names


@dataclass(frozen=True)
class Setup:
    """What an objective has to know.

    Attributes:
        tokenizer: the tokenizer of the shards.
        row_length: T, positions of a row.
        packing: fill rows with several texts; otherwise each row has one piece of a text, and padding.
        mask_rate: share of tokens that are hidden, where tokens are hidden.
        mask_decision: "token" or "word", see `WholeWordMasking`.
        shortest: texts with fewer tokens are left out.
    """

    tokenizer: Any
    row_length: int = 128
    packing: bool = True
    mask_rate: float = 0.15
    mask_decision: str = "token"
    shortest: int = 1

    @property
    def special_ids(self) -> list[int]:
        """Ids that stand for no text."""
        own = (self.tokenizer.pad_id, self.tokenizer.start_id, self.tokenizer.end_id, self.tokenizer.mask_id)
        return sorted({*own, self.tokenizer.unk_id})


@dataclass
class Rows:
    """Texts laid out in rows; arrays (B, T).

    Attributes:
        ids: int32 tokens, padding behind the last text.
        flags: uint8 flags of tokens, see `words`.
        segments: int32 segment ids.
        texts: int32, 1, 2, ... by row: which text a position belongs to; 0 for padding.
        positions: int32, counted anew in each text.
        labels: int32, what the objective asks of a position besides its token; -1 for nothing.
    """

    ids: np.ndarray
    flags: np.ndarray
    segments: np.ndarray
    texts: np.ndarray
    positions: np.ndarray
    labels: np.ndarray

    @classmethod
    def empty(cls, batch: int, length: int, pad_id: int) -> Rows:
        """Return rows of padding."""
        ids, segments, texts, positions = (np.zeros((batch, length), np.int32) for _ in range(4))
        return cls(ids + pad_id, ids.astype(np.uint8), segments, texts, positions, np.full_like(ids, -1))


class Objective:
    """One way to learn from texts.

    Subclasses say which model they train (`options` of build_transformer_model), how one pass over the texts is cut
    into rows (`plan`), what a batch of rows is (`batch`), and what is computed of it (`graph`).

    Attributes:
        name: by which a configuration asks for it.
        summary: what is learnt from what, for model cards.
        options: of build_transformer_model, on top of the recipe's.
        multiple: batches hold a multiple of so many rows.
        weights: of the losses, by the names of outputs.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    multiple: ClassVar[int] = 1
    weights: ClassVar[dict[str, float]] = {}

    def __init__(self, setup: Setup):
        self.setup = setup
        self.tokenizer = setup.tokenizer
        self.length = setup.row_length

    def plan(self, shards: Any, random: np.random.Generator) -> list[np.ndarray]:
        """Return the rows of one pass over the texts: for each, (P, 3) pieces as of `cut_texts`."""
        raise NotImplementedError

    def batch(self, shards: Any, rows: list[np.ndarray], random: np.random.Generator) -> Batch:
        """Return the arrays of rows."""
        raise NotImplementedError

    def graph(self, transformer: Any) -> Graph:
        """Return what is computed of a batch: outputs that `losses` compares with the batch's targets."""
        raise NotImplementedError

    def losses(self) -> dict[str, tuple[Any, Any]]:
        """Return {name of an output: (loss, metric or None)}."""
        raise NotImplementedError

    def context(self, transformer: Any) -> tuple[list[Any], Any]:
        """Return symbolic inputs, and a context of token scores in which no text of a row sees another."""
        inputs = list(transformer.inputs)
        context = transformer.make_context(inputs)
        context.logits = True
        if self.pieces_of_rows:
            texts = keras.Input((self.length,), dtype="int32", name="Input-Text")
            same = ops.equal(ops.expand_dims(texts, 1), ops.expand_dims(texts, 2))
            context.attention_mask = ops.logical_and(context.attention_mask, ops.expand_dims(same, 1))
            inputs.append(texts)
        return inputs, context

    def text_arrays(self, rows: Rows) -> dict[str, np.ndarray]:
        """Return the arrays that models take, by the names of their inputs."""
        return {
            "Input-Token": rows.ids,
            "Input-Segment": rows.segments,
            "Input-Position": rows.positions,
            "Input-Text": rows.texts,
        }

    @property
    def pieces_of_rows(self) -> bool:
        """Whether a row may hold several texts."""
        return self.setup.packing


class Packed(Objective):
    """An objective whose rows may hold several texts, which do not see each other."""

    extra: ClassVar[int] = 2  # special tokens of a piece

    def plan(self, shards, random):
        longest, packing = self.length - self.extra, self.setup.packing
        pieces = cut_texts(shards.lengths, longest, self.setup.shortest, even=not packing)
        pieces = pieces[random.permutation(len(pieces))]
        if not packing:
            return list(pieces[:, None])
        rows = pack(pieces[:, 2] + self.extra, self.length)
        # The last rows hold what fitted nowhere: they are spread over the pass.
        return [pieces[rows[index]] for index in random.permutation(len(rows))]

    def rows(self, shards: Any, rows: list[np.ndarray], random: np.random.Generator) -> Rows:
        """Return the texts of rows, each laid out by `lay`."""
        found = Rows.empty(len(rows), self.length, self.tokenizer.pad_id)
        for row, pieces in enumerate(rows):
            place = 0
            for number, (text, start, size) in enumerate(pieces.tolist(), 1):
                ids, flags = shards[text]
                piece = slice(start, start + size)
                part = slice(place, place + size + self.extra)
                self.lay(found, row, part, ids[piece], flags[piece], random)
                found.texts[row, part] = number
                found.positions[row, part] = np.arange(size + self.extra)
                place = part.stop
        return found

    def lay(self, rows: Rows, row: int, part: slice, ids: np.ndarray, flags: np.ndarray, random: Any) -> None:
        """Write one text into its part of a row: `[CLS] text [SEP]`."""
        rows.ids[row, part.start] = self.tokenizer.start_id
        rows.ids[row, part.start + 1 : part.stop - 1] = ids
        rows.flags[row, part.start + 1 : part.stop - 1] = flags
        rows.ids[row, part.stop - 1] = self.tokenizer.end_id
