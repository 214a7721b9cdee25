"""Adam follows the recorded steps of the reference."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.optimizers import Adam, PiecewiseLinear

pytestmark = pytest.mark.backend
FOLDER = Path(__file__).parent.parent / "golden" / "optimizers"
CASES = sorted(path.stem for path in FOLDER.glob("adam*.json"))


def read(path):
    with np.load(path) as data:
        return {name: data[name] for name in data}


@pytest.mark.parametrize("case", CASES)
def test_adam(case):
    info = json.loads((FOLDER / f"{case}.json").read_text())
    problem = json.loads((FOLDER / "problem.json").read_text())
    arrays, expected = read(FOLDER / "problem.npz"), read(FOLDER / f"{case}.npz")
    options = dict(info["arguments"])
    if "lr_schedule" in options:
        options["learning_rate"] = PiecewiseLinear(options["learning_rate"], options.pop("lr_schedule"))
    variables = []
    for entry in problem["variables"]:
        variable = keras.Variable(arrays[f"start/{entry['index']}"], name=entry["name"].rsplit("/", 1)[-1])
        variable._path = entry["name"]
        variables.append(variable)
    optimizer = Adam(**options)
    for step in range(problem["steps"]):
        grads = [arrays[f"grads/{i}"][step] for i in range(len(variables))]
        if info.get("sparse") and keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            grads[0] = tf.IndexedSlices(
                tf.constant(grads[0][:]), tf.range(grads[0].shape[0]), tf.constant(grads[0].shape)
            )
        grads = [g if hasattr(g, "values") else ops.convert_to_tensor(g) for g in grads]
        optimizer.apply(grads, variables)
        for i, variable in enumerate(variables):
            np.testing.assert_allclose(
                ops.convert_to_numpy(variable), expected[f"weights/{i}"][step + 1], rtol=1e-5, atol=2e-6
            )
    again = Adam.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()


def test_bad_pattern():
    with pytest.raises(ValueError, match="'\\[' is no regular expression"):
        Adam(exclude_from_weight_decay=["["])


def test_bad_schedule():
    with pytest.raises(ValueError, match="at least one"):
        PiecewiseLinear(1e-3, {})
    with pytest.raises(ValueError, match="step -1"):
        PiecewiseLinear(1e-3, {-1: 1})
