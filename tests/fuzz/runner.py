"""Runs cases in child processes: one that dies or hangs is a case that failed, and the next goes on after it."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from pathlib import Path

__all__ = ["fuzz", "keep_case"]

ROOT = Path(__file__).parent.parent.parent
SILENCE = 60  # seconds without a line: the first case waits for imports


def fuzz(name: str, cases: int, seed: int = 0, first: int = 0) -> tuple[list[tuple[int, str]], int]:
    """Return (number of the case, what was wrong) of all that failed, and how many were read as if they were whole.

    Args:
        name: of the format, a key of `formats.FORMATS`.
        cases: how many.
        seed: of the random numbers; the same ones make the same cases.
        first: number of the first case.
    """
    failures: list[tuple[int, str]] = []
    at, last, read = first, first + cases, 0
    while at < last and len(failures) < 200:
        at, more = _run(name, seed, at, last, failures)
        read += more
    return failures, read


def _run(name: str, seed: int, first: int, last: int, failures: list[tuple[int, str]]) -> tuple[int, int]:
    """Run one child; return the number of the case to go on with, and how many were read."""
    environment = {
        **os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.fuzz.child", name, *map(str, (seed, first, last))]
    at, silent = -1, False
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=ROOT) as child:
        waiter = selectors.DefaultSelector()
        waiter.register(child.stdout, selectors.EVENT_READ)
        pending = b""
        while True:
            if not waiter.select(SILENCE):
                silent = True
                child.kill()
                break
            piece = os.read(child.stdout.fileno(), 2**16)
            if not piece:
                break
            *lines, pending = (pending + piece).split(b"\n")
            for line in map(json.loads, lines):
                at = line.get("at", at)
                if "wrong" in line:
                    failures.append((line["wrong"], line["why"]))
                if "done" in line:
                    return line["done"], line.get("read", 0)
        said = child.stderr.read().decode("utf-8", "replace")[-1500:]
    if at < first:
        raise RuntimeError(f"The cases of {name} do not begin: {said}")
    failures.append((at, f"hangs for {SILENCE} s" if silent else f"the process died ({child.returncode}): {said}"))
    return at + 1, 0


def keep_case(name: str, seed: int, number: int, folder: Path) -> None:
    """Write the files of one case into a folder, to look at them."""
    from random import Random

    from tests.fuzz.formats import FORMATS

    form = FORMATS[name]
    made = folder / "seeds"
    made.mkdir(parents=True, exist_ok=True)
    random = Random(f"{seed}-{number}")
    for path, data in form.mutate(random, dict(random.choice(form.seeds(made)))).items():
        (folder / path).write_bytes(data)
