"""Downloads of the tasks from where CLUE and FewCLUE publish them; a download that broke off goes on."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import urllib.error
import urllib.request
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from bert4keras2.clue.table import get_task
from bert4keras2.clue.task import Archive, Task
from bert4keras2.clue.unpack import check_archive, unpack
from bert4keras2.files import move_into_place, scratch_folder
from bert4keras2.progress import progress_bar

__all__ = ["download"]

_CHUNK = 2**16
_SECONDS = 30.0  # without a byte, after which a connection counts as lost
_TRIES = 3  # each goes on where the one before broke off


def download(
    task: str | Task,
    folder: str | os.PathLike,
    progress: bool | None = None,
    address: str | None = None,
) -> str:
    """Download a task's data and unpack them into a folder of its name; what is there already is not downloaded again.

    Args:
        task: a task or its name: "tnews", or "fewclue/tnews".
        folder: where the task's folder is to be, such as "data"; made if need be. FewCLUE's tasks have names that
            CLUE has too: give each benchmark a folder of its own.
        progress: show a bar; if None, where someone looks on.
        address: of the archive (of the folder with the files, for FewCLUE) where it is not to be had from the official
            place; what comes from there is still compared with the official check sum where that is known.

    Returns:
        The path of the task's folder, FOLDER/NAME. It appears whole or not at all.

    Raises:
        ConnectionError: if nothing can be downloaded; it says what to do by hand.
        ValueError: if what came is damaged or would leave the folder; it is removed then, unless somebody put it there.
        FileExistsError: if the task's folder is there but is not a whole data set.
        OSError: if the disk takes no more.
    """
    task = get_task(task)
    target = os.path.join(os.fspath(folder), task.name)
    if os.path.exists(target):
        missing = _missing(task, target)
        if missing:
            raise FileExistsError(f"{target} is there but is no whole {task.name}: {missing}. Move it away")
        return target
    archive = (
        task.archive
        if address is None
        else Archive(address, task.archive.size, task.archive.sha256, task.archive.files)
    )
    os.makedirs(folder, exist_ok=True)
    if archive.files:
        _download_files(task, archive, target, progress)
    else:
        _download_archive(task, archive, target, progress)
    return target


def _missing(task: Task, folder: str) -> str:
    """Return what a task's folder lacks, "" if nothing."""
    for split in ("train", "valid", "test"):
        try:
            task.find(folder, split)
        except (FileNotFoundError, ValueError) as error:
            return str(error)
    return ""


def _download_archive(task: Task, archive: Archive, target: str, progress: bool | None) -> None:
    name = os.path.basename(urlsplit(archive.address).path)
    path = os.path.join(os.path.dirname(target), name)
    by_hand = f"Download {archive.address} by hand, put it at {path} and call this again: it is unpacked from there"
    by_others = os.path.isfile(path)
    if not by_others:
        _fetch(archive.address, path, archive.size, task.name, progress, by_hand)
    try:
        check_archive(path, archive.size, archive.sha256)
        with scratch_folder(target) as work:
            inner = os.path.join(work, task.name)
            os.makedirs(inner)
            unpack(path, inner)
            if missing := _missing(task, inner):
                raise ValueError(f"{path} holds no whole {task.name}: {missing}. Is it the task's archive?")
            os.rename(inner, target)
    except ValueError as error:
        if by_others:
            raise ValueError(
                f"{error}. Remove it and put the right one there, or call this again without it"
            ) from error
        os.remove(path)
        raise ValueError(f"{error}. It is removed; download it again") from error
    if not by_others:
        os.remove(path)


def _download_files(task: Task, archive: Archive, target: str, progress: bool | None) -> None:
    folder = os.path.dirname(target)
    work = os.path.join(folder, f".{task.suite}_{task.name}.partial")
    os.makedirs(work, exist_ok=True)
    by_hand = f"Download the files of {archive.address} by hand ({', '.join(archive.files)}) and put them into {target}"
    for name in archive.files:
        path = os.path.join(work, name)
        if not os.path.isfile(path):
            _fetch(urljoin(archive.address, name), path, 0, f"{task.name}/{name}", progress, by_hand)
    if missing := _missing(task, work):
        raise ValueError(f"What came from {archive.address} is no whole {task.name}: {missing}")
    os.rename(work, target)


def _fetch(address: str, path: str, size: int, title: str, progress: bool | None, by_hand: str) -> None:
    """Download a file; what came before a break stays beside it, under a hidden name, and is gone on with."""
    partial = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.partial")
    problem: Exception | None = None
    for _ in range(_TRIES):
        try:
            if _fetch_rest(address, partial, size, title, progress):
                move_into_place(partial, path)
                return
            problem = ConnectionError("the connection broke off")
        except urllib.error.HTTPError as error:
            problem = error
            if error.code == 416:  # what is there is longer than the file: begin again
                with contextlib.suppress(FileNotFoundError):
                    os.remove(partial)
            elif error.code < 500:
                break
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = error
    there = os.path.getsize(partial) if os.path.isfile(partial) else 0
    kept = f" {there} bytes came and are kept: the next call goes on with them." if there else ""
    raise ConnectionError(f"Cannot download {address}: {problem}.{kept} {by_hand}") from problem


def _fetch_rest(address: str, partial: str, size: int, title: str, progress: bool | None) -> bool:
    """Download what is missing of a file; return whether it is whole as far as the server tells."""
    there = os.path.getsize(partial) if os.path.isfile(partial) else 0
    if size and there == size:
        return True
    request = urllib.request.Request(address, headers={"User-Agent": "bert4keras2", "Accept-Encoding": "identity"})
    if there:
        request.add_header("Range", f"bytes={there}-")
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
        if answer.status == 206:
            match = re.match(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            if not match or int(match[1]) != there:
                raise ConnectionError(f"the server sent another part than bytes from {there} on")
            total: int | None = int(match[2])
        else:
            there = 0  # the server sends all of it again
            length = answer.headers.get("Content-Length")
            total = int(length) if length else None
        with (
            open(partial, "ab" if there else "wb") as file,
            progress_bar(f"download {title}", total, "B", progress) as advance,
        ):
            advance(there)
            while chunk := answer.read(_CHUNK):
                _write(file, chunk)
                there += len(chunk)
                advance(len(chunk))
    return total is None or there == total


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot write {file.name!r}: {error.strerror}. What came is kept: the next call goes on with it",
        ) from error
