"""The console command: which commands there are, how they are called, and how it ends."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bert4keras2
import bert4keras2.__main__ as command
import bert4keras2.inspect as inspect_command

GOLDEN = Path(__file__).parent / "golden/models"
HEAVY = ("keras", "numpy", "tensorflow", "torch", "jax")


def run(*arguments: str, **kwargs) -> subprocess.CompletedProcess:
    """Run Python in a process of its own, which finds the package in this checkout."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    kwargs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment, "timeout": 120, **kwargs}
    return subprocess.run([sys.executable, *arguments], text=True, check=False, **kwargs)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(arguments, capsys):
    assert command.main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: bert4keras2 COMMAND")
    width = max(map(len, command.COMMANDS))
    for name, (_, text) in command.COMMANDS.items():
        assert f"  {name:<{width}}  {text}\n" in out
    assert all(len(line) <= 90 for line in out.splitlines())


def test_help_imports_nothing_heavy():
    code = (
        "import sys, time; start = time.process_time(); from bert4keras2.__main__ import main;"
        "status = [main([]), main(['--help']), main(['--version']), main(['nothing'])];"
        f"print(status, [m for m in {HEAVY} if m in sys.modules], time.process_time() - start < 0.3)"
    )
    done = run("-c", code)
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 2] [] True", done.stderr


@pytest.mark.parametrize("name", sorted(command.COMMANDS))
def test_help_of_a_command_imports_no_keras(name):
    code = f"import sys; from bert4keras2.__main__ import main\ntry: main([{name!r}, '--help'])\n"
    code += f"finally: print([m for m in {HEAVY} if m in sys.modules])"
    assert run("-c", code).stdout.splitlines()[-1] == "[]"


def test_version(capsys):
    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out == f"bert4keras2 {bert4keras2.__version__}\n"


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("inspct", "no command 'inspct'; did you mean 'inspect'?"),
        ("migrat", "did you mean 'migrate'?"),
        ("qux", f"no command 'qux'; there are {', '.join(command.COMMANDS)}."),
        ("--versoin", "no option '--versoin'; did you mean '--version'?"),
        ("", "no command ''; there are"),
    ],
)
def test_unknown_commands(argument, words, capsys):
    assert command.main([argument, "x"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and words in captured.err and "--help" in captured.err
    assert not captured.out


@pytest.mark.parametrize("name", sorted(command.COMMANDS))
def test_commands_know_their_name(name, capsys):
    """`bert4keras2 NAME --help` and `python -m MODULE --help` each show what was typed."""
    with pytest.raises(SystemExit) as stopped:
        command.main([name, "--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: bert4keras2 {name} ") and "python -m" not in out
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(command.COMMANDS[name][0]).main(["--help"])
    module = command.COMMANDS[name][0].removesuffix(".command")
    assert capsys.readouterr().out.startswith(f"usage: python -m {module} ")
    with pytest.raises(SystemExit) as stopped:
        command.main([name, "--nothing"])
    assert stopped.value.code == 2 and f"bert4keras2 {name}: error: " in capsys.readouterr().err


def test_arguments_are_handed_on(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(inspect_command, "main", lambda *args, **kwargs: seen.append((args, kwargs)) or 7)
    assert command.main(["inspect", "a", "--version", "--", "-h"]) == 7
    assert seen == [((["a", "--version", "--", "-h"],), {"prog": "bert4keras2 inspect"})]
    monkeypatch.setattr(sys, "argv", ["bert4keras2", "inspect", "b"])
    assert command.main() == 7 and seen[-1] == ((["b"],), {"prog": "bert4keras2 inspect"})


def test_as_a_module(tmp_path):
    folder = str(GOLDEN / "bert_residual_attention")
    done = run("-m", "bert4keras2", "inspect", folder)
    assert done.returncode == 0 and "load it by" in done.stdout, done.stderr
    assert done.stdout == run("-m", "bert4keras2.inspect", folder).stdout
    (tmp_path / "old.py").write_text("from bert4keras.models import build_transformer_model\n")
    done = run("-m", "bert4keras2", "migrate", str(tmp_path))
    assert done.returncode == 0 and "+from bert4keras2.models import build_transformer_model" in done.stdout
    done = run("-m", "bert4keras2", "inspect", str(tmp_path))
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    done = run("-m", "bert4keras2", "convert")
    assert done.returncode == 2 and done.stderr.startswith("usage: python -m bert4keras2 convert ")
    assert run("-m", "bert4keras2").stdout.startswith("usage: python -m bert4keras2 COMMAND")


def test_interrupts(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect_command, "main", interrupted)
    assert command.main(["inspect", "x"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes that close are signalled otherwise on Windows")
@pytest.mark.parametrize("rest", [["--help"], ["inspect", "--help"], ["inspect", "--variables", "FOLDER"]])
def test_a_closed_pipe_gives_no_traceback(rest):
    rest = [str(GOLDEN / "bert_residual_attention") if text == "FOLDER" else text for text in rest]
    reading, writing = os.pipe()
    os.close(reading)  # as `head -1` does, only sooner
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    environment.pop("PYTHONUNBUFFERED", None)
    try:
        done = run("-m", "bert4keras2", *rest, stdout=writing, env=environment)
        unbuffered = run("-u", "-m", "bert4keras2", *rest, stdout=writing, env=environment)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
    # Written at once, argparse's own help notices nothing and goes on.
    assert unbuffered.returncode in (0, 141) and unbuffered.stderr == ""
