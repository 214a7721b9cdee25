"""The recorded outputs of every family, computed in mixed_bfloat16."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from test_golden_models import CASES, DEFECTS, build, read

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:.*does not use.*")]
TOLERANCE = 2e-2


def distances(transformer, folder, info) -> list[float]:
    """Return how far each output is from the recorded one at real positions, relative to its size (L2 norms)."""
    inputs, expected = read(folder / "inputs.npz"), read(folder / "outputs.npz")
    results = transformer.model([ops.convert_to_tensor(inputs[name]) for name in info["inputs"]])
    masks = [inputs[name].astype(bool) for name in info["masks"]]
    found = []
    for k, result in enumerate(keras.tree.flatten(results)):
        wanted = expected[f"output_{k}"]
        real = next((mask for mask in masks if mask.shape == wanted.shape[:2]), ...)
        error = (ops.convert_to_numpy(ops.cast(result, "float32")) - wanted)[real]
        found.append(float(np.linalg.norm(error) / np.linalg.norm(wanted[real])))
    return found


# The case with a head of the test's own has the trunk of bert_encoder.
@pytest.mark.parametrize("case", [case for case in CASES if case not in (*DEFECTS, "bert_dropout_head")])
def test_model(case):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        folder, info, transformer = build(case)
    finally:
        keras.config.set_dtype_policy(policy)
    actual = distances(transformer, folder, info)
    if max(actual) <= TOLERANCE:
        return
    # T5 divides attention scores by nothing, so those of random weights are large: rounding the weights alone to
    # bfloat16, all arithmetic in float32, moves its outputs by up to 6e-2. Computing in bfloat16 rounds weights, what
    # flows in and what flows out of each layer, and may triple that.
    assert "t5" in case or case in ("electra_discriminator_linear", "bert_layer_norm_cond")
    _, _, rounded = build(case)
    for variable in rounded.model.weights:
        variable.assign(ops.cast(ops.cast(variable, "bfloat16"), "float32"))
    for mine, least in zip(actual, distances(rounded, folder, info), strict=True):
        assert mine <= max(TOLERANCE, 3 * least)
