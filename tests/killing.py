"""Runs that are killed without warning and started again, as a machine that goes away does it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def kill_ten_times(start: Callable[[Path], subprocess.Popen], whole: Path, cut: Path, earliest: float) -> None:
    """Do a run to its end, and the same run once more, killed ten times at random moments before it ends.

    Args:
        start: starts the run of a folder in a process of its own.
        whole: the folder of the run that is left alone.
        cut: the folder of the other.
        earliest: moment of a kill, as a share of the time that a run takes; the latest is its end.
    """
    begun = time.time()
    assert start(whole).wait(300) == 0
    seconds = time.time() - begun
    random = np.random.default_rng(0)
    for _ in range(10):
        process = start(cut)
        time.sleep(seconds * random.uniform(earliest, 0.97))
        process.kill()
        process.wait()
    assert start(cut).wait(300) == 0
