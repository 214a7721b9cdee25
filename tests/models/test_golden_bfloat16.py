"""The recorded outputs of every family, computed in mixed_bfloat16.

The bound follows from the arithmetic (tests/precision.py): a multiple of what rounding the weights alone does to the
case at hand, measured here, since a fixed one holds on the machine that it was taken from. T5 divides attention scores
by nothing, so rounding the weights alone moves its outputs by up to 6e-2; BERT's probabilities move by 3e-4.
"""

from __future__ import annotations

import keras
import pytest
from keras import ops
from precision import allowed, distance, policy, round_weights
from test_golden_models import CASES, DEFECTS, build, read

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:.*does not use.*")]


def distances(transformer, folder, info) -> list[float]:
    """Return how far each output is from the recorded one at real positions."""
    inputs, expected = read(folder / "inputs.npz"), read(folder / "outputs.npz")
    results = transformer.model([ops.convert_to_tensor(inputs[name]) for name in info["inputs"]])
    masks = [inputs[name].astype(bool) for name in info["masks"]]
    found = []
    for k, result in enumerate(keras.tree.flatten(results)):
        wanted = expected[f"output_{k}"]
        real = next((mask for mask in masks if mask.shape == wanted.shape[:2]), ...)
        found.append(distance(result, wanted, real))
    return found


# The case with a head of the test's own has the trunk of bert_encoder.
NAMES = [case for case in CASES if case not in (*DEFECTS, "bert_dropout_head")]


# XLA takes seconds for each: of three cases, one is in every run on JAX.
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.breadth] if i % 3 else []) for i, case in enumerate(NAMES)]
)
def test_model(case):
    with policy("mixed_bfloat16"):
        folder, info, transformer = build(case)
    _, _, rounded = build(case)
    round_weights(rounded.model)
    # By chance, rounding the weights may hardly move an output of few numbers (NSP's): the case's largest counts.
    least = max(distances(rounded, folder, info))
    assert max(distances(transformer, folder, info)) <= allowed(least)
