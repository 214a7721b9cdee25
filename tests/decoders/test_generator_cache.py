"""Cached generation against the whole model, for every family that generates."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from cases import BASE, CONDITION, build, run

from bert4keras2.decoders import Generator
from bert4keras2.decoders.engine import engine_of

# Families run on every backend; further options of them on the default backend alone.
FAMILIES = ["bert-unilm", "roformer-lm", "nezha-lm", "gau_alpha-unilm", "gpt2-conditional", "t5.1.1", "t5.1.0-decoder"]
OPTIONS = ["bert-lm", "roformer-unilm", "roformer_v2-unilm", "albert-unilm", "gpt-lm", "gpt-speakers", "gpt2-lm"]
OPTIONS += ["gpt2_ml-lm", "t5.1.0", "simbert", "bert-residual-scores-lm", "roformer-residual-unilm", "bert-no-segments"]
OPTIONS += ["bert-positions", "bert-hierarchical", "nezha-shared-segments"]
CASES = [pytest.param(name, marks=pytest.mark.backend) for name in FAMILIES] + OPTIONS

# Two rows of one prompt and a shorter one; 0 stands within a prompt too.
PROMPTS = [[7, 5, 0, 31, 9], [7, 5, 0, 31, 9], [12, 0, 4]]
NEW = np.array([[3, 8, 11, 2], [6, 0, 0, 39], [21, 9, 0, 17]])


def generating(name: str) -> Any:
    """Return the transformer of a case, built to generate."""
    return build(name, **({"application": "lm"} if name in ("bert-positions", "bert-hierarchical") else {}))


def padded(rows: list[list[int]]) -> np.ndarray:
    return np.array([row + [0] * (max(map(len, rows)) - len(row)) for row in rows], "int32")


def arrays(transformer: Any, prompts: list[list[int]], answers: list[list[int]]) -> tuple[list[np.ndarray], list[int]]:
    """Return the inputs for prompts and what followed them, and how many places of the scored ids each prompt has."""
    config, rows = transformer.config, len(prompts)
    random = np.random.RandomState(3)
    condition = random.standard_normal((3, CONDITION)).astype("float32")
    states = random.standard_normal((3, 6, BASE["hidden_size"])).astype("float32")
    # The first two rows have one prompt, so they have the same of everything else.
    condition[1], states[1] = condition[0], states[0]
    if config.stack != "single":
        first = padded(prompts) if config.stack == "seq2seq" else states[:rows]
        return [first, padded([[0, *answer] for answer in answers])], [1] * rows
    ids = padded([prompt + answer for prompt, answer in zip(prompts, answers, strict=True)])
    inputs = [ids]
    if config.segment_vocab_size:
        after = int(config.application == "unilm")
        inputs.append(padded([[0] * len(p) + [after] * len(a) for p, a in zip(prompts, answers, strict=True)]))
    if config.custom_position_ids:
        inputs.append(np.tile(np.arange(ids.shape[1], dtype="int32"), (rows, 1)))
    inputs += [condition[:rows]] if transformer.additional_input_layers else []
    return inputs, [len(prompt) for prompt in prompts]


def whole(transformer: Any, answers: np.ndarray) -> np.ndarray:
    """Return (3, 1 + N, V) probabilities of each token after the prompts from the model without a cache."""
    inputs, lengths = arrays(transformer, PROMPTS, answers.tolist())
    found = run(transformer.model, inputs)[-1]
    found = np.stack([row[length - 1 :][: answers.shape[1] + 1] for row, length in zip(found, lengths, strict=True)])
    return normal(found) if linear(transformer) else found


def linear(transformer: Any) -> bool:
    config = transformer.config
    return "linear" in (config.final_activation, config.with_mlm, config.with_lm)


def normal(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", CASES)
def test_cached_equals_whole(name):
    transformer = generating(name)
    engine, config = engine_of(transformer), transformer.config
    segments = None
    if config.stack == "single" and config.segment_vocab_size:
        segments = np.full((3, 1), int(config.application == "unilm"))
    own, swapped = np.arange(3), np.array([1, 0, 2])
    first, tree = engine.open(*arrays(transformer, PROMPTS, [[]] * 3), NEW.shape[1])
    steps = [first]
    # The first two rows change places before the third token, as beams do, and both go on from one before the last.
    for t, rows in enumerate([own, own, swapped, np.array([1, 1, 2])]):
        scores, tree = engine.step(tree, NEW[:, t : t + 1], segments, t, rows)
        steps.append(scores[:, 0])
    before = whole(transformer, NEW)
    moved = np.concatenate([NEW[swapped, :2], NEW[:, 2:]], 1)
    after = whole(transformer, moved)
    moved = np.concatenate([moved[[1, 1, 2], :3], NEW[:, 3:]], 1)
    last = whole(transformer, moved)
    expected = [*(before[:, t] for t in range(3)), after[:, 3], last[:, 4]]
    assert np.abs(before[0, 2] - before[1, 2]).max() > 1e-4  # rows that are mixed up show
    for t, (found, wanted) in enumerate(zip(steps, expected, strict=True)):
        np.testing.assert_allclose(normal(found), wanted, atol=1e-5, err_msg=f"{name}, after {t} tokens")


@pytest.mark.backend
def test_several_tokens_and_more_rows():
    """Tokens in one step, for twice as many rows as were opened: what scoring candidates does."""
    transformer = generating("bert-unilm")
    engine = engine_of(transformer)
    _, tree = engine.open(*arrays(transformer, PROMPTS[1:], [[]] * 2), 4)
    scores, _ = engine.step(tree, NEW[[0, 1, 2, 2]], np.ones((4, 4), int), 0, np.array([0, 0, 1, 1]))
    expected = whole(transformer, NEW)[:, 1:]
    np.testing.assert_allclose(normal(scores), expected[[0, 1, 2, 2]], atol=1e-5)


def compiled(engine: Any) -> int:
    """Return how many programs an engine has compiled."""
    # `functional.compiled` keeps what the backend made beside the state of layers for which it was made.
    states = [cell.cell_contents for function in engine._functions.values() for cell in function.__closure__]
    made = [state[1] for state in states if isinstance(state, list)]
    if keras.backend.backend() == "tensorflow":
        return sum(function.experimental_get_tracing_count() for function in made)
    jitted = [function.__closure__ for function in made]
    cells = [cell.cell_contents for closure in jitted for cell in closure]
    return sum(cell._cache_size() for cell in cells if hasattr(cell, "_cache_size"))


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch compiles nothing")
def test_same_shapes_compile_once():
    generator = Generator(generating("bert-lm"), end_id=3)
    options = {"strategy": "sample", "seed": 1, "max_new_tokens": 5}
    generator.generate([[5, 6], [7, 8, 9]], temperature=0.9, **options)
    count = compiled(generator.engine)
    assert count >= 2
    # Other lengths within 16, other temperature, seed and number of tokens, and a second generator of the model.
    options.update(seed=2, max_new_tokens=9)
    generator.generate([[5, 6, 7, 8, 9, 10], [11]], temperature=1.3, **options)
    Generator(generator.engine.transformer.model, end_id=3).generate([[1], [2]], **options)
    assert compiled(generator.engine) == count
    generator.generate([[5, 6], [7, 8, 9], [1]], **options)
    assert compiled(generator.engine) > count
