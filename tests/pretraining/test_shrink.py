"""Smaller models from larger ones: what is kept computes what it computed."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2 import build_transformer_model, load_tokenizer
from bert4keras2.pretraining.shrink import shrink
from bert4keras2.pretraining.shrink_settings import ShrinkSettings
from bert4keras2.shrink import main
from bert4keras2.tokenizers import save_vocab


@pytest.fixture(scope="module")
def source(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("source")
    tokens = [*tokenizer.ids_to_tokens(range(tokenizer.vocab_size)), "罕", "见"]
    sizes = {"vocab_size": len(tokens), "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 32, "max_position": 64}
    build_transformer_model(sizes, with_mlm=True, return_keras_model=False).save_pretrained(folder)
    save_vocab(folder / "vocab.txt", {token: index for index, token in enumerate(tokens)})
    return folder


def scores(folder, texts):
    tokenizer = load_tokenizer(folder)
    ids, segments = tokenizer.encode_batch(texts)
    model = build_transformer_model(folder, with_mlm=True)
    return tokenizer, ids, model.predict([ids, segments], verbose=0)


def test_the_vocabulary(source, corpus, tmp_path):
    done = shrink(
        ShrinkSettings.make(
            {
                "source": str(source),
                "output": str(tmp_path / "s"),
                "corpus": [str(corpus)],
                "vocab_size": 90,
                "progress": False,
            }
        )
    )
    assert done.parameters[1] < done.parameters[0] and 0.9 < done.coverage <= 1
    texts = ["老师研究天气预报。", "小明喜欢苹果和香蕉。"]
    (old, old_ids, before), (new, new_ids, after) = (scores(path, texts) for path in (source, tmp_path / "s"))
    assert new.vocab_size <= 90 and new.token_to_id("罕") == new.unk_id
    assert [old.ids_to_tokens(row) for row in old_ids] == [new.ids_to_tokens(row) for row in new_ids]
    columns = [old.token_to_id(new.id_to_token(index)) for index in range(new.vocab_size)]
    picked = before[..., columns]
    # The same scores, before the softmax over fewer tokens.
    np.testing.assert_allclose(after, picked / picked.sum(-1, keepdims=True), atol=1e-5)


def test_blocks(source, tmp_path):
    shrink(ShrinkSettings.make({"source": str(source), "output": str(tmp_path / "s"), "blocks": [2, 0]}))
    whole, cut = (build_transformer_model(path, return_keras_model=False) for path in (source, tmp_path / "s"))
    assert cut.config.num_hidden_layers == 2
    for new, old in ((0, 2), (1, 0)):
        for part in ("MultiHeadSelfAttention", "FeedForward", "FeedForward-Norm"):
            pair = (
                model.layers[f"Transformer-{index}-{part}"].get_weights() for model, index in ((cut, new), (whole, old))
            )
            assert all((a == b).all() for a, b in zip(*pair, strict=True))


def test_width(source, tmp_path, capsys):
    arguments = [
        "--source",
        str(source),
        "--output",
        str(tmp_path / "s"),
        "--hidden-size",
        "8",
        "--intermediate-size",
        "16",
    ]
    assert main(arguments) == 0
    assert "parameters" in capsys.readouterr().out
    assert build_transformer_model(tmp_path / "s").output.shape[-1] == 8


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "nothing is to be cut"),
        ({"vocab_size": 5}, "belong together"),
        ({"blocks": [0, 0]}, "different numbers"),
        ({"blocks": [3]}, "blocks 0 to 2, and no 3"),
        ({"vocab_size": 4, "corpus": True}, "no room"),
    ],
)
def test_what_cannot_be_cut(values, words, source, corpus, tmp_path):
    values = {**values, **({"corpus": [str(corpus)]} if "corpus" in values else {}), "progress": False}
    with pytest.raises(ValueError, match=words):
        shrink(ShrinkSettings.make({"source": str(source), "output": str(tmp_path / "s"), **values}))
