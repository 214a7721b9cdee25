"""The recorded problem of tests/golden/optimizers: four variables, their start and twelve gradients each."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
from keras import ops

from bert4keras2 import optimizers

FOLDER = Path(__file__).parent.parent / "golden" / "optimizers"
CASES = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "problem")
STEPS = 12


def arrays(case: str) -> dict[str, np.ndarray]:
    """Return the arrays of a case, or of the problem."""
    with np.load(FOLDER / f"{case}.npz") as data:
        return {name: data[name] for name in data}


def info(case: str) -> dict:
    """Return the description of a case."""
    return json.loads((FOLDER / f"{case}.json").read_text())


def gradients(step: int, sparse: bool = False) -> list:
    """Return the gradients of a step, the embedding's as slices if asked for and on TensorFlow."""
    problem = arrays("problem")
    found = [ops.convert_to_tensor(problem[f"grads/{i}"][step]) for i in range(4)]
    if sparse and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        rows = np.flatnonzero(problem["grads/0"][step].any(-1))
        found[0] = tf.IndexedSlices(tf.gather(found[0], rows), tf.constant(rows), tf.constant([10, 6]))
    return found


def variables() -> list[keras.Variable]:
    """Return the variables with their recorded names and starts."""
    made = []
    for entry in info("problem")["variables"]:
        variable = keras.Variable(arrays("problem")[f"start/{entry['index']}"], name=entry["name"].rsplit("/", 1)[-1])
        variable._path = entry["name"]
        made.append(variable)
    return made


def values(weights) -> list[np.ndarray]:
    """Return copies of the values of variables."""
    return [np.array(ops.convert_to_numpy(w)) for w in weights]


def make_class(case: str, leave_out: tuple[str, ...] = ()):
    """Return the class of a case, its wrappers from the inside to the outside."""
    cls = getattr(optimizers, info(case)["optimizer"])
    for wrapper in info(case)["wrappers"]:
        if wrapper not in leave_out:
            cls = getattr(optimizers, f"extend_with_{wrapper}")(cls)
    return cls


def make(case: str, leave_out: tuple[str, ...] = (), drop: tuple[str, ...] = ()):
    """Return the optimizer of a case, without some wrappers and arguments."""
    arguments = {k: v for k, v in info(case)["arguments"].items() if k not in drop}
    return make_class(case, leave_out)(**arguments)


def assert_recorded(found, case: str, step: int, prefix: str = "weights") -> None:
    """Compare values with those after a step: 1e-5 relative, and a float32 rounding of the largest weights."""
    expected = arrays(case)
    for i, value in enumerate(found):
        wanted = expected[f"{prefix}/{i}"]
        wanted = wanted[step] if prefix == "weights" else wanted
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=2e-6, err_msg=f"{case}, step {step}, variable {i}")
