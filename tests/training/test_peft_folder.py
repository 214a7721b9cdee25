"""Folders of peft: written and read again, read as peft writes them, and what they hold against the formula."""

from __future__ import annotations

import json

import numpy as np
import pytest
from by_hand import said
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.checkpoints.formats.safetensors import SafetensorsReader, write_safetensors
from bert4keras2.models import build_transformer_model
from bert4keras2.training import load_peft, lora, merge_lora, save_peft

pytestmark = pytest.mark.backend
SIZES = {"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
X = [np.array([[2, 5, 6, 7, 3]]), np.zeros((1, 5), int)]
QUERY = "base_model.model.encoder.layer.1.attention.self.query.lora_"


def build(**options):
    set_seed(2)
    bert = build_transformer_model(SIZES, **options)
    return keras.models.Model(bert.inputs, keras.layers.Dense(2, name="head")(bert.output[:, 0]))


def test_what_is_written_is_read(tmp_path):
    model = build()
    lora(model, 3, 6.0, ["Transformer-1-.*q_dense", "FeedForward/o_dense"])
    for path, variable in {v.path: v for v in model.variables if "lora_kernel_b" in v.path}.items():
        variable.assign(np.random.default_rng(len(path)).normal(size=variable.shape))
    expected = said(model, X)
    save_peft(model, tmp_path, "a/name")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["peft_type"]) == (3, 6, "LORA")
    # "output.dense" would mean attention's too, and the other block has no matrices beside its query.
    assert config["target_modules"] == [
        "encoder.layer.0.output.dense",
        "encoder.layer.1.attention.self.query",
        "encoder.layer.1.output.dense",
    ]
    layer = next(part for part in model.layers if part.name == "Transformer-1-MultiHeadSelfAttention").q_dense
    with SafetensorsReader(str(tmp_path / "adapter_model.safetensors")) as reader:
        a, b = reader.read(f"{QUERY}A.weight"), reader.read(f"{QUERY}B.weight")
        assert len(list(reader.names())) == 6
    # peft: x W' + alpha / r * (x A') B', with matrices as PyTorch stores them.
    product = ops.convert_to_numpy(ops.matmul(layer.lora_kernel_a, layer.lora_kernel_b))
    np.testing.assert_allclose((b @ a).T, product, atol=1e-5)
    other = build()
    load_peft(other, tmp_path)
    np.testing.assert_allclose(said(other, X), expected, atol=1e-5)
    merge_lora(other)
    save_peft(other, tmp_path / "again", task_type="SEQ_CLS")
    with SafetensorsReader(str(tmp_path / "again" / "adapter_model.safetensors")) as reader:
        assert f"{QUERY}A.weight".replace("model.enc", "model.bert.enc") in list(reader.names())


def write(folder, arrays, **config):
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4, **config}))
    write_safetensors(folder / "adapter_model.safetensors", arrays.items())


def test_as_peft_writes_it(tmp_path):
    """Square-root scales, ranks by pattern, names below a class with a head; and matrices that q, k and v share."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 8)).astype("float32"), random.normal(size=(8, 2)).astype("float32")
    name = "base_model.model.bert.encoder.layer.1.attention.self.query.lora_"
    write(tmp_path, {f"{name}A.weight": a, f"{name}B.weight": b}, use_rslora=True)
    model, plain = build(), build()
    share = load_peft(model, tmp_path)
    assert share.learning == 2 * 16 + 18
    kernel = plain.get_layer("Transformer-1-MultiHeadSelfAttention").q_dense.kernel
    kernel.assign(ops.convert_to_numpy(kernel) + 4 / np.sqrt(2) * (b @ a).T)
    np.testing.assert_allclose(said(model, X), said(plain, X), atol=1e-5)
    wide = random.normal(size=(24, 2)).astype("float32")
    gpt = build_transformer_model(SIZES, model="gpt2", return_keras_model=False)
    name = "base_model.model.transformer.h.0.attn.c_attn.lora_"
    write(tmp_path, {f"{name}A.weight": a, f"{name}B.weight": wide}, fan_in_fan_out=True)
    load_peft(gpt.model, tmp_path)
    attention = gpt.layers["Transformer-0-MultiHeadSelfAttention"]
    np.testing.assert_array_equal(ops.convert_to_numpy(attention.k_dense.lora_kernel_b), wide.T[:, 8:16])
    with pytest.raises(ValueError, match="and others in one.*merge_lora"):
        save_peft(gpt.model, tmp_path / "no")


def test_what_is_wrong(tmp_path):
    a = np.zeros((2, 8), "float32")
    model = build()
    with pytest.raises(ValueError, match="has no LoRA matrices"):
        save_peft(model, tmp_path)
    with pytest.raises(FileNotFoundError):
        load_peft(model, tmp_path / "nowhere")
    for arrays, config, words in (
        ({f"{QUERY}A.weight": a}, {"peft_type": "IA3"}, "peft_type 'IA3'"),
        ({f"{QUERY}A.weight": a}, {"use_dora": True}, "use_dora=True"),
        ({f"{QUERY}A.weight": a}, {}, "encoder.layer.1.attention.self.query"),
        ({f"{QUERY}A.weight".replace("query", "quarry"): a, f"{QUERY}B.weight": a.T}, {}, "quarry"),
        ({f"{QUERY}A.weight": a[:, :4], f"{QUERY}B.weight": a.T}, {}, "is it of another checkpoint"),
    ):
        write(tmp_path, arrays, **config)
        with pytest.raises(ValueError, match=words):
            load_peft(model, tmp_path)
    assert not any("lora" in v.path for v in model.variables)
