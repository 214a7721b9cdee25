"""attention_maps: the weights that layers used, by name, and their entropies."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import BASE, build, randomize

from bert4keras2.models import attention_maps, build_transformer_model

pytestmark = pytest.mark.backend
IDS = np.array([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]])


@pytest.mark.parametrize(
    "name", ["bert-lm", *(pytest.param(n, marks=pytest.mark.breadth) for n in ("gau_alpha-encoder", "albert-unilm"))]
)
def test_maps_are_what_the_layers_use(name):
    transformer = build(name)
    config = transformer.config
    maps = attention_maps(transformer.model, IDS)
    assert len(maps.weights) == config.num_hidden_layers
    kind = "GatedAttentionUnit" if config.block == "gau" else "MultiHeadSelfAttention"
    assert next(iter(maps.weights)) == ("Transformer-" if config.share_blocks else "Transformer-0-") + kind
    heads = 1 if config.block == "gau" else 2
    for weights, entropy in zip(maps.weights.values(), maps.entropies.values(), strict=True):
        assert weights.shape == (2, heads, 5, 5) and entropy.shape == (2, heads)
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
        assert np.abs(weights[1, :, :3, 3:]).max() < 1e-9  # padding
        rows = weights[1, :, :3]
        expected = -(rows * np.log(np.maximum(rows, 1e-30))).sum(-1).mean(-1)
        np.testing.assert_allclose(entropy[1], expected, rtol=1e-4)
        if config.application == "lm":
            assert np.abs(np.triu(weights[0, 0], 1)).max() < 1e-9
    assert maps.real.tolist() == (IDS > 0).tolist()


@pytest.mark.breadth
def test_weights_give_the_output_of_a_layer():
    """Values mixed by the map are what the next projection sees: taken apart by hand for one layer."""
    transformer = build("bert-encoder", num_hidden_layers=1)
    model = transformer.model
    layer = model.get_layer("Transformer-0-MultiHeadSelfAttention")
    before = keras.Model(model.inputs, [layer.input[0] if isinstance(layer.input, list) else layer.input, layer.output])
    x, out = (keras.ops.convert_to_numpy(t) for t in before([keras.ops.convert_to_tensor(a) for a in (IDS, 0 * IDS)]))
    weights = attention_maps(model, [IDS, 0 * IDS]).weights[layer.name]
    by_name = {w.path.split(f"{layer.name}/")[-1]: keras.ops.convert_to_numpy(w) for w in layer.weights}
    values = (x @ by_name["v_dense/kernel"] + by_name["v_dense/bias"]).reshape(2, 5, 2, 8)
    mixed = np.einsum("bhts,bshd->bthd", weights, values).reshape(2, 5, 16)
    np.testing.assert_allclose(mixed @ by_name["o_dense/kernel"] + by_name["o_dense/bias"], out, atol=1e-5)


@pytest.mark.breadth
def test_two_stacks_and_models_on_top():
    maps = attention_maps(build("t5.1.0"), [IDS, IDS[:, :3]])
    shapes = {name.split("-", 2)[0] + name[-15:]: w.shape for name, w in maps.weights.items()}
    assert sorted(set(shapes.values())) == [(2, 2, 3, 3), (2, 2, 3, 5), (2, 2, 5, 5)]
    base = build("bert-encoder")
    top = keras.Model(base.model.inputs, keras.layers.Dense(2)(base.model.output))
    assert list(attention_maps(top, IDS).weights) == list(attention_maps(base, IDS).weights)


@pytest.mark.breadth
def test_flash_is_shown_as_pairs():
    options = {**BASE, "attention_key_size": 4, "chunk_size": 2, "model": "flash", "application": "lm"}
    model = build_transformer_model(**options)
    randomize(model)
    weights = attention_maps(model, IDS).weights["Transformer-0-GatedAttentionUnit"]
    assert weights.shape == (2, 1, 5, 5) and np.abs(np.triu(weights[0, 0], 1)).max() == 0
    assert np.abs(weights[1, 0, :, 3:]).max() == 0 and np.abs(weights[0, 0, 4, :4]).max() > 0


def test_what_is_missing_is_said():
    with pytest.raises(TypeError, match="no transformer in this Sequential"):
        attention_maps(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]), IDS)
    with pytest.raises(ValueError, match=r"takes batches: token ids \(B, T\)"):
        attention_maps(build("bert-encoder"), [IDS[0]])
    with pytest.raises(ValueError, match="needs Decoder-Input-Token too"):
        attention_maps(build("t5.1.0"), IDS)
