"""TensorFlow's start-up lines: what is asked of it, and that users' wishes stay."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras2.quiet import GPU_DRIVERS

ROOT = Path(__file__).parent.parent
DRIVER = any(map(os.path.exists, GPU_DRIVERS))


def level(given: str | None, code: str = "import bert4keras2.quiet") -> str:
    """Return the variable's value in a new interpreter after some code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    environment |= {} if given is None else {"TF_CPP_MIN_LOG_LEVEL": given}
    code += "; import os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'], 'keras' in __import__('sys').modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[-2]


@pytest.mark.parametrize(("given", "found"), [(None, "2" if DRIVER else "3"), ("0", "0"), ("1", "1"), ("", "")])
def test_the_users_choice_stays(given, found):
    assert level(given) == f"{found} False"


def test_commands_are_quiet():
    code = "from bert4keras2.convert import main; main(['nothing', 'x'])"
    assert level(None, code).split()[0] == ("2" if DRIVER else "3")


@pytest.mark.skipif(os.environ["KERAS_BACKEND"] != "tensorflow", reason="other backends do not greet")
@pytest.mark.parametrize(("code", "shown"), [("import tensorflow, sys; print('mine', file=sys.stderr)", "mine\n")])
def test_tensorflow_is_imported_in_silence(code, shown):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    command = [sys.executable, "-c", f"import bert4keras2.quiet; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (0, shown)


def test_errors_of_the_import_are_shown(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'I0000 a note\\nwhy\\n'); print(1 / 0)")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    command = [sys.executable, "-c", "import bert4keras2.quiet; import tensorflow"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert all(word in done.stderr for word in ("a note", "why", "ZeroDivisionError"))


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.py")), ids=lambda path: path.stem)
def test_examples_import_it_first(path):
    """Before Keras, and so before TensorFlow."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
    heavy = [name for name in names if name.split(".")[0] in ("bert4keras2", "keras", "tensorflow", "common")]
    # Those of a folder share a module that begins with it; some need no Keras at all.
    assert not heavy or heavy[0] in ("bert4keras2.quiet", "common")
