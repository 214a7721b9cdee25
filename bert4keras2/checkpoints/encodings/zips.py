"""Zip archives: members by name, checked before they are handed out."""

from __future__ import annotations

import mmap
import os
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from bert4keras2.errors import CheckpointDamagedError, CheckpointFormatError

__all__ = ["Archive"]

_CHUNK = 2**20
_HEADER = 30  # bytes before a member's name in front of its data


class Archive:
    """An open zip archive. Every member that is read has its declared size and, where one is stored, its checksum."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._checked: set[str] = set()
        self._unpacked: tuple[str, bytes] = "", b""  # the compressed member that was read last
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        # zipfile is written for archives that are whole: a damaged list of members is any of these.
        except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError, RuntimeError) as error:
            raise CheckpointDamagedError(
                f"{path!r} begins like a zip archive, but the table at its end is missing or damaged: it was cut short "
                f"or changed. Download it again. ({error})"
            ) from error
        self._members = {member.filename: member for member in members}
        if len(self._members) < len(members):
            raise CheckpointDamagedError(f"{path!r} is a zip archive that holds a name twice. Download it again.")
        if sum(member.compress_size for member in members) > os.path.getsize(path):
            raise CheckpointDamagedError(f"{path!r} is a zip archive whose members overlap. Download it again.")
        self._file = open(path, "rb")  # noqa: SIM115 (closed by close)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def names(self) -> list[str]:
        """Return the names of all members."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Return how many bytes a member has, compressed or not."""
        return self._members[name].file_size

    def read(self, name: str, first: int = 0, last: int | None = None) -> np.ndarray:
        """Return bytes of a member as an array of uint8 that the caller owns.

        Args:
            name: of the member, which exists.
            first, last: the range of bytes; all of them by default.

        Raises:
            CheckpointDamagedError: if the archive is cut short, or a size or the checksum is wrong.
            CheckpointFormatError: if the member is encrypted, or compressed by another way than "deflate".
        """
        member = self._members[name]
        last = member.file_size if last is None else last
        if not 0 <= first <= last <= member.file_size:
            raise CheckpointDamagedError(self._wrong(name, f"bytes {first} to {last} of {member.file_size}"))
        if member.flag_bits & 1:
            raise CheckpointFormatError(f"{name!r} in {self.path!r} is encrypted; unpack it with its password.")
        if member.compress_type == zipfile.ZIP_STORED:
            return self._stored(member, first, last)
        if member.compress_type != zipfile.ZIP_DEFLATED:
            raise CheckpointFormatError(
                f"{name!r} in {self.path!r} is compressed in a way that is not read here; unpack the archive and pack "
                "it without compression."
            )
        if self._unpacked[0] != name:
            self._unpacked = name, self._inflated(member)
        return np.frombuffer(self._unpacked[1], np.uint8, last - first, first).copy()

    def content(self, name: str) -> Any:
        """Return all bytes of a member, of one that is not compressed without copying them; raises as `read`."""
        member = self._members[name]
        if member.compress_type != zipfile.ZIP_STORED or not member.file_size:
            return self.read(name)
        self._check_stored(name)
        start = self._start(member, member.file_size)
        whole = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)  # closed with the last view of it
        return memoryview(whole)[start : start + member.file_size]

    def verify(self) -> None:
        """Compare all checksums; raises as `read`."""
        for name in self._members:
            self.read(name, 0, 0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._unpacked = "", b""

    def _stored(self, member: zipfile.ZipInfo, first: int, last: int) -> np.ndarray:
        name, whole = member.filename, last - first == member.file_size
        if not whole:
            self._check_stored(name)
        start = self._start(member, member.file_size)
        values = np.empty(last - first, np.uint8)
        self._file.seek(start + first)
        if self._file.readinto(values) != len(values):  # type: ignore[arg-type]
            raise CheckpointDamagedError(self._wrong(name, "the file ends before"))
        if whole and name not in self._checked:
            self._compare(member, zlib.crc32(values))
        return values

    def _check_stored(self, name: str) -> None:
        """Compare the checksum of a member that is not compressed, once, a piece at a time."""
        member = self._members[name]
        if member.compress_type != zipfile.ZIP_STORED or name in self._checked:
            return
        self._file.seek(self._start(member, member.file_size))
        left, checksum = member.file_size, 0
        while left:
            piece = self._file.read(min(left, _CHUNK))
            if not piece:
                raise CheckpointDamagedError(self._wrong(name, "the file ends before"))
            checksum = zlib.crc32(piece, checksum)
            left -= len(piece)
        self._compare(member, checksum)

    def _inflated(self, member: zipfile.ZipInfo) -> bytes:
        self._file.seek(self._start(member, member.compress_size))
        unpack, left, found = zlib.decompressobj(-zlib.MAX_WBITS), member.compress_size, bytearray()
        try:
            while left and not unpack.eof and len(found) <= member.file_size:
                piece = self._file.read(min(left, _CHUNK))
                if not piece:
                    break
                left -= len(piece)
                while piece and len(found) <= member.file_size:
                    found += unpack.decompress(piece, _CHUNK)
                    piece = unpack.unconsumed_tail
        except zlib.error as error:
            raise CheckpointDamagedError(self._wrong(member.filename, str(error))) from error
        if len(found) != member.file_size or not unpack.eof:
            raise CheckpointDamagedError(self._wrong(member.filename, "its size is another than declared"))
        self._compare(member, zlib.crc32(found))
        return bytes(found)

    def _start(self, member: zipfile.ZipInfo, size: int) -> int:
        """Return where a member's data begin, once it is known that they are there."""
        at, end = member.header_offset, os.fstat(self._file.fileno()).st_size
        header = b""
        if 0 <= at <= end - _HEADER:
            self._file.seek(at)
            header = self._file.read(_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise CheckpointDamagedError(self._wrong(member.filename, "it is not where the table says"))
        start = at + _HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        if not 0 <= size <= end - start:
            raise CheckpointDamagedError(self._wrong(member.filename, "the file ends before"))
        return start

    def _compare(self, member: zipfile.ZipInfo, checksum: int) -> None:
        # PyTorch writes 0 where it was told to work none out (torch.serialization.set_crc32_options).
        if member.CRC not in (0, checksum):
            raise CheckpointDamagedError(self._wrong(member.filename, "the checksum does not match"))
        self._checked.add(member.filename)

    def _wrong(self, name: str, why: str) -> str:
        return f"{name[:200]!r} in {self.path!r} is damaged ({why}). Download the file again."
