"""How the next token is chosen: rules and draws against NumPy, beam search against trying everything."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from cases import BASE, randomize, run

from bert4keras2.decoders import Generator
from bert4keras2.decoders.classic import filters as S
from bert4keras2.decoders.logits import LOWEST, Controls, LogitsRules, allowed_logits
from bert4keras2.decoders.logits import sample as sample_tokens
from bert4keras2.functional import nucleus
from bert4keras2.functional.seeds import set_seed
from bert4keras2.models import build_transformer_model

SCORES = np.random.RandomState(7).standard_normal((1, 12)).astype("float32") * 1.5
DRAWS = 20_000


def drawn(scores: np.ndarray, uniform: np.ndarray, **options: float) -> np.ndarray:
    """Return the ids that `sample` chooses with options as `Options` has them."""
    rules = LogitsRules(top_k=int(options.get("top_k", 0)), use_top_p="top_p" in options, use_min_p="min_p" in options)
    controls = Controls(0, 0, **{name: np.float32(options.get(name, 1)) for name in ("temperature", "top_p", "min_p")})
    found = sample_tokens(keras.ops.convert_to_tensor(scores), rules, keras.ops.convert_to_tensor(uniform), controls)
    return keras.ops.convert_to_numpy(found)


def exact(scores: np.ndarray, **options: float) -> np.ndarray:
    """Return the probabilities (V,) to draw from: temperature, then top-k, min-p and top-p."""
    scores = scores.astype("float64") / options.get("temperature", 1)
    if "top_k" in options:
        scores = S.top_k_filter(scores, int(options["top_k"]))
    if "min_p" in options:
        scores = S.min_p_filter(scores, options["min_p"])
    if "top_p" in options:
        scores = S.top_p_filter(scores, options["top_p"])
    return S.softmax(scores)[0]


def check_frequencies(counts: np.ndarray, expected: np.ndarray) -> None:
    """Chi-square at about one in 10,000: the mean and deviation of the statistic with n - 1 degrees are known."""
    total, kept = counts.sum(), expected > 0
    assert not counts[~kept].any()
    statistic = ((counts - total * expected)[kept] ** 2 / (total * expected[kept])).sum()
    degrees = kept.sum() - 1
    assert statistic < degrees + 4.5 * np.sqrt(2 * degrees) + 8, (counts, total * expected)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.6},
        {"temperature": 1.8},
        {"top_k": 4},
        {"top_k": 100},
        {"top_p": 0.75},
        {"min_p": 0.2},
        {"top_k": 6, "top_p": 0.8, "temperature": 1.4},
        {"top_k": 8, "min_p": 0.1, "top_p": 0.9, "temperature": 0.8},
    ],
)
def test_frequencies(options):
    uniform = np.random.RandomState(0).random_sample(DRAWS).astype("float32")
    ids = drawn(np.repeat(SCORES, DRAWS, 0), uniform, **options)
    check_frequencies(np.bincount(ids, minlength=SCORES.shape[1]), exact(SCORES, **options))


@pytest.mark.parametrize("top_k", [0, pytest.param(5, marks=pytest.mark.backend)])
def test_same_numbers_same_tokens(top_k):
    """Draws invert the cumulative sum: over ids in their order, with top-k in the order of the scores."""
    uniform = np.array([0.0, 0.05, 0.3, 0.5, 0.77, 0.9, 0.99, 1 - 2**-24], "float32")
    options = {"top_k": top_k} if top_k else {}
    order = np.argsort(-SCORES[0], kind="stable") if top_k else np.arange(SCORES.shape[1])
    running = np.cumsum(exact(SCORES, **options)[order])
    expected = order[[int((running <= number).sum()) for number in uniform]]
    assert drawn(np.repeat(SCORES, len(uniform), 0), uniform, **options).tolist() == expected.tolist()


@pytest.mark.backend
@pytest.mark.parametrize("share", [0.05, 0.3, 0.62, 0.9, 0.999])
def test_nucleus_is_that_of_the_filter(share, monkeypatch):
    monkeypatch.setattr(nucleus, "LARGEST", 8)  # PyTorch puts these in order, and all where they are not enough
    scores = np.random.RandomState(3).standard_normal((5, 50)).astype("float32") * 2
    grid = np.linspace(0, 1, 4000, endpoint=False, dtype="float32")
    ids = drawn(np.repeat(scores, len(grid), 0), np.tile(grid, 5), top_p=share).reshape(5, -1)
    for row, found in zip(scores, ids, strict=True):
        kept = set(np.flatnonzero(np.isfinite(S.top_p_filter(row[None], share)[0])).tolist())
        # Tokens rarer than the grid is fine may be missed, none may be added.
        rare = {i for i in kept if S.softmax(row[None])[0, i] < 2 / len(grid)}
        assert kept - rare <= set(found.tolist()) <= kept


def test_samples_of_one_prompt():
    """End to end: first tokens of many samples follow the model's own distribution."""
    model = tiny(vocabulary=12)
    prompt, options = [3, 5, 1], {"top_k": 7, "top_p": 0.9, "temperature": 1.3}
    samples = Generator(model, batch_size=2000).generate(
        prompt, max_new_tokens=1, strategy="sample", num_return=2000, seed=5, **options
    )
    counts = np.bincount([sample.ids[0] for sample in samples], minlength=12)
    check_frequencies(counts, exact(logs(model, prompt, np.zeros((1, 1), int))[:, 0], **options))


# -- rules -----------------------------------------------------------------------------------------------------

HISTORY = np.array([[4, 7, 4, 7, 9, 4, 7, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [2, 0, 3, 2, 0, 5, 2, 0, 8, 0]])
LENGTHS = np.array([7, 3, 8])


def ruled(rules: LogitsRules, t: int = 3, penalty: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (3, 12) and what rules make of them, with -inf for the forbidden."""
    scores = np.random.RandomState(1).standard_normal((3, 12)).astype("float32")
    convert = keras.ops.convert_to_tensor
    controls = Controls(0, 0, repetition_penalty=np.float32(penalty))
    found = allowed_logits(convert(scores), rules, t, convert(HISTORY, "int32"), convert(LENGTHS, "int32"), controls)
    found = keras.ops.convert_to_numpy(found)
    return scores, np.where(found <= LOWEST / 2, -np.inf, found)


def history() -> np.ndarray:
    """Return the history with -1 beyond each row's length, as the samplers take it."""
    return np.where(np.arange(HISTORY.shape[1])[None] < LENGTHS[:, None], HISTORY, -1)


@pytest.mark.parametrize("penalty", [1.3, 0.7])
def test_repetition_penalty(penalty):
    scores, found = ruled(LogitsRules(use_penalty=True), penalty=penalty)
    np.testing.assert_allclose(found, S.repetition_penalty(scores, history(), penalty), rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 20])
def test_no_repeat_ngram(n):
    scores, found = ruled(LogitsRules(ngram=n))
    expected = S.no_repeat_ngram(scores, history(), n)
    np.testing.assert_array_equal(found, expected)
    assert n > 3 or np.isneginf(expected).any()


def test_banned():
    banned = ((6,), (7, 11), (4, 7, 2), (1, 1, 1, 1), (9, 7, 3), (1,) * 20, (0, 2))
    scores, found = ruled(LogitsRules(banned=banned))
    expected = scores.copy()
    for row, (ids, length) in enumerate(zip(HISTORY.tolist(), LENGTHS, strict=True)):
        for word in banned:
            *before, last = word
            if len(before) <= length and ids[length - len(before) : length] == before:
                expected[row, last] = -np.inf
    np.testing.assert_array_equal(found, expected)
    assert np.isneginf(expected).sum(1).tolist() == [3, 2, 2]


def test_min_length():
    for t, forbidden in ((2, True), (3, False)):
        scores, found = ruled(LogitsRules(end_ids=(2, 5), min_length=3), t)
        assert np.isneginf(found[:, [2, 5]]).all() == forbidden
        np.testing.assert_array_equal(np.delete(found, [2, 5], 1), np.delete(scores, [2, 5], 1))


# -- the rules within generation, and beams --------------------------------------------------------------------


def tiny(vocabulary: int = 6, **options: Any) -> Any:
    set_seed(11)
    sizes = {**BASE, "vocab_size": vocabulary, "num_hidden_layers": 1, "initializer_range": 0.8}
    model = build_transformer_model(**{**sizes, "application": "lm", **options})
    randomize(model)
    return model


def logs(model: Any, prompt: list[int], texts: np.ndarray) -> np.ndarray:
    """Return (texts, N, V) log-probabilities of each next token, from the model without a cache."""
    prompts = np.tile(prompt, (len(texts), 1))
    ids = np.concatenate([prompts, texts[:, :-1]], 1)
    found = run(model, [ids, np.zeros_like(ids)] if len(model.inputs) > 1 else [ids])[-1]
    return np.log(found[:, len(prompt) - 1 :])


def ranked(model: Any, prompt: list[int], ends: tuple[int, ...], penalty: float, count: int = 4) -> list[Any]:
    """Return (rank, ids) of every text of up to `count` tokens, the likeliest first, with its end token."""
    texts = np.array(list(itertools.product(range(6), repeat=count)))
    chosen = np.take_along_axis(logs(model, prompt, texts), texts[..., None], -1)[..., 0]
    found = {}
    for ids, gains in zip(texts.tolist(), chosen, strict=True):
        length = next((k + 1 for k, token in enumerate(ids) if token in ends), count)
        found[tuple(ids[:length])] = gains[:length].sum() / length**penalty
    return sorted(((rank, list(ids)) for ids, rank in found.items()), key=lambda pair: -pair[0])


@pytest.mark.parametrize(
    ("ends", "penalty"),
    [((), 0.0), ((4,), 0.0), ((4,), 1.0), ((4,), 2.5), ((4,), -0.5), ((2, 4), 0.7), pytest.param((2, 4, 5), 0.0)],
)
def test_beam_search_equals_brute_force(ends, penalty):
    """With beams for all texts nothing is pruned, so that the K best must come out, in their order."""
    model, prompt = tiny(segment_vocab_size=0), [3, 1]
    found = Generator(model, end_id=ends, batch_size=300).generate(
        prompt, max_new_tokens=4, strategy="beam", num_beams=220, num_return=20, length_penalty=penalty
    )
    for one, (rank, ids) in zip(found, ranked(model, prompt, ends, penalty)[:20], strict=True):
        assert one.ids + ([ids[-1]] if one.finish_reason == "end" else []) == ids
        assert (one.finish_reason == "end") == (ids[-1] in ends)
        assert abs(one.score - rank) < 1e-4


@pytest.mark.parametrize("ends", [(), (4,), (1, 2, 4)])
def test_one_beam(ends):
    """A single beam is greedy, but for an end on its way that is likelier than where it leads to."""
    model = tiny(segment_vocab_size=0, initializer_range=0.4)
    generator = Generator(model, end_id=ends)
    prompts = [[first, second] for first in range(1, 6) for second in (1, 3, 5)]
    found = generator.generate(prompts, max_new_tokens=6, strategy="beam", num_beams=1)
    for prompt, beam in zip(prompts, found, strict=True):
        # The same by hand: at each step the best end is a candidate, the best other token goes on.
        ids, total, candidates = [], 0.0, []
        for _ in range(6):
            gains = logs(model, prompt, np.array([[*ids, 0]]))[0, -1]
            # Of the next tokens, so many more than beams are looked at as there are ends.
            top = np.argsort(-gains)[: 1 + max(1, len(ends))]
            candidates += [(total + gains[end], [*ids, end]) for end in ends if end in top]
            token = max((i for i in range(6) if i not in ends), key=lambda i: gains[i])
            ids, total = [*ids, token], total + gains[token]
        score, best = max([*candidates, (total, ids)])
        assert beam.ids == (best[:-1] if beam.finish_reason == "end" else best)
        assert abs(beam.score - score) < 1e-4


@pytest.mark.parametrize("strategy", ["greedy", pytest.param("beam", marks=pytest.mark.backend)])
def test_rules_within_generation(strategy):
    model, prompt = tiny(), [3, 1, 2, 3, 1]
    rules = {"no_repeat_ngram": 2, "repetition_penalty": 1.5, "bad_words": [[5], [4, 0], [2, 3, 4]], "min_length": 6}
    options = {"num_beams": 3} if strategy == "beam" else {}
    found = Generator(model, end_id=4).generate(prompt, max_new_tokens=8, strategy=strategy, **rules, **options)
    text = [*prompt, *found.ids]
    pairs = list(zip(text, text[1:], strict=False))
    assert len(found.ids) >= 6 and 5 not in found.ids and (4, 0) not in pairs
    assert not set(pairs[4:]) & set(pairs[:4]) and len(set(pairs[4:])) == len(pairs[4:])
    if strategy == "greedy":
        # Step by step with the samplers. Log-probabilities would do for logits but for the penalty, which divides
        # positive ones: the model's own are those before its softmax.
        linear = tiny(final_activation="linear")
        ids: list[int] = []
        for t in range(8):
            text = np.array([[*prompt, *ids]])
            scores = S.repetition_penalty(run(linear, [text, np.zeros_like(text)])[-1][:, -1], text, 1.5)
            scores = S.no_repeat_ngram(scores, text, 2)[0]
            scores[5] = -np.inf
            scores[0] = -np.inf if text[0, -1] == 4 else scores[0]
            scores[4] = -np.inf if t < 6 or text[0, -2:].tolist() == [2, 3] else scores[4]
            ids.append(int(scores.argmax()))
            if ids[-1] == 4:
                break
        assert found.ids + ([4] if found.finish_reason == "end" else []) == ids
