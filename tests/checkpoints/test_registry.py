"""The table of released packages, and downloads from the Hugging Face hub (a fake one: tests have no network)."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from hub_helpers import FakeHub, fake_hub

import bert4keras2
from bert4keras2.checkpoints import CheckpointNotFoundError, find_checkpoint, from_hub
from bert4keras2.checkpoints.released import advice, find_released, markdown_table, released
from bert4keras2.families.config import OPTIONS, STRUCTURE
from bert4keras2.families.table import FAMILIES, family_of
from bert4keras2.models import build_transformer_model

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "models"


def test_every_row_can_be_built() -> None:
    names = [name for package in released() for name in package.folders]
    assert len(names) == len(set(names)) > 50
    for package in released():
        assert family_of(package.model)[0] in FAMILIES
        assert set(package.options) <= OPTIONS - STRUCTURE
        assert package.project.count("/") == 1 or (package.project == "" and package.hub)
        assert package.hub.count("/") in (0, 1)
    # T5 itself has no Chinese release, unshared blocks are a way to train ALBERT's, and others nobody has released.
    have = {family_of(package.model)[0] for package in released()}
    nobody = {"albert_unshared", "t5.1.0", "t5.1.1", "flash", "fnet", "gmlp", "mlp_mixer", "resmlp"}
    assert set(FAMILIES) - have == nobody


@pytest.mark.parametrize(
    ("folder", "model"),
    [
        ("chinese_L-12_H-768_A-12", "bert"),
        ("/data/models/chinese_roberta_wwm_ext_L-12_H-768_A-12/", "bert"),
        ("chinese_roformer-sim-char-ft_L-6_H-384_A-6", "roformer_sim"),
        ("chinese_roformer-v2-char_L-24_H-1024_A-16 (1)", "roformer_v2"),
        ("chinese_simbert_L-4_H-312_A-12", "simbert"),
        ("chinese_wobert_plus_L-12_H-768_A-12", "bert"),
        ("chinese_t5_pegasus_small", "mt5.1.1"),
        ("NEZHA-Base-WWM", "nezha"),
        ("nezha_large_wwm", "nezha"),
        ("albert_xlarge_zh_google", "albert"),
        ("chinese_electra_base_L-12_H-768_A-12", "electra"),
        ("CPM_LM_2.6B_TF", "gpt2"),
        ("GPT_LCCC-large-tf", "cdial_gpt"),
        ("chinese_GAU-alpha-char_L-24_H-768", "gau_alpha"),
    ],
)
def test_folders_are_known(folder: str, model: str) -> None:
    package = find_released(folder)
    assert package is not None and package.model == model


def test_unknown_folders() -> None:
    assert find_released("my_model") is None and find_released("my_model", close=True) is None
    assert find_released("albert_tiny_zh") is None  # brightmart's, another layout
    assert find_released("albert_tiny_zh", close=True).name == "albert_{tiny,small,base,large,xlarge,xxlarge}_zh_google"
    assert find_released("chinese_roformer-char_L-12_H-768", close=True).model == "roformer"


def test_advice(tmp_path: Path) -> None:
    text = advice("x/chinese_nezha_gpt_L-12_H-768_A-12/gpt.ckpt")
    assert text == (
        " The package chinese_nezha_gpt_L-12_H-768_A-12 is built by model='bert', application='lm', "
        "segment_vocab_size=0."
    )
    folder = tmp_path / "GPT_LCCC-base-tf"
    folder.mkdir()
    assert "model='cdial_gpt'" in advice(folder)
    assert advice(tmp_path / "mine/bert_model.ckpt") == ""
    assert advice(tmp_path / "chinese_roformer-v2_L-6_H-384_A-6/x.ckpt", "roformer_v2") == (
        " chinese_roformer-v2-char_L-6_H-384_A-6, whose name is like this folder's, is built by model='roformer_v2'."
    )


def test_folders_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"package chinese_roformer_L-6_H-384_A-6 is .*nology/roformer:"):
        find_checkpoint(tmp_path / "chinese_roformer_L-6_H384_A6")
    with pytest.raises(CheckpointNotFoundError, match=r"mine' does not exist\. Check the path\."):
        find_checkpoint(tmp_path / "mine")


def test_the_documentation_has_the_table() -> None:
    """Where this fails, replace the table in docs/checkpoints.md by what `markdown_table()` returns."""
    assert markdown_table() in (ROOT / "docs/checkpoints.md").read_text(encoding="utf-8")


# -- the hub -------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    return fake_hub(tmp_path, monkeypatch)


def test_download(hub: FakeHub) -> None:
    folder = bert4keras2.from_hub("junnyu/roformer", revision="v1", cache_dir="here", token="t")
    assert hub.calls == [{"repo_id": "junnyu/roformer", "revision": "v1", "cache_dir": "here", "token": "t"}]
    assert sorted(hub.fetched) == ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
    assert build_transformer_model(folder, return_keras_model=False).config.family == "roformer"
    with pytest.raises(TypeError, match="tokn"):
        from_hub("junnyu/roformer", tokn="t")


def test_pytorch_weights_are_fetched_where_there_are_no_others(hub: FakeHub) -> None:
    torch = pytest.importorskip("torch")
    (hub.folder / "model.safetensors").unlink()
    torch.save({"roformer.embeddings.word_embeddings.weight": torch.ones(2, 2)}, hub.folder / "pytorch_model.bin")
    folder = from_hub("junnyu/roformer")
    assert "pytorch_model.bin" in hub.fetched and len(hub.fetched) == len(set(hub.fetched))
    assert (Path(folder) / "pytorch_model.bin").is_file() and len(hub.calls) == 3


def test_tensorflow_weights_are_fetched(hub: FakeHub) -> None:
    (hub.folder / "model.safetensors").unlink()
    for path in GOLDEN.glob("roformer_encoder/model.ckpt.*"):
        shutil.copy(path, hub.folder / path.name)
    assert build_transformer_model(from_hub("a/b"), return_keras_model=False).config.family == "roformer"
    assert "pytorch_model.bin" not in hub.fetched


def test_repositories_without_a_checkpoint(hub: FakeHub) -> None:
    for name in ("model.safetensors", "pytorch_model.bin"):
        (hub.folder / name).unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"'a/b' holds no checkpoint.*holds no weights"):
        from_hub("a/b")


@pytest.mark.parametrize(
    ("name", "message", "expected"),
    [
        (
            "LocalEntryNotFoundError",
            "no internet\nmore",
            r"offline\? \(LocalEntryNotFoundError: no internet\) In China",
        ),
        ("RepositoryNotFoundError", "404", r"no such repository.*\(RepositoryNotFoundError: 404\)"),
        ("RevisionNotFoundError", "404", r"no such revision"),
        ("GatedRepoError", "403", r"accept terms.*hf auth login"),
        ("ConnectError", "", r"HF_ENDPOINT.*modelscope download.*copy its files into any folder"),
    ],
)
def test_failed_downloads(hub: FakeHub, name: str, message: str, expected: str) -> None:
    hub.error = type(name, (Exception,), {})(message)
    with pytest.raises(CheckpointNotFoundError, match=rf"Cannot download 'a/b'.*{expected}") as caught:
        from_hub("a/b")
    assert caught.value.__cause__ is hub.error


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install huggingface_hub.*into any folder by hand"):
        from_hub("hfl/rbt3")


@pytest.mark.parametrize("name", ["rbt3", "a/b/c", "https://huggingface.co/hfl/rbt3", "", None])
def test_names(name: object) -> None:
    with pytest.raises(ValueError, match="'owner/name', not"):
        from_hub(name)


def test_the_real_package_takes_these_arguments() -> None:
    inspect = pytest.importorskip("inspect")
    huggingface_hub = pytest.importorskip("huggingface_hub")
    taken = set(inspect.signature(huggingface_hub.snapshot_download).parameters)
    assert {"repo_id", "allow_patterns", "ignore_patterns", "revision", "cache_dir"} <= taken


def test_json_of_the_hub_folder_is_a_model(hub: FakeHub) -> None:
    content = json.loads((Path(from_hub("a/b")) / "config.json").read_text())
    assert content["model_type"] == "roformer" and content["torch_dtype"] == "float32"
