"""AutoRegressiveDecoder: the recorded runs of the reference, brute force, exact distributions, and errors."""

from __future__ import annotations

import gzip
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from bert4keras2.decoders import AutoRegressiveDecoder
from bert4keras2.snippets import softmax

FOLDER = Path(__file__).parent.parent / "golden" / "snippets"
RUNS = [json.loads(line) for line in gzip.decompress((FOLDER / "decoder.jsonl.gz").read_bytes()).splitlines()]
PROBAS = [run for run in RUNS if run["method"] == "beam_search" and run["default_rtype"] == "probas"]
GROUPS = {}
for run in RUNS:
    name = "-".join([*map(str, run["init"].values()), run["default_rtype"], run["method"], str(run["initial_state"])])
    GROUPS.setdefault(name, []).append(run)


def recorded_decoder(run, calls):
    """Return the decoder of a recorded run; `calls` collects the output_ids of each call of predict."""
    with np.load(FOLDER / "decoder.npz") as data:
        table = data["table"]

    class Decoder(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps(default_rtype=run["default_rtype"], use_states=run["use_states"])
        def predict(self, inputs, output_ids, states):
            calls.append(output_ids.tolist())
            rows, length = output_ids.shape
            last = output_ids[:, -1] if length else np.zeros(rows, int)
            step = length - (self.start_id is not None) + (states if run["use_states"] else 0)
            scores = table[step % len(table)][last] + sum(inputs)
            scores = softmax(scores) if run["default_rtype"] == "probas" else scores
            return (scores, states + 1) if run["use_states"] else scores

    return Decoder(**run["init"])


@pytest.mark.parametrize("group", GROUPS)
def test_recorded_runs(group):
    """Every run exactly: results, the sequences in the beam at each step, samples of a seed, number of calls."""
    with np.load(FOLDER / "decoder.npz") as data:
        bias = data["bias"]
    for run in GROUPS[group]:
        calls = []
        decoder = recorded_decoder(run, calls)
        inputs = [bias] if run["with_bias"] else []
        options = {"states": run["initial_state"], "temperature": run["temperature"], "min_ends": run["min_ends"]}
        if run["method"] == "beam_search":
            result = decoder.beam_search(inputs, run["topk"], **options)
            assert result.tolist() == run["result"], run
            if "candidates_per_step" in run:  # the recording goes on with the calls that computed the score
                assert calls == run["candidates_per_step"][: len(calls)], run
            assert score(decoder, inputs, result, run) == pytest.approx(recorded_score(run), abs=1e-9)
        else:
            np.random.seed(run["seed"])
            results = decoder.random_sample(inputs, run["n"], run["topk"], run["topp"], **options)
            assert [ids.tolist() for ids in results] == run["results"], run
            assert len(calls) == run["calls"]


def recorded_score(run):
    """Return the score of a run.

    The recorder took the logarithm of what predict returned, so all scores of runs with logits are NaN. Their twin
    with probabilities computes the same, and must have the same result.
    """
    if run["default_rtype"] == "probas":
        return run["score"]
    assert math.isnan(run["score"])
    differing = ("default_rtype", "score")
    same = {key: value for key, value in run.items() if key not in differing}
    (twin,) = (r for r in PROBAS if {key: value for key, value in r.items() if key not in differing} == same)
    return twin["score"]


def score(decoder, inputs, result, run):
    """Return the sum of a result's logarithms, token by token."""
    total, states, start = 0, run["initial_state"], decoder.first_output_ids.shape[1]
    for end in range(start, len(result)):
        batch = [np.array([one]) for one in inputs]
        logits, states = decoder.predict(batch, result[None, :end], states, run["temperature"], "logits")
        total += logits[0, result[end]]
    return total


class Markov(AutoRegressiveDecoder):
    """Logits of the next token are a row of `table` (steps, V + 1, V); its last row starts."""

    table: np.ndarray

    @AutoRegressiveDecoder.wraps(default_rtype="logits")
    def predict(self, inputs, output_ids, states):
        length = output_ids.shape[1]
        return self.table[length][output_ids[:, -1] if length else np.full(len(output_ids), -1)]


def markov(vocabulary, maxlen, end_id=-1, minlen=1, seed=0):
    decoder = Markov(None, end_id, maxlen, minlen)
    decoder.table = np.random.RandomState(seed).standard_normal((maxlen, vocabulary + 1, vocabulary))
    return decoder


def log_probas(decoder, temperature=1.0):
    return np.log(softmax(decoder.table / temperature))


@pytest.mark.parametrize("seed", range(10))
def test_widest_beam_is_brute_force(seed):
    """With a beam for all V^L sequences, none of which ends, the best of them all is found."""
    vocabulary, maxlen, temperature = 4, 4, 1 + seed / 10
    decoder = markov(vocabulary, maxlen, seed=seed)
    logs = log_probas(decoder, temperature)
    every = itertools.product(range(vocabulary), repeat=maxlen)
    best = max(every, key=lambda ids: sum(logs[t, ids[t - 1] if t else -1, ids[t]] for t in range(maxlen)))
    assert tuple(decoder.beam_search([], vocabulary**maxlen, temperature=temperature)) == best


@pytest.mark.parametrize("seed", range(30))
def test_widest_beam_with_ends(seed):
    """With an end, the rule of the beam over all sequences: the best one wins once it is finished, others leave."""
    vocabulary, maxlen, end, minlen, min_ends = 3, 5, 1, 1 + seed % 4, 1 + seed % 3
    decoder = markov(vocabulary, maxlen, end, minlen, seed=seed)
    logs = log_probas(decoder)
    alive, expected = {(): 0.0}, None
    for t in range(maxlen):
        alive = {
            (*ids, token): total + logs[t, ids[-1] if ids else -1, token]
            for ids, total in alive.items()
            for token in range(vocabulary)
        }
        expected = max(alive, key=alive.get)
        done = {ids for ids in alive if len(ids) >= minlen and ids[-1] == end and ids.count(end) >= min_ends}
        if expected in done:
            break
        alive = {ids: total for ids, total in alive.items() if ids not in done}
        expected = max(alive, key=alive.get)
    assert tuple(decoder.beam_search([], 10**6, min_ends=min_ends)) == expected


def exact_step(logits, topk, topp, temperature):
    """Return the distribution of one step, in plain Python."""
    weights = [math.exp(value / temperature) for value in logits]
    order = sorted(range(len(weights)), key=lambda i: -weights[i])[:topk]
    total, reached, kept = sum(weights[i] for i in order), 0, []
    for i in order:
        kept.append(i)
        reached += weights[i] / total
        if topp is not None and reached >= topp:
            break
    mass = sum(weights[i] for i in kept)
    return [weights[i] / mass if i in kept else 0 for i in range(len(weights))]


@pytest.mark.parametrize("topk", [None, 3])
@pytest.mark.parametrize("topp", [None, 0.6, 0.9])
@pytest.mark.parametrize("temperature", [1, 0.5, 1.5])
def test_sampled_distribution(topk, topp, temperature):
    """Pairs of tokens come as often as their exact probabilities say: chi-square over 20,000 draws."""
    vocabulary, draws = 5, 20_000
    decoder = markov(vocabulary, 2, seed=3)
    np.random.seed(11)
    pairs = np.array(decoder.random_sample([], draws, topk, topp, temperature=temperature))
    first = exact_step(decoder.table[0, -1], topk, topp, temperature)
    then = [exact_step(decoder.table[1, i], topk, topp, temperature) for i in range(vocabulary)]
    expected = draws * np.array(first)[:, None] * np.array(then)
    observed = np.zeros_like(expected)
    np.add.at(observed, (pairs[:, 0], pairs[:, 1]), 1)
    possible = expected > 0
    assert observed[~possible].sum() == 0
    freedom = possible.sum() - 1
    statistic = ((observed - expected)[possible] ** 2 / expected[possible]).sum()
    # About four standard deviations above the mean: a chance of 1 in 2,000 at most, and the seed is fixed.
    assert statistic <= freedom + 4 * math.sqrt(2 * freedom), (statistic, freedom)


def test_samples_end_alone():
    """Finished sequences leave the batch at once, come first, and hold nothing after their end."""
    decoder = markov(4, 12, end_id=2, seed=5)
    np.random.seed(0)
    results = decoder.random_sample([], 50)
    lengths = [len(ids) for ids in results]
    assert len(results) == 50 and lengths == sorted(lengths) and lengths[0] < 12
    for ids in results:
        assert 2 not in ids[:-1] and (ids[-1] == 2 or len(ids) == 12)


def test_min_ends_and_minlen():
    decoder = markov(4, 12, end_id=2, minlen=5, seed=5)
    np.random.seed(0)
    for ids in decoder.random_sample([], 50, min_ends=2):
        assert len(ids) == 12 or (len(ids) >= 5 and ids[-1] == 2 and (ids == 2).sum() >= 2)


def test_inputs_and_states():
    """Inputs get a row per sequence; states are handed on as returned; the arguments stay as they are."""
    seen = []

    class Decoder(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps(default_rtype="logits", use_states=True)
        def predict(self, inputs, output_ids, states):
            seen.append(([one.shape for one in inputs], output_ids.shape, states))
            return np.tile([0.5, 0.1, 0.3], (len(output_ids), 1)), (states, len(output_ids))

    given = [[1, 2], np.ones((4, 3), "float32")]
    Decoder(7, -1, 3).beam_search(given, 2, states="start")
    assert seen == [
        ([(1, 2), (1, 4, 3)], (1, 1), "start"),
        ([(2, 2), (2, 4, 3)], (2, 2), ("start", 1)),
        ([(2, 2), (2, 4, 3)], (2, 3), (("start", 1), 2)),
    ]
    assert given[0] == [1, 2] and (given[1] == 1).all()


def test_predict_called_directly():
    """The decorated method takes temperature and rtype, and keeps its name."""
    decoder = markov(4, 2)
    ids = np.array([[1], [2]])
    probas, states = decoder.predict([], ids, None, rtype="probas")
    np.testing.assert_allclose(probas, softmax(decoder.table[1][[1, 2]]))
    assert states is None and Markov.predict.__name__ == "predict"
    logits, _ = decoder.predict([], ids, None, 2.0)
    np.testing.assert_allclose(logits, np.log(softmax(decoder.table[1][[1, 2]] / 2)), atol=1e-9)

    class Probas(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps()
        def predict(self, inputs, output_ids, states):
            return softmax(decoder.table[1][[1, 2]])

    np.testing.assert_allclose(Probas(None, 0, 2).predict([], ids, None, 2.0)[0], np.exp(logits), atol=1e-9)


@pytest.mark.parametrize("factor", [0.1, 3])
def test_probabilities_that_do_not_sum_to_one(factor):
    """Scripts that mask probabilities need not normalise them before sampling."""
    weights = np.array([0.1, 0.4, 0.2, 0.3])

    class Weights(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps()
        def predict(self, inputs, output_ids, states):
            return np.tile(weights * factor, (len(output_ids), 1))

    np.random.seed(0)
    drawn = np.concatenate(Weights(None, -1, 1).random_sample([], 2000, topp=0.65))
    assert set(drawn) == {1, 3} and abs((drawn == 1).mean() - 4 / 7) < 0.04


def test_half_precision():
    """The logarithm of a probability that half precision rounds to 0 stays finite."""

    class Half(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps()
        def predict(self, inputs, output_ids, states):
            return np.tile(np.array([1, 0], "float16"), (len(output_ids), 1))

    logits, _ = Half(None, 9, 2).predict([], np.zeros((1, 0), int), None, rtype="logits")
    assert np.isfinite(logits).all() and Half(None, 9, 2).beam_search([], 2).tolist() == [0, 0]


def test_attributes():
    decoder = AutoRegressiveDecoder(start_id=3, end_id=4, maxlen=5)
    assert (decoder.start_id, decoder.end_id, decoder.maxlen, decoder.minlen) == (3, 4, 5, 1)
    assert decoder.first_output_ids.tolist() == [[3]]
    empty = AutoRegressiveDecoder(None, 4, 5).first_output_ids
    assert empty.shape == (1, 0) and empty.dtype.kind == "i"
    with pytest.raises(NotImplementedError, match="AutoRegressiveDecoder needs a method predict"):
        decoder.beam_search([], 1)


# -- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("beam_search", {"topk": 0}, "topk must be a whole number of at least 1, not 0"),
        ("beam_search", {"topk": 2.5}, "topk must be a whole number of at least 1, not 2.5"),
        ("beam_search", {"topk": 1, "temperature": 0}, "temperature must be a number greater than 0, not 0"),
        ("beam_search", {"topk": 1, "temperature": float("nan")}, "temperature .* not nan"),
        ("beam_search", {"topk": 1, "min_ends": -1}, "min_ends must be a whole number of at least 0, not -1"),
        ("random_sample", {"n": 0}, "n must be a whole number of at least 1, not 0"),
        ("random_sample", {"n": 1, "topk": 0}, "topk must be a whole number of at least 1, not 0"),
        ("random_sample", {"n": 1, "topp": 0}, r"topp must be in \(0, 1\], not 0"),
        ("random_sample", {"n": 1, "topp": 1.1}, r"topp must be in \(0, 1\], not 1.1"),
        ("random_sample", {"n": 1, "topp": "a"}, r"topp must be in \(0, 1\], not 'a'"),
        ("random_sample", {"n": 1, "temperature": -2}, "temperature must be a number greater than 0, not -2"),
    ],
)
def test_bad_arguments(method, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(markov(4, 2), method)([], **arguments)


def test_bad_lengths():
    with pytest.raises(ValueError, match=r"minlen=6 is more than the 5 tokens .*maxlen=5\)"):
        AutoRegressiveDecoder(None, 1, 5, 6)
    with pytest.raises(ValueError, match="minlen=7 is more than the 6 tokens .*maxlen=5 and start_id"):
        AutoRegressiveDecoder(0, 1, 5, 7)
    assert AutoRegressiveDecoder(0, 1, 5, 6).minlen == 6  # start_id counts
    with pytest.raises(ValueError, match="maxlen must be a whole number of at least 0, not -1"):
        AutoRegressiveDecoder(0, 1, -1)


@pytest.mark.parametrize(
    ("rtype", "use_states", "result", "message"),
    [
        ("probas", False, np.ones(3), r"shape \(rows = 1, vocabulary\).* not ndarray of shape \(3,\)"),
        ("probas", False, np.ones((2, 3)), r"rows = 1.*of shape \(2, 3\)"),
        ("probas", False, np.ones((1, 4, 3)), r"not ndarray of shape \(1, 4, 3\)"),
        ("probas", False, [[1, 2], [1]], "rows = 1.* not list"),
        ("probas", False, None, "rows = 1.* not NoneType"),
        ("probas", False, (np.ones((1, 3)), None), "rows = 1.* not tuple"),
        ("probas", False, np.array([["a"]]), r"rows = 1.* not ndarray"),
        ("probas", True, np.ones((1, 3)), r"\(scores, states\) because of use_states=True, not ndarray"),
        ("probas", False, np.array([[-1.5, 2]]), "returned -1.5, which is no probability: apply softmax, or"),
        ("probas", False, np.array([[0.5, np.nan]]), "NaN"),
        ("logits", False, np.array([[-np.inf, -np.inf]]), "some token must be allowed"),
        ("logits", False, np.array([[np.inf, 0]]), "not finite"),
        ("probas", False, np.zeros((1, 3)), "without any probability"),
    ],
)
def test_bad_predictions(rtype, use_states, result, message):
    class Decoder(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps(rtype, use_states)
        def predict(self, inputs, output_ids, states):
            return result

    with pytest.raises(ValueError, match=message):
        Decoder(None, 1, 2).random_sample([], 1)


def test_bad_rtype():
    with pytest.raises(ValueError, match="default_rtype must be 'probas' or 'logits', not 'proba'"):
        AutoRegressiveDecoder.wraps("proba")
    with pytest.raises(ValueError, match="rtype must be 'probas' or 'logits', not 'log'"):
        markov(3, 2).predict([], np.zeros((1, 0), int), None, rtype="log")
