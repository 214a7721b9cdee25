"""Folders of sentence-transformers: vectors are what modules.json says, computed here in NumPy from the states."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.checkpoints.formats.safetensors import write_safetensors
from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.errors import CheckpointFormatError, CheckpointMismatchError
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import Tokenizer, save_vocab

pytestmark = pytest.mark.backend
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys("今天气很好我们去公园玩吧")]
TINY = {
    "vocab_size": len(TOKENS),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
}
TEXTS = ["今天天气很好", "好", "我们去公园玩吧"]
MODES = {
    "cls_token": lambda x: x[0],
    "max_tokens": lambda x: x.max(0),
    "mean_tokens": lambda x: x.mean(0),
    "mean_sqrt_len_tokens": lambda x: x.sum(0) / len(x) ** 0.5,
    "weightedmean_tokens": lambda x: np.arange(1, len(x) + 1) @ x / np.arange(1, len(x) + 1).sum(),
    "lasttoken": lambda x: x[-1],
}
DENSE = {"in_features": 16, "out_features": 5, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with a model and a vocabulary, and the states (T, C) of each text without padding."""
    folder = tmp_path_factory.mktemp("encoder")
    keras.utils.set_random_seed(0)
    bert = build_transformer_model(TINY, return_keras_model=False)
    bert.save_pretrained(folder)
    vocabulary = {token: i for i, token in enumerate(TOKENS)}
    save_vocab(folder / "vocab.txt", vocabulary)
    states = []
    for text in TEXTS:
        arrays = [ops.convert_to_tensor([row], "int32") for row in Tokenizer(vocabulary).encode(text)]
        states.append(ops.convert_to_numpy(bert.model(arrays))[0])
    return folder, states


def write(folder, kinds, **said):
    """Write modules.json of kinds, and config.json of those that have something to say."""
    rows = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]
    for i, kind in enumerate(kinds, 1):
        rows.append({"idx": i, "path": f"{i}_{kind}", "type": f"sentence_transformers.models.{kind}"})
        if kind in said:
            (folder / f"{i}_{kind}").mkdir(exist_ok=True)
            (folder / f"{i}_{kind}" / "config.json").write_text(json.dumps(said[kind]))
    (folder / "modules.json").write_text(json.dumps(rows[::-1]))  # idx counts, not the order


def pooling(*modes):
    return {f"pooling_mode_{mode}": mode in modes for mode in MODES}


@pytest.fixture
def folder(source, tmp_path):
    import shutil

    shutil.copytree(source[0], tmp_path / "copy")
    return tmp_path / "copy"


def test_poolings(source, folder):
    """All modes one behind the other, one by itself; a call's own pooling wins, and modules=False."""
    write(folder, ["Pooling"], Pooling=pooling(*MODES))
    found = SentenceEncoder.load(folder).encode(TEXTS)
    expected = np.stack([np.concatenate([mode(x) for mode in MODES.values()]) for x in source[1]])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    write(folder, ["Pooling"], Pooling=pooling("cls_token"))
    first = np.stack([x[0] for x in source[1]])
    np.testing.assert_allclose(SentenceEncoder.load(folder).encode(TEXTS), first, atol=1e-5)
    highest = np.stack([x.max(0) for x in source[1]])
    np.testing.assert_allclose(SentenceEncoder.load(folder, pooling="max").encode(TEXTS), highest, atol=1e-5)
    mean = np.stack([x.mean(0) for x in source[1]])
    np.testing.assert_allclose(SentenceEncoder.load(folder, modules=False).encode(TEXTS), mean, atol=1e-5)


def test_dense_and_normalize(source, folder):
    random = np.random.RandomState(0)
    kernel, bias = random.randn(5, 16).astype("float32"), random.randn(5).astype("float32")
    write(folder, ["Pooling", "Dense", "Normalize"], Pooling={"pooling_mode": "cls"}, Dense=DENSE)
    write_safetensors(folder / "2_Dense/model.safetensors", [("linear.weight", kernel), ("linear.bias", bias)])
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 512, "do_lower_case": false}')
    prompts = {"prompts": {"query": "我们", "": ""}, "default_prompt_name": None}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    encoder = SentenceEncoder.load(folder)
    expected = np.tanh(np.stack([x[0] for x in source[1]]) @ kernel.T + bias)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert encoder.maxlen == 128, "the file says 512, the model knows 128 positions"
    np.testing.assert_allclose(encoder.encode("去公园", prompt="query"), encoder.encode("我们去公园"), atol=1e-6)
    with pytest.raises(ValueError, match="prompt is one of 'query'.*not 'querry'; did you mean 'query'"):
        encoder.encode("好", prompt="querry")
    # What is saved is the same again, a whitening among it.
    encoder.fit_whitening(["".join(random.choice(list("今天气好公园"), 4)) for _ in range(20)], k=3)
    encoder.save(folder.parent / "again")
    np.testing.assert_allclose(
        SentenceEncoder.load(folder.parent / "again").encode(TEXTS), encoder.encode(TEXTS), atol=2e-5
    )


def test_what_cannot_be(folder):
    cases = [
        (["Pooling", "Router"], {"Pooling": pooling("cls_token")}, "a module 'Router', which SentenceEncoder does not"),
        (["Normalize"], {}, "has no Pooling"),
        (["Pooling"], {"Pooling": {"pooling_mode_median_tokens": True}}, "not 'pooling_mode_median_tokens'"),
        (["Transformer", "Pooling"], {"Pooling": pooling("cls_token")}, "expected one Transformer first"),
        (["Pooling", "Dense"], {"Pooling": pooling("cls_token"), "Dense": {"activation_function": "a.PReLU"}}, "PReLU"),
    ]
    for kinds, said, message in cases:
        write(folder, kinds, **said)
        with pytest.raises(CheckpointFormatError, match=message):
            SentenceEncoder.load(folder)
    write(folder, ["Pooling", "Dense"], Pooling=pooling("cls_token"), Dense={**DENSE, "out_features": 7})
    write_safetensors(folder / "2_Dense/model.safetensors", [("linear.weight", np.zeros((5, 16), "float32"))])
    with pytest.raises(
        CheckpointMismatchError, match=r"linear.weight \(7, 16\).*the weights are linear.weight \(5, 16\)"
    ):
        SentenceEncoder.load(folder)
    (folder / "modules.json").write_text('[{"idx": 0, "path": "../elsewhere", "type": "a.Transformer"}]')
    with pytest.raises(CheckpointFormatError, match="outside of its folder"):
        SentenceEncoder.load(folder)
    (folder / "modules.json").write_text("{")
    with pytest.raises(CheckpointFormatError, match="no list of modules"):
        SentenceEncoder.load(folder)
