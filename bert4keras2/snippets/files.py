"""`open`: text files that are UTF-8 unless told otherwise, and that can be indexed by line."""

from __future__ import annotations

import builtins
import codecs
import json
import os
import threading
from array import array
from collections.abc import Callable, Iterator
from typing import Any

from bert4keras2.files import atomic_path

__all__ = ["open"]

# The longer mark first: UTF-32's begins with UTF-16's.
_MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
# Bytes that are read at once in search of the end of a line.
CHUNK = 4096


def _detect(name: Any, mode: str) -> str:
    """Return the encoding that a byte order mark announces, UTF-8 without one."""
    if "r" in mode and isinstance(name, str | os.PathLike):
        with builtins.open(name, "rb") as file:
            head = file.read(4)
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                return encoding
    return "utf-8"


class _Lines:
    """Lines of a file by their places, for threads and for processes that were forked after it was opened.

    Those share a position in the file, which each of them would move under the others: it is not used.
    """

    def __init__(self, name: str | os.PathLike):
        self._file = builtins.open(name, "rb", buffering=0)  # noqa: SIM115
        self._lock = threading.Lock()

    def at(self, offset: int) -> bytes:
        """Return the line that begins at an offset."""
        if hasattr(os, "pread"):
            return self._joined(lambda at: os.pread(self._file.fileno(), CHUNK, at), offset)
        with self._lock:  # Windows has no forks
            self._file.seek(offset)
            return self._joined(lambda at: self._file.read(CHUNK), offset)

    @staticmethod
    def _joined(read: Callable[[int], bytes], offset: int) -> bytes:
        parts = []
        while part := read(offset):
            end = part.find(b"\n") + 1
            parts.append(part[:end] if end else part)
            if end:
                break
            offset += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class open:  # it takes the place of the built-in function in scripts, hence the name
    """Open a file as the built-in `open` does, in UTF-8 on every system, with random access to lines if wanted.

    Args:
        name: path of the file.
        mode: as for the built-in; binary modes work too.
        encoding: name of the encoding; by default what the file's byte order mark says, otherwise UTF-8.
        errors: as for the built-in ("strict", "ignore", "replace").
        indexable: True makes `file[i]`, `file[i:j]` and `len(file)` work (one pass over the file); a path also
            keeps the index there and reads it next time, unless the file is newer. Threads, and processes forked
            after the file was opened, may look up lines at the same time.

    Raises:
        FileNotFoundError: if there is no such file.
        UnicodeDecodeError: on reading, with the name of the file, if it is in another encoding.
        ValueError: if `indexable` is wanted of a mode or an encoding that cannot have it.
    """

    def __init__(
        self,
        name: str | os.PathLike,
        mode: str = "r",
        encoding: str | None = None,
        errors: str = "strict",
        indexable: bool | str | os.PathLike = False,
    ):
        self.name = name
        self.mode = mode
        self.errors = errors
        self.offsets: array | None = None
        self._lines: _Lines | None = None
        if "b" in mode:
            self.encoding = None
            self.file = builtins.open(name, mode)  # noqa: SIM115
        else:
            self.encoding = encoding or _detect(name, mode)
            self.file = builtins.open(name, mode, encoding=self.encoding, errors=errors)  # noqa: SIM115
        if indexable:
            try:
                self._make_index(indexable)
            except BaseException:
                self.file.close()
                raise

    # -- reading and writing ---------------------------------------------------------------------------------

    def _decoding(self, function: Callable, *args: Any) -> Any:
        try:
            return function(*args)
        except UnicodeDecodeError as error:
            raise UnicodeDecodeError(
                error.encoding,
                error.object,
                error.start,
                error.end,
                f"{error.reason}. The file {os.fspath(self.name)} is not {self.encoding}; pass its encoding, such as"
                " open(name, encoding='gb18030') for Chinese text from Windows, or errors='ignore'",
            ) from None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._decoding(next, self.file)

    next = __next__

    def read(self, size: int = -1) -> Any:
        """Read `size` characters (bytes in binary modes), all by default."""
        return self._decoding(self.file.read, size)

    def readline(self) -> Any:
        """Read one line with its line break; empty at the end of the file."""
        return self._decoding(self.file.readline)

    def readlines(self) -> list[Any]:
        """Read all remaining lines."""
        return self._decoding(self.file.readlines)

    def write(self, text: Any) -> int:
        """Write `text`; returns how much was written."""
        return self.file.write(text)

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self.file.flush()

    def seek(self, offset: int = 0, whence: int = 0) -> int:
        """Move to a position that `tell` returned."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """Return the current position."""
        return self.file.tell()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        if self._lines is not None:
            self._lines.close()

    def __enter__(self) -> open:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "file":  # not opened (yet): nothing to forward to
            raise AttributeError(attribute)
        return getattr(self.file, attribute)

    def __bool__(self) -> bool:
        return True

    # -- lines by number -------------------------------------------------------------------------------------

    def _make_index(self, indexable: bool | str | os.PathLike) -> None:
        if "r" not in self.mode or "+" in self.mode:
            raise ValueError(f"indexable=... needs a file opened for reading only, not mode {self.mode!r}")
        if self.encoding is not None and "a\n".encode(self.encoding)[-2:] != b"a\n":
            raise ValueError(
                f"{os.fspath(self.name)}: lines cannot be found by bytes in {self.encoding}; convert the file to UTF-8"
            )
        keep = None if isinstance(indexable, bool | int) else os.fspath(indexable)
        if keep and os.path.exists(keep) and os.path.getmtime(keep) >= os.path.getmtime(self.name):
            with builtins.open(keep, encoding="utf-8") as file:
                self.offsets = array("q", json.load(file))
        else:
            self.offsets = array("q")
            position = 0
            with builtins.open(self.name, "rb") as file:
                for line in file:
                    self.offsets.append(position)
                    position += len(line)
            if keep:
                with atomic_path(keep) as partial, builtins.open(partial, "w", encoding="utf-8") as file:
                    json.dump(self.offsets.tolist(), file)
        self._lines = _Lines(self.name)

    def _index(self) -> array:
        if self.offsets is None:
            raise TypeError(f"{os.fspath(self.name)} was opened without indexable=True: it has no len() and no [i]")
        return self.offsets

    def __len__(self) -> int:
        return len(self._index())

    def __getitem__(self, key: int | slice) -> Any:
        offsets = self._index()
        if isinstance(key, slice):
            return [self[i] for i in range(*key.indices(len(offsets)))]
        try:
            offset = offsets[key]
        except IndexError:
            raise IndexError(f"line {key} of {os.fspath(self.name)}, which has {len(offsets)} lines") from None
        line = self._lines.at(offset)
        if self.encoding is None:
            return line
        # The mark of utf-8-sig stands before the first line only.
        encoding = "utf-8" if self.encoding == "utf-8-sig" and offset else self.encoding
        text = self._decoding(line.decode, encoding, self.errors)
        return text[:-2] + "\n" if text.endswith("\r\n") else text
