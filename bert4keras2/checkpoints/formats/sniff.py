"""Recognises what a file is by its first bytes, and says what is wrong when it is no checkpoint."""

from __future__ import annotations

import difflib
import glob
import os
import re

from bert4keras2.checkpoints.encodings.zips import Archive
from bert4keras2.errors import (
    CheckpointDamagedError,
    CheckpointFormatError,
    CheckpointNotFoundError,
)
from bert4keras2.files import read_json, reject_impostor

__all__ = ["checkpoint_prefix", "classify", "locate"]

FORMATS = (
    "TensorFlow checkpoints (prefix.index + prefix.data-*), safetensors, Keras 2 HDF5 weights and PyTorch .bin files"
)
_SSTABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # the last eight bytes of a TensorFlow index
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_TORCH_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_TF_SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_WEIGHT_SUFFIX = (".safetensors", ".bin", ".h5", ".hdf5", ".weights", ".pt", ".pth", ".ckpt", ".keras", ".index.json")


def checkpoint_prefix(path: str) -> str:
    """Return the TensorFlow prefix that a path stands for: `.index`, `.meta` and `.data-*` are cut off."""
    return _TF_SUFFIX.sub("", path)


def locate(path: str) -> tuple[str, str]:
    """Find the checkpoint that a path names.

    Args:
        path: a file or a TensorFlow prefix.

    Returns:
        The kind ('tensorflow', 'safetensors', 'shards', 'hdf5' or 'torch') and the path to open.

    Raises:
        CheckpointNotFoundError, CheckpointDamagedError, CheckpointFormatError: see `open_checkpoint`.
    """
    prefix = checkpoint_prefix(path)
    if os.path.isfile(path) and prefix == path:
        kind = classify(path)
        if kind is not None:
            return kind, path
    if os.path.isfile(prefix + ".index"):
        reject_impostor(prefix + ".index")
        return "tensorflow", prefix
    parts = sorted(glob.glob(glob.escape(prefix) + ".data-*-of-*"))
    if parts:
        raise CheckpointNotFoundError(
            f"The TensorFlow checkpoint {prefix!r} is incomplete: {os.path.basename(parts[0])!r} is there, but "
            f"{os.path.basename(prefix) + '.index'!r} is not. Download it again, with all of its files."
        )
    if os.path.isfile(path):
        raise _unknown(path)
    raise CheckpointNotFoundError(_not_found(path))


def classify(path: str) -> str | None:
    """Tell the kind of one file by its content; None when it is of no known kind.

    Args:
        path: an existing file.

    Returns:
        'tensorflow' (a V1 file or an index), 'safetensors', 'shards' (a JSON index of sharded files), 'hdf5',
        'torch' or None.

    Raises:
        CheckpointFormatError, CheckpointDamagedError: the file is recognised as something that cannot be loaded.
    """
    reject_impostor(path)
    with open(path, "rb") as file:
        head = file.read(512)
        file.seek(max(0, os.path.getsize(path) - 8))
        tail = file.read(8)
    if tail == _SSTABLE_MAGIC:
        return "tensorflow"
    if head.startswith(_HDF5_MAGIC) or _has_user_block(path):
        return "hdf5"
    if head.startswith(_TORCH_LEGACY):
        return "torch"
    if head.startswith(b"PK\x03\x04"):
        return _classify_zip(path, head)
    header_size = int.from_bytes(head[:8], "little")
    if path.endswith(".safetensors") or (head[8:9] == b"{" and 2 <= header_size <= 100_000_000):
        return "safetensors"
    if head.lstrip().startswith(b"{"):
        return _classify_json(path)
    if head.startswith(b"model_checkpoint_path:"):
        named = head.split(b'"')[1].decode("utf-8", "replace") if head.count(b'"') > 1 else "model.ckpt"
        target = os.path.join(os.path.dirname(path), named)
        raise CheckpointFormatError(
            f"{path!r} is the small text file in which TensorFlow notes its latest checkpoint. Pass {target!r}."
        )
    return None


def _classify_zip(path: str, head: bytes) -> str:
    try:
        archive = Archive(path)
    except CheckpointDamagedError:
        if b"data.pkl" in head:
            return "torch"  # its reader tells that the file is cut short
        raise
    members = archive.names()
    archive.close()
    if any(name.endswith("data.pkl") for name in members):
        return "torch"
    if "model.weights.h5" in members:
        raise CheckpointFormatError(
            f"{path!r} is a whole model in the Keras 3 format. Load it with keras.models.load_model({path!r}); these "
            f"readers are for {FORMATS}."
        )
    raise CheckpointFormatError(
        f"{path!r} is a zip archive ({', '.join(repr(name[:100]) for name in members[:3])}, ...), not weights. Unpack "
        "it and pass the path of the weights inside."
    )


def _classify_json(path: str) -> str:
    try:
        content = read_json(path)
    except ValueError:
        raise CheckpointDamagedError(f"{path!r} begins like JSON but cannot be parsed. Download it again.") from None
    if isinstance(content.get("weight_map"), dict):
        return "shards"
    raise CheckpointFormatError(
        f"{path!r} is a JSON file (a configuration or a vocabulary?), not weights. Pass it as the configuration, and "
        "the weights beside it as the checkpoint."
    )


def _has_user_block(path: str) -> bool:
    """HDF5 allows a foreign header of 512, 1024, 2048, ... bytes before its own signature."""
    with open(path, "rb") as file:
        for offset in (512, 1024, 2048):
            file.seek(offset)
            if file.read(8) == _HDF5_MAGIC:
                return True
    return False


def _unknown(path: str) -> CheckpointFormatError:
    with open(path, "rb") as file:
        head = file.read(8)
    hint = ""
    if head[:4] == b"GGUF":
        hint = " It is a GGUF file; convert the original model to safetensors."
    elif head[:1] == b"\x80":
        hint = " It looks like a Python pickle, which is not read because loading one can run code."
    return CheckpointFormatError(
        f"{path!r} is of no known format (it begins with {head!r}).{hint} Known are {FORMATS}. If it should be one of "
        "them, the file is damaged: download it again."
    )


def _not_found(path: str) -> str:
    folder, wanted = os.path.split(os.path.abspath(path))
    if not os.path.isdir(folder):
        return f"There is no checkpoint {path!r}: the folder {folder!r} does not exist. Check the path."
    names = {checkpoint_prefix(name) for name in os.listdir(folder) if _TF_SUFFIX.search(name)}
    names |= {name for name in os.listdir(folder) if name.endswith(_WEIGHT_SUFFIX)}
    ranked = sorted(names, key=lambda name: (-difflib.SequenceMatcher(None, wanted, name).ratio(), name))
    if ranked:
        found = "The folder holds " + ", ".join(repr(os.path.join(folder, name)) for name in ranked[:5])
        advice = found + (", ..." if len(ranked) > 5 else "") + ". Pass one of these."
    else:
        others = sorted(name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name)))
        shown = ", ".join(map(repr, others[:8])) + (", ..." if len(others) > 8 else "")
        advice = f"The folder holds no weights at all ({shown or 'no files'}). Download the checkpoint into it."
    return f"There is no checkpoint {path!r}: neither this file nor {wanted + '.index'!r} exists. {advice}"
