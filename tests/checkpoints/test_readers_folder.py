"""Finding configuration, weights and vocabulary in folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bert4keras2.checkpoints import (
    AmbiguousCheckpointError,
    CheckpointFormatError,
    CheckpointNotFoundError,
    find_checkpoint,
    open_checkpoint,
    write_safetensors,
)
from bert4keras2.checkpoints.folder import find_weights

CONFIG = {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 10}


@pytest.fixture
def package(tmp_path: Path, golden: Path) -> Path:
    """A folder as released: configuration, TensorFlow checkpoint, vocabulary."""
    for file in golden.glob("models/bert_encoder/model.ckpt*"):
        shutil.copy(file, tmp_path / file.name.replace("model.ckpt", "some_model.ckpt-900000"))
    (tmp_path / "bert_config_rbt3.json").write_text(json.dumps(CONFIG))
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    return tmp_path


def _names(folder: Path) -> tuple[str | None, ...]:
    found = find_checkpoint(folder)
    paths = (found.config_path, found.checkpoint_path, found.vocab_path, found.sentencepiece_path)
    assert all(path is None or Path(path).parent == folder for path in paths)
    return (*(path and Path(path).name for path in paths), found.format)


def test_a_tensorflow_package(package: Path) -> None:
    expected = ("bert_config_rbt3.json", "some_model.ckpt-900000", "vocab.txt", None, "tensorflow")
    assert _names(package) == expected
    # What else lies in such folders does not matter.
    for name in ("tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "modules.json"):
        (package / name).write_text(json.dumps(CONFIG))
    for name in ("preprocessor_config.json", "adapter_config.json", "model.safetensors.index.json", "tokenizer.json"):
        (package / name).write_text("{}")
    (package / "checkpoint").write_text('model_checkpoint_path: "some_model.ckpt-900000"\n')
    (package / "some_model.ckpt-900000.meta").write_bytes(b"\x0a\x0bgraph")
    (package / "training_args.bin").write_bytes(b"PK\x03\x04 not a zip file")
    (package / "README.md").write_text("# Read me")
    (package / ".gitattributes").write_text("*.bin filter=lfs")
    assert _names(package) == expected
    with open_checkpoint(find_checkpoint(str(package)).checkpoint_path) as reader:
        assert len(reader) == 58


def test_the_better_format_is_preferred(package: Path, golden: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"v": torch.ones(1)}, package / "pytorch_model.bin")
    shutil.copy(golden / "models/bert_with_mlm/model.weights", package / "best_model.weights")
    assert _names(package)[-1] == "tensorflow"
    write_safetensors(package / "model.safetensors", [("v", np.ones(1))])
    assert _names(package)[1::3] == ("model.safetensors", "safetensors")
    (package / "model.safetensors").unlink()
    for file in package.glob("some_model*"):
        file.unlink()
    assert _names(package)[1::3] == ("pytorch_model.bin", "torch")
    for file in golden.glob("models/bert_dropout_head/best_model.weights.*"):
        shutil.copy(file, package / file.name.replace("best_model", "tf_keras"))
    (package / "pytorch_model.bin").unlink()
    assert _names(package)[1::3] == ("tf_keras.weights", "tensorflow_objects")
    for file in package.glob("tf_keras*"):
        file.unlink()
    assert _names(package)[1::3] == ("best_model.weights", "keras2_hdf5")


def test_a_sharded_package_counts_as_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    for part in "12":
        write_safetensors(tmp_path / f"model-{part}-of-2.safetensors", [(part, np.ones(1))])
    weight_map = {part: f"model-{part}-of-2.safetensors" for part in "12"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (tmp_path / "spiece.model").write_bytes(b"\x0a")
    expected = ("config.json", "model.safetensors.index.json", None, "spiece.model", "safetensors")
    assert _names(tmp_path) == expected
    with open_checkpoint(tmp_path) as reader:
        assert set(reader.names()) == {"1", "2"}


def test_configurations_are_told_by_their_content(package: Path) -> None:
    (package / "config.json").write_text(json.dumps(CONFIG, indent=4))  # the same settings under a second name
    (package / "my_config.json").write_text('{"max_seq_length": 128}')
    (package / "labels.json").write_text("[1, 2]")
    assert _names(package)[0] == "bert_config_rbt3.json"
    (package / "config.json").write_text(json.dumps(CONFIG | {"hidden_size": 64}))
    with pytest.raises(AmbiguousCheckpointError, match=r"configuration.*bert_config_rbt3.*config\.json.*Pass the path"):
        find_checkpoint(package)
    (package / "config.json").unlink()
    (package / "bert_config_rbt3.json").rename(package / "hyper.json")
    assert _names(package)[0] == "hyper.json"
    (package / "hyper.json").unlink()
    assert _names(package)[0] == "my_config.json"  # by its name, where no content tells more


def test_ambiguous_folders_list_the_candidates(package: Path) -> None:
    for file in package.glob("some_model*"):
        shutil.copy(file, package / file.name.replace("900000", "950000"))
    with pytest.raises(AmbiguousCheckpointError, match=r"checkpoint.*-900000.*-950000.*Pass the path"):
        find_checkpoint(package)
    for file in package.glob("*950000*"):
        file.unlink()
    (package / "vocab.txt").rename(package / "vocab_a.txt")
    assert _names(package)[2] == "vocab_a.txt"
    (package / "vocab_b.txt").write_text("b")
    with pytest.raises(AmbiguousCheckpointError, match=r"vocabulary.*vocab_a\.txt.*vocab_b\.txt"):
        find_checkpoint(package)


def test_incomplete_folders_say_what_was_looked_for(package: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (package / "bert_config_rbt3.json").unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"no configuration.*Looked for.*hidden_size.*found.*vocab\.txt"):
        find_checkpoint(package)
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(CheckpointNotFoundError, match=r"no weights.*Looked for.*safetensors.*no files"):
        find_checkpoint(empty)
    shutil.copytree(package, empty / "inner")
    with pytest.raises(CheckpointNotFoundError, match=r"Sub-folders are not searched.*inner"):
        find_checkpoint(empty)
    with pytest.raises(CheckpointNotFoundError, match="does not exist"):
        find_checkpoint(empty / "nowhere")
    with pytest.raises(CheckpointNotFoundError, match="is a file"):
        find_checkpoint(package / "vocab.txt")


def test_impostors_are_reported_only_when_nothing_better_is_there(package: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (package / "model.safetensors").write_text(pointer)
    assert _names(package)[-1] == "tensorflow"
    for file in package.glob("some_model*"):
        file.unlink()
    with pytest.raises(CheckpointFormatError, match=r"model\.safetensors.*git lfs pull"):
        find_weights(package)
    (package / "model.safetensors").unlink()
    (package / "chinese_L-12.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointFormatError, match=r"chinese_L-12\.zip.*Unpack"):
        find_weights(package)


LAYOUTS = {
    "albert_tiny_zh_brightmart": ("albert_config_tiny.json", "albert_model.ckpt", None, 31),
    "albert_tiny_zh_google": ("albert_config_tiny_g.json", "albert_model.ckpt", None, 97),
    "bert_base_trimmed_vocab": ("bert_config.json", "bert_model.ckpt", "vocab.txt", 202),
    "bert_uncased_L8_H512": ("bert_config.json", "bert_model.ckpt", "vocab.txt", 142),
    "chinese_bert_wwm": ("bert_config.json", "bert_model.ckpt", None, 207),
    "google_bert_toy": ("bert_config.json", "bert_model.ckpt", "vocab.txt", 139),
    "gpt2_toy": ("hparams.json", "model.ckpt", None, 40),
    "rbt3": ("bert_config_rbt3.json", "bert_model.ckpt", None, 70),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_released_layouts(shared: Path, name: str) -> None:
    folder = shared / "checkpoint_layouts" / name
    if not folder.is_dir():
        pytest.skip("needs the released layouts")
    config, weights, vocab, count = LAYOUTS[name]
    assert _names(folder) == (config, weights, vocab, None, "tensorflow")
    path = find_checkpoint(folder).checkpoint_path
    with open_checkpoint(path, names_only=True) as reader:
        assert len(reader) == count
    if not name.endswith("toy"):
        with pytest.raises(CheckpointNotFoundError, match="download is incomplete"):
            open_checkpoint(path)


def test_a_real_safetensors_package(shared: Path) -> None:
    folder = shared / "checkpoints/me5_small_zh"
    if not folder.is_dir():
        pytest.skip("needs the real checkpoint")
    assert _names(folder) == ("config.json", "model.safetensors", None, "sentencepiece.model", "safetensors")
    with open_checkpoint(folder) as reader:
        assert reader.dtype("embeddings.word_embeddings.weight") == "float16"
        assert reader.read("embeddings.word_embeddings.weight").shape == (26213, 384)
