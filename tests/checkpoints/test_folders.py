"""Folders as packages were released, whatever their files are called: the folder alone is enough to load them."""

from __future__ import annotations

import fnmatch
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bert4keras2.checkpoints import (
    CheckpointError,
    CheckpointFormatError,
    find_checkpoint,
    open_checkpoint,
    write_tensorflow,
)
from bert4keras2.checkpoints.folder import find_vocabulary
from bert4keras2.checkpoints.names.recognise import layer_count, looks_like
from bert4keras2.families.table import family_of
from bert4keras2.models import build_transformer_model

GOLDEN = Path(__file__).parent.parent / "golden" / "models"
DEFAULT = ("bert_config.json", "bert_model.ckpt", "vocab.txt")
POOLER, SEGMENTS = "bert/pooler/*", "*token_type_embeddings"

# folder, golden case with the weights, (configuration, checkpoint, vocabulary, ...), family, variables left out
PACKAGES = [
    ("chinese_L-12_H-768_A-12", "bert_residual_attention", DEFAULT, "bert", ()),
    ("chinese_roberta_wwm_ext_L-12_H-768_A-12", "bert_residual_attention", DEFAULT, "bert", ("cls/*",)),
    ("mixed_corpus_bert_small_model", "bert_residual_attention", DEFAULT, "bert", ()),
    ("rbt3", "bert_residual_attention", ("bert_config_rbt3.json", "bert_model.ckpt", "vocab.txt"), "bert", ()),
    ("chinese_wobert_plus_L-12_H-768_A-12", "bert_residual_attention", DEFAULT, "bert", (POOLER,)),
    ("chinese_simbert_L-6_H-384_A-12", "bert_embedding_size", DEFAULT, "bert", ()),
    ("chinese_roberta_L-4_H-312_A-12", "bert_embedding_size", DEFAULT, "bert", ()),
    ("chinese_roformer_L-12_H-768_A-12", "roformer_encoder", DEFAULT, "roformer", (POOLER,)),
    ("chinese_roformer-char_L-6_H-384_A-6", "roformer_embedding_size", DEFAULT, "roformer", (POOLER,)),
    ("chinese_roformer-gpt-char_L-12_H-768_A-12", "roformer_encoder", DEFAULT, "roformer", (POOLER,)),
    ("chinese_roformer-sim-char-ft_L-12_H-768_A-12", "roformer_encoder", DEFAULT, "roformer", ()),
    ("chinese_roformer-v2-char_L-6_H-384_A-6", "roformer_v2_encoder", DEFAULT, "roformer_v2", ()),
    ("chinese_roformer-v2-char_L-12_H-768_A-12", "roformer_v2_embedding_size", DEFAULT, "roformer_v2", ()),
    ("chinese_GAU-alpha-char_L-24_H-768", "gau_alpha_encoder", DEFAULT, "gau_alpha", ()),
    ("chinese_t5_pegasus_base", "mt5_1_1", ("config.json", "model.ckpt", "vocab.txt"), "mt5.1.1", ()),
    (
        "mt5_small", "mt5_1_1",
        ("mt5_small_config.json", "model.ckpt-1000000", "sentencepiece.model", "sentencepiece_cn.model"), "mt5.1.1", (),
    ),
    ("t5_1_1_small", "t5_1_1", ("t5_config.json", "model.ckpt-1000000", "spiece.model"), "t5.1.1", ()),
    ("t5_small", "t5_1_0", ("config.json", "model.ckpt-1000000", "sentencepiece.model"), "t5.1.0", ()),
    ("nezha_base", "nezha_encoder", ("bert_config.json", "model.ckpt-900000", "vocab.txt"), "nezha", ()),
    ("nezha_base_wwm", "nezha_encoder", ("bert_config.json", "model.ckpt-691689", "vocab.txt"), "nezha", ()),
    ("nezha_large_wwm", "nezha_encoder", ("bert_config.json", "model.ckpt-346400", "vocab.txt"), "nezha", ()),
    ("nezha_gpt_dialog", "nezha_encoder", ("config.json", "model.ckpt", "vocab.txt"), "nezha", (POOLER,)),
    (
        "albert_tiny_zh_google", "albert_encoder",
        ("albert_config_tiny_g.json", "albert_model.ckpt", "vocab.txt"), "albert", (),
    ),
    ("albert_base_zh_google", "albert_encoder", ("albert_config.json", "albert_model.ckpt", "vocab.txt"), "albert", ()),
    ("albert_base", "albert_encoder", ("albert_config.json", "model.ckpt-best", "vocab_chinese.txt"), "albert", ()),
    (
        "chinese_electra_small_L-12_H-256_A-4", "electra_encoder",
        ("small_discriminator_config.json", "electra_small.ckpt", "vocab.txt"), "electra", (),
    ),
    ("gpt2_ml", "gpt2_ml", ("config.json", "model.ckpt-100000", "vocab.txt"), "gpt2_ml", ()),
    ("CPM_LM_2.6B_TF", "gpt2", ("config.json", "model.ckpt", "chinese_vocab.model"), "gpt2", ()),
    ("GPT", "gpt", ("gpt_config.json", "gpt_model.ckpt", "vocab.txt"), "gpt", ()),
]  # fmt: skip


def package(folder: Path, case: str, files: tuple[str, ...], drop: tuple[str, ...] = ()) -> Path:
    """Make a folder of the files of a golden case, called as in a release."""
    folder.mkdir(parents=True)
    config, checkpoint, *vocabularies = files
    shutil.copy(GOLDEN / case / "config.json", folder / config)
    with open_checkpoint(GOLDEN / case / "model.ckpt") as reader:
        kept = [n for n in reader.names() if not any(fnmatch.fnmatchcase(n, p) for p in (*drop, "*unused_head*"))]
        write_tensorflow(folder / checkpoint, [(name, reader.read(name)) for name in kept])
    (folder / f"{checkpoint}.meta").write_bytes(b"\x0a\x0bgraph")
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{checkpoint}"\n')
    for name in vocabularies:
        (folder / name).write_bytes(b"[PAD]\n[UNK]\n")
    return folder


@pytest.mark.parametrize(("name", "case", "files", "family", "drop"), PACKAGES, ids=[p[0] for p in PACKAGES])
@pytest.mark.filterwarnings("error:.*does not use.*")
def test_released_folder(tmp_path: Path, name: str, case: str, files: tuple, family: str, drop: tuple) -> None:
    folder = package(tmp_path / name, case, files, drop)
    found = find_checkpoint(folder)
    assert Path(found.config_path).name == files[0] and Path(found.checkpoint_path).name == files[1]
    assert {Path(p).name for p in find_vocabulary(folder) if p} == {files[2]}
    transformer = build_transformer_model(folder, return_keras_model=False)
    assert transformer.config.family == family
    # What was loaded is what is in the file.
    layer = transformer.layers["Embedding-Token"]
    with open_checkpoint(folder) as reader:
        stored = next(n for n in reader.names() if n.endswith(("word_embeddings", "word_embed", "shared/embedding")))
        np.testing.assert_array_equal(np.asarray(layer.embeddings), reader.read(stored))


def test_families_are_told_exactly() -> None:
    """Every name that variables point to is one that `model=` takes, and the one that reads them."""
    for path in sorted(GOLDEN.glob("*/model.ckpt.index")):
        family = json.loads(path.with_name("case.json").read_text())["model"]
        with open_checkpoint(path) as reader:
            seen = looks_like(reader.names())
        expected = "roformer" if family == "nezha" else family  # which store the same variables
        assert seen == expected and family_of(seen)[0] == seen, path


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", "t5.1.1"),
        ("encoder.block.0.layer.1.DenseReluDense.wi.weight", "t5.1.0"),
        ("transformer.h.0.attn.c_attn.weight", "gpt2"),
        ("model/h0/attn/c_attn/w", "gpt2"),
        ("electra.encoder.layer.0.attention.self.query.weight", "electra"),
        ("albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight", "albert"),
        ("encoder.layer.0.gau.i_dense.weight", "gau_alpha"),
        ("roformer.encoder.layer.0.attention.self.query.bias", "roformer"),
        ("roformer.encoder.layer.0.attention.self.query.weight", "roformer_v2"),
        ("resnet/conv1", None),
    ],
)
def test_families_by_one_name(name: str, family: str | None) -> None:
    assert looks_like([name]) == family


def test_layers_are_counted() -> None:
    assert layer_count(["bert/encoder/layer_11/output/dense/bias", "bert/encoder/layer_2/x"]) == 12
    assert layer_count(["encoder/block_003/layer_005/x"]) == 4
    assert layer_count(["newslm/layer47/x"]) == 48
    assert layer_count(["transformer.h.5.ln_1.weight"]) == layer_count(["model/h5/ln_1/g"]) == 6
    assert layer_count(["bert/embeddings/word_embeddings"]) == 0


def test_nezha_without_its_keys_is_taken_for_roformer(tmp_path: Path) -> None:
    folder = package(tmp_path / "mine", "nezha_encoder", DEFAULT)
    config = json.loads((folder / "bert_config.json").read_text())
    for key in ("use_relative_position", "max_relative_position"):
        config.pop(key)
    (folder / "bert_config.json").write_text(json.dumps(config))
    assert build_transformer_model(folder, return_keras_model=False).config.family == "roformer"
    assert build_transformer_model(folder, model="nezha", return_keras_model=False).config.family == "nezha"
    with pytest.raises(CheckpointError, match=r"look like model='roformer'.* NEZHA has the same.* model='nezha'"):
        build_transformer_model(folder, model="gpt")


def test_segments_that_a_release_lacks(tmp_path: Path) -> None:
    """NEZHA-GEN and CDial-GPT have no segment embeddings: the error says what to pass."""
    folder = package(
        tmp_path / "chinese_nezha_gpt", "bert_residual_attention", ("config.json", "gpt.ckpt"), (SEGMENTS,)
    )
    with pytest.raises(CheckpointError, match=r"no segment embeddings: pass segment_vocab_size=0, or shared_segment"):
        build_transformer_model(folder, application="lm")
    build_transformer_model(folder, application="lm", segment_vocab_size=0)
    folder = package(tmp_path / "dialog", "gpt", ("gpt_config.json", "gpt_model.ckpt"), (SEGMENTS,))
    with pytest.raises(CheckpointError, match=r"pass segment_vocab_size=0, or model='cdial_gpt'"):
        build_transformer_model(folder)
    assert build_transformer_model(folder, model="cdial_gpt", return_keras_model=False).config.family == "gpt"


def test_the_wrong_model_is_named_with_the_right_one(tmp_path: Path) -> None:
    folder = package(tmp_path / "chinese_roformer-sim-char_L-6_H-384_A-6", "roformer_encoder", DEFAULT)
    with pytest.raises(
        CheckpointError, match=r"chinese_roformer-sim-char_L-6_H-384_A-6 is built by model='roformer_sim'"
    ):
        build_transformer_model(folder, model="gpt2_ml")


def test_brightmart_layout_is_refused_by_name(tmp_path: Path, shared: Path) -> None:
    names = ["bert/embeddings/word_embeddings", "bert/embeddings/word_embeddings_2"]
    with pytest.raises(CheckpointFormatError, match=r"brightmart/albert_zh.*word_embeddings_2.*albert_tiny_zh_google"):
        looks_like(names)
    folder = tmp_path / "albert_tiny_zh"
    folder.mkdir()
    write_tensorflow(folder / "albert_model.ckpt", [(name, np.ones((3, 4), "float32")) for name in names])
    shutil.copy(GOLDEN / "albert_encoder/config.json", folder / "albert_config_tiny.json")
    for arguments in ((folder,), (folder / "albert_config_tiny.json", folder / "albert_model.ckpt", "albert")):
        with pytest.raises(CheckpointFormatError, match="brightmart"):
            build_transformer_model(*arguments)
    layout = shared / "checkpoint_layouts" / "albert_tiny_zh_brightmart"
    if layout.is_dir():
        with (
            open_checkpoint(layout / "albert_model.ckpt", names_only=True) as reader,
            pytest.raises(CheckpointFormatError, match="layer_shared"),
        ):
            looks_like([name for name in reader.names() if "word_embeddings_2" not in name])


def test_openai_gpt2(shared: Path) -> None:
    folder = shared / "checkpoint_layouts" / "gpt2_toy"
    if not folder.is_dir():
        pytest.skip("needs gpt2_toy")
    assert build_transformer_model(folder, return_keras_model=False).config.family == "gpt2"
