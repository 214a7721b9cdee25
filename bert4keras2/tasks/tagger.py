"""`EntityTagger`: spans of a text with their types, flat or nested."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from keras.layers import Dense

from bert4keras2.exporting import ExportedModel
from bert4keras2.layers import ConditionalRandomField, Dropout, EfficientGlobalPointer, GlobalPointer
from bert4keras2.metrics import span_f1
from bert4keras2.settings import check_choice
from bert4keras2.snippets.arrays import softmax
from bert4keras2.tasks.heads.losses import span_crossentropy, token_crossentropy
from bert4keras2.tasks.report import Report, label_table
from bert4keras2.tasks.rows.entities import EntityRow, entity_row
from bert4keras2.tasks.rows.tables import RowError
from bert4keras2.tasks.rows.values import check_label, check_text, found_labels, trimmed, values_of
from bert4keras2.tasks.task import Task
from bert4keras2.tasks.texts.offsets import TokenOffsets
from bert4keras2.tasks.texts.pieces import Piece, pieces_of
from bert4keras2.tasks.texts.tags import TagScheme, bio_tags, forward_backward, viterbi

__all__ = ["Entity", "EntityTagger"]

HEADS = ("efficient_global_pointer", "global_pointer", "crf", "softmax")
HEAD_SIZE = 64
# Transitions learn by steps of the same size as the encoder's weights, which is far too slow for them
# (Su Jianlin, kexue.fm/archives/7196).
CRF_RATE = 100.0
# The same for the weights from states to tags or spans, above all where the states of a text are nearly alike, as those
# of E5 models are: docs/tasks.md has figures.
TAG_RATE, SPAN_RATE = 100.0, 30.0


class Entity(NamedTuple):
    """A span of a text with its type.

    Attributes:
        start: its first character.
        end: the character behind its last one.
        type: of what kind it is.
        text: what stands there.
        score: how sure the model is, from 0 to 1.
    """

    start: int
    end: int
    type: str
    text: str
    score: float

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, as it is written to files."""
        return {**self._asdict(), "score": round(self.score, 6)}


class EntityTagger(Task):
    """Finds entities: spans of a text with their types.

        task = EntityTagger.from_checkpoint(folder, maxlen=256)
        task.fit("train.jsonl", validation="dev.jsonl")
        [(entity.text, entity.type) for entity in task.predict("小明在北京上学")]

    Rows are (text, entities), an entity being (start, end, type) of characters, the end exclusive, or a mapping with
    these keys; or mappings of "tokens" and their "tags" (BIO, BIOES, BMES).

    Args:
        transformer: the model of `build_transformer_model(..., return_keras_model=False)`.
        tokenizer: its tokenizer.
        labels: the types of entities; found in the rows of the first `fit` if None.
        head: "efficient_global_pointer" or "global_pointer", which score spans (kexue.fm/archives/8373, 8877); "crf",
            which scores sequences of tags; "softmax", tags of tokens each by itself, which is what Hugging Face's
            classes for tokens do.
        nested: whether entities may overlap; only pointers find such ones.
        tags: the names of tags, for "crf" and "softmax"; BIO of the types if None.
        maxlen: longest sequence of tokens; 256, or what the model knows, if None. Texts with more are read in pieces
            that end with sentences.
        prefix: put before each text.
        dropout: before the head; the model's own if None.
        batch_size: texts that are predicted at once.
    """

    usual_maxlen = 256

    def __init__(
        self,
        transformer: Any,
        tokenizer: Any,
        labels: Iterable[Any] | None = None,
        head: str = "efficient_global_pointer",
        nested: bool = False,
        tags: Sequence[str] | None = None,
        maxlen: int | None = None,
        prefix: str = "",
        dropout: float | None = None,
        batch_size: int = 32,
    ):
        check_choice("head", head, HEADS)
        self.head, self.nested, self.dropout = head, nested, dropout
        if nested and not self.points:
            raise ValueError(f"head={head!r} gives each token one tag: nested=True needs a pointer")
        self.tags = None if tags is None else list(tags)
        # How many special tokens stand before and behind a text.
        self._edges = int(tokenizer._token_start is not None), int(tokenizer._token_end is not None)
        super().__init__(transformer, tokenizer, labels, maxlen, prefix, batch_size)

    @property
    def points(self) -> bool:
        """Whether the head scores spans."""
        return self.head.endswith("pointer")

    @property
    def usual_head_rate(self) -> float:
        """What multiplies the learning rate of the head's weights unless `fit` is told otherwise."""
        return SPAN_RATE if self.points else TAG_RATE

    @classmethod
    def from_labels(cls, labels: list[str] | None, settings: dict[str, Any]) -> tuple[list[str] | None, dict[str, Any]]:
        """Return types and options; where the folder's labels are tags, the types are those that they speak of."""
        if settings.get("head") not in ("crf", "softmax") or labels is None:
            return labels, settings
        return TagScheme(labels).types, {**settings, "tags": labels}

    def settings(self) -> dict[str, Any]:
        """Return the task's own options; tags are the labels of config.json."""
        return {name: value for name, value in super().settings().items() if name != "tags"}

    def _build(self) -> None:
        if not self.points:
            self.scheme = TagScheme(bio_tags(self.labels) if self.tags is None else self.tags)
            lost = sorted(set(self.labels) - set(self.scheme.types))
            if lost:
                raise ValueError(f"tags has none for the type {lost[0]!r}: {', '.join(self.scheme.tags)[:200]}")
        super()._build()

    def parts(self) -> dict[str, Any]:
        """Return the scores of transitions between tags, if there are some."""
        return {"transitions": self._transitions().tolist()} if self.head == "crf" else {}

    def _transitions(self) -> np.ndarray:
        """Return the (tags, tags) scores of "crf"."""
        if isinstance(self.transformer, ExportedModel):
            return np.asarray(self.transformer.description.parts["transitions"], "float64")
        return ops.convert_to_numpy(self._crf.trans).astype("float64")

    def build_head(self) -> Any:
        """Return the symbolic output: (B, types, T, T) scores of spans, or (B, T, tags) scores of tags."""
        transformer = self.transformer
        rate = transformer.config.dropout_rate if self.dropout is None else self.dropout
        x = transformer.apply(transformer.hidden_states[-1], Dropout, rate=rate, name="Tagger-Dropout")
        init = transformer.initializer
        if self.points:
            layer = GlobalPointer if self.head == "global_pointer" else EfficientGlobalPointer
            sizes = {"heads": len(self.labels), "head_size": HEAD_SIZE, "kernel_initializer": init}
            return transformer.apply(x, layer, name="Tagger-Pointer", dtype="float32", **sizes)
        units = {"units": len(self.scheme.tags), "kernel_initializer": init, "dtype": "float32"}
        if self.head == "softmax":
            return transformer.apply(x, Dense, name="Token-Classifier", **units)
        x = transformer.apply(x, Dense, name="Tagger-Dense", **units)
        x = transformer.apply(x, ConditionalRandomField, name="Tagger-CRF", lr_multiplier=CRF_RATE)
        self._crf = transformer.apply(None, name="Tagger-CRF")
        return x

    # -- rows ------------------------------------------------------------------------------------------------

    def read(self, rows: Any, learn: bool) -> list[EntityRow]:
        """Return checked rows; of those to learn from, the types are those that occur if none are known."""
        result = [entity_row(row, rows.where(index)) for index, row in enumerate(rows)]
        labels = self.labels
        if labels is None and learn:
            labels = self.labels = found_labels(kind for row in result for _, _, kind in row.spans)
            if not labels:
                self.labels = None
                raise RowError("none of the rows has an entity: there is nothing to learn")
        for index, row in enumerate(result):
            for _, _, kind in row.spans:
                if kind not in labels:
                    check_label(kind, labels, rows.where(index))
        return result

    def samples(self, rows: list[EntityRow]) -> list[tuple[np.ndarray, np.ndarray, list[tuple[int, int, str]]]]:
        """Return (ids, segment ids, spans of tokens) of rows; a warning tells of entities that no tokens are."""
        samples, lost = [], 0
        pieces = self.pieces([row.text for row in rows])
        for (ids, segments), piece in zip(self.encoded([piece.text for piece in pieces]), pieces, strict=True):
            end = piece.start + len(piece.text)
            own = [
                (start - piece.start, stop - piece.start, kind)
                for start, stop, kind in rows[piece.row].spans
                if piece.start <= start < end
            ]
            found = TokenOffsets(self.tokenizer, piece.text, self.maxlen, self.prefix).tokens_of(own)
            spans = [span for span in found if span is not None]
            lost += len(found) - len(spans)
            samples.append((ids, segments, spans))
        if lost:
            hint = "; tokenizer_options={'tokenize_chinese_chars': True} makes Chinese characters tokens"
            if getattr(self.tokenizer, "_tokenize_chinese_chars", True):
                hint = ""  # they are already
            warnings.warn(
                f"{lost} of {sum(len(row.spans) for row in rows)} entities are not learnt: they begin or end within a"
                f" token, or where a text of more than maxlen={self.maxlen} tokens was cut{hint}",
                stacklevel=4,
            )
        return samples

    def pieces(self, texts: list[str]) -> list[Piece]:
        """Return the pieces of texts, which are whole unless they have more than `maxlen` tokens."""

        def too_long(parts: list[str]) -> np.ndarray:
            _, lengths = self.tokenizer._bodies([self.prefix + part for part in parts])
            return lengths + sum(self._edges) > self.maxlen

        return pieces_of(texts, too_long)

    def collate(self, batch: list[Any]) -> Any:
        """Return (inputs, targets) of samples."""
        ids, segments, spans = zip(*batch, strict=True)
        x = self.inputs(ids, segments)
        length = (x[0] if isinstance(x, list) else x).shape[1]
        if self.points:
            place = {label: index for index, label in enumerate(self.labels)}
            most = max(max(Counter(kind for _, _, kind in row).values(), default=0) for row in spans)
            y = np.zeros((len(batch), len(place), max(-(-most // 4) * 4, 4), 2), "int32")
            counts = np.zeros(y.shape[:2], "int32")
            for index, row in enumerate(spans):
                for first, last, kind in row:
                    y[index, place[kind], counts[index, place[kind]]] = first, last
                    counts[index, place[kind]] += 1
            return x, y
        # Padding and special tokens of "softmax" learn nothing; a chain goes over the special ones, which are outside.
        y = np.full((len(batch), length), -1 if self.head == "softmax" else 0, "int32")
        for index, row in enumerate(spans):
            tags = self.scheme.encode(row, len(ids[index]))
            first, last = self._inside(len(tags)) if self.head == "softmax" else (0, len(tags))
            y[index, first:last] = tags[first:last]
        return x, y

    def loss(self) -> Any:
        """Return the loss of the head."""
        return span_crossentropy if self.points else self._crf.sparse_loss if self.head == "crf" else token_crossentropy

    # -- prediction ------------------------------------------------------------------------------------------

    def predict(self, texts: Any, threshold: float = 0.5, progress: bool | None = None) -> Any:
        """Return the entities of texts, in the order in which they stand there.

        Args:
            texts: a text or a list of them.
            threshold: of pointers, spans with a higher score are entities.
            progress: show a bar; if None, on a terminal, where it takes some seconds.

        Returns:
            A list of `Entity` for each text; one list for one text.

        Raises:
            ValueError: for an empty text.
        """
        if isinstance(texts, str):
            return self.predict([texts], threshold, progress)[0]
        texts = [check_text(text, f"texts[{index}]") for index, text in enumerate(texts)]
        if not texts:
            raise ValueError("predict() got no texts")
        found: list[list[Entity]] = [[] for _ in texts]
        pieces = self.pieces(texts)
        parts = [piece.text for piece in pieces]
        decode = self._spans_of_pointer if self.points else self._spans_of_tags
        for rows, output, lengths in self.outputs(parts, progress=progress):
            for number, entities in decode(rows, output, lengths, threshold, parts):
                row, start, _ = pieces[number]
                found[row] += [
                    entity._replace(start=entity.start + start, end=entity.end + start) for entity in entities
                ]
        for entities in found:
            entities.sort(key=lambda entity: entity[:3])
        return found

    def predict_rows(self, rows: Any, **options: Any) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return the texts of rows by name, and what `predict` says of them."""
        inputs = [values_of(trimmed(row, ("text",)), rows.where(i), (("text",),)) for i, row in enumerate(rows)]
        return inputs, self.predict([check_text(x["text"], rows.where(i)) for i, x in enumerate(inputs)], **options)

    def _spans_of_pointer(
        self, rows: np.ndarray, scores: np.ndarray, lengths: np.ndarray, threshold: float, texts: list[str]
    ) -> Any:
        """Yield (number, entities) of (B, types, T, T) scores, for texts that have some."""
        least = np.log(threshold / (1 - threshold)) if 0 < threshold < 1 else (-1e29 if threshold <= 0 else np.inf)
        places, values = _above(scores, float(least))
        for row, part in _by_row(places[:, 0]):
            offsets = TokenOffsets(self.tokenizer, texts[rows[row]], self.maxlen, self.prefix)
            own = zip(places[part, 1:].tolist(), values[part].tolist(), strict=True)
            spans = [((first, last), self.labels[kind], score) for (kind, first, last), score in own]
            yield rows[row], self._entities(texts[rows[row]], offsets, spans)

    def _spans_of_tags(
        self, rows: np.ndarray, scores: np.ndarray, lengths: np.ndarray, threshold: float, texts: list[str]
    ) -> Any:
        """Yield (number, entities) of (B, T, tags) scores, for texts that have some."""
        chain = self._transitions() if self.head == "crf" else None
        tags = scores.argmax(-1) if chain is None else viterbi(scores, lengths, chain)
        spans = {}
        for row, length in enumerate(lengths.tolist()):
            first, last = self._inside(length)
            found = self.scheme.decode(tags[row, first:last].tolist())
            if found:
                spans[row] = [(a + first, b + first, kind) for a, b, kind in found]
        if not spans:
            return
        some = list(spans)
        sure = softmax(scores[some]) if chain is None else forward_backward(scores[some], lengths[some], chain)
        chosen = np.take_along_axis(sure, tags[some][..., None], -1)[..., 0]
        for row, own in zip(some, chosen.tolist(), strict=True):
            offsets = TokenOffsets(self.tokenizer, texts[rows[row]], self.maxlen, self.prefix)
            parts = [((a, b), kind, _logit(sum(own[a : b + 1]) / (b + 1 - a))) for a, b, kind in spans[row]]
            yield rows[row], self._entities(texts[rows[row]], offsets, parts)

    def _inside(self, length: int) -> tuple[int, int]:
        """Return where the tokens between the special ones begin and end in a sequence of a length."""
        return self._edges[0], length - self._edges[1]

    def _entities(self, text: str, offsets: TokenOffsets, spans: list[Any]) -> list[Entity]:
        """Return entities of ((first token, last token), type, logit); of overlapping ones the best, unless nested."""
        found = []
        for (first, last), kind, score in spans:
            place = offsets.characters(first, last)
            if place is not None:
                sure = 1 / (1 + np.exp(-min(max(score, -500.0), 500.0)))
                found.append((score, Entity(*place, kind, text[slice(*place)], float(sure))))
        if not self.nested:
            found.sort(key=lambda pair: -pair[0])
            taken = np.zeros(len(text), bool)
            kept = []
            for score, entity in found:
                if not taken[entity.start : entity.end].any():
                    taken[entity.start : entity.end] = True
                    kept.append((score, entity))
            found = kept
        return [entity for _, entity in found]

    def report(self, rows: list[EntityRow], progress: bool | None = None) -> Report:
        """Return F1, precision and recall of entities, and of each type."""
        found = self.predict([row.text for row in rows], progress=progress)
        true = [row.spans for row in rows]
        scores = span_f1(true, [[entity[:3] for entity in entities] for entities in found])
        counts = Counter(kind for spans in true for _, _, kind in spans)
        figures = {name: scores[name] for name in ("f1", "precision", "recall")}
        return Report(figures, len(rows), label_table(scores["types"], counts))

    # -- files -----------------------------------------------------------------------------------------------

    def huggingface_keys(self) -> dict[str, Any]:
        """Return the labels of config.json, which are tags where the head gives them, and the class for tags."""
        if self.points:
            return super().huggingface_keys()
        numbers = dict(enumerate(self.scheme.tags))
        keys = {"id2label": {str(i): x for i, x in numbers.items()}, "label2id": {x: i for i, x in numbers.items()}}
        if self.has_class("Token-Classifier"):
            keys["architectures"] = self.class_name("ForTokenClassification")
        return keys


def _logit(share: float) -> float:
    share = min(max(share, 1e-12), 1 - 1e-12)
    return float(np.log(share / (1 - share)))


def _by_row(rows: np.ndarray) -> Iterable[tuple[int, slice]]:
    """Yield (row, its slice) of sorted row numbers."""
    starts = np.flatnonzero(np.diff(rows, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts, len(rows)][1:], strict=True):
        yield int(rows[start]), slice(start, end)


def _above(scores: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the (N, axes) places of scores above one, sorted, and these scores.

    They are read as they lie in memory, where PyTorch's axes may stand in another order: a copy would take longer.
    """
    order = np.argsort([-step for step in scores.strides], kind="stable")
    lying = scores.transpose(order)
    found = np.flatnonzero(lying > least)  # argwhere takes several times as long
    places = np.empty((len(found), scores.ndim), "int64")
    places[:, order] = np.stack(np.unravel_index(found, lying.shape), 1)
    sequence = np.lexsort(places.T[::-1])
    return places[sequence], lying.reshape(-1)[found][sequence]
