"""PyTorch checkpoints (`pytorch_model.bin`): tensors are read from the file; nothing in it is run."""

from __future__ import annotations

import math
import mmap
from typing import Any, NamedTuple

import numpy as np

from bert4keras2.checkpoints.encodings.arrays import array_dtype, array_shape
from bert4keras2.checkpoints.encodings.pickles import Call, Named, read_pickle
from bert4keras2.checkpoints.encodings.zips import Archive
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.errors import CheckpointDamagedError, CheckpointFormatError

__all__ = ["TorchReader"]

# Training frameworks wrap the state dictionary under one of these.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8",
}  # fmt: skip
_TYPES = {*_STORAGES.values(), "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"}
_PERSISTENT = Named("", "persistent")
_LEGACY_PARTS = 3  # pickles before that of the object: a magic number, the protocol, sizes of types
# Tensors that repeat their values (expand) may be larger than the file, but not by any amount.
_EXPANDED = 2**24


class _Tensor(NamedTuple):
    """Where a tensor is: the key of its storage, offset and strides in values."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str


class TorchReader(Reader):
    """One PyTorch file with a dictionary of tensors; values stay in the file until they are read.

    Both the present format (a zip archive, torch 1.6 and later, compressed again or not) and the one before are read
    tensor by tensor. Pickled objects other than tensors are looked at and never made.
    """

    format = "torch"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        with open(path, "rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
        self._storages: _Zipped | _Legacy = _Zipped(path) if zipped else _Legacy(path)
        self._tensors: dict[str, _Tensor | str] = {}
        try:
            self._collect(self._storages.content)
        except BaseException:
            self._storages.close()
            raise

    def _collect(self, content: Any) -> None:
        found = _mapping(content)
        for key in _WRAPPERS:
            if found is not None and (inner := _mapping(found.get(key))) is not None:
                found = inner
                break
        for name, value in (found or {}).items():
            if isinstance(name, str) and (call := _rebuilt(value)) is not None:
                self._add(name, call)
        if not self._tensors:
            raise CheckpointFormatError(
                f"{self.path!r} holds {_described(content)}, not a dictionary of tensors. Save the model's "
                "state_dict(); objects of other classes are not loaded, since that could run code."
            )

    def _add(self, name: str, call: Call) -> None:
        wrong = f"The tensor {name[:200]!r} in {self.path!r} is described in a way that cannot be. Download it again."
        kind = call.function.name.removeprefix("_rebuild_")
        if not kind.startswith("tensor"):
            self._entries[name], self._tensors[name] = ((), kind), kind
            return
        values = call.arguments
        if not isinstance(values, tuple) or len(values) < (7 if kind == "tensor_v3" else 4):
            raise CheckpointDamagedError(wrong)
        key, dtype, count = _storage(values[0], wrong)
        if kind == "tensor_v3":  # the storage counts bytes
            if dtype != "uint8":
                raise CheckpointDamagedError(wrong)
            dtype = values[6].name if isinstance(values[6], Named) else "unknown"
        if dtype not in _TYPES:
            self._entries[name], self._tensors[name] = ((), dtype[:50]), dtype[:50]
            return
        size = array_dtype(dtype).itemsize
        if kind == "tensor_v3":
            count //= size
        shape = array_shape(_plain(values[2]), size, wrong)
        strides = array_shape(_plain(values[3]), 1, wrong)
        offset = values[1]
        fine = type(offset) is int and offset >= 0 and len(strides) == len(shape)
        if not fine or not (_extent(shape, strides) <= count - offset or math.prod(shape) == 0):
            raise CheckpointDamagedError(wrong)
        if math.prod(shape) > max(count, _EXPANDED // size):
            raise CheckpointDamagedError(
                f"The tensor {name[:200]!r} in {self.path!r} repeats {count} values to {math.prod(shape)}. Save a copy "
                "of it (tensor.contiguous())."
            )
        self._storages.require(key, count * size, wrong)
        self._entries[name] = shape, dtype
        self._tensors[name] = _Tensor(key, offset, shape, strides, dtype)

    def _read(self, name: str) -> np.ndarray:
        tensor = self._tensors[name]
        if isinstance(tensor, str):
            raise CheckpointFormatError(
                f"{name!r} in {self.path!r} is no dense tensor of a type that NumPy has, but a {tensor} (sparse or "
                "quantized?); convert it to floats."
            )
        dtype = array_dtype(tensor.dtype)
        if math.prod(tensor.shape) == 0:
            return np.empty(tensor.shape, dtype)
        first, size = tensor.offset, dtype.itemsize
        last = first + _extent(tensor.shape, tensor.strides)
        values = self._storages.read(tensor.storage, first * size, last * size).view(dtype)
        if self._storages.swapped:
            values = values.byteswap()
        strides = [stride * size for stride in tensor.strides]
        array = np.lib.stride_tricks.as_strided(values, tensor.shape, strides)
        return values.reshape(tensor.shape) if array.flags.c_contiguous else np.array(array)

    def _release(self) -> None:
        self._storages.close()
        self._tensors = {}


class _Zipped:
    """The storages of a zip archive."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._archive = Archive(path)
        try:
            name = next((name for name in self._archive.names() if name.rpartition("/")[2] == "data.pkl"), None)
            if name is None:
                raise CheckpointFormatError(f"{path!r} is a zip archive without a data.pkl, which torch did not write.")
            self._root = name.removesuffix("data.pkl")
            order = f"{self._root}byteorder"
            self.swapped = order in self._archive.names() and bytes(self._archive.read(order)[:6]) == b"big"
            self.content = _unpickled(bytes(self._archive.read(name)), path)[0]
        except BaseException:
            self._archive.close()
            raise

    def require(self, key: str, size: int, wrong: str) -> None:
        """Raise unless a storage of so many bytes is there."""
        name = f"{self._root}data/{key}"
        if name not in self._archive or self._archive.size(name) != size:
            raise CheckpointDamagedError(wrong)

    def read(self, key: str, first: int, last: int) -> np.ndarray:
        """Return a range of the bytes of a storage."""
        return self._archive.read(f"{self._root}data/{key}", first, last)

    def close(self) -> None:
        """Close the file."""
        self._archive.close()


class _Legacy:
    """The storages of a file from before torch 1.6: pickles, then the bytes of one storage after the other."""

    def __init__(self, path: str) -> None:
        self.path = path
        with open(path, "rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            at, sizes = 0, None
            for _ in range(_LEGACY_PARTS):
                sizes, at = _unpickled(self._data, path, at)
            self.swapped = isinstance(sizes, dict) and sizes.get("little_endian") is False
            self.content, at = _unpickled(self._data, path, at)
            self._keys, self._at = _unpickled(self._data, path, at)
            self._places: dict[str, tuple[int, int]] | None = None
        except BaseException:
            self._data.close()
            raise

    def require(self, key: str, size: int, wrong: str) -> None:
        """Raise unless a storage of so many bytes is there."""
        if self._places is None:
            self._places = self._located()
        if self._places.get(key, (0, -1))[1] != size:
            raise CheckpointDamagedError(wrong)

    def _located(self) -> dict[str, tuple[int, int]]:
        """Return where each storage is: position and bytes."""
        damaged = CheckpointDamagedError(
            f"The PyTorch file {self.path!r} is cut short or damaged: it lacks values that it lists. Download it again."
        )
        sizes: dict[str, int] = {}
        found, seen = [self.content], set()
        while found:  # what wraps a state dictionary and stands beside it may be nested, and may hold itself
            value = found.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Call) and value.function == _PERSISTENT:
                key, dtype, _ = _storage(value, str(damaged))
                if dtype not in _TYPES:
                    raise CheckpointFormatError(f"{self.path!r} holds values of the type {dtype}, which is not read.")
                sizes[key] = array_dtype(dtype).itemsize
            elif isinstance(value, Call):
                found += [value.arguments, value.state, value.items]
            elif isinstance(value, dict):
                found += value.values()
            elif isinstance(value, list | tuple):
                found += value
        at, places = self._at, {}
        for key in self._keys if isinstance(self._keys, list) else ():
            count = int.from_bytes(self._data[at : at + 8], "little", signed=True)
            if not isinstance(key, str) or key not in sizes or not 0 <= count <= len(self._data):
                raise damaged
            places[key] = at + 8, count * sizes[key]
            at = sum(places[key])
        if at > len(self._data):
            raise damaged
        return places

    def read(self, key: str, first: int, last: int) -> np.ndarray:
        """Return a range of the bytes of a storage."""
        start = (self._places or {})[key][0]
        # What is read through the map would stay in memory.
        return np.fromfile(self.path, np.uint8, last - first, offset=start + first)

    def close(self) -> None:
        """Close the file."""
        self._data.close()


def _unpickled(data: Any, path: str, at: int = 0) -> tuple[Any, int]:
    try:
        return read_pickle(data, at)
    except ValueError as error:
        raise CheckpointDamagedError(
            f"The PyTorch file {path!r} is cut short or damaged; download it again. ({error})"
        ) from error


def _mapping(value: Any) -> dict[Any, Any] | None:
    """Return the items of a dictionary, of whatever kind; None for anything else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Call) or not isinstance(value.function, Named) or value.function.name != "OrderedDict":
        return None
    first = value.arguments[0] if isinstance(value.arguments, tuple) and value.arguments else ()
    pairs = [pair for pair in first if isinstance(pair, list | tuple) and len(pair) == 2] if _is_list(first) else []
    return {**{key: item for key, item in pairs if isinstance(key, str)}, **value.items}


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _rebuilt(value: Any) -> Call | None:
    """Return the call that makes a tensor, with parameters and the like around it taken off; None for other objects."""
    for _ in range(4):
        if not isinstance(value, Call) or not isinstance(value.function, Named):
            return None
        name = value.function.name
        arguments = value.arguments if isinstance(value.arguments, tuple) else ()
        if not value.function.module.startswith("torch.") or not name.startswith("_rebuild_"):
            return None
        if name.startswith("_rebuild_parameter") and arguments:
            value = arguments[0]
        elif name == "_rebuild_from_type_v2" and len(arguments) > 2:
            value = Call(arguments[0], arguments[2])
        else:
            return value
    return None


def _storage(value: Any, wrong: str) -> tuple[str, str, int]:
    """Return key, type and number of values of a storage."""
    known = isinstance(value, Call) and isinstance(value.arguments, tuple) and 5 <= len(value.arguments) <= 6
    if known and value.function == _PERSISTENT and value.arguments[0] == "storage":
        kind, key, _, count = value.arguments[1:5]
        whole = len(value.arguments) == 5 or value.arguments[5] is None  # not a part of another storage
        if whole and isinstance(kind, Named) and isinstance(key, str) and type(count) is int and count >= 0:
            return key, _STORAGES.get(kind.name, kind.name[:50]), count
    raise CheckpointDamagedError(wrong)


def _plain(sizes: Any) -> Any:
    """Return the sizes of a torch.Size."""
    if isinstance(sizes, Call) and sizes.function == ("torch", "Size") and isinstance(sizes.arguments, tuple):
        return sizes.arguments[0] if len(sizes.arguments) == 1 else sizes
    return sizes


def _extent(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Return how many values of a storage a tensor reaches over."""
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


def _described(content: Any) -> str:
    found = _mapping(content)
    if found:
        kinds = [f"{str(key)[:30]!r}: {_kind(value)}" for key, value in list(found.items())[:3]]
        return f"a dict of other things ({', '.join(kinds)}{', ...' if len(found) > 3 else ''})"
    return f"a {_kind(content)}"


def _kind(value: Any) -> str:
    if isinstance(value, Call):
        return str(value.function)[:100] if isinstance(value.function, Named) else "object"
    return type(value).__name__
