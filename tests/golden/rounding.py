"""Measure how well float32 determines the recorded outputs of T5 and of layers: python tests/golden/rounding.py

T5 divides attention scores by nothing, so with random weights they are large and float32 rounding grows from block to
block: the recorded numbers themselves are up to 4e-5 from what the same weights give in float64. For each of them the
larger of two distances from the float64 result is printed: that of the recorded number, and that of the float64 result
for weights changed by one unit in the last place of float32 (the largest of ten draws). Where it exceeds 2.5e-6 it is
written to tests/golden/models/rounding.json, for which test_golden_models.py allows.

Gated attention units whose weights are squares or whose scores are not scaled answer in tens and hundreds; for them the
same is measured and written to tests/golden/layers/rounding.json, for which test_golden_layers.py allows.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).parent


# Below it nothing is allowed for: the tests' own tolerance is several times that.
LEAST = 2.5e-6


def changed(variables: list, run):
    """Yield what a function returns for ten draws of weights that differ by one unit in the last place of float32."""
    weights = [np.array(variable) for variable in variables]
    random = np.random.RandomState(0)
    for _ in range(10):
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value * (1 + random.uniform(-1, 1, value.shape) * 2.0**-23))
        yield run()


def write(found: dict, folder: str) -> None:
    """Write what was found beside the recorded numbers."""
    (HERE / folder / "rounding.json").write_text(json.dumps(found, indent=1) + "\n")


def of_layers() -> None:
    """Measure the gated attention units."""
    import test_golden_layers as golden

    found = {}
    for case in [name for name in golden.LAYER_CASES if name.startswith("gau")]:
        arrays, layer, tensors, _, call = golden.build(case)
        run = functools.partial(layer, tensors, **call)
        exact = keras.ops.convert_to_numpy(run())
        others = [arrays["out/y"], *map(keras.ops.convert_to_numpy, changed(layer.weights, run))]
        distance = max(float(np.abs(exact - other).max()) for other in others)
        print(f"{case} {distance:.2g}")
        if distance > LEAST:
            found[case] = float(f"{distance:.2g}")
    write(found, "layers")


def of_models() -> None:
    """Measure T5's outputs and states."""
    import test_golden_models as golden

    found: dict[str, dict[str, float]] = {}
    for case in [name for name in golden.CASES if "t5" in name]:
        folder, info, transformer = golden.build(case)
        model = transformer.model
        names = ["output_0", *[f"layer/{name}" for name in info["layers"]]]
        layers = [golden.output_of(model, name) for name in info["layers"]]
        inputs, recorded = golden.read(folder / "inputs.npz"), golden.read(folder / "outputs.npz")
        whole = golden.Model(model.inputs, [*model.outputs, *layers])
        tensors = [keras.ops.convert_to_tensor(inputs[name]) for name in info["inputs"]]
        masks = [inputs[name].astype(bool) for name in info["masks"]]
        exact = [np.array(result) for result in whole(tensors)]
        others = [[recorded[name] for name in names]]
        others += [
            list(map(np.array, results)) for results in changed(model.variables, functools.partial(whole, tensors))
        ]
        for k, name in enumerate(names):
            real = next((mask for mask in masks if mask.shape == exact[k].shape[:2]), ...)
            distance = max(float(np.abs(exact[k] - other[k])[real].max()) for other in others)
            print(f"{case} {name} {distance:.2g}")
            if distance > LEAST:
                found.setdefault(case, {})[name] = float(f"{distance:.2g}")
    write(found, "models")


def main() -> None:
    keras.config.set_floatx("float64")
    narrow = keras.ops.cast
    # Layers compute scores and moments in float32; here nothing may be narrower than float64.
    keras.ops.cast = lambda x, dtype: narrow(x, "float64" if dtype == "float32" else dtype)
    sys.path[:0] = [str(HERE.parent / "models"), str(HERE.parent / "layers"), str(HERE.parent)]
    of_layers()
    of_models()


if __name__ == "__main__":
    main()
