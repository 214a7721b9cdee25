"""A hub without a network: one repository, served from a folder, under whatever name it is asked for."""

from __future__ import annotations

import fnmatch
import shutil
import sys
import types
from pathlib import Path

import pytest

from bert4keras2.checkpoints import convert

GOLDEN = Path(__file__).parents[1] / "golden" / "models"


class FakeHub(types.ModuleType):
    """Serves one repository from a folder, and notes what it was asked for."""

    def __init__(self, folder: Path, target: Path) -> None:
        super().__init__("huggingface_hub")
        self.folder, self.target, self.calls, self.fetched, self.error = folder, target, [], [], None

    def snapshot_download(self, repo_id, allow_patterns, ignore_patterns, revision=None, cache_dir=None, token=None):
        self.calls.append({"repo_id": repo_id, "revision": revision, "cache_dir": cache_dir, "token": token})
        if self.error is not None:
            raise self.error
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder).as_posix()
            wanted = any(fnmatch.fnmatch(name, p) for p in allow_patterns)
            if path.is_file() and wanted and not any(fnmatch.fnmatch(name, p) for p in ignore_patterns):
                self.fetched.append(name)
                (self.target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, self.target / name)
        return str(self.target)


def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """Put a hub in the place of huggingface_hub which holds a small RoFormer and files that nobody needs."""
    repository = tmp_path / "repository"
    convert(GOLDEN / "roformer_encoder", repository, model="roformer")
    for name, text in {
        "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "tokenizer_config.json": "{}", "README.md": "# Read me",
        "flax_model.msgpack": "x", "tf_model.h5": "x", "onnx/model.onnx": "x",
        "pytorch_model.bin": "not fetched", "model.fp16.safetensors": "x",
        "onnx/config.json": "{}", "training_args.bin": "x",
    }.items():  # fmt: skip
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(text)
    (tmp_path / "cache").mkdir()
    fake = FakeHub(repository, tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return fake
