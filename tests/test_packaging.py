"""The package as it is distributed: what its metadata say, and that both distributions build, install and start."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import bert4keras2

ROOT = Path(__file__).parent.parent
PACKAGE = Path(bert4keras2.__file__).parent
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "requirements.txt", "LICENSE", "README.md", "README.zh-CN.md")
FILES += ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff")
STALE = "the installed metadata are not those of this checkout: install it again (pip install -e .)"


def plain(requirement: str) -> str:
    """Return a requirement as both spellings of it are compared: without spaces, quotes of one kind, names with '-'."""
    text = re.sub(r"\s+", "", requirement).replace("'", '"')
    name = re.match(r"[\w.-]+", text)[0]
    # The parts of a version are sorted by whoever writes the metadata.
    version, _, marker = text[len(name) :].partition(";")
    return name.lower().replace("_", "-") + ",".join(sorted(version.split(","))) + (f";{marker}" if marker else "")


def listed() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_metadata():
    metadata = importlib.metadata.metadata("bert4keras2")
    assert metadata["Version"] == bert4keras2.__version__, STALE
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["License-File"] == "LICENSE", STALE
    assert metadata["Author"] == "the bert4keras2 developers" and metadata["Requires-Python"] == ">=3.10", STALE
    extras = {"test", "serving", "jax", "torch", "hub", "tokenizers"}
    assert extras <= set(metadata.get_all("Provides-Extra")), STALE
    assert not metadata.get_all("Project-URL")
    assert "# bert4keras2" in (metadata.get("Description") or metadata.get_payload())


def test_requirements_are_those_of_the_list():
    required = [text for text in importlib.metadata.requires("bert4keras2") if "extra ==" not in text]
    assert sorted(map(plain, required)) == sorted(map(plain, listed())), STALE


def test_imports_are_required():
    """What the package imports is required, or an extra, or a backend; nothing is required that it does not import."""
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    imported -= {*sys.stdlib_module_names, "bert4keras2"}
    names = {re.match(r"[\w-]+", line)[0].replace("-", "_") for line in listed()}
    assert names <= imported
    optional = {"jax", "torch", "bottle", "huggingface_hub", "tokenizers", "matplotlib", "sklearn", "tf2onnx"}
    assert imported - names <= optional


def test_command_is_installed():
    found = importlib.metadata.entry_points(group="console_scripts", name="bert4keras2")
    assert [point.value for point in found] == ["bert4keras2.__main__:main"], STALE
    assert callable(next(iter(found)).load())


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").is_file()


def test_setup_is_a_shim():
    """Everything is said in pyproject.toml."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    assert [ast.unparse(node) for node in tree.body] == ["from setuptools import setup", "setup()"]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it would win
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> tuple[Path, Path]:
    """The source distribution, and the wheel that is built from it, of a copy of the checkout."""
    if importlib.util.find_spec("build") is None:
        pytest.skip("needs build")
    source, target = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for name in ("bert4keras2", "examples", "docs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    (source / "tests").mkdir()
    (source / "tests/test_something.py").touch()  # setuptools would take it along
    # Without isolation, nothing is downloaded: the build uses the setuptools that the tests require.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source, cwd=target)
    (archive,) = target.glob("*.tar.gz")
    (wheel,) = target.glob("*.whl")
    return archive, wheel


@pytest.mark.slow
def test_content_of_the_source_distribution(distributions):
    with tarfile.open(distributions[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(FILES) <= names
    assert {"bert4keras2/py.typed", "bert4keras2/__main__.py", "examples/basic_classification.py"} <= names
    for kind in ("*.tsv", "*.json"):
        assert {str(path.relative_to(ROOT)) for path in (ROOT / "examples").rglob(kind)} <= names
    assert not [name for name in names if name.startswith("tests") or name.endswith(".pyc")]


@pytest.mark.slow
def test_content_of_the_wheel(distributions):
    with zipfile.ZipFile(distributions[1]) as archive:
        names = set(archive.namelist())
    modules = {str(path.relative_to(PACKAGE.parent)) for path in PACKAGE.rglob("*.py")}
    data = {str(path.relative_to(PACKAGE.parent)) for path in (PACKAGE / "embedded").rglob("*.*")}
    assert modules | data | {"bert4keras2/py.typed"} == {name for name in names if name.startswith("bert4keras2/")}
    assert any(name.endswith("tiny-zh/model.safetensors") for name in names)
    assert distributions[1].stat().st_size < 24 * 2**20
    rest = {name for name in names if not name.startswith("bert4keras2/")}
    assert all(name.startswith(f"bert4keras2-{bert4keras2.__version__}.dist-info/") for name in rest)
    assert any(name.endswith("licenses/LICENSE") for name in rest)


@pytest.mark.slow
def test_the_wheel_installs_and_starts(distributions, tmp_path):
    """In an environment without any other package, where the commands still tell what they do."""
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    programs = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    python = programs / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", distributions[1], cwd=tmp_path)
    assert run(programs / "bert4keras2", "--help", cwd=tmp_path).startswith("usage: bert4keras2 COMMAND")
    assert run(programs / "bert4keras2", "convert", "--help", cwd=tmp_path).startswith("usage: bert4keras2 convert")
    assert run(python, "-m", "bert4keras2", "--help", cwd=tmp_path).startswith("usage: python -m bert4keras2 COMMAND")
    code = "import bert4keras2; print(bert4keras2.__version__, bert4keras2.__file__)"
    version, file = run(python, "-c", code, cwd=tmp_path).split(maxsplit=1)
    assert version == bert4keras2.__version__ and Path(file.strip()).is_relative_to(tmp_path)
