"""Files that appear whole or not at all, a disk that takes no more, and JSON that is something else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bert4keras2.errors import CheckpointDamagedError, CheckpointFormatError, CheckpointNotFoundError
from bert4keras2.files import atomic_path, is_partial, read_json, scratch_folder, write_beside

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 411529776\n"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file that is to be replaced."""
    path = tmp_path / "model.bin"
    path.write_text("old")
    return path


def untouched(path: Path) -> bool:
    """Whether a file and its folder are as they were."""
    return path.read_text() == "old" and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "its disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the quota of its disk"),
        (RuntimeError("Can't write data (file write failed: errno = 28, error message = 'No space left')"), "is full"),
    ],
)
def test_a_disk_that_takes_no_more(old: Path, error: Exception, reason: str) -> None:
    """The system's own error, and one of the HDF5 library, which has the number in its text alone."""

    def write(partial: str) -> None:
        Path(partial).write_text("new, but cut sh")
        raise error

    with pytest.raises(OSError, match=f"{old.name}.*{reason}.*as it was") as caught:
        write_beside(old, "the model", ".bin", write)
    assert caught.value.errno in (errno.ENOSPC, errno.EDQUOT) and untouched(old)


def test_errors_that_are_not_about_the_disk_stay(old: Path) -> None:
    with pytest.raises(KeyError, match="x"), atomic_path(old) as partial:
        Path(partial).write_text("new")
        raise KeyError("x")
    assert untouched(old)


def test_what_is_written_is_checked_before_it_counts(old: Path) -> None:
    def check(partial: str) -> None:
        assert Path(partial).read_text() == "new" and is_partial(os.path.basename(partial))
        raise CheckpointDamagedError("cut short")

    with pytest.raises(CheckpointDamagedError):
        write_beside(old, "the model", ".bin", lambda partial: Path(partial).write_text("new"), check=check)
    assert untouched(old)


def test_links_and_permissions_stay(old: Path) -> None:
    old.chmod(0o640)
    link = old.with_name("link.bin")
    link.symlink_to(old.name)
    write_beside(link, "the model", ".bin", lambda partial: Path(partial).write_text("new"))
    assert link.is_symlink() and old.read_text() == "new" and old.stat().st_mode & 0o777 == 0o640
    with scratch_folder(old) as work:
        assert os.path.isdir(work) and is_partial(os.path.basename(work))
    assert sorted(os.listdir(old.parent)) == ["link.bin", "model.bin"]


def test_who_reads_goes_on_reading(old: Path) -> None:
    """The name gets another file, and the old one is never written to."""
    with open(old) as reader:
        write_beside(old, "the model", ".bin", lambda partial: Path(partial).write_text("new"))
        assert reader.read() == "old" and old.read_text() == "new"


def test_places_where_nothing_can_be_written(old: Path) -> None:
    def never(partial: str) -> None:
        raise AssertionError

    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_beside(old, "the model", ".bin", never, overwrite=False)
    with pytest.raises(FileExistsError, match="is a folder; the model is written as a file"):
        write_beside(old.parent, "the model", ".bin", never)
    with pytest.raises(FileNotFoundError, match="the folder .*nowhere does not exist"):
        write_beside(old.parent / "nowhere" / "x", "the model", ".bin", never)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (LFS, CheckpointFormatError, "Git LFS pointer.*not the settings.*git lfs pull"),
        (b"\n<!DOCTYPE html><html>", CheckpointFormatError, "web page.*not the settings"),
        (b"", CheckpointDamagedError, "empty"),
        (b'{"a": 1', CheckpointDamagedError, "not a JSON file"),
        (b'{"a": 1, "a": 2}', CheckpointDamagedError, "'a' stands there twice"),
        (b"\xff\xfe", CheckpointDamagedError, "UTF-8"),
        (b'{"a": ' + b"[" * 100000, CheckpointDamagedError, "parts within parts"),
        (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", CheckpointDamagedError, "parts within parts"),
        (b'{"a": "\\ud800"}', CheckpointDamagedError, "UTF-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", CheckpointDamagedError, "not a JSON file"),
        (b"[1, 2]", CheckpointFormatError, "holds a list"),
    ],
)
def test_json_that_is_something_else(tmp_path: Path, content: bytes, kind: type, words: str) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(kind, match=rf"(?s)settings\.json.*{words}|{words}") as caught:
        read_json(path, "the settings", repeated=False)
    assert str(path) in str(caught.value)


def test_json_of_windows_editors(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": {"b": [1]}}\r\n')
    assert read_json(path) == {"a": {"b": [1]}}
    with pytest.raises(CheckpointNotFoundError, match="no file"):
        read_json(tmp_path / "none.json")
