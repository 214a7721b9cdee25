"""The command line of the harness."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.dropin.runner import RUNS, Outcome, find_scripts, run_script
from tests.dropin.world import World

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scripts of a folder and report; the exit status is 0 if all run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.dropin", description="Run bert4keras scripts with only imports and paths changed."
    )
    parser.add_argument("folder", type=Path, help="checkouts of repositories with scripts")
    parser.add_argument("--only", default="", help="regular expression of paths below the folder")
    parser.add_argument("--backend", default=os.environ.get("KERAS_BACKEND", "tensorflow"))
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds per script (120)")
    parser.add_argument("--jobs", type=int, default=1, help="scripts at a time (1)")
    parser.add_argument("--json", type=Path, help="also write the outcomes to this file")
    parser.add_argument("--keep", type=Path, help="folder for data and copies, kept for the next run")
    options = parser.parse_args(arguments)
    scripts = find_scripts(options.folder, options.only)
    if not scripts:
        print(f"no scripts that import bert4keras under {options.folder}", file=sys.stderr)
        return 2
    os.environ["KERAS_BACKEND"] = options.backend
    with tempfile.TemporaryDirectory() as temporary:
        base = options.keep or Path(temporary)
        world = World((base / "world").resolve())
        world.write(path.read_text(encoding="utf-8") for path in options.folder.rglob("*.py"))
        outcomes = _run_all(scripts, options, base.resolve(), world)
    if options.json:
        rows = [outcome.as_dict() for outcome in outcomes]
        options.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    for top in dict.fromkeys(outcome.name.split("/")[0] for outcome in outcomes):
        here = [outcome for outcome in outcomes if outcome.name.split("/")[0] == top]
        print(f"{top}: {sum(outcome.status == RUNS for outcome in here)} of {len(here)}")
    good = sum(outcome.status == RUNS for outcome in outcomes)
    print(f"{good} of {len(outcomes)} scripts run to the end ({options.backend})")
    return 0 if good == len(outcomes) else 1


def _run_all(scripts: Sequence[Path], options: argparse.Namespace, base: Path, world: World) -> list[Outcome]:
    def one(script: Path) -> Outcome:
        name = script.relative_to(options.folder).as_posix()
        folder = Path(tempfile.mkdtemp(prefix=re.sub(r"\W+", "_", name) + "_", dir=base))
        outcome = run_script(script.resolve(), name, folder, world, options.backend, options.timeout)
        _print(outcome)
        return outcome

    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(one, scripts))


def _print(outcome: Outcome) -> None:
    counts = ", ".join(f"{name} {count}" for name, count in outcome.counts.items())
    place = f" at {outcome.file}:{outcome.line}" if outcome.line else ""
    because = f": {outcome.reason}" if outcome.reason else ""
    print(f"{outcome.name}: {outcome.status}{place}{because} ({outcome.seconds:.0f} s; {counts})", flush=True)
