"""Hugging Face folders without transformers: names of the public ports and of old files, clear errors."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from huggingface_helpers import TINY, arrays, build, equal, tiny, values

from bert4keras2.checkpoints import CheckpointMismatchError, write_safetensors, write_tensorflow
from bert4keras2.checkpoints.names.recognise import looks_like
from bert4keras2.families.table import guess_family
from bert4keras2.models import FAMILIES

pytestmark = pytest.mark.backend

# -- names -----------------------------------------------------------------------------------------------------------

LAYER = "encoder.layer.0."
BLOCK = [
    "attention.output.dense",
    "attention.self.key",
    "attention.self.query",
    "attention.self.value",
    "intermediate.dense",
    "output.dense",
]
NORMS = ["attention.output.LayerNorm", "output.LayerNorm"]
# What the public PyTorch ports have besides layer 1, with all heads.
PORTS = {
    "nezha": (
        {"with_nsp": True, "with_mlm": True},
        [
            "nezha.embeddings.word_embeddings.weight",
            "nezha.embeddings.token_type_embeddings.weight",
            "nezha.embeddings.LayerNorm.weight",
            "nezha.embeddings.LayerNorm.bias",
            *(f"nezha.{LAYER}{name}.{kind}" for name in BLOCK + NORMS for kind in ("weight", "bias")),
            "nezha.pooler.dense.weight",
            "nezha.pooler.dense.bias",
            "cls.predictions.bias",
            "cls.predictions.transform.dense.weight",
            "cls.predictions.transform.dense.bias",
            "cls.predictions.transform.LayerNorm.weight",
            "cls.predictions.transform.LayerNorm.bias",
            "cls.seq_relationship.weight",
            "cls.seq_relationship.bias",
        ],
    ),
    # Its normalization has no weights, and its scores are made by the token embeddings alone.
    "roformer_v2": (
        {"with_mlm": True},
        [
            "roformer.embeddings.word_embeddings.weight",
            "roformer.embeddings.token_type_embeddings.weight",
            *(f"roformer.{LAYER}{name}.weight" for name in BLOCK),
        ],
    ),
    "gau_alpha": (
        {"with_mlm": True, "attention_key_size": 8},
        [
            "gau_alpha.embeddings.word_embeddings.weight",
            "gau_alpha.embeddings.token_type_embeddings.weight",
            f"gau_alpha.{LAYER}gau.i_dense.weight",
            f"gau_alpha.{LAYER}gau.o_dense.weight",
            f"gau_alpha.{LAYER}gau.q_scaleoffset.weight",
            f"gau_alpha.{LAYER}gau.k_scaleoffset.weight",
        ],
    ),
}


@pytest.mark.parametrize("family", PORTS)
def test_names_of_ports(family, tmp_path):
    options, expected = PORTS[family]
    first = tiny(family, **options)
    first.save_pretrained(tmp_path)
    assert sorted(name for name in arrays(tmp_path) if ".layer.1." not in name) == sorted(expected)
    file = json.loads((tmp_path / "config.json").read_text())
    assert guess_family(file) == family
    equal(values(first), values(build(tmp_path, **options)))


def test_configurations_of_ports():
    """What their config.json files say is enough; RoFormerV2's tells itself from the first by its normalization."""
    file = {**TINY, "model_type": "roformer", "norm_type": "rms_norm", "use_bias": False, "hidden_act": "relu"}
    assert build(file).config.family == "roformer_v2"
    assert build({**TINY, "model_type": "roformer", "norm_type": "layer_norm"}).config.family == "roformer"
    file = {**TINY, "model_type": "gau_alpha", "attention_key_size": 8, "hidden_act": "swish", "use_bias": False}
    del file["num_attention_heads"]  # which the port's file does not have
    config = build({**file, "normalization": "softmax_plus", "attention_scale": True}).config
    assert (config.family, config.key_size, config.normalization) == ("gau_alpha", 8, "softmax_plus")


def test_every_normalization_has_a_name():
    """None may stay at its initial values because a table forgot it."""
    for family, preset in FAMILIES.items():
        stacked = preset.get("stack") == "seq2seq"
        heads = {} if stacked else {"with_nsp": True, "with_mlm": True}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            transformer = build(TINY, model=family, **heads)
        norms = [path for path in values(transformer) if path.endswith(("/gamma", "/beta"))]
        assert norms or family == "roformer_v2", family
        for source in ("tensorflow", "huggingface"):
            try:
                known = {binding.path for binding in transformer._bindings(source, None)}
            except CheckpointMismatchError:
                only = ("ernie", "xlm_roberta", "fairseq_roberta") if source == "tensorflow" else ("gpt", "gpt2_ml")
                assert family in only
                continue
            lost = [path for path in norms if path not in known]
            assert not lost, (family, source, lost)


def test_unmatched_normalization(tmp_path):
    """Names of normalizations that are not known are an error, not weights that stay as they were."""
    tiny("bert").save_pretrained(tmp_path)
    stored = arrays(tmp_path)
    renamed = {name.replace("LayerNorm.weight", "LayerNorm.scale"): array for name, array in stored.items()}
    write_safetensors(tmp_path / "model.safetensors", renamed.items())
    with pytest.raises(CheckpointMismatchError) as caught:
        build(tmp_path)
    assert "bert.encoder.layer.1.output.LayerNorm.weight (for Transformer-1-FeedForward-Norm/gamma)" in str(
        caught.value
    )
    assert "LayerNorm.scale" in str(caught.value)


@pytest.mark.filterwarnings("error:.*does not use.*")
def test_old_names(tmp_path):
    """gamma and beta, and what old files repeat: tied matrices, tables of positions, masks."""
    first = tiny("bert", with_mlm=True)
    first.save_pretrained(tmp_path / "bert")
    stored = arrays(tmp_path / "bert")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in stored.items()
    }
    old["bert.embeddings.position_ids"] = np.arange(20)[None]
    old["cls.predictions.decoder.weight"] = stored["bert.embeddings.word_embeddings.weight"]
    old["cls.predictions.decoder.bias"] = old.pop("cls.predictions.bias")
    write_safetensors(tmp_path / "bert" / "model.safetensors", old.items())
    equal(values(first), values(build(tmp_path / "bert", with_mlm=True)))

    first = tiny("gpt2")
    first.save_pretrained(tmp_path / "gpt2")
    old = {name.removeprefix("transformer."): array for name, array in arrays(tmp_path / "gpt2").items()}
    old |= {"h.0.attn.bias": np.ones((1, 1, 20, 20), "float32"), "h.0.attn.masked_bias": np.zeros((), "float32")}
    old["lm_head.weight"] = old["wte.weight"]
    write_safetensors(tmp_path / "gpt2" / "model.safetensors", old.items())
    equal(values(first), values(build(tmp_path / "gpt2")))

    first = tiny("t5.1.0", cross_position_bias=False)
    first.save_pretrained(tmp_path / "t5")
    old = arrays(tmp_path / "t5")
    for name in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"):
        old[name] = old["shared.weight"]
    write_safetensors(tmp_path / "t5" / "model.safetensors", old.items())
    equal(values(first), values(build(tmp_path / "t5")))
    del old["shared.weight"], old["lm_head.weight"]
    write_safetensors(tmp_path / "t5" / "model.safetensors", old.items())
    equal(values(first), values(build(tmp_path / "t5")))


def test_albert_unshared_from_albert(tmp_path):
    """Blocks that go their own ways start from the one of a folder with ALBERT."""
    shared = tiny("albert")
    shared.save_pretrained(tmp_path)
    own = values(build(tmp_path, model="albert_unshared"))
    for path, array in values(shared).items():
        for index in range(2):
            np.testing.assert_array_equal(own[path.replace("Transformer-", f"Transformer-{index}-")], array)


# -- several variables in one array ----------------------------------------------------------------------------------


def openai(transformer) -> dict[str, np.ndarray]:
    """Return the arrays of a GPT-2 as OpenAI's files have them."""
    v = values(transformer)
    stored = {"model/wte": v["Embedding-Token/embeddings"], "model/wpe": v["Embedding-Position/embeddings"]}
    stored |= {"model/ln_f/g": v["Output-Norm/gamma"], "model/ln_f/b": v["Output-Norm/beta"]}
    for i in range(2):
        attention, feed, h = f"Transformer-{i}-MultiHeadSelfAttention", f"Transformer-{i}-FeedForward", f"model/h{i}"
        qkv = [f"{attention}/{x}_dense" for x in "qkv"]
        stored[f"{h}/attn/c_attn/w"] = np.concatenate([v[f"{x}/kernel"] for x in qkv], 1)[None]
        stored[f"{h}/attn/c_attn/b"] = np.concatenate([v[f"{x}/bias"] for x in qkv])
        for place, path in (("attn/c_proj", f"{attention}/o"), ("mlp/c_fc", f"{feed}/i0"), ("mlp/c_proj", f"{feed}/o")):
            stored |= {f"{h}/{place}/w": v[f"{path}_dense/kernel"][None], f"{h}/{place}/b": v[f"{path}_dense/bias"]}
        for place, path in (("ln_1", attention), ("ln_2", feed)):
            stored |= {f"{h}/{place}/g": v[f"{path}-Norm/gamma"], f"{h}/{place}/b": v[f"{path}-Norm/beta"]}
    return stored


@pytest.mark.filterwarnings("error:.*does not use.*")
def test_openai_layout(tmp_path):
    """OpenAI's TensorFlow files of GPT-2 are read; what is written keeps the usual names."""
    first = tiny("gpt2")
    write_tensorflow(tmp_path / "model.ckpt", openai(first).items())
    hparams = {"n_vocab": 40, "n_ctx": 20, "n_embd": 16, "n_head": 2, "n_layer": 2, "n_inner": 24}
    (tmp_path / "hparams.json").write_text(json.dumps(hparams))
    assert looks_like(list(openai(first))) == "gpt2"
    second = build(tmp_path)
    equal(values(first), values(second))
    second.save_weights_as_checkpoint(tmp_path / "again" / "model.ckpt")
    names = set(arrays(tmp_path / "again" / "model.ckpt"))
    assert "gpt/transformer/layer_0/attention/self/query/kernel" in names
    assert not any(name.startswith("model/") for name in names)


@pytest.mark.filterwarnings("error:.*does not use.*")
def test_openai_file(shared):
    """A checkpoint as OpenAI's code writes it."""
    folder = shared / "checkpoint_layouts" / "gpt2_toy"
    found, stored = values(build(folder)), arrays(folder / "model.ckpt")
    for k, x in enumerate("qkv"):
        kernel = stored["model/h2/attn/c_attn/w"][0, :, 15 * k : 15 * (k + 1)]
        np.testing.assert_array_equal(found[f"Transformer-2-MultiHeadSelfAttention/{x}_dense/kernel"], kernel)
    np.testing.assert_array_equal(found["Transformer-1-FeedForward/o_dense/kernel"], stored["model/h1/mlp/c_proj/w"][0])
    np.testing.assert_array_equal(found["Output-Norm/gamma"], stored["model/ln_f/g"])


def test_shapes_of_parts(tmp_path):
    """The error names the stored array and its shape, once."""
    tiny("gpt2").save_pretrained(tmp_path)
    stored = arrays(tmp_path)
    for width in (45, 47):
        stored["transformer.h.0.attn.c_attn.weight"] = np.zeros((16, width), "float32")
        write_safetensors(tmp_path / "model.safetensors", stored.items())
        with pytest.raises(CheckpointMismatchError) as caught:
            build(tmp_path)
        expected = f"transformer.h.0.attn.c_attn.weight: [16, {width}] in the file, [16, 16] in the model (part 1 of 3"
        assert expected in str(caught.value) and str(caught.value).count("c_attn") == 1
    del stored["transformer.h.1.attn.c_attn.bias"], stored["transformer.h.0.attn.c_attn.weight"]
    write_safetensors(tmp_path / "model.safetensors", stored.items())
    with pytest.raises(CheckpointMismatchError) as caught:
        build(tmp_path)
    assert "transformer.h.1.attn.c_attn.bias (for Transformer-1-MultiHeadSelfAttention/q_dense/bias)" in str(
        caught.value
    )


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "family"),
    [
        ("num_hidden_groups", 2, "albert"),
        ("inner_group_num", 2, "albert"),
        ("rotary_value", True, "roformer"),
        ("position_embedding_type", "relative_key", "bert"),
        ("scale_attn_by_inverse_layer_idx", True, "gpt2"),
    ],
)
def test_models_that_are_not_built(key, value, family):
    with pytest.raises(ValueError, match=f"{key}: {value!r}.*not built"):
        build({**TINY, "model_type": family, key: value})


def test_models_without_a_layout(tmp_path):
    with pytest.raises(ValueError, match="no Hugging Face layout for the family 'gpt2_ml'"):
        tiny("gpt2_ml").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no name in Hugging Face"):
        tiny("bert", hidden_act=["gelu", "linear"]).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="decoder alone"):
        tiny("t5.1.1_decoder").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no place for Embedding-Mapping/kernel"):
        tiny("gpt2", embedding_size=8).save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_warnings_of_differences(tmp_path):
    with pytest.warns(UserWarning, match="cannot say residual_attention_scores, application='unilm'"):
        tiny("bert", application="unilm", residual_attention_scores=True).save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="without position biases"):
        tiny("t5.1.1").save_pretrained(tmp_path)
