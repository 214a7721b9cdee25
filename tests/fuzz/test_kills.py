"""Writers that are killed or find the disk full leave a whole file: the old one or the new one."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.fuzz.kills import WRITERS, kill, numbers_of


@pytest.mark.slow
@pytest.mark.parametrize("writer", ["convert to TensorFlow", "write_tensorflow", "save, .keras"])
def test_killed(writer: str) -> None:
    assert kill(writer, 2) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk(writer: str, tmp_path: Path) -> None:
    name, make = WRITERS[writer]
    path = tmp_path / name
    write = make(path)
    write(1)
    before = sorted(file.name for file in tmp_path.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(OSError, match="Cannot write.*as it was") as caught:
            write(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert name in str(caught.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == before
    assert len(numbers_of(path)) == 1
    write(2)
    assert len(numbers_of(path)) == 1
