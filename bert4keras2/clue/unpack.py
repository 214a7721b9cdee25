"""Zip archives from elsewhere: whole, and nothing of them outside of the folder they are unpacked in."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from pathlib import PurePosixPath

__all__ = ["check_archive", "unpack"]

_LARGEST = 8 * 2**30  # bytes of all members; CLUE's largest archive unpacks to some 400 MB
_CHUNK = 2**20
_RUBBISH = ("__MACOSX", ".DS_Store")  # what macOS puts into archives


def check_archive(path: str, size: int = 0, sha256: str = "") -> None:
    """Raise a ValueError that says what is wrong with a downloaded archive: another file, cut short, damaged.

    Args:
        path: of the archive.
        size, sha256: what it should have; where they are not known, the archive's own check sums are compared.
    """
    there = os.path.getsize(path)
    if size and there != size:
        raise ValueError(f"{path} has {there} bytes, not {size}")
    if sha256:
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != sha256:
            raise ValueError(f"{path} has the SHA-256 {digest.hexdigest()}, not {sha256}")
        return
    try:
        with zipfile.ZipFile(path) as archive:
            _members(archive, path)
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path} is no whole zip archive ({error})") from error
    if broken:
        raise ValueError(f"{path} is damaged: the check sum of {broken} in it is wrong")


def unpack(path: str, folder: str) -> None:
    """Unpack an archive into an empty folder, without a single folder around everything that it may have.

    Raises:
        ValueError: if a member would leave the folder, is a link, or all are larger than any data set; nothing is
            unpacked then.
    """
    with zipfile.ZipFile(path) as archive:
        members = _members(archive, path)
        firsts = {parts[0] for _, parts in members}
        around = 1 if len(firsts) == 1 and all(len(parts) > 1 for _, parts in members) else 0
        for member, parts in members:
            target = os.path.join(folder, *parts[around:])
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with archive.open(member) as source, open(target, "wb") as copy:
                shutil.copyfileobj(source, copy, _CHUNK)


def _members(archive: zipfile.ZipFile, path: str) -> list[tuple[zipfile.ZipInfo, tuple[str, ...]]]:
    """Return the files of an archive with the parts of their names."""
    found = []
    for member in archive.infolist():
        name = member.filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or ":" in name or "\0" in name:
            raise ValueError(f"{path} holds {member.filename!r}, which would leave its folder: not unpacked")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{path} holds a link, {member.filename!r}: not unpacked")
        if not member.is_dir() and parts and not any(part in _RUBBISH for part in parts):
            found.append((member, parts))
    total = sum(member.file_size for member, _ in found)
    if total > _LARGEST:
        raise ValueError(f"{path} would unpack to {total} bytes, more than any data set of CLUE: not unpacked")
    if not found:
        raise ValueError(f"{path} holds no file")
    return found
