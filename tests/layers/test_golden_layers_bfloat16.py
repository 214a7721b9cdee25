"""The recorded layers in mixed_bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops
from test_golden_layers import LAYER_CASES, group, load

from bert4keras2 import backend, layers

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("case", LAYER_CASES)
def test_layer(case):
    info, arrays = load(case)
    config = {
        k: tuple(v) if isinstance(v, list) and k != "activation" else v for k, v in info.get("config", {}).items()
    }
    backend.set_gelu("tanh" if "gelu_tanh" in case else "erf")
    layer = getattr(layers, info["layer"])(**config, dtype="mixed_bfloat16")
    backend.set_gelu("erf")
    single = arrays.get("in/ids", arrays.get("in/x"))
    inputs = list(group(arrays, "in/x").values()) if single is None else [single]
    masks = [arrays.get("in/mask" if single is not None else f"in/mask_{i}") for i in range(len(inputs))]
    tensors = [ops.convert_to_tensor(x) for x in inputs]
    layer.build(inputs[0].shape if single is not None else [x.shape for x in inputs])
    for path, value in group(arrays, "weight/").items():
        owner = layer
        *parents, name = path.split("/")
        for parent in parents:
            owner = getattr(owner, parent)
        getattr(owner, name).assign(value)
    call = dict(info.get("call", {}))
    if any(mask is not None for mask in masks) and "mask" in layer._call_signature.parameters:
        call["mask"] = masks[0] if single is not None else masks
    outputs = layer(tensors[0] if single is not None else tensors, **call)
    recorded = [arrays["out/y"]] if "out/y" in arrays else list(group(arrays, "out/y").values())
    outputs = [outputs] if "out/y" in arrays else list(outputs)
    for output, expected in zip(outputs, recorded, strict=True):
        actual = ops.convert_to_numpy(ops.cast(output, "float32"))
        # What is masked is at -inf or far below all scores in both.
        real = np.isfinite(expected) & (np.abs(expected) < 1e10)
        assert real.any()
        assert np.linalg.norm((actual - expected)[real]) <= 2e-2 * np.linalg.norm(expected[real])
