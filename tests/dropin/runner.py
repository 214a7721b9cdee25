"""Starts scripts one by one, limits their time, and says how each ended."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.dropin.recipes import Recipe, recipe_for
from tests.dropin.sandbox import Copy, prepare
from tests.dropin.world import World

__all__ = ["HAND", "RUNS", "STOPS", "TIME", "Outcome", "find_scripts", "run_script"]

RUNS, STOPS, HAND, TIME = "runs", "stops", "needs a hand", "time is up"
PROJECT = Path(__file__).parent.parent.parent


@dataclass
class Outcome:
    """How a script ended.

    Attributes:
        name: its path under the folder that was searched.
        status: RUNS, STOPS, HAND (it uses what cannot be kept) or TIME.
        line: where it stopped, in the file `file` as it was fetched.
        reason: the error, or the construct and what replaces it.
        counts: how often it called fit, predict and so on.
        seconds: how long it took.
    """

    name: str
    status: str
    file: str = ""
    line: int = 0
    reason: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return the fields for JSON."""
        return asdict(self)


def find_scripts(folder: Path, pattern: str = "") -> list[Path]:
    """Return the scripts under a folder that import bert4keras, directly or by a module beside them.

    Modules that others import and that have no main part are not scripts.

    Args:
        folder: where to look.
        pattern: regular expression that paths below the folder have to match.
    """
    found = []
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8", errors="replace")
        beside = [p for p in path.parent.glob("*.py") if p != path]
        users = [p for p in beside if re.search(rf"^\s*(?:from|import) {path.stem}\b", _text(p), re.MULTILINE)]
        names = re.findall(r"^\s*(?:from|import)\s+(\w+)", source, re.MULTILINE)
        uses = "bert4keras" in names or any(p.stem in names and "bert4keras" in _text(p) for p in beside)
        module = bool(users) and "__main__" not in source
        inside = (path.parent / "__init__.py").exists()  # a part of a package
        if uses and not module and not inside and re.search(pattern, path.relative_to(folder).as_posix()):
            found.append(path)
    return found


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def run_script(script: Path, name: str, folder: Path, world: World, backend: str, limit: float) -> Outcome:
    """Run one script.

    Args:
        script: as it was fetched.
        name: for the report.
        folder: for its copy and what it writes.
        world: data and checkpoints.
        backend: tensorflow, torch or jax.
        limit: seconds that it may take.
    """
    recipe = recipe_for(script)
    copy = prepare(script, folder, world, recipe)
    if copy.problem:
        return Outcome(
            name, HAND, script.name, copy.problem.line, f"{copy.problem.construct} -> {copy.problem.replacement}"
        )
    begin = time.monotonic()
    for earlier in recipe.first:
        _run(copy.script.with_name(earlier), folder / "earlier.json", backend, limit, Recipe())
    report = folder / "report.json"
    _run(copy.script, report, backend, limit, recipe)
    outcome = _outcome(name, copy, report)
    outcome.seconds = round(time.monotonic() - begin, 1)
    return outcome


def _run(script: Path, report: Path, backend: str, limit: float, recipe: Recipe) -> None:
    """Run a copy in a process of its own, which writes the report."""
    child = [sys.executable, "-m", "tests.dropin.child", str(report), str(limit), str(recipe.steps)]
    command = [*child, str(script), *recipe.arguments]
    paths = os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1", "PYTHONPATH": paths, "KERAS_BACKEND": backend}
    with open(report.with_name("output.txt"), "w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=script.parent, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, **quiet}, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(limit + 30)
        except subprocess.TimeoutExpired:  # it was so stuck that it could not end itself
            report.write_text(json.dumps({"end": "time"}), encoding="utf-8")
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """End a process with those that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def _outcome(name: str, copy: Copy, report: Path) -> Outcome:
    if not report.exists():
        line = _last_line(Path(f"{report}.stacks"), copy)
        if not line:
            tail = (report.parent / "output.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return Outcome(name, STOPS, copy.script.name, 0, f"the process ended: {tail[-1] if tail else ''}")
        return Outcome(name, TIME, copy.script.name, line, "it took longer than it may")
    ended = json.loads(report.read_text(encoding="utf-8"))
    if ended["end"] == "time":
        return Outcome(name, TIME, copy.script.name, 0, "it took longer than it may")
    if ended["end"] == "runs":
        return Outcome(name, RUNS, counts=ended["counts"])
    frames = [(Path(file), number) for file, number in ended["frames"] if Path(file) in copy.originals]
    places = [(path, copy.line(path, number)) for path, number in frames]
    first = ended["message"].splitlines()[0] if ended["message"] else ""
    reason = f"{ended['error']}: {first[:300]}"
    for path, number in places:
        note = copy.note_at(path, number)
        if note:
            reason = f"{note.construct} -> {note.replacement}"
            return Outcome(name, HAND, path.name, number, reason, ended["counts"])
    path, number = places[0] if places else (copy.script, 0)
    return Outcome(name, STOPS, path.name, number, reason, ended["counts"])


def _last_line(stacks: Path, copy: Copy) -> int:
    """Return the line of the script at which its time was up; 0 if it was not."""
    text = stacks.read_text(encoding="utf-8", errors="replace") if stacks.exists() else ""
    found = re.findall(rf'File "{re.escape(str(copy.script))}", line (\d+)', text)
    return copy.line(copy.script, int(found[0])) if found else 0
