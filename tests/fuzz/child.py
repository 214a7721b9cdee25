"""Runs mutated cases of one format in this process, under limits, and prints a line of JSON for each that fails.

A case fails unless it is read right or refused by a `CheckpointError` that names the file, within the limits of time
and memory. The caller learns from the line before a case which one it was, should the process die.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

SECONDS = 5
MEGABYTES = 200


class Overtime(BaseException):
    """The time of a case is over; no reader catches it."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise Overtime


def _room() -> int:
    """Return the bytes of address space that this process has taken."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def run_case(form: Any, seeds: list[dict[str, bytes]], seed: int, number: int, folder: Path, counts: Counter) -> Any:
    """Write one mutated set of files and read it; return what was wrong, None for nothing."""
    from bert4keras2.errors import CheckpointError

    random = Random(f"{seed}-{number}")
    for old in folder.iterdir():
        old.unlink()
    files = form.mutate(random, dict(random.choice(seeds)))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        form.use(folder)
        counts["read"] += 1
    except CheckpointError as error:
        counts["refused"] += 1
        if str(folder) not in str(error):
            return f"no name of a file: {type(error).__name__}: {str(error)[:300]}"
    except Overtime:
        return f"more than {SECONDS} s\n{traceback.format_exc()[-1500:]}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:300]}\n{traceback.format_exc()[-1500:]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    taken = time.monotonic() - started
    return f"{taken:.1f} s" if taken > SECONDS else None


def main(name: str, seed: int, first: int, last: int) -> None:
    """Run the cases from `first` to before `last`."""
    from tests.fuzz.formats import FORMATS

    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _stop)
    with tempfile.TemporaryDirectory() as work:
        form = FORMATS[name]
        made = Path(work) / "seeds"
        made.mkdir()
        seeds = form.seeds(made)
        folder = Path(work) / "case"
        folder.mkdir()
        for files in seeds:  # what is whole has to be read
            for path, data in files.items():
                (folder / path).write_bytes(data)
            form.use(folder)
            for old in folder.iterdir():
                old.unlink()
        counts: Counter = Counter()
        limit = _room() + MEGABYTES * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        for number in range(first, last):
            print(json.dumps({"at": number}), flush=True)
            wrong = run_case(form, seeds, seed, number, folder, counts)
            if wrong is not None:
                print(json.dumps({"wrong": number, "why": wrong}), flush=True)
        print(json.dumps({"done": last, **counts}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
