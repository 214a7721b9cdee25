"""Command line of the fuzzers."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.formats import FORMATS
from tests.fuzz.runner import fuzz, keep_case


def main() -> int:
    """Run the command line; the exit status is 1 if a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Read mutated files of each format.")
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="may be repeated; all by default")
    parser.add_argument("--cases", type=int, default=2000, help="of each format")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write the files of the first case to this folder and read nothing")
    options = parser.parse_args()
    names = options.format or list(FORMATS)
    if options.keep is not None:
        keep_case(names[0], options.seed, options.first, options.keep)
        return 0
    wrong = 0
    for name in names:
        started = time.monotonic()
        failures, read = fuzz(name, options.cases, options.seed, options.first)
        wrong += len(failures)
        seconds = time.monotonic() - started
        print(f"{name}: {options.cases} cases, {read} read, {len(failures)} wrong, {seconds:.0f} s", flush=True)
        kinds = Counter(why.splitlines()[0][:150] for _, why in failures)
        for kind, count in kinds.most_common(12):
            number, why = next(found for found in failures if found[1].startswith(kind[:100]))
            print(f"  {count} x, the first is case {number}: {why}", flush=True)
    return 1 if wrong else 0
