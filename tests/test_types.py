"""What a type checker tells a user's script about the package."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bert4keras2

SCRIPT = """\
import bert4keras2
from bert4keras2 import Generator, Tokenizer, build_transformer_model, load_tokenizer

reveal_type(build_transformer_model)
reveal_type(Tokenizer("vocab.txt"))
reveal_type(load_tokenizer("folder"))
reveal_type(load_tokenizer("folder").encode("text"))
reveal_type(Generator(build_transformer_model("folder"), load_tokenizer("folder")))
reveal_type(bert4keras2.models.build_transformer_model("folder", progress=True))
reveal_type(bert4keras2.SentenceEncoder.load("folder"))
build_transformer_model("folder", application=1)
Tokenizer(3)
Generator(None, maxlen="long")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> tuple[Path, Path]:
    """An environment with a copy of the package and nothing else: its Python and its site-packages."""
    folder = tmp_path_factory.mktemp("types")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(where, check=True, capture_output=True, text=True, timeout=60).stdout.strip())
    source = Path(bert4keras2.__file__).parent
    shutil.copytree(source, packages / "bert4keras2", ignore=shutil.ignore_patterns("__pycache__"))
    return python, packages


def check(site: tuple[Path, Path], folder: Path) -> list[str]:
    """Return what mypy says of the script, a line each; of the package itself it says nothing."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("needs mypy")
    (folder / "script.py").write_text(SCRIPT)
    cache = folder / "cache"
    options = ["--config-file=", "--follow-imports=silent", "--ignore-missing-imports", f"--cache-dir={cache}"]
    command = [sys.executable, "-m", "mypy", *options, "--python-executable", str(site[0]), "script.py"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("script.py")]


def test_a_script_sees_the_types(site, tmp_path):
    function, tokenizer, loaded, encoded, generator, model, encoder, *errors = check(site, tmp_path)
    assert "config_path: str | os.PathLike[Any] | dict[str, Any] | None" in function and "application: str" in function
    assert tokenizer.endswith('Tokenizer"') and "bert4keras2.tokenizers" in tokenizer
    assert "wordpiece.Tokenizer" in loaded and "SpTokenizer" in loaded
    assert "tuple[list[int], list[int]]" in encoded
    assert generator.endswith('Generator"') and "bert4keras2.decoders" in generator
    assert model.endswith('"Any"')  # models have no type of their own
    assert encoder.endswith('encoder.SentenceEncoder"')
    assert len(errors) == 3
    for line, name in zip(errors, ("build_transformer_model", "Tokenizer", "Generator"), strict=True):
        assert f'to "{name}" has incompatible type' in line


def test_they_are_seen_because_the_package_says_so(site, tmp_path):
    """Without py.typed, type checkers take every name of an installed package for Any."""
    marker = site[1] / "bert4keras2/py.typed"
    marker.unlink()
    try:
        lines = check(site, tmp_path)
    finally:
        marker.touch()
    assert len(lines) == 7 and all(line.endswith('"Any"') for line in lines)
