"""Layers and functions agree with the recorded outputs of the reference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from bert4keras2 import backend, layers
from bert4keras2.layers.relative_position import bucket

pytestmark = pytest.mark.backend
FOLDER = Path(__file__).parent.parent / "golden" / "layers"
TOLERANCE = 1e-5
# How far float32 determines the recorded outputs (tests/golden/rounding.py): another implementation may be as far from
# exact arithmetic, on the other side.
ROUNDING = json.loads((FOLDER / "rounding.json").read_text())


def load(case: str):
    with np.load(FOLDER / f"{case}.npz") as data:
        return json.loads((FOLDER / f"{case}.json").read_text()), {name: data[name] for name in data}


def group(arrays, start: str):
    """Return the arrays below a prefix, in the order of their numbers."""
    found = {name[len(start) :]: value for name, value in arrays.items() if name.startswith(start)}
    return dict(sorted(found.items()))


def same(actual, expected, rounding=0.0):
    # Some units without scaling answer in hundreds, where neighbouring float32 numbers lie further apart than 1e-5:
    # four of their steps are allowed there.
    finite = np.abs(expected)[np.isfinite(expected)] if np.asarray(expected).dtype.kind == "f" else np.zeros(0)
    step = float(np.spacing(np.float32(finite.max(initial=0))))
    bound = max(TOLERANCE, 4 * step, 2 * rounding)
    np.testing.assert_allclose(ops.convert_to_numpy(actual), expected, atol=bound, rtol=0)


LAYER_CASES = [
    path.stem
    for path in sorted(FOLDER.glob("*.json"))
    if "layer" in json.loads(path.read_text()) and not path.stem.startswith(("t5_buckets", "crf", "memm"))
]


def build(case: str):
    """Return the recorded arrays of a case, its layer with the recorded weights, inputs, masks and other arguments."""
    info, arrays = load(case)
    if "gelu_tanh" in case:
        backend.set_gelu("tanh")
    config = (
        {k: tuple(v) if isinstance(v, list) and k != "activation" else v for k, v in info["config"].items()}
        if "config" in info
        else {}
    )
    layer = getattr(layers, info["layer"])(**config)
    backend.set_gelu("erf")
    if case == "embedding":
        inputs = arrays["in/ids"]
    elif "in/x" in arrays:
        inputs = arrays["in/x"]
    else:
        inputs = list(group(arrays, "in/x").values())
    many = isinstance(inputs, list)
    tensors = [ops.convert_to_tensor(x) for x in inputs] if many else ops.convert_to_tensor(inputs)
    layer.build([x.shape for x in inputs] if many else inputs.shape)
    for path, value in group(arrays, "weight/").items():
        owner = layer
        *parents, name = path.split("/")
        for parent in parents:
            owner = getattr(owner, parent)
        getattr(owner, name).assign(value)
    assert len(group(arrays, "weight/")) == len(layer.weights)
    call = dict(info.get("call", {}))
    if many:
        masks = [arrays.get(f"in/mask_{i}") for i in range(len(inputs))]
    else:
        masks = arrays.get("in/mask") if case != "embedding" else None
    has_mask = any(m is not None for m in masks) if many else masks is not None
    if has_mask and ("mask" in layer._call_signature.parameters):
        call["mask"] = masks
    return arrays, layer, tensors, masks, call


@pytest.mark.parametrize("case", LAYER_CASES)
def test_layer(case):
    arrays, layer, tensors, masks, call = build(case)
    outputs = layer(tensors, **call)
    if "out/y" in arrays:
        same(outputs, arrays["out/y"], ROUNDING.get(case, 0.0))
    else:
        for actual, expected in zip(outputs, group(arrays, "out/y").values(), strict=True):
            same(actual, expected)
    if "out/mask" in arrays:
        mask = layer.compute_mask(tensors, masks)
        np.testing.assert_array_equal(ops.convert_to_numpy(mask), arrays["out/mask"])
    if "out/dense" in arrays:
        same(layer(ops.convert_to_tensor(arrays["in/x"]), mode="dense"), arrays["out/dense"])
    # The configuration rebuilds the layer.
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("case", ["softmax", "softmax_plus", "squared_relu", "none", "long"])
def test_attention_normalize(case):
    info, arrays = load(f"attention_normalize_{case}")
    a, mask, tril = arrays["in/a"], arrays["in/mask"], arrays.get("in/tril")
    if case == "long":
        for method in ("softmax", "squared_relu", "softmax_plus"):
            same(backend.attention_normalize(a, mask, -1, method), arrays[f"out/{method}"])
        return
    method = info["method"]
    bias = a[:, ::-1].copy()
    full = np.ones_like(mask)
    for name, (given, extra) in {
        "no_mask": (None, None),
        "mask": (mask, None),
        "full_mask": (full, None),
        "mask_bool_bias": (mask, tril),
        "bool_bias": (None, tril),
        "mask_float_bias": (mask, bias),
    }.items():
        extra = None if extra is None else ops.convert_to_tensor(extra)
        actual = backend.attention_normalize(ops.convert_to_tensor(a), given, -1, method, extra)
        same(actual, arrays[f"out/{name}"])


def test_sequence_masking():
    _, arrays = load("sequence_masking")
    x, mask, tril = (ops.convert_to_tensor(arrays[f"in/{n}"]) for n in ("x", "mask", "tril"))
    masking = backend.sequence_masking
    same(masking(x, mask, 0, 1), arrays["out/zero"])
    same(masking(x, mask, "-inf", 1), arrays["out/minus_inf_axis1"])
    same(masking(x, mask, "-inf", -1), arrays["out/minus_inf_axis_last"])
    same(masking(masking(x, mask, -1e12, 1), mask, -1e12, 2), arrays["out/both_axes"])
    same(masking(x, mask, "-inf", 1, tril), arrays["out/bias_bool"])
    same(masking(x, None, "-inf", -1, tril), arrays["out/bias_only"])
    same(masking(x, mask, "-inf", -1, 2 * x), arrays["out/bias_float"])
    same(masking(x, ops.cast(mask, "float32"), 5, 1), arrays["out/float_mask"])
    same(masking(x), arrays["out/no_mask"])


def test_activations():
    _, arrays = load("activations")
    for name in ("gelu_erf", "gelu_tanh", "swish", "leaky_relu"):
        same(getattr(backend, name)(ops.convert_to_tensor(arrays["in/t"])), arrays[f"out/{name}"])


def test_rotary():
    _, arrays = load("apply_rotary_position_embeddings")
    table, batch = arrays["in/sinusoidal"], arrays["in/sinusoidal_batch"]
    t3, t4, u4 = (ops.convert_to_tensor(arrays[f"in/{n}"]) for n in ("t3", "t4", "u4"))
    rotary = backend.apply_rotary_position_embeddings
    same(rotary(ops.convert_to_tensor(table), t3), arrays["out/t3"])
    for actual, name in zip(rotary(ops.convert_to_tensor(table), t4, u4), ("t4", "u4"), strict=True):
        same(actual, arrays[f"out/{name}"])
    same(rotary(ops.convert_to_tensor(batch), t4), arrays["out/t4_batch"])


def test_sinusoids():
    _, arrays = load("sinusoidal_embeddings")
    for name, dim, base in (("dim2", 2, 10000), ("dim8", 8, 10000), ("dim64", 64, 10000), ("dim8_base100", 8, 100)):
        same(backend.sinusoidal_embeddings(arrays["in/pos"], dim, base), arrays[f"out/{name}"])
    _, arrays = load("sinusoidal_initializer")
    same(backend.Sinusoidal()(arrays["out/y"].shape), arrays["out/y"])


def test_small_functions():
    _, arrays = load("batch_gather")
    same(backend.batch_gather(arrays["in/x"], arrays["in/idx"]), arrays["out/y"])
    _, arrays = load("divisible_temporal_padding")
    for n in (2, 5, 10):
        same(backend.divisible_temporal_padding(ops.convert_to_tensor(arrays["in/x"]), n), arrays[f"out/n{n}"])
    _, arrays = load("pool1d")
    x = ops.convert_to_tensor(arrays["in/x"])
    same(backend.pool1d(x, 3), arrays["out/max_3"])
    same(backend.pool1d(x, 2, 2, pool_mode="avg"), arrays["out/avg_2_stride_2"])
    same(backend.pool1d(x, 3, padding="same"), arrays["out/max_3_same"])
    _, arrays = load("root_mean_square")
    same(backend.root_mean_square(arrays["in/x"]), arrays["out/all"])
    same(backend.root_mean_square(arrays["in/x"], -1, True), arrays["out/last_keepdims"])


def test_piecewise_linear():
    info, arrays = load("piecewise_linear")
    for i, schedule in enumerate(info["schedules"]):
        schedule = {int(step): value for step, value in schedule.items()}
        for name, from_zero in (("zero", True), ("nozero", False)):
            same(backend.piecewise_linear(arrays["in/t"], schedule, from_zero), arrays[f"out/{i}_{name}"])


@pytest.mark.parametrize("direction", ["bidirectional", "unidirectional"])
def test_t5_buckets(direction):
    info, arrays = load(f"t5_buckets_{direction}")
    for name, expected in group(arrays, "out/").items():
        _, size, reach = name.split("_")
        actual = bucket(
            ops.convert_to_tensor(arrays["in/distance"].astype("int32")), int(size), int(reach), info["bidirectional"]
        )
        np.testing.assert_array_equal(ops.convert_to_numpy(actual), expected)


def test_multilabel_losses():
    _, arrays = load("multilabel_categorical_crossentropy")
    for name, labels, scores in (
        ("hard", "hard", "y_pred"),
        ("soft", "soft", "y_pred"),
        ("masked", "hard_masked", "y_pred_masked"),
    ):
        same(
            backend.multilabel_categorical_crossentropy(arrays[f"in/{labels}"], arrays[f"in/{scores}"]),
            arrays[f"out/{name}"],
        )
    _, arrays = load("sparse_multilabel_categorical_crossentropy")
    loss = backend.sparse_multilabel_categorical_crossentropy
    same(loss(arrays["in/ids"], arrays["in/y_pred"]), arrays["out/mask_zero_false"])
    same(loss(arrays["in/ids_zero"], arrays["in/y_pred"], True), arrays["out/mask_zero_true"])
    same(loss(arrays["in/ids_masked"], arrays["in/y_pred_masked"], True), arrays["out/mask_zero_true_masked"])
