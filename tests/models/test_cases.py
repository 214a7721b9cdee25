"""What every model must do, whatever its family, application and options; driven by the table in tests/cases.py."""

from __future__ import annotations

import functools
import re

import keras
import numpy as np
import pytest
from cases import CASES, LENGTH, batch, build, randomize, real, run, step
from keras import ops
from precision import allowed, distance, policy, round_weights

from bert4keras2.backend import Model
from bert4keras2.backend import keras as script_keras
from bert4keras2.layers import GlobalAveragePooling1D

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:Released .* checkpoints hold no pooler")]
each_case = pytest.mark.parametrize("name", CASES)
# For tests that leave the model as it is; the others build their own.
built = functools.cache(build)


def at_real(output: np.ndarray, rows: int = 3, length: int = LENGTH) -> np.ndarray:
    """Return an output at the positions that are no padding; a vector per row as it is."""
    return output[:, :length][real(length, rows)] if output.ndim == 3 else output


@each_case
def test_forward(name):
    transformer = built(name)
    config, outputs = transformer.config, run(transformer.model, batch(transformer))
    tokens = config.with_mlm or config.application == "unilm"
    assert len(outputs) == len(transformer.outputs) == (2 if tokens and (config.with_pool or config.with_nsp) else 1)
    for output, symbolic in zip(outputs, transformer.outputs, strict=True):
        assert len(output.shape) == len(symbolic.shape) and output.shape[-1] == symbolic.shape[-1]
        assert np.isfinite(output).all() and output.std() > 0
        linear = "linear" in (config.with_mlm, config.final_activation)
        if re.search("Activation|Output-LM", symbolic._keras_history.operation.name) and not linear:
            np.testing.assert_allclose(output.sum(-1), 1, atol=1e-5)


@each_case
def test_step_changes_all_weights(name):
    """One step from random weights changes each of them; a row of nothing but padding leaves all numbers finite."""
    transformer = build(name)
    model, arrays = transformer.model, batch(transformer)
    for key, array in arrays.items():
        array[-1] = transformer.config.pad_id if key == "Input-Token" else 0
    before = {v.path: ops.convert_to_numpy(v).copy() for v in model.trainable_weights}
    outputs = run(model, arrays)
    assert all(np.isfinite(output).all() for output in outputs)
    targets = [np.random.RandomState(3).standard_normal(output.shape) for output in outputs]
    assert np.isfinite(step(model, arrays, keras.optimizers.Adam(1e-2), targets))
    assert [v.path for v in model.trainable_weights if np.array_equal(before[v.path], ops.convert_to_numpy(v))] == []
    assert all(np.isfinite(ops.convert_to_numpy(v)).all() for v in model.weights)


@pytest.mark.breadth  # what is in the file does not depend on the backend
@each_case
def test_keras_file(name, tmp_path):
    transformer = built(name)
    arrays = batch(transformer)
    transformer.model.save(tmp_path / "model.keras")
    loaded = script_keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, Model) and [t.name for t in loaded.inputs] == list(arrays)
    for before, after in zip(run(transformer.model, arrays), run(loaded, arrays), strict=True):
        np.testing.assert_array_equal(before, after)


@each_case
def test_padding_changes_nothing(name):
    transformer = built(name)
    arrays = batch(transformer)
    pads = {"Input-Token": transformer.config.pad_id}
    longer = {
        k: np.pad(a, [[0, 0], [0, 4]], constant_values=pads.get(k, 0)) if a.dtype == "int32" else a
        for k, a in arrays.items()
    }
    for short, long in zip(run(transformer.model, arrays), run(transformer.model, longer), strict=True):
        np.testing.assert_allclose(at_real(short), at_real(long), atol=1e-5)


@each_case
def test_the_mask_flows_to_the_end(name):
    """Layers that scripts put on the last hidden states see which positions are padding, and no others hidden."""
    transformer = built(name)
    hidden = transformer.hidden_states[-1]
    pooled = GlobalAveragePooling1D()(keras.layers.Dropout(0.1)(hidden))
    states, means = run(Model(transformer.model.inputs, [hidden, pooled]), batch(transformer))
    for row, mean, mask in zip(states, means, real(), strict=True):
        np.testing.assert_allclose(mean, row[mask].mean(0), atol=1e-5)


@pytest.mark.parametrize(
    "name",
    ["bert-heads", "bert-conditional", "bert-positions", "roformer-unilm", "roformer_v2-lm", "albert-heads"]
    + ["nezha-heads", "electra-discriminator", "gau_alpha-heads", "gpt-lm", "gpt2-lm", "gpt2_ml-lm", "t5.1.1"],
)
def test_prefix_puts_two_models_in_one(name):
    first, second = built(name), build(name, prefix="Other-")
    randomize(second.model, seed=5)
    both = Model([*first.model.inputs, *second.model.inputs], [*first.outputs, *second.outputs])
    arrays = [*batch(first).values(), *batch(second, seed=2).values()]
    expected = run(first.model, batch(first)) + run(second.model, batch(second, seed=2))
    for actual, wanted in zip(run(both, arrays), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, atol=1e-6)
    assert all(name.startswith("Other-") for name in second.layers)
    assert len({v.path for v in both.weights}) == len(both.weights)


@each_case
def test_bfloat16(name):
    keras.utils.set_random_seed(7)
    exact = build(name, initializer_range=0.02)
    with policy("mixed_bfloat16"):
        half = build(name, initializer_range=0.02)
    for mine, other in zip(half.model.weights, exact.model.weights, strict=True):
        mine.assign(other)
    arrays = batch(exact)
    wanted = run(exact.model, arrays)
    round_weights(exact.model)
    actual, rounded = run(half.model, arrays), run(exact.model, arrays)
    least = max(distance(at_real(a), at_real(b)) for a, b in zip(rounded, wanted, strict=True))
    for a, b in zip(actual, wanted, strict=True):
        assert distance(at_real(a), at_real(b)) <= allowed(least)
    ends = "Activation|Proba|Prediction|Output-LM"
    softmaxes = [t for t in half.outputs if re.search(ends, t._keras_history.operation.name)]
    assert all(t.dtype == "float32" for t in softmaxes)
    if not softmaxes:
        assert half.outputs[0].dtype == "bfloat16"


@pytest.mark.parametrize("name", ["bert-heads", "roformer-lm", "nezha-heads", "gau_alpha-heads", "t5.1.1"])
def test_what_half_precision_leaves_in_float32(name, monkeypatch):
    """Softmax, moments of normalization and angles are computed in float32: bounds on outputs could not tell."""
    with policy("mixed_bfloat16"):
        transformer = build(name)
    seen: dict[str, set[str]] = {}

    def watch(owner, name, key=None):
        original = getattr(owner, name)

        def watched(x, *args, **kwargs):
            seen.setdefault(key or name, set()).add(keras.backend.standardize_dtype(x.dtype))
            return original(x, *args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    for function in ("softmax", "rsqrt", "sin"):
        watch(ops, function)
    if keras.backend.backend() == "torch":  # whose own functions compute the moments
        import torch

        for norm in ("layer_norm", "rms_norm"):
            watch(torch.nn.functional, norm, "rsqrt")
    run(transformer.model, batch(transformer))
    assert seen.pop("rsqrt") == {"float32"}
    rotary = transformer.config.position == "rotary"
    assert seen.pop("sin", set()) == ({"float32"} if rotary else set())
    fused = keras.backend.backend() == "torch" and name not in ("nezha-heads", "gau_alpha-heads")
    assert seen.pop("softmax", {"float32"} if fused else None) == {"float32"}


@each_case
def test_whole_floats_are_ids(name):
    transformer = built(name)
    arrays = batch(transformer)
    floats = {name: array.astype("float32") for name, array in arrays.items()}
    for whole, other in zip(run(transformer.model, arrays), run(transformer.model, floats), strict=True):
        np.testing.assert_array_equal(whole, other)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.get("application") == "lm"])
def test_lm_does_not_look_ahead(name):
    keras.utils.set_random_seed(3)  # how far a token moves the later ones depends on the weights drawn
    transformer = build(name)
    arrays = batch(transformer, rows=1)
    before = run(transformer.model, arrays)[0]
    for at in (1, 4, LENGTH - 1):
        changed = {k: a.copy() for k, a in arrays.items()}
        changed["Input-Token"][:, at] = changed["Input-Token"][:, at] % 30 + 1
        after = run(transformer.model, changed)[0]
        np.testing.assert_allclose(after[:, :at], before[:, :at], atol=1e-6)
        assert all(np.abs(after[:, i] - before[:, i]).max() > 1e-4 for i in range(at, LENGTH))


UNILM = [name for name, case in CASES.items() if case.get("application") == "unilm" or name == "simbert"]


@pytest.mark.parametrize("name", UNILM)
def test_unilm_source_does_not_see_target(name):
    transformer = built(name)
    arrays = batch(transformer, rows=1)
    before, source = run(transformer.model, arrays)[-1], LENGTH // 2

    def moved(at):
        changed = {k: a.copy() for k, a in arrays.items()}
        changed["Input-Token"][:, at] = changed["Input-Token"][:, at] % 30 + 1
        return [i for i, d in enumerate(np.abs(run(transformer.model, changed)[-1] - before)[0].max(-1)) if d > 1e-5]

    assert moved(0) == moved(source - 1) == list(range(LENGTH)), "the source is seen by all"
    assert moved(source) == list(range(source, LENGTH)), "a target token is seen from itself on"
    assert moved(LENGTH - 1) == [LENGTH - 1]


def test_compiled_model_comes_back_compiled(tmp_path):
    from bert4keras2.optimizers import Adam

    transformer = build("bert-encoder", num_hidden_layers=1)
    model, x = transformer.model, list(batch(transformer).values())
    y = np.zeros((3, LENGTH, 16))
    model.compile(
        Adam(1e-3, weight_decay_rate=0.01, exclude_from_weight_decay=["Norm", "bias"]), "mse", metrics=["mae"]
    )
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = script_keras.models.load_model(tmp_path / "model.keras")
    assert loaded.compiled and loaded.optimizer.exclude_from_weight_decay == ["Norm", "bias"]
    np.testing.assert_allclose(loaded.train_on_batch(x, y), model.train_on_batch(x, y), atol=1e-6)
    np.testing.assert_allclose(run(loaded, x)[0], run(model, x)[0], atol=1e-5)
