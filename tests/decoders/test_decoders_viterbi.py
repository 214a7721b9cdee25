"""ViterbiDecoder: the recorded paths of the reference, brute force, and errors."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from bert4keras2.decoders import ViterbiDecoder

FOLDER = Path(__file__).parent.parent / "golden" / "layers"
RUNS = json.loads((FOLDER / "viterbi_decoder.json").read_text())["runs"]


@pytest.mark.parametrize("run", range(len(RUNS)))
def test_recorded_paths(run):
    with np.load(FOLDER / "viterbi_decoder.npz") as data:
        decoder = ViterbiDecoder(data["in/trans"], **RUNS[run])
        for row, length in enumerate(data["in/lengths"]):
            path = decoder.decode(data["in/x"][row, :length])
            np.testing.assert_array_equal(path, data[f"out/path_{run}_{row}"])


@pytest.mark.parametrize("seed", range(40))
def test_brute_force(seed):
    random = np.random.RandomState(seed)
    labels, steps = random.randint(1, 5), random.randint(1, 6)
    nodes, trans = random.standard_normal((steps, labels)), random.standard_normal((labels, labels))
    starts = None if seed % 2 else random.randint(0, labels, 2)
    ends = None if seed % 3 else random.randint(0, labels, 2)

    def total(path):
        allowed = (starts is None or path[0] in starts) and (ends is None or path[-1] in ends)
        steps_total = sum(nodes[t, label] for t, label in enumerate(path))
        return steps_total + sum(trans[a, b] for a, b in itertools.pairwise(path)) if allowed else -np.inf

    paths = [path for path in itertools.product(range(labels), repeat=steps) if total(path) > -np.inf]
    if paths:
        assert tuple(ViterbiDecoder(trans, starts, ends).decode(nodes)) == max(paths, key=total)


def test_arguments_stay():
    """The nodes stay as they are, so that a second call gives the same path; the reference wrote -inf into them."""
    nodes, trans = np.random.RandomState(0).standard_normal((2, 5, 3, 3))[:, :, 0]
    trans = trans[:3]
    before = nodes.copy(), trans.copy()
    decoder = ViterbiDecoder(trans, starts=[1], ends=[2])
    first = decoder.decode(nodes)
    np.testing.assert_array_equal(nodes, before[0])
    np.testing.assert_array_equal(trans, before[1])
    np.testing.assert_array_equal(decoder.decode(nodes), first)
    assert first[0] == 1 and first[-1] == 2


def test_new_transitions():
    """Scripts assign `trans` after each epoch; integers and nested lists are fine as scores."""
    decoder = ViterbiDecoder(np.zeros((2, 2)), starts=[0])
    assert decoder.decode([[0, 0], [0, 1], [1, 0]]).tolist() == [0, 1, 0]
    decoder.trans = np.array([[9, 0], [0, 0]])
    assert decoder.decode([[0, 0], [0, 1], [1, 0]]).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("trans", "options", "nodes", "message"),
    [
        (np.zeros((2, 3)), {}, None, r"trans must have the shape \(labels, labels\), not \(2, 3\)"),
        (np.zeros((2, 2)), {"starts": [2]}, None, r"starts must be ids from 0 to 1, at least one, not \[2\]"),
        (np.zeros((2, 2)), {"ends": []}, None, r"ends must be ids from 0 to 1, at least one, not \[\]"),
        (np.zeros((2, 2)), {}, np.zeros((4, 3)), r"\(steps >= 1, labels = 2\), not \(4, 3\)"),
        (np.zeros((2, 2)), {}, np.zeros((0, 2)), r"\(steps >= 1, labels = 2\), not \(0, 2\)"),
        (np.zeros((2, 2)), {}, np.zeros((1, 4, 2)), r"\(steps >= 1, labels = 2\), not \(1, 4, 2\)"),
    ],
)
def test_errors(trans, options, nodes, message):
    with pytest.raises(ValueError, match=message):
        ViterbiDecoder(trans, **options).decode(nodes)
