"""Names instead of paths: what is loaded, what is downloaded, and what is said about the rest."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hub_helpers import FakeHub, fake_hub

from bert4keras2 import Generator, SentenceEncoder, build_transformer_model, load_tokenizer
from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.families.config import read_config

LOADERS = {
    "build_transformer_model": build_transformer_model,
    "load_tokenizer": load_tokenizer,
    "SentenceEncoder.load": SentenceEncoder.load,
    "Generator.load": Generator.load,
}
CHINA = "HF_ENDPOINT=https://hf-mirror.com.*modelscope download"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    return fake_hub(tmp_path, monkeypatch)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hfl/chinese-roberta-wwm-ext", f"no file or folder.*pip install huggingface_hub.*{CHINA}"),
        ("bert-base-chinese", f"'google-bert/bert-base-chinese'.*pip install huggingface_hub.*{CHINA}"),
        (
            "chinese_roberta_wwm_ext_L-12_H-768_A-12",
            "published at github.com/ymcui/Chinese-BERT-wwm.*path of its folder.*pass 'hfl/chinese-roberta-wwm-ext'",
        ),
        ("roformer_v2", r"a family of models.*FOLDER, model='roformer_v2'\).*github.com/ZhuiyiTechnology/roformer-v2"),
        ("chinese_roberta_wwm_ext", "Did you mean 'hfl/chinese-roberta-wwm-ext'?"),
        ("bert-base-chinesse", "Did you mean 'google-bert/bert-base-chinese'?"),
        ("roformer-v3", r"Did you mean 'roformer_v2'\?"),
        ("my_model", "Check the path.*'owner/name'"),
        ("", "no file or folder"),
    ],
)
def test_names_that_lead_nowhere(loader, name, words, empty, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError, match=f"(?s){words}"):
        LOADERS[loader](name)


@pytest.mark.parametrize("name", ["hfl/rbt3", "bert-base-chinese", "roformer_v2"])
def test_classes_take_models(name):
    with pytest.raises(TypeError, match=rf"Generator\.load\(FOLDER, application='lm'\) in short, not '{name}'"):
        Generator(name)
    with pytest.raises(TypeError, match=rf"SentenceEncoder\.load\('{name}'\)"):
        SentenceEncoder(name, None)


def test_what_exists_comes_first(empty, hub):
    """A folder of the same name as a repository, a family or a package is that folder; nothing is downloaded."""
    for name in ("hfl/rbt3", "bert-base-chinese", "roformer_v2"):
        (empty / name).mkdir(parents=True)
        assert resolve(name) == name
    for name in ("x.ckpt.index", "y.ckpt.data-00000-of-00002"):
        (empty / name).touch()
        assert resolve(name[:6]) == name[:6]
    assert hub.calls == []


def test_home(empty, monkeypatch):
    monkeypatch.setenv("HOME", str(empty))
    monkeypatch.setenv("USERPROFILE", str(empty))
    (empty / "bert").mkdir()
    assert resolve("~/bert") == str(empty / "bert")


def test_names_are_downloaded(empty, hub):
    """A model by its name alone, with or without its owner; a tokenizer without the weights."""
    assert read_config(f"{resolve('junnyu/roformer')}/config.json")["model_type"] == "roformer"
    assert hub.calls[-1]["repo_id"] == "junnyu/roformer" and "model.safetensors" in hub.fetched
    model = build_transformer_model("bert-base-chinese", return_keras_model=False)
    assert model.config.family == "roformer" and hub.calls[-1]["repo_id"] == "google-bert/bert-base-chinese"
    hub.fetched.clear()
    load_tokenizer("bert-base-chinese")
    assert "vocab.txt" in hub.fetched and "model.safetensors" not in hub.fetched
    hub.calls.clear()
    SentenceEncoder.load("a/b", maxlen=8)
    assert [call["repo_id"] for call in hub.calls] == ["a/b"]


def test_paths_are_not_downloaded(empty, hub):
    """Nothing is asked of the network about what can only be a path."""
    (empty / "models").mkdir()
    (empty / "models/bert_base").mkdir()
    names = [
        "models/bert_bas",
        "a/b/c",
        "./a/b",
        "/nowhere/a",
        "a/config.json",
        "a/bert_model.ckpt",
        "../a",
        "a/",
        "~/b",
    ]
    for name in [*names, Path("a/b")]:
        with pytest.raises(FileNotFoundError):
            resolve(name)
    assert hub.calls == []
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'models[\\/]bert_base'\?"):
        resolve("models/bert_bas")
    (empty / "bert_config.json").touch()
    with pytest.raises(FileNotFoundError, match=r"no configuration file 'bertconfig.json'. Did you mean 'bert_con"):
        build_transformer_model("bertconfig.json")


def test_mistyped_repositories(empty, hub):
    hub.error = type("RepositoryNotFoundError", (Exception,), {})("404")
    with pytest.raises(
        FileNotFoundError, match="(?s)no file or folder.*no such repository.*Did you mean 'hfl/chinese-roberta-wwm-ext'"
    ):
        resolve("hfl/chinese-roberta-wwm-exx")


def test_modules_of_sentence_transformers_are_fetched(empty, hub):
    """What comes after the model stands in sub-folders, of which no other is wanted."""
    rows = [{"path": ""}, {"path": "1_Pooling"}, {"path": "../out"}]
    (hub.folder / "modules.json").write_text(json.dumps(rows))
    (hub.folder / "1_Pooling").mkdir()
    (hub.folder / "1_Pooling" / "config.json").write_text("{}")
    folder = resolve("a/b")
    assert "1_Pooling/config.json" in hub.fetched and not [name for name in hub.fetched if name.startswith("onnx")]
    assert (Path(folder) / "1_Pooling" / "config.json").is_file()
