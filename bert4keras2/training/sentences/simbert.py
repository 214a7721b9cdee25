"""SimBERT: from one row come the vector of a text and another text that says the same (kexue.fm/archives/7427)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.arguments import positive
from bert4keras2.functional.registry import register
from bert4keras2.snippets.sequences import sequence_padding
from bert4keras2.training.sentences.contrastive import SimCSE

__all__ = ["seq2seq_crossentropy", "seq2seq_rows", "simbert"]


def simbert(scale: float = 30.0, from_logits: bool = False) -> list[keras.losses.Loss]:
    """Return the two losses of SimBERT, for the outputs [vectors, scores] of a UniLM model with a pooler.

        model = build_transformer_model(folder, application="unilm", with_pool="linear")
        model.compile(Adam(2e-6), simbert())
        model.fit(*seq2seq_rows(tokenizer, pairs), shuffle=False)

    The vector of [CLS] sees nothing of the second text, so that one row serves both losses; they are added up. The
    first stage of RoFormer-Sim (kexue.fm/archives/8454) is the same with scale=20, a dropout of 0.2, and noise on the
    input.

    Args:
        scale: what multiplies the cosines of vectors.
        from_logits: whether scores are those before the softmax.

    Returns:
        The loss of vectors (B, D) in pairs, as of `simcse`, and `seq2seq_crossentropy` of the scores.

    Raises:
        ValueError: if `scale` is no number above 0.
    """
    return [SimCSE(positive("scale", scale), name="partners"), seq2seq_crossentropy(from_logits)]


def seq2seq_crossentropy(from_logits: bool = False) -> keras.losses.Loss:
    """Return the cross entropy of the tokens that follow, over a whole batch: their sum over their number.

    Args:
        from_logits: whether scores are those before the softmax.

    Returns:
        A loss of labels (B, T), -1 where nothing is asked, and probabilities or scores (B, T, V).
    """
    return NextTokens(from_logits)


@register
class NextTokens(keras.losses.Loss):
    """See `seq2seq_crossentropy`."""

    def __init__(self, from_logits: bool = False, name: str = "next_tokens", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        """Return a scalar."""
        labels = ops.cast(y_true, "int32")
        asked = ops.cast(labels >= 0, "float32")
        losses = keras.losses.sparse_categorical_crossentropy(
            ops.maximum(labels, 0), ops.cast(y_pred, "float32"), from_logits=self.from_logits
        )
        return ops.sum(losses * asked) / ops.maximum(ops.sum(asked), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}


def seq2seq_rows(
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    maxlen: int = 64,
    noise: Callable[[list[int]], list[int]] | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the rows of pairs of texts that say the same, each in both directions: (a, b), (b, a).

    Args:
        tokenizer: of the model.
        pairs: N pairs.
        maxlen: longest row of both texts.
        noise: makes the ids of the first text `[CLS] ... [SEP]` into others of the same length, such as
            lambda ids: hide_tokens(ids, tokenizer.mask_id, tokenizer.vocab_size)[0] for every second text.

    Returns:
        Inputs [ids (2N, T), segment ids (2N, T)], and labels [numbers of pairs (2N, 1), tokens that follow (2N, T), -1
        where nothing is asked].

    Raises:
        ValueError: if there are no pairs.
    """
    if not pairs:
        raise ValueError("seq2seq_rows() got no pairs")
    longest = (maxlen + 1) // 2
    rows, segments, labels = [], [], []
    for pair in pairs:
        encoded = [tokenizer.encode(text, maxlen=longest)[0] for text in pair]
        for first, second in (encoded, encoded[::-1]):
            given = first if noise is None else list(noise(list(first)))
            target = second[1:]  # without [CLS]
            rows.append([*given, *target])
            segments.append([0] * len(given) + [1] * len(target))
            # The last token of the first text is followed by the second one.
            labels.append([-1] * (len(given) - 1) + [*target, -1])
    numbers = np.repeat(np.arange(len(pairs), dtype="int32"), 2)[:, None]
    inputs = [sequence_padding(rows), sequence_padding(segments)]
    return inputs, [numbers, sequence_padding(labels, value=-1)]
