"""Tokenized texts on disk: folders of plain .npy arrays that are mapped into memory, and a manifest of checksums."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, NamedTuple

import numpy as np

from bert4keras2.files import atomic_path, read_json, write_text
from bert4keras2.pretraining.corpus import CorpusError
from bert4keras2.pretraining.words import CONTINUES

__all__ = [
    "MANIFEST",
    "Shards",
    "Tokenized",
    "checksum",
    "is_complete",
    "read_manifest",
    "write_manifest",
    "write_shard",
]

MANIFEST = "manifest.json"
VERSION = 1
PARTS = ("ids", "flags", "lengths")


class Tokenized(NamedTuple):
    """Some texts, one after the other.

    Attributes:
        ids: (N,) uint16 or uint32 token ids without special tokens.
        flags: (N,) uint8, see `words`.
        lengths: (M,) int64, how many tokens each text has.
    """

    ids: np.ndarray
    flags: np.ndarray
    lengths: np.ndarray


def write_shard(folder: str, number: int, texts: Tokenized) -> dict[str, Any]:
    """Write one shard and return its entry of the manifest.

    Args:
        folder: where to; it exists.
        number: which shard it is.
        texts: its content.

    Raises:
        CorpusError: if the disk is full; no file of the shard is left behind then.
    """
    entry: dict[str, Any] = {"texts": len(texts.lengths), "tokens": len(texts.ids), "files": {}}
    written = []
    try:
        for part, array in zip(PARTS, texts, strict=True):
            name = f"{number:06d}.{part}.npy"
            path = os.path.join(folder, name)
            with atomic_path(path, ".npy") as partial:
                np.save(partial, array)
                entry["files"][name] = {"bytes": os.path.getsize(partial), "sha256": checksum(partial)}
            written.append(path)
    except OSError as error:
        for path in written:
            os.remove(path)
        raise CorpusError(
            f"shard {number} cannot be written to {folder}: {error}. What was finished before is kept: "
            "free some space and run the same command again"
        ) from error
    return entry


def checksum(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: Any) -> str:  # Python 3.10
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def write_manifest(folder: str, manifest: dict[str, Any]) -> None:
    """Write what a folder of shards holds, beside and then into its place."""
    write_text(os.path.join(folder, MANIFEST), json.dumps({"version": VERSION, **manifest}, indent=1))


def read_manifest(folder: str) -> dict[str, Any] | None:
    """Return what a folder of shards holds, None if it has no manifest.

    Raises:
        CorpusError: if the manifest is damaged, or of a later version.
    """
    path = os.path.join(folder, MANIFEST)
    if not os.path.exists(path):
        return None
    try:
        manifest = read_json(path, "the manifest of tokenized texts")
    except ValueError as error:
        raise CorpusError(f"{error}. Remove the folder {folder} and tokenize the corpus again") from error
    if manifest.get("version") != VERSION:
        raise CorpusError(
            f"{path} is of version {manifest.get('version')!r}, this library writes {VERSION}: remove the folder"
            " and tokenize the corpus again"
        )
    return manifest


def is_complete(folder: str) -> bool:
    """Whether a folder holds finished shards."""
    return bool((read_manifest(folder) or {}).get("complete"))


class Shards:
    """The texts of a folder of shards by their numbers; arrays are mapped, not read.

    Args:
        folder: what `tokenize_corpus` filled.
        verify: compare all checksums first; otherwise sizes alone.

    Attributes:
        lengths: (M,) int64, how many tokens each text has.
        continues: (M,) booleans: which texts say the same as those before them.
        manifest: what the folder says of itself.

    Raises:
        CorpusError: if the folder holds no finished shards, or a file is missing, cut or changed; it is named.
    """

    def __init__(self, folder: str | os.PathLike, verify: bool = False):
        self.folder = os.fspath(folder)
        manifest = read_manifest(self.folder)
        if manifest is None or not manifest.get("complete"):
            state = "holds no tokenized texts" if manifest is None else "was not finished: run the tokenization again"
            raise CorpusError(f"{self.folder} {state}")
        self.manifest = manifest
        self._check_files(verify)
        count = len(manifest["shards"])
        lengths = [self._open(number, "lengths") for number in range(count)]
        self.lengths = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
        self._shard = np.repeat(np.arange(count), [len(part) for part in lengths])
        self._start = np.concatenate([np.cumsum(part) - part for part in lengths]) if lengths else self.lengths
        self._mapped: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        firsts = [self._open(number, "flags")[self._start[self._shard == number]] for number in range(count)]
        self.continues = (np.concatenate(firsts) & CONTINUES) > 0 if firsts else np.zeros(0, bool)

    def _check_files(self, verify: bool) -> None:
        for shard in self.manifest["shards"]:
            for name, told in shard["files"].items():
                path = os.path.join(self.folder, name)
                fault = None
                if not os.path.exists(path):
                    fault = "is missing"
                elif os.path.getsize(path) != told["bytes"]:
                    fault = f"has {os.path.getsize(path):,} bytes instead of {told['bytes']:,}"
                elif verify and checksum(path) != told["sha256"]:
                    fault = "has another checksum than when it was written"
                if fault:
                    raise CorpusError(f"shard {path} {fault}: run the tokenization again, which makes this shard anew")

    def _open(self, number: int, part: str) -> np.ndarray:
        return np.load(os.path.join(self.folder, f"{number:06d}.{part}.npy"), mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids (N,) and flags (N,) of a text; both are views of the files."""
        number, start = int(self._shard[index]), int(self._start[index])
        if number not in self._mapped:
            self._mapped[number] = self._open(number, "ids"), self._open(number, "flags")
        ids, flags = self._mapped[number]
        part = slice(start, start + int(self.lengths[index]))
        return ids[part], flags[part]
