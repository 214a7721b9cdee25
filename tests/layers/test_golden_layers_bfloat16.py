"""The recorded layers in mixed_bfloat16; the bound is that of tests/precision.py, as for whole models."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops
from precision import allowed, distance, in_bfloat16
from test_golden_layers import LAYER_CASES, group, load

from bert4keras2 import backend, layers

pytestmark = pytest.mark.backend


def distances(case: str, dtype: str, rounded) -> list[float]:
    """Return how far each output of a layer is from the recorded one, with `rounded` applied to weights and inputs."""
    info, arrays = load(case)
    config = {
        k: tuple(v) if isinstance(v, list) and k != "activation" else v for k, v in info.get("config", {}).items()
    }
    backend.set_gelu("tanh" if "gelu_tanh" in case else "erf")
    layer = getattr(layers, info["layer"])(**config, dtype=dtype)
    backend.set_gelu("erf")
    single = arrays.get("in/ids", arrays.get("in/x"))
    inputs = list(group(arrays, "in/x").values()) if single is None else [single]
    masks = [arrays.get("in/mask" if single is not None else f"in/mask_{i}") for i in range(len(inputs))]
    tensors = [ops.convert_to_tensor(rounded(x)) for x in inputs]
    layer.build(inputs[0].shape if single is not None else [x.shape for x in inputs])
    for path, value in group(arrays, "weight/").items():
        owner = layer
        *parents, name = path.split("/")
        for parent in parents:
            owner = getattr(owner, parent)
        getattr(owner, name).assign(rounded(value))
    call = dict(info.get("call", {}))
    if any(mask is not None for mask in masks) and "mask" in layer._call_signature.parameters:
        call["mask"] = masks[0] if single is not None else masks
    outputs = layer(tensors[0] if single is not None else tensors, **call)
    recorded = [arrays["out/y"]] if "out/y" in arrays else list(group(arrays, "out/y").values())
    outputs = [outputs] if "out/y" in arrays else list(outputs)
    found = []
    for output, expected in zip(outputs, recorded, strict=True):
        # What is masked is at -inf or far below all scores in both.
        real = np.isfinite(expected) & (np.abs(expected) < 1e10)
        assert real.any()
        found.append(distance(output, np.where(real, expected, 0), real))
    return found


@pytest.mark.parametrize("case", LAYER_CASES)
def test_layer(case):
    exact = distances(case, "float32", in_bfloat16)
    for actual, least in zip(distances(case, "mixed_bfloat16", lambda x: x), exact, strict=True):
        assert actual <= allowed(least)
