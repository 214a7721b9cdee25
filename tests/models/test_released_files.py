"""Files that others wrote: transformers' and those of released packages."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from cases import build, run

from bert4keras2.checkpoints import open_checkpoint
from bert4keras2.checkpoints.loader import table_for
from bert4keras2.checkpoints.names.stored import rooted
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend

# -- Hugging Face ------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    pytest.importorskip("transformers")
    return pytest.importorskip("torch")


HF_INPUTS = {
    "input_ids": np.array([[2, 5, 7, 9, 3, 11], [2, 6, 8, 3, 0, 0]]),
    "token_type_ids": np.array([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0]]),
}
HF_SIZES = {
    "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 20, "layer_norm_eps": 1e-12, "initializer_range": 0.3, "pad_token_id": 0,
}  # fmt: skip


def hf_run(torch, model):
    inputs = {name: torch.tensor(value) for name, value in HF_INPUTS.items()}
    with torch.no_grad():
        return model.eval()(**inputs, attention_mask=inputs["input_ids"] != 0)


def near(ours, theirs, atol=1e-5):
    mask = HF_INPUTS["input_ids"] != 0
    theirs = theirs.numpy()
    pair = (ours[mask], theirs[mask]) if ours.ndim == 3 else (ours, theirs)
    np.testing.assert_allclose(*pair, atol=atol)


def test_hugging_face_reads_what_we_write(torch, tmp_path):
    from transformers import BertConfig, BertForPreTraining, BertModel

    ours = build("bert-encoder", with_nsp=True, with_mlm="linear")
    ours.save_weights_as_checkpoint(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({**BertConfig(**HF_SIZES).to_dict(), "model_type": "bert"}))
    theirs, report = BertForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    # The output matrix is tied to the embeddings.
    assert not [key for key in report["missing_keys"] if "decoder" not in key] and not report["unexpected_keys"]
    result = hf_run(torch, theirs)
    nsp, scores = run(ours.model, list(HF_INPUTS.values()))
    near(nsp, torch.softmax(result.seq_relationship_logits, -1))
    near(scores, result.prediction_logits, atol=3e-5)
    backbone = BertModel.from_pretrained(tmp_path)
    hidden = type(ours.model)(ours.model.inputs, ours.model.get_layer("Transformer-1-FeedForward-Norm").output)
    near(run(hidden, list(HF_INPUTS.values()))[0], hf_run(torch, backbone).last_hidden_state)


@pytest.mark.parametrize("kind", ["Bert", "RoFormer", "BertForMaskedLM", "BertForSequenceClassification"])
def test_we_read_what_hugging_face_writes(torch, tmp_path, kind):
    import transformers

    torch.manual_seed(0)
    family = "RoFormer" if kind == "RoFormer" else "Bert"
    config = getattr(transformers, f"{family}Config")(**HF_SIZES)
    name = f"{kind}Model" if kind == family else kind
    theirs = getattr(transformers, name)(config)
    theirs.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = build_transformer_model(tmp_path)
    core = getattr(theirs, "bert", theirs)
    near(run(ours, list(HF_INPUTS.values()))[0], hf_run(torch, core).last_hidden_state)
    if kind == "Bert":
        pooled = build_transformer_model(tmp_path, with_pool=True)
        near(run(pooled, list(HF_INPUTS.values()))[0], hf_run(torch, core).pooler_output)
    if kind == "BertForMaskedLM":
        scored = build_transformer_model(tmp_path, with_mlm="linear")
        near(run(scored, list(HF_INPUTS.values()))[0], hf_run(torch, theirs).logits, atol=3e-5)


# -- released files ----------------------------------------------------------------------------------------------

LAYOUTS = ["bert_uncased_L8_H512", "rbt3", "bert_base_trimmed_vocab", "google_bert_toy", "chinese_bert_wwm"]


def expected_shapes(config, reader):
    """Return {name in the checkpoint: shape} for a BERT of given sizes, from a model one wide: no weights of that size.

    A tiny model has the same variables; its sizes are put back by what they stand for.
    """
    layers = config["num_hidden_layers"]
    sizes = {
        101: config["vocab_size"],
        103: config["hidden_size"],
        107: config["intermediate_size"],
        109: config["max_position_embeddings"],
        3: config["type_vocab_size"],
    }
    tiny = build_transformer_model(
        vocab_size=101, hidden_size=103, intermediate_size=107, max_position=109, segment_vocab_size=3,
        num_attention_heads=103, num_hidden_layers=layers, with_pool=True, with_nsp=True, with_mlm=True,
        return_keras_model=False,
    )  # fmt: skip
    bindings = tiny._bindings("tensorflow", None)
    assert len(bindings) == len(tiny.model.weights), "each variable of the model has a name"
    shapes = {}
    for binding in bindings:
        name = next((n for n in rooted(binding.place.names, "") if n in reader), binding.place.names[0])
        shape = [sizes.get(size, size) for size in binding.variable.shape]
        shapes[name] = shape[::-1] if binding.place.transpose else shape
    return shapes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_released_layouts(shared, layout):
    folder = shared / "checkpoint_layouts" / layout
    if not folder.is_dir():
        pytest.skip(f"needs {layout}")
    config = json.loads(next(folder.glob("*config*.json")).read_text())
    with open_checkpoint(next(folder.glob("*.index")).with_suffix(""), names_only=True) as reader:
        expected = expected_shapes(config, reader)
        table = table_for("bert", "tensorflow")
        stored = {name: list(reader.shape(name)) for name in reader.names()}
        # A release may leave out a head, but then all of it.
        heads = [
            h
            for h in ("bert/pooler/", "cls/seq_relationship/", "cls/predictions/")
            if not any(n.startswith(h) for n in stored)
        ]
        for name in expected:
            assert name.startswith(tuple(heads)) or stored.get(name) == expected[name], name
        left = set(stored) - set(expected)
        assert all(table.silent(name) for name in left), left


def test_google_toy(shared):
    folder = shared / "checkpoint_layouts" / "google_bert_toy"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = build_transformer_model(folder, with_nsp=True, with_mlm=True)
    nsp, scores = run(model, [np.array([[1, 2, 3, 4]]), np.array([[0, 0, 1, 1]])])
    np.testing.assert_allclose(nsp.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-4)


@pytest.mark.slow
def test_real_sentence_encoder(shared):
    """A pre-trained encoder by its folder: texts that mean the same are nearer than others."""
    pytest.importorskip("sentencepiece")
    from bert4keras2.tokenizers import SpTokenizer

    folder = shared / "checkpoints" / "me5_small_zh"
    model = build_transformer_model(folder, segment_vocab_size=0)
    tokenizer = SpTokenizer(str(folder / "sentencepiece.model"), token_start="<s>", token_end="</s>")
    vectors = []
    for text in ("今天天气很好", "今天是个晴天", "如何申请退款"):
        ids = tokenizer.encode(f"query: {text}")[0]
        vector = run(model, [np.array([ids])])[0][0].mean(0)
        vectors.append(vector / np.linalg.norm(vector))
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.03
