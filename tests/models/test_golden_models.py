"""Models agree with the recorded outputs of the reference, weights loaded from its checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import Model, set_gelu
from bert4keras2.models import build_transformer_model

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:.*does not use.*")]
FOLDER = Path(__file__).parent.parent / "golden" / "models"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/case.json"))
TOLERANCE = 1e-5
# How far recorded numbers of T5 are from exact arithmetic (tests/golden/rounding.py): no other float32 implementation
# can be asked to come closer to them than that, once for each of the two.
ROUNDING = json.loads((FOLDER / "rounding.json").read_text())
# Recorded defects of the reference (docs/migrating.md); what is right is tested below.
DEFECTS = {"bert_shared_segment_zero": "segment id 0 in the shared table masked its position"}


def arguments(info) -> dict:
    kwargs = dict(info["kwargs"])
    if "compound_tokens" in kwargs:
        kwargs["compound_tokens"] = [
            (entry["ids"], entry["weights"]) if isinstance(entry, dict) else entry
            for entry in kwargs["compound_tokens"]
        ]
    return kwargs


def read(path) -> dict[str, np.ndarray]:
    with np.load(path) as data:
        return {name: data[name] for name in data}


def build(case: str):
    """Return the case's description, its model with all weights set, and the transformer."""
    folder = FOLDER / case
    info = json.loads((folder / "case.json").read_text())
    kwargs = arguments(info)
    if "layer_norm_cond_dim" in info:
        condition = keras.Input((info["layer_norm_cond_dim"],), name="Input-Condition")
        kwargs.update(layer_norm_cond=condition, additional_input_layers=condition)
    set_gelu(info["gelu"])
    try:
        transformer = build_transformer_model(
            folder / "config.json",
            folder / info["checkpoint"],
            model=info["model"],
            application=info["application"],
            return_keras_model=False,
            **kwargs,
        )
    finally:
        set_gelu("erf")
    if "extra_weights" in info:
        for path, value in read(folder / info["extra_weights"]).items():
            find(transformer, path).assign(value)
    return folder, info, transformer


def find(transformer, path: str):
    layer, *inner = path.split("/")
    owner = transformer.layers[transformer.prefixed(layer)]
    for name in inner:
        owner = getattr(owner, name)
    return owner


def output_of(model, name: str):
    """Return the symbolic output of a layer; "name@k" is the k-th call of a layer that is called several times."""
    layer, _, call = name.partition("@")
    if not call:
        return model.get_layer(layer).output
    return model.get_layer(layer)._inbound_nodes[int(call)].output_tensors[0]


def check(name, actual, expected, masks, rounding=0.0):
    """Compare at real positions: any leading axes that fit a mask are picked by it."""
    actual = ops.convert_to_numpy(actual)
    for mask in masks:
        if actual.shape[:2] == mask.shape and actual.ndim > 2:
            actual, expected = actual[mask.astype(bool)], expected[mask.astype(bool)]
            break
    np.testing.assert_allclose(actual, expected, atol=TOLERANCE + 2 * rounding, rtol=0, err_msg=name)


@pytest.mark.parametrize("case", [case for case in CASES if case not in DEFECTS])
def test_model(case):
    folder, info, transformer = build(case)
    model = transformer.model
    assert [tensor.name for tensor in model.inputs] == info["inputs"]
    if "head" in info:
        x = model.get_layer("Transformer-1-FeedForward-Norm").output[:, 0]
        weights = read(folder / info["head"]["weights"])
        dense = keras.layers.Dense(info["head"]["units"], activation=info["head"]["activation"])
        outputs = [dense(x)]
        dense.set_weights([weights[name] for name in sorted(weights, key=lambda n: "bias" in n)])
    else:
        outputs = list(model.outputs)
        assert [tensor._keras_history.operation.name for tensor in outputs] == info["outputs"]
    inner = [output_of(model, name) for name in info["layers"]]
    inputs, expected = read(folder / "inputs.npz"), read(folder / "outputs.npz")
    masks = [inputs[name] for name in info["masks"]]
    whole = Model(model.inputs, [*outputs, *[x[0] if isinstance(x, list | tuple) else x for x in inner]])
    results = whole([ops.convert_to_tensor(inputs[name]) for name in info["inputs"]])
    results = results if isinstance(results, list | tuple) else [results]
    names = [f"output_{i}" for i in range(len(outputs))] + [f"layer/{name}" for name in info["layers"]]
    for name, result in zip(names, results, strict=True):
        check(name, result, expected[name], masks, ROUNDING.get(case, {}).get(name, 0.0))
    if "expected_weights" in info:
        for path, value in read(folder / info["expected_weights"]).items():
            np.testing.assert_allclose(ops.convert_to_numpy(find(transformer, path)), value, atol=1e-6, err_msg=path)


def test_shared_segments_do_not_mask():
    """A segment id 0 inside the text hides nothing: the same numbers as a segment table of its own with equal rows."""
    folder, info, shared = build("bert_shared_segment_zero")
    inputs, recorded = read(folder / "inputs.npz"), read(folder / "outputs.npz")
    own = build_transformer_model(
        folder / "config.json",
        folder / info["checkpoint"],
        segment_vocab_size=shared.config.vocab_size,
        ignore_invalid_weights=True,
        return_keras_model=False,
    )
    own.layers["Embedding-Segment"].embeddings.assign(shared.layers["Embedding-Token"].embeddings)
    arrays = [inputs[name] for name in info["inputs"]]
    actual = ops.convert_to_numpy(shared.model(arrays))
    mask = inputs["mask"].astype(bool)
    np.testing.assert_allclose(actual[mask], ops.convert_to_numpy(own.model(arrays))[mask], atol=TOLERANCE)
    assert np.abs(actual - recorded["output_0"])[mask].max() > 0.1
