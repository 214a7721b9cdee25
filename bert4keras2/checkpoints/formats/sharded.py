"""Checkpoints that are split over several files with a JSON index (`model.safetensors.index.json` and the like)."""

from __future__ import annotations

import os

import numpy as np

from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.formats.safetensors import SafetensorsReader
from bert4keras2.checkpoints.formats.sniff import classify
from bert4keras2.checkpoints.formats.torch import TorchReader
from bert4keras2.errors import (
    CheckpointDamagedError,
    CheckpointFormatError,
    CheckpointNotFoundError,
)
from bert4keras2.files import read_json

__all__ = ["ShardedReader"]

READERS: dict[str | None, type[Reader]] = {"safetensors": SafetensorsReader, "torch": TorchReader}


class ShardedReader(Reader):
    """Several safetensors or PyTorch files as one checkpoint; a single file is open at a time."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        weight_map = read_json(path, "the index of a sharded checkpoint", repeated=False).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise CheckpointDamagedError(
                f"The index {path!r} has no 'weight_map' of names and files. Download it again."
            )
        self._open_name: str | None = None
        self._open: Reader | None = None
        self._files: dict[str, str] = {}
        shards: dict[str, list[str]] = {}
        for name, shard in weight_map.items():
            if not isinstance(shard, str) or not shard or "\0" in shard:
                raise CheckpointDamagedError(
                    f"The index {path!r} says that {name[:200]!r} is in {shard!r:.200}, which is no name of a file. "
                    "Download it again."
                )
            if os.path.basename(shard) != shard or shard in (".", ".."):
                raise CheckpointFormatError(f"The index {path!r} points outside of its folder, to {shard!r}.")
            shards.setdefault(shard, []).append(name)
        folder = os.path.dirname(path)
        missing = [shard for shard in shards if not os.path.isfile(os.path.join(folder, shard))]
        if missing:
            raise CheckpointNotFoundError(
                f"The checkpoint {path!r} is incomplete: {len(missing)} of its {len(shards)} files are missing "
                f"({', '.join(map(repr, sorted(missing)[:5]))}). Download them into the same folder."
            )
        try:
            self._collect(shards)
        except BaseException:
            self._release()
            raise

    def _collect(self, shards: dict[str, list[str]]) -> None:
        # Names go file by file, so that reading all of them opens each file once.
        for shard, names in sorted(shards.items()):
            reader = self._shard(shard)
            for name in names:
                if name not in reader:
                    raise CheckpointDamagedError(
                        f"The index {self.path!r} says that {name!r} is in {shard!r}, but it is not: the files belong "
                        "to different versions. Download all of them again."
                    )
                self._files[name] = shard
                self._entries[name] = reader.shape(name), reader.dtype(name)
            self.format = reader.format

    def _shard(self, shard: str) -> Reader:
        if self._open is None or self._open_name != shard:
            self._release()
            path = os.path.join(os.path.dirname(self.path), shard)
            kind = classify(path)
            if kind not in READERS:
                raise CheckpointFormatError(
                    f"The index {self.path!r} puts together safetensors or PyTorch files, and {shard!r} is neither."
                )
            self._open = READERS[kind](path)
            self._open_name = shard
        return self._open

    def _read(self, name: str) -> np.ndarray:
        return self._shard(self._files[name]).read(name)

    def _release(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None
