"""Files that appear whole or not at all, and JSON as people save it; nothing here needs a package."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from bert4keras2.errors import CheckpointDamagedError, CheckpointFormatError, CheckpointNotFoundError

__all__ = [
    "atomic_path", "is_partial", "move_into_place", "parse_json", "read_json", "reject_impostor", "scratch_folder",
    "sync", "under_suffix", "write_beside", "write_text",
]  # fmt: skip

_NUMBERS = itertools.count()
_LONGEST = 200  # bytes of a file's name; file systems allow 255, and temporary names are longer than the final ones
_DEEPEST = 64  # parts within parts of JSON
_PARTIAL = ".partial"
_UNTOUCHED = "What was there before is as it was"
# Why a disk takes no more, by the system's number; HDF5 puts the number into its message alone.
_REASONS = {
    errno.ENOSPC: "its disk is full",
    errno.EDQUOT: "the quota of its disk is used up",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.EROFS: "its disk is read-only",
    errno.EIO: "its disk is faulty",
}


# -- writing -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def atomic_path(
    path: str | os.PathLike, suffix: str = "", check: Callable[[str], object] | None = None
) -> Iterator[str]:
    """A context that gives a name beside a file's place; what is written there takes the place at its end.

    After an error, or if the process is killed, the old file is as it was. A killed process leaves the name behind:
    it begins with a dot, holds ".partial", and no reader takes it for a file of a model.

    Args:
        path: where the file belongs; its folder exists. A link stays a link.
        suffix: how the temporary name has to end, for programs that look at that.
        check: called with the written file before it takes the place; raises if that is not whole.

    Raises:
        OSError: if the disk takes no more; the message names the file and says that the old one is untouched.
    """
    target = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(target)
    partial = os.path.join(folder, f".{_short(name)}.{os.getpid()}-{next(_NUMBERS)}{_PARTIAL}{suffix}")
    try:
        with _said(os.fspath(path)):
            yield partial
            if check is not None:
                check(partial)
            move_into_place(partial, target)
    finally:
        with contextlib.suppress(OSError):
            os.remove(partial)


def write_beside(
    path: str | os.PathLike,
    what: str,
    suffix: str,
    save: Callable[[str], object],
    overwrite: bool = True,
    check: Callable[[str], object] | None = None,
) -> None:
    """Write a file by a function that wants a name, as `atomic_path` does, and say what hinders it.

    Args:
        path: where the file belongs.
        what: what is written, for messages.
        suffix: how the name ends under which `save` writes.
        save: called with that name.
        overwrite: replace an existing file; otherwise it is an error.
        check: as for `atomic_path`.

    Raises:
        FileExistsError: if the file exists and is not to be replaced.
        FileNotFoundError: if its folder does not exist.
        OSError: if the disk takes no more.
    """
    path = os.fspath(path)
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    if os.path.isdir(path):
        raise FileExistsError(f"{path} is a folder; {what} is written as a file: give it another name")
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(f"Cannot write {what} to {path}: the folder {folder} does not exist")
    with atomic_path(path, suffix, check) as partial:
        save(partial)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text in UTF-8 as `atomic_path` does.

    Args:
        path: where the file belongs; its folder exists.
        text: all of it.

    Raises:
        OSError: if the disk takes no more.
    """
    with atomic_path(path) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def scratch_folder(path: str | os.PathLike) -> Iterator[str]:
    """A context that gives an empty folder beside a path, on the same disk, and removes it at its end.

    Raises:
        OSError: if the disk takes no more; the message names the path and says that what was there is untouched.
    """
    parent, name = os.path.split(os.path.abspath(os.fspath(path)))
    with _said(os.fspath(path)):
        os.makedirs(parent, exist_ok=True)
        work = tempfile.mkdtemp(prefix=f".{_short(name)}.", suffix=_PARTIAL, dir=parent)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def under_suffix(path: str | os.PathLike, suffix: str) -> Iterator[str]:
    """A context that gives an existing file's path with another ending, for readers that look at that.

    Args:
        path: the file; it is linked to from a folder of its own, or copied where links cannot be made.
        suffix: how the name has to end.
    """
    path = os.fspath(path)
    with tempfile.TemporaryDirectory() as folder:
        named = os.path.join(folder, f"model{suffix}")
        try:
            os.symlink(os.path.abspath(path), named)
        except OSError:  # Windows without the privilege, a file system without links
            shutil.copyfile(path, named)
        yield named


def is_partial(name: str) -> bool:
    """Whether a name without its folder is one that `atomic_path` or `scratch_folder` gave."""
    return name.startswith(".") and _PARTIAL in name


def move_into_place(source: str, target: str) -> None:
    """Give a file that is written its final name once its bytes are on the disk; an old file's permissions stay."""
    sync(source)
    with contextlib.suppress(OSError):
        os.chmod(source, stat.S_IMODE(os.stat(target).st_mode))
    os.replace(source, target)
    sync(os.path.dirname(target) or ".")


def sync(path: str) -> None:
    """Have the system write a file, or the names in a folder, to the disk."""
    folder = os.path.isdir(path)
    try:
        handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    except OSError:
        if folder:
            return  # Windows opens no folders
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        # File systems that cannot say EINVAL; what a disk could not take is an error.
        if not folder and error.errno in _REASONS:
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def _said(path: str) -> Iterator[None]:
    """Turn what a library says of a disk that takes no more into an OSError that names the file."""
    try:
        yield
    except Exception as error:
        number = _disk_error(error)
        if number is None or _UNTOUCHED in str(error):
            raise
        raise OSError(number, f"Cannot write {path!r}: {_REASONS[number]}. {_UNTOUCHED} ({error})") from error


def _disk_error(error: BaseException | None) -> int | None:
    """Return the system's number of an error about a disk, None for any other."""
    for _ in range(8):
        if error is None:
            return None
        numbers = [error.errno] if isinstance(error, OSError) else []
        numbers += [int(digits) for digits in re.findall(r"errno = (\d{1,3})\b", str(error)[:10000])]
        for number in numbers:
            if number in _REASONS:
                return number
        error = error.__cause__ or error.__context__
    return None


def _short(name: str) -> str:
    """Return a file's name, cut where a longer one could not be made of it."""
    return os.fsencode(name)[:_LONGEST].decode("utf-8", "ignore")


# -- reading -----------------------------------------------------------------------------------------------------------


def reject_impostor(path: str | os.PathLike, what: str = "the weights") -> None:
    """Raise when a file is not what its name says: empty, a Git LFS pointer, a web page, a packed archive.

    Args:
        path: an existing file.
        what: what it should be, for messages.

    Raises:
        CheckpointDamagedError: if it is empty.
        CheckpointFormatError: if it is something else.
    """
    path = os.fspath(path)
    size = os.path.getsize(path)
    if size == 0:
        raise CheckpointDamagedError(f"{path!r} is empty (0 bytes): the download failed. Download it again.")
    with open(path, "rb") as file:
        head = file.read(512)
    if head.startswith(b"version https://git-lfs.github.com/spec"):
        raise CheckpointFormatError(
            f"{path!r} is a Git LFS pointer ({size} bytes of text), not {what}. Run 'git lfs install' and "
            "'git lfs pull' in that repository, or download the file itself."
        )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        raise CheckpointFormatError(
            f"{path!r} is a web page (it begins with {start[:20].decode('ascii', 'replace')!r}) that was saved under "
            f"this name, not {what}. Download the file itself: use the raw or 'resolve' link."
        )
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        raise CheckpointFormatError(f"{path!r} is a packed archive. Unpack it and pass the path of {what} inside.")


def read_json(path: str | os.PathLike, what: str = "a JSON file", repeated: bool = True) -> dict[str, Any]:
    """Return the object in a JSON file, with or without the byte order mark that Windows editors write.

    Args:
        path: the file.
        what: what it should be, for messages.
        repeated: whether a key may stand twice in an object, the last one counting.

    Raises:
        CheckpointNotFoundError: if there is no such file; it is a FileNotFoundError too.
        CheckpointFormatError: if it is a web page, a Git LFS pointer or no object; it is a ValueError too.
        CheckpointDamagedError: if it is empty or not JSON in UTF-8; it is a ValueError too.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise CheckpointNotFoundError(f"There is no file {path}")
    reject_impostor(path, what)
    with open(path, "rb") as file:
        return parse_json(file.read(), path, what, repeated)


def parse_json(data: bytes, name: str, what: str = "a JSON file", repeated: bool = True) -> dict[str, Any]:
    """Return the object that bytes of JSON hold.

    Args:
        data: the bytes.
        name: of the file that they are of; what, repeated: as for `read_json`.

    Raises:
        CheckpointFormatError, CheckpointDamagedError: as `read_json`.
    """
    try:
        text = data.decode("utf-8-sig")
        content = json.loads(text, object_pairs_hook=None if repeated else _once)
        if isinstance(content, dict) and _is_deep(content):
            raise ValueError("parts within parts within parts")
        if "\\ud" in text or "\\uD" in text:  # half of a pair of surrogates is a character that nobody can print
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (UnicodeError, ValueError, RecursionError) as error:  # ValueError: also numbers of thousands of digits
        why = "parts within parts within parts" if isinstance(error, RecursionError) else str(error)[:200]
        raise CheckpointDamagedError(
            f"{name} is not a JSON file in UTF-8 ({why}); is it {what}, and complete?"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointFormatError(f"{name} should hold a JSON object, but holds a {type(content).__name__}")
    return content


def _is_deep(content: Any) -> bool:
    """Whether anything lies deeper than all that models' files hold; printing it could fail."""
    level = [content]
    for _ in range(_DEEPEST):
        inner = (part.values() if isinstance(part, dict) else part for part in level)
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {twice[:100]!r} stands there twice")
    return found
