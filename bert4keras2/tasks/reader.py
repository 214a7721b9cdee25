"""`SpanReader`: the answer to a question, read out of a text that may be longer than the model's sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras.layers import Dense

from bert4keras2.arguments import at_least
from bert4keras2.layers import Dropout, GlobalPointer
from bert4keras2.metrics import reading_scores
from bert4keras2.progress import progress_bar
from bert4keras2.settings import check_choice
from bert4keras2.snippets.sequences import sequence_padding
from bert4keras2.tasks.heads.layers import RealPositions
from bert4keras2.tasks.heads.losses import pair_crossentropy
from bert4keras2.tasks.report import Report
from bert4keras2.tasks.rows.reading import ReadingRow, reading_rows
from bert4keras2.tasks.rows.values import check_text
from bert4keras2.tasks.task import Task
from bert4keras2.tasks.texts.offsets import TokenOffsets

__all__ = ["Answer", "SpanReader"]

HEADS = ("start_end", "global_pointer")
HEAD_SIZE = 64
# Windows that are padded and predicted together, which bounds memory.
BLOCK = 2048


class Answer(NamedTuple):
    """What a text answers.

    Attributes:
        start: the first character of the answer in the text.
        end: the character behind its last one; `start` if there is no answer.
        text: what stands there; "" if there is no answer.
        score: how sure the model is, from 0 to 1.
    """

    start: int
    end: int
    text: str
    score: float

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, as it is written to files."""
        return {**self._asdict(), "score": round(self.score, 6)}


class _Window(NamedTuple):
    """A part of a text with its question, as the model reads it."""

    row: int
    ids: list[int]
    segments: list[int]
    first: int  # place of the part's first token in the sequence
    offset: int  # number of that token in the text


class SpanReader(Task):
    """Reads the answers to questions out of texts.

        task = SpanReader.from_checkpoint(folder)
        task.fit("train.json", validation="dev.json")
        task.predict("小明在北京上学。", "小明在哪里上学？").text

    A text that is too long is read in windows that overlap; the best answer of all windows counts. Rows are (text,
    question, answers), or mappings, also nested as those of SQuAD. An answer is a text, or (start, text).

    Args:
        transformer: the model of `build_transformer_model(..., return_keras_model=False)`.
        tokenizer: its tokenizer.
        head: "start_end", scores of first and last tokens, each by itself, which is what Hugging Face's classes do; or
            "global_pointer", scores of spans.
        stride: tokens from the beginning of a window to that of the next.
        longest_answer: tokens of the longest answer.
        no_answer: whether a question may have none; found in the rows of the first `fit` if None.
        maxlen: longest sequence of tokens, question included; 512, or what the model knows, if None.
        prefix: put before each question.
        dropout: before the head; the model's own if None.
        batch_size: windows that are predicted at once.
    """

    labelled = False
    usual_maxlen = 512

    def __init__(
        self,
        transformer: Any,
        tokenizer: Any,
        head: str = "start_end",
        stride: int = 128,
        longest_answer: int = 64,
        no_answer: bool | None = None,
        maxlen: int | None = None,
        prefix: str = "",
        dropout: float | None = None,
        batch_size: int = 16,
    ):
        check_choice("head", head, HEADS)
        self.head, self.no_answer, self.dropout = head, no_answer, dropout
        self.stride, self.longest_answer = at_least("stride", stride, 1), at_least("longest_answer", longest_answer, 1)
        self._ends = int(tokenizer._token_end is not None)  # special tokens behind a window
        super().__init__(transformer, tokenizer, None, maxlen, prefix, batch_size)

    def build_head(self) -> Any:
        """Return the symbolic output: (B, T, 2) scores of first and last tokens, or (B, 1, T, T) of spans."""
        transformer = self.transformer
        rate = transformer.config.dropout_rate if self.dropout is None else self.dropout
        x = transformer.apply(transformer.hidden_states[-1], Dropout, rate=rate, name="Reader-Dropout")
        options = {"kernel_initializer": transformer.initializer, "dtype": "float32"}
        if self.head == "global_pointer":
            sizes = {"heads": 1, "head_size": HEAD_SIZE, "use_bias": False}
            return transformer.apply(x, GlobalPointer, name="Reader-Pointer", **sizes, **options)
        x = transformer.apply(x, Dense, units=2, name="Span-Classifier", **options)
        return transformer.apply(x, RealPositions, name="Reader-Scores", dtype="float32")

    # -- rows ------------------------------------------------------------------------------------------------

    def read(self, rows: Any, learn: bool) -> list[ReadingRow]:
        """Return checked rows; of those to learn from follows whether there may be no answer, if that is not known."""
        result = [row for index, row in enumerate(rows) for row in reading_rows(row, rows.where(index))]
        if learn and self.no_answer is None:
            self.no_answer = not all(row.answers for row in result)
        return result

    def windows(self, row: int, question: str, tokens: Sequence[int]) -> Iterator[_Window]:
        """Yield the windows of a text's token ids with its question."""
        ids, segments = self.tokenizer.encode(self.prefix + question, "", maxlen=max(self.maxlen // 2, 3))
        before, after = len(ids) - self._ends, ids[len(ids) - self._ends :]
        size = self.maxlen - len(ids)
        step = min(self.stride, size)  # a longer one would leave tokens out
        for start in range(0, max(len(tokens) - size, 0) + step, step):
            part = list(tokens[start : start + size])
            own = [*segments[:before], *[self.tokenizer._second_segment] * (len(part) + self._ends)]
            yield _Window(row, [*ids[:before], *part, *after], own, before, start)
            if start + size >= len(tokens):
                return

    def samples(self, rows: list[ReadingRow]) -> list[tuple[list[int], list[int], tuple[int, int]]]:
        """Return (ids, segment ids, (first, last) token) of all windows; (0, 0) where the answer is not within."""
        samples = []
        for number, row in enumerate(rows):
            offsets, tokens = self._tokens(row.text)
            spans = offsets.tokens_of([(start, start + len(text), "") for start, text in row.answers])
            span = next((span[:2] for span in spans if span is not None), None)
            if span is None and row.answers:
                span = _inside(offsets, *row.answers[0])
            for window in self.windows(number, row.question, tokens):
                first, last = (at + window.first - window.offset for at in span or (-1, -1))
                within = span is not None and window.first <= first and last < len(window.ids) - self._ends
                samples.append((window.ids, window.segments, (first, last) if within else (0, 0)))
        return samples

    def _tokens(self, text: str) -> tuple[TokenOffsets, list[int]]:
        """Return the places of a text's tokens without special ones, and their ids."""
        offsets = TokenOffsets(self.tokenizer, text, special=False)
        return offsets, offsets.ids

    def collate(self, batch: list[Any]) -> Any:
        """Return (inputs, targets) of samples."""
        ids, segments, places = zip(*batch, strict=True)
        return self.inputs(ids, segments), np.array(places, "int32")

    def loss(self) -> Any:
        """Return the cross entropy of spans."""
        return pair_crossentropy

    # -- prediction ------------------------------------------------------------------------------------------

    def predict(self, texts: Any, questions: Any = None, progress: bool | None = None) -> Any:
        """Return the answers to questions.

        Args:
            texts: a text, or a list of N; or a list of N pairs (text, question).
            questions: a question, or a list of N: one for each text.
            progress: show a bar; if None, on a terminal, where it takes some seconds.

        Returns:
            A list of `Answer`; one of them for one text.

        Raises:
            ValueError: for an empty text or question, or if there are not as many questions as texts.
        """
        if isinstance(texts, str):
            return self.predict([texts], [questions], progress)[0]
        texts = list(texts)
        if questions is None and texts and all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in texts):
            texts, questions = map(list, zip(*texts, strict=True))
        questions = list(questions or ())
        if not texts or len(questions) != len(texts):
            raise ValueError(f"{len(texts)} texts but {len(questions)} questions: each text needs its question")
        for index, (text, question) in enumerate(zip(texts, questions, strict=True)):
            check_text(text, f"texts[{index}]")
            check_text(question, f"questions[{index}]", "question")
        answers: list[Answer] = []
        with progress_bar("Reading", len(texts), "question", progress) as advance:
            for windows, places in self._blocks(texts, questions):
                best: dict[int, tuple[float, int, int]] = {}
                for window, found in self._found(windows):
                    if found is not None and (window.row not in best or found[0] > best[window.row][0]):
                        best[window.row] = found
                # All windows of a text are in one block.
                answers += [self._answer(texts[row], offsets, best.get(row)) for row, offsets in places.items()]
                advance(len(places))
        return answers

    def predict_rows(self, rows: Any, **options: Any) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return the texts and questions of rows by name, and what `predict` says of them."""
        found = [row for index, row in enumerate(rows) for row in reading_rows(_unanswered(row), rows.where(index))]
        inputs = [{"text": row.text, "question": row.question} for row in found]
        return inputs, self.predict([(row.text, row.question) for row in found], **options)

    def _blocks(
        self, texts: list[str], questions: list[str]
    ) -> Iterator[tuple[list[_Window], dict[int, TokenOffsets]]]:
        """Yield the windows of texts, those of one text together, and the places of each text's tokens."""
        block: list[_Window] = []
        places: dict[int, TokenOffsets] = {}
        for row, (text, question) in enumerate(zip(texts, questions, strict=True)):
            places[row], tokens = self._tokens(text)
            block.extend(self.windows(row, question, tokens))
            if len(block) >= BLOCK:
                yield block, places
                block, places = [], {}
        if places:
            yield block, places

    def _found(self, windows: list[_Window]) -> Iterator[tuple[_Window, tuple[float, int, int] | None]]:
        """Yield the best span of each window: (logarithm of its probability, first and last token in the text)."""
        pad = self.tokenizer.__dict__.get("_token_pad_id", 0)
        ids = sequence_padding([window.ids for window in windows], value=pad).astype("int32")
        segments = sequence_padding([window.segments for window in windows]).astype("int32")
        for rows, arrays in self._cutter.cut(ids, segments, self.batch_size, self._compiled.by_shape):
            for row, scores in zip(rows, self._compiled(arrays), strict=False):
                window = windows[row]
                yield window, self._best(scores, window, len(window.ids) - self._ends)

    def _best(self, scores: np.ndarray, window: _Window, stop: int) -> tuple[float, int, int] | None:
        """Return the best span of a window; None if no answer is more likely than each, where there may be none."""
        first = window.first
        if stop <= first:
            return None
        if self.head == "global_pointer":
            none, spans = scores[0, 0, 0], scores[0, first:stop, first:stop]
        else:
            none, spans = scores[0].sum(), scores[first:stop, :1] + scores[None, first:stop, 1]
        size = stop - first
        fits = np.tri(size, k=self.longest_answer - 1, dtype=bool) & ~np.tri(size, k=-1, dtype=bool)
        spans = np.where(fits, spans, -np.inf)
        place = int(spans.argmax())
        top = float(spans.flat[place])
        if self.no_answer and none >= top:
            return None
        # The probability within the window, no answer among the outcomes: windows without the answer give little.
        high = max(top, float(none))
        total = high + np.log(np.exp(spans - high).sum() + np.exp(none - high))
        start, end = divmod(place, size)
        return top - float(total), start + window.offset, end + window.offset

    def _answer(self, text: str, offsets: TokenOffsets, found: tuple[float, int, int] | None) -> Answer:
        if found is None:
            return Answer(0, 0, "", 0.0)
        place = offsets.characters(*found[1:])
        start, end = place if place is not None else (0, 0)
        return Answer(start, end, text[start:end], float(np.exp(found[0])))

    def report(self, rows: list[ReadingRow], progress: bool | None = None) -> Report:
        """Return how many answers are exactly right (em), and how much of them is (f1)."""
        found = self.predict([row.text for row in rows], [row.question for row in rows], progress)
        answers = [[text for _, text in row.answers] for row in rows]
        scores = reading_scores(answers, [answer.text for answer in found])
        return Report({"f1": scores["f1"], "em": scores["em"]}, len(rows))

    # -- files -----------------------------------------------------------------------------------------------

    def huggingface_keys(self) -> dict[str, Any]:
        """Return the class for readers, where there is one."""
        return {"architectures": self.class_name("ForQuestionAnswering")} if self.has_class("Span-Classifier") else {}


def _unanswered(row: Any) -> Any:
    """Return a row that may lack what only training needs."""
    return (*row[:2], None) if isinstance(row, tuple | list) else row


def _inside(offsets: TokenOffsets, start: int, text: str) -> tuple[int, int] | None:
    """Return the tokens that an answer touches, where its ends are none of tokens' ends."""
    touched = [
        place
        for place, span in enumerate(offsets.spans)
        if span is not None and span[0] < start + len(text) and span[1] > start
    ]
    return (touched[0], touched[-1]) if touched else None
