"""What benchmarks share: things timed in turns, each in a process of its own, medians, ratios round by round."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Latest", "child", "in_turns", "median_times", "peak_memory", "ratio", "seconds", "spread"]

# Seconds from which on a call is long.
LONG = 5.0


def median_times(units: dict[str, Callable[[], object]], only: Sequence[str], repeats: int) -> dict[str, float]:
    """Return the median seconds of each function whose name has one of the words, after calls that do not count.

    These are two, but of a function whose second call takes more than `LONG` seconds that one counts, and is the only
    one: rounds repeat it. A function that stands under two names is timed under the first.
    """
    found, by_function = {}, {}
    for name, run in units.items():
        if only and not any(word in name for word in only):
            continue
        if run not in by_function:
            run()
            second = seconds(run)
            times = [second] if second > LONG else [seconds(run) for _ in range(repeats)]
            by_function[run] = statistics.median(times)
        found[name] = by_function[run]
    return found


class Latest:
    """What a function makes, once; it goes when another function is asked for, so that memory is that of one model."""

    def __init__(self) -> None:
        self._make, self._made = None, None

    def __call__(self, make: Callable[[], Any]) -> Any:
        if make is not self._make:
            self._made = None
            self._make, self._made = make, make()
        return self._made


def seconds(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def child(command: Sequence[str], environment: dict[str, str], folder: str | None = None) -> dict:
    """Return what a process prints in its last line, as JSON; SystemExit with its errors if it fails."""
    full = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run([sys.executable, *command], env=full, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def in_turns(sides: dict[str, Callable[[], dict]], rounds: int) -> list[dict[str, dict]]:
    """Return, for each round, what each side measured; the order turns from round to round."""
    found = []
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        found.append({name: sides[name]() for name in order})
    return found


def ratio(rounds: Sequence[dict[str, dict]], row: str, above: str, below: str) -> float | None:
    """Return the median over rounds of one side's time divided by another's; None where one has no such row."""
    pairs = [(one[above].get(row), one[below].get(row)) for one in rounds]
    found = [a / b for a, b in pairs if a and b]
    return statistics.median(found) if found else None


def spread(pairs: Sequence[tuple[float, float]], digits: int = 2) -> str:
    """Return the median of the pairs' ratios, first by second, with the least and the largest, as text."""
    ratios = sorted(a / b for a, b in pairs)
    return f"{statistics.median(ratios):.{digits}f} ({ratios[0]:.{digits}f} to {ratios[-1]:.{digits}f})"


def peak_memory() -> float:
    """Return the most memory that this process has had, in MiB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (2**20 if sys.platform == "darwin" else 2**10)
