"""Zero-shot by next-sentence prediction: does the sentence of a label follow the text? (NSP-BERT, arXiv:2109.03564)"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert4keras2.arguments import at_least
from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.embeddings.compiled import Compiled
from bert4keras2.embeddings.pooling import pad_id_of
from bert4keras2.models import build_transformer_model
from bert4keras2.prompting.batches import batches
from bert4keras2.prompting.pattern import bare_ids
from bert4keras2.tasks.predictions import LabelPrediction
from bert4keras2.tokenizers import load_tokenizer
from bert4keras2.training.model import Model

__all__ = ["NextSentenceScorer", "soft_positions"]


def soft_positions(before: int, after: int, candidate: int, candidate_first: bool = True) -> list[int]:
    """Return the positions of a row in which a candidate has those of the blank that it may fill.

    Args:
        before: tokens of the text before the blank.
        after: tokens behind it.
        candidate: tokens of the candidate.
        candidate_first: `[CLS] candidate [SEP] text [SEP]`; otherwise `[CLS] text [SEP] candidate [SEP]`.

    Returns:
        before + after + candidate + 3 positions. Behind the blank, positions go on as if the candidate stood in it.
    """
    if candidate_first:
        blank = 2 + before
        own = [*range(blank, blank + candidate)]
        return [0, *own, 1, *range(2, blank), *range(blank + candidate, blank + candidate + after + 1)]
    blank = 1 + before
    rest = [*range(blank + candidate, blank + candidate + after + 1)]
    return [0, *range(1, blank), *rest, *range(blank, blank + candidate), before + after + candidate + 2]


class NextSentenceScorer:
    """Tells by BERT's head of next-sentence prediction how well one text follows another, without training.

        scorer = NextSentenceScorer.from_checkpoint(folder)
        scorer.classify(texts, "这是一则{label}新闻", ["体育", "财经"])

    Args:
        transformer: the model of `build_transformer_model(..., with_nsp=True, return_keras_model=False)`; with
            custom_position_ids=True for `choose`.
        tokenizer: its tokenizer.
        maxlen: longest sequence of tokens; 128, or what the model knows, if None.
        batch_size: rows of a batch.

    Raises:
        ValueError: if the model has no such head.
    """

    def __init__(self, transformer: Any, tokenizer: Any, maxlen: int | None = None, batch_size: int = 64):
        if not getattr(getattr(transformer, "config", None), "with_nsp", False):
            raise ValueError(
                "NextSentenceScorer takes a Transformer with the head of next-sentence prediction:"
                " build_transformer_model(..., with_nsp=True, return_keras_model=False)"
            )
        known = transformer.config.positions or 128
        self.maxlen = at_least("maxlen", min(128, known) if maxlen is None else maxlen, 8)
        self.transformer, self.tokenizer, self.batch_size = (
            transformer,
            tokenizer,
            at_least("batch_size", batch_size, 1),
        )
        self.model = Model(transformer.inputs, transformer.outputs[0])
        self._names = [tensor.name for tensor in self.model.inputs]
        self._pad, self._compiled = pad_id_of(self.model), Compiled(self.model)

    @classmethod
    def from_checkpoint(
        cls, folder: str | os.PathLike, maxlen: int | None = None, batch_size: int = 64, **options: Any
    ) -> NextSentenceScorer:
        """Return the scorer of a released checkpoint that has the head, as BERT's do.

        Args:
            folder: its folder, or its name on the Hugging Face hub.
            maxlen, batch_size: see above.
            **options: of `build_transformer_model`.
        """
        folder = resolve(folder, progress=options.get("progress"))
        options = {"with_nsp": True, "custom_position_ids": True, **options, "return_keras_model": False}
        return cls(build_transformer_model(folder, **options), load_tokenizer(folder), maxlen, batch_size)

    def scores(self, firsts: Sequence[str], seconds: Sequence[str]) -> np.ndarray:
        """Return (N,) float32: the probability that each second text follows its first one.

        Raises:
            ValueError: if their numbers differ, or there are none.
        """
        if len(firsts) != len(seconds) or not len(firsts):
            raise ValueError(
                f"scores() takes as many first as second texts, at least one, not {len(firsts)} and {len(seconds)}"
            )
        ids, segments = self.tokenizer.encode_batch(list(firsts), list(seconds), maxlen=self.maxlen)
        ends = [int(np.flatnonzero(row == self.tokenizer.end_id)[-1]) + 1 for row in ids]
        rows = zip(ids.tolist(), segments.tolist(), ends, strict=True)
        return self._run([{"Input-Token": row[:end], "Input-Segment": own[:end]} for row, own, end in rows])

    def _run(self, rows: list[dict[str, list[int]]]) -> np.ndarray:
        found = np.empty(len(rows), "float32")
        for numbers, inputs in batches(
            rows, self._names, self._pad, self.maxlen, self.batch_size, self._compiled.by_shape
        ):
            found[numbers] = self._compiled(inputs)[: len(numbers), 0]  # 0: the second text follows
        return found

    def classify(
        self,
        texts: Sequence[str],
        template: str,
        labels: Sequence[str] | Mapping[str, str],
        prompt_first: bool = True,
    ) -> list[LabelPrediction]:
        """Return the label whose sentence goes best with each text.

        Args:
            texts: N texts.
            template: the sentence of a label, with {label} in it.
            labels: the labels, or {label: what stands for it in the sentence}.
            prompt_first: whether the sentence stands before the text, as in the paper for classification.

        Returns:
            N predictions; probabilities are the scores over their sum.

        Raises:
            ValueError: if the template has no {label}, or there are fewer than two labels.
        """
        words = dict(labels) if isinstance(labels, Mapping) else {label: label for label in labels}
        if "{label}" not in template or len(words) < 2:
            raise ValueError(f"classify() takes a template with {{label}} and at least two labels, not {template!r}")
        prompts = [template.replace("{label}", word) for word in words.values()]
        sides = [prompt for _ in texts for prompt in prompts], [text for text in texts for _ in prompts]
        found = self.scores(*(sides if prompt_first else sides[::-1])).reshape(len(texts), len(words))
        rows = found / np.maximum(found.sum(1, keepdims=True), 1e-30)
        names = tuple(words)
        return [
            LabelPrediction(names[k], float(row[k]), names, row) for k, row in zip(found.argmax(1), rows, strict=True)
        ]

    def choose(
        self, text: str, candidates: Sequence[str], blank: str = "#idiom#", candidate_first: bool = True
    ) -> np.ndarray:
        """Return (candidates,) scores of what may fill a blank; each candidate has the positions of the blank.

        Args:
            text: with the blank in it, once.
            candidates: what may fill it.
            blank: how it is written.
            candidate_first: whether the candidate is the first of both segments.

        Raises:
            ValueError: if the blank is missing or comes twice, or the model takes no positions.
        """
        if text.count(blank) != 1:
            raise ValueError(f"the text holds {blank!r} {text.count(blank)} times, and should once: {text!r:.80}")
        if not any(name.endswith("Input-Position") for name in self._names):
            raise ValueError("choose() gives the model positions: build it with custom_position_ids=True")
        before, after = (bare_ids(self.tokenizer, part) for part in text.split(blank))
        start, end, rows = self.tokenizer.start_id, self.tokenizer.end_id, []
        for candidate in candidates:
            own = bare_ids(self.tokenizer, candidate)
            left, right = _around(before, after, self.maxlen - 3 - len(own))
            inner = [*left, *right]
            first, second = (own, inner) if candidate_first else (inner, own)
            rows.append({
                "Input-Token": [start, *first, end, *second, end],
                "Input-Segment": [0] * (len(first) + 2) + [1] * (len(second) + 1),
                "Input-Position": soft_positions(len(left), len(right), len(own), candidate_first),
            })  # fmt: skip
        return self._run(rows)


def _around(before: list[int], after: list[int], room: int) -> tuple[list[int], list[int]]:
    """Return what is nearest to the blank on both sides, as far as there is room."""
    if room < 1:
        raise ValueError("maxlen leaves no room beside a candidate")
    if len(before) + len(after) <= room:
        return before, after
    left = min(len(before), max(room // 2, room - len(after)))
    return before[len(before) - left :], after[: room - left]
