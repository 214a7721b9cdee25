"""Generation by caches against the whole model, for whatever options it was built with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from cases import BASE, randomize, run

from bert4keras2.decoders.engine import engine_of
from bert4keras2.models import build_transformer_model

PROMPTS = [[7, 5, 0, 31, 9, 4, 3, 8, 21], [12, 13, 4]]


def tiny(**options: Any) -> Any:
    """Return a transformer of one tiny block, with weights among which none is at its neutral value."""
    transformer = build_transformer_model(**{**BASE, "num_hidden_layers": 1, **options}, return_keras_model=False)
    randomize(transformer.model)
    return transformer


def assert_cached_is_whole(transformer: Any, atol: float = 1e-5) -> Any:
    """Raise unless tokens one by one, and two at once, get the scores that the model gives whole texts.

    Returns:
        The cache before the first token and after the last.
    """
    engine, unilm = engine_of(transformer), int(transformer.config.application == "unilm")
    new = np.random.RandomState(1).randint(1, 40, (2, 5))
    new[0, 2] = 0  # what is padding by its id is hidden here too
    inputs = [np.zeros((2, 9), "int32"), np.zeros((2, 9), "int32")]
    for row, prompt in enumerate(PROMPTS):
        inputs[0][row, : len(prompt)] = prompt
    first, cache = engine.open(inputs, [9, 3], 5)
    before, found = cache, [first]
    segments = np.full((2, 1), unilm)
    for t in range(3):
        scores, cache = engine.step(cache, new[:, t : t + 1], segments, t)
        found.append(scores[:, 0])
    scores, cache = engine.step(cache, new[:, 3:], np.repeat(segments, 2, 1), 3)
    found += [scores[:, 0], scores[:, 1]]
    inputs = [np.zeros((2, 14), "int32"), np.zeros((2, 14), "int32")]
    for row, prompt in enumerate(PROMPTS):
        inputs[0][row, : len(prompt) + 5] = [*prompt, *new[row]]
        inputs[1][row, len(prompt) : len(prompt) + 5] = unilm
    whole = run(transformer.model, inputs)[-1]
    for row, prompt in enumerate(PROMPTS):
        scores = np.stack([step[row] for step in found])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        wanted = whole[row, len(prompt) - 1 : len(prompt) + 5]
        np.testing.assert_allclose(scores / scores.sum(-1, keepdims=True), wanted, atol=atol)
    return before, cache


def assert_constant(before: Any, after: Any, longest: int) -> None:
    """Raise if what a model remembers has grown, or if one of its tensors is as long as a text."""
    shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(before.attention)]
    assert shapes and shapes == [tuple(tensor.shape) for tensor in keras.tree.flatten(after.attention)]
    assert max(shape[1] for shape in shapes if len(shape) > 1) <= longest


def assert_rows_alone(transformer: Any, atol: float = 1e-5) -> None:
    """Raise if a text that is batched with a longer one gives other outputs than alone."""
    ids = np.random.RandomState(2).randint(1, 40, (2, 9))
    ids[1, 6:] = 0
    both = run(transformer.model, [ids, 0 * ids])[0]
    alone = run(transformer.model, [ids[1:, :6], 0 * ids[1:, :6]])[0]
    assert np.isfinite(both).all()
    np.testing.assert_allclose(both[1:, :6], alone, atol=atol)
