"""Finds configuration, weights and vocabulary in the folder of a released package, whatever the files are called."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import Any

from bert4keras2.checkpoints.finding.advice import not_found
from bert4keras2.checkpoints.formats.sniff import checkpoint_prefix, classify
from bert4keras2.checkpoints.formats.tensorflow_index import OBJECT_GRAPH, read_index
from bert4keras2.errors import (
    AmbiguousCheckpointError,
    CheckpointError,
    CheckpointFormatError,
    CheckpointNotFoundError,
)
from bert4keras2.files import atomic_path, read_json, reject_impostor

__all__ = [
    "GENERATOR",
    "FoundCheckpoint",
    "companions",
    "copy_companions",
    "find_checkpoint",
    "find_config",
    "find_vocabulary",
    "find_weights",
]

GENERATOR = "generator.json"  # of `Generator.save`: which tokens end a text, what the model was built for

# Earlier formats win: safetensors is the safest, torch needs a further package, and the last two are what a training
# script left beside the package that it started from.
PREFERENCE = ("safetensors", "tensorflow", "torch", "tensorflow_objects", "keras2_hdf5")

_NOT_WEIGHTS = ("training_args.bin", "optimizer.", "scheduler.", "rng_state", "rust_model.ot", "adapter_model.", ".")
_NO_SUFFIX = (".txt", ".md", ".model", ".py", ".bpe", ".msgpack", ".pb", ".pbtxt", ".html", ".npz", ".npy")
_NOT_CONFIG = {
    "tokenizer_config.json", "tokenizer.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json",
    "preprocessor_config.json", "processor_config.json", "image_processor_config.json", "adapter_config.json",
    "quantize_config.json", "quant_config.json", "trainer_state.json", "training_config.json", "modules.json",
    "config_sentence_transformers.json", "sentence_bert_config.json", "vocab.json", "encoder.json",
}  # fmt: skip
# Two of these make a JSON file the configuration of a model.
_CONFIG_KEYS = {
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size", "embedding_size",
    "n_embd", "n_layer", "n_head", "n_ctx", "d_model", "num_layers", "num_heads", "d_ff",
}  # fmt: skip
_TOKENIZER = {
    "tokenizer_config.json", "tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "encoder.json", "vocab.bpe", "merges.txt", "spiece.model", "sentencepiece.bpe.model",
}  # fmt: skip
_LARGEST_CONFIG = 2**20
_LARGEST_INDEX = 2**26


@dataclass(frozen=True)
class FoundCheckpoint:
    """The files of a released package.

    Attributes:
        config_path: the JSON configuration.
        checkpoint_path: what `open_checkpoint` takes; for TensorFlow the prefix.
        vocab_path: the list of tokens, one a line, or None.
        sentencepiece_path: the SentencePiece model, or None.
        format: 'safetensors', 'tensorflow', 'torch', 'tensorflow_objects' or 'keras2_hdf5'.
    """

    config_path: str
    checkpoint_path: str
    vocab_path: str | None
    sentencepiece_path: str | None
    format: str


def find_checkpoint(folder: str | os.PathLike[str]) -> FoundCheckpoint:
    """Find the files of one package; sub-folders are not searched.

    Args:
        folder: where a released package was unpacked.

    Returns:
        The paths. Where the weights exist in several formats, safetensors is preferred to TensorFlow and TensorFlow to
        PyTorch. Files are found, not verified: `open_checkpoint` tells whether the weights are complete.

    Raises:
        CheckpointNotFoundError: no such folder, no weights or no configuration; the message lists what is there.
        AmbiguousCheckpointError: two files are equally good; the message lists them.
        CheckpointFormatError, CheckpointDamagedError: the only weights are e.g. a Git LFS pointer or a web page.
    """
    folder = _folder(folder)
    checkpoint, kind = find_weights(folder)
    vocab, pieces = find_vocabulary(folder)
    return FoundCheckpoint(find_config(folder, kind), checkpoint, vocab, pieces, kind)


def find_config(folder: str | os.PathLike[str], kind: str = "") -> str:
    """Find the configuration of a model in a folder.

    Args:
        folder: where to look; sub-folders are not searched.
        kind: format of the weights. A folder that has them in two formats may have a JSON for each: `config.json` then
            goes with safetensors and PyTorch files, the other one with TensorFlow's.

    Raises:
        CheckpointNotFoundError: if there is none.
        AmbiguousCheckpointError: if there are several that differ.
    """
    folder = _folder(folder)
    names = _files(folder)
    configs = _configs(folder, names)
    if not configs:
        raise _nothing(
            folder,
            names,
            "configuration",
            "a JSON file with keys like 'hidden_size' and 'num_hidden_layers' (bert_config.json, config.json, "
            "albert_config.json, hparams.json, ...; python -m bert4keras2.inspect tells sizes from the weights)",
        )
    if len(configs) == 2 and "config.json" in configs and kind and _same_sizes(folder, configs):
        configs = [name for name in configs if (name == "config.json") == (kind in ("safetensors", "torch"))]
    return os.path.join(folder, _single(folder, configs, "configuration"))


def find_vocabulary(folder: str | os.PathLike[str]) -> tuple[str | None, str | None]:
    """Find the vocabulary in a folder.

    Returns:
        The paths of the list of tokens and of the SentencePiece model, None for those that are not there.

    Raises:
        AmbiguousCheckpointError: if there are several of a kind.
    """
    folder = _folder(folder)
    names = _files(folder)
    vocabs = [name for name in names if name.endswith(".txt") and "vocab" in name.lower()]
    if "vocab.txt" in vocabs:
        vocabs = ["vocab.txt"]
    pieces = [name for name in names if name.endswith(".model")]
    if len(pieces) > 1:
        # mT5 is handed on with a reduced vocabulary beside its own; only the latter has all the rows of the weights.
        pieces = [name for name in pieces if not name.endswith("_cn.model")]
    return (
        os.path.join(folder, _single(folder, vocabs, "vocabulary")) if vocabs else None,
        os.path.join(folder, _single(folder, pieces, "SentencePiece model")) if pieces else None,
    )


def companions(folder: str | os.PathLike[str], to: str = "huggingface") -> dict[str, str]:
    """Return {file name: path} of what tokenizers read from a folder, by the names that a copy has.

    Args:
        folder: where to look.
        to: what the copy is to be: "huggingface" or "tensorflow".
    """
    folder = _folder(folder)
    known = [name for name in _files(folder) if name in _TOKENIZER or name.endswith("_keep_tokens.json")]
    known += [name for name in _files(folder) if name.endswith((".model", ".txt")) and _is_vocabulary(name)]
    found = {name: os.path.join(folder, name) for name in dict.fromkeys(known)}
    lists = [name for name in found if name.endswith(".txt") and name != "merges.txt"]
    if to == "huggingface" and len(lists) == 1:
        found["vocab.txt"] = found.pop(lists[0])  # the only name that tokenizers look for there
    return found


def copy_companions(source: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Copy what tokenizers read beside weights in Hugging Face's format.

    Args:
        source: folder of the checkpoint that the vocabulary is of.
        folder: where to; it exists. If it is the same one, there is nothing to do.
    """
    if os.path.realpath(source) == os.path.realpath(folder):
        return
    for name, path in companions(source).items():
        with atomic_path(os.path.join(folder, name)) as partial:
            shutil.copyfile(path, partial)


def _is_vocabulary(name: str) -> bool:
    return name.endswith(".model") or "vocab" in name.lower() or name == "merges.txt"


def _same_sizes(folder: str, names: list[str]) -> bool:
    """Whether two configurations say the same wherever both say something."""
    first, second = (_json(os.path.join(folder, name), _LARGEST_CONFIG) for name in names)
    shared = _CONFIG_KEYS & first.keys() & second.keys()
    # GPT-2 and T5 are spelt otherwise by Hugging Face: nothing but the vocabulary's size is comparable then.
    return bool(shared) and all(first[key] == second[key] for key in shared)


def find_weights(folder: str | os.PathLike[str]) -> tuple[str, str]:
    """Find the weights in a folder.

    Args:
        folder: a folder that holds one checkpoint (possibly in several formats).

    Returns:
        The path for `open_checkpoint` and the format, one of `FoundCheckpoint.format`.

    Raises:
        See `find_checkpoint`.
    """
    folder = _folder(folder)
    names = _files(folder)
    found: dict[str, list[str]] = {kind: [] for kind in PREFERENCE}
    parts: set[str] = set()  # the files that a JSON index puts together
    rejected: list[CheckpointError] = []
    for name in names:
        try:
            kind, members = _weights(os.path.join(folder, name))
        except CheckpointError as error:
            rejected.append(error)
            continue
        parts |= members
        if kind is not None:
            found[kind].append(checkpoint_prefix(name))
    for kind in PREFERENCE:
        candidates = sorted(set(found[kind]) - parts)
        if candidates:
            return os.path.join(folder, _single(folder, candidates, "checkpoint")), kind
    if rejected:
        raise rejected[0]
    raise _nothing(
        folder,
        names,
        "weights",
        "a TensorFlow index (bert_model.ckpt.index), safetensors (model.safetensors), a PyTorch .bin or a Keras 2 HDF5 "
        "file",
    )


def _weights(path: str) -> tuple[str | None, set[str]]:
    """Tell the format of a file, None for no weights, and the names of the files that it puts together."""
    name = os.path.basename(path)
    if name.startswith(_NOT_WEIGHTS):
        return None, set()
    if name.endswith(".json"):
        content = _json(path, _LARGEST_INDEX) if name.endswith(".index.json") else None
        members = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(members, dict) or not members:
            return None, set()
        files = {str(file) for file in members.values()}
        return "safetensors" if all(file.endswith(".safetensors") for file in files) else "torch", files
    if name.endswith(".index"):
        reject_impostor(path)
        index = read_index(path)
        return "tensorflow_objects" if index and OBJECT_GRAPH in index.entries else "tensorflow", set()
    if checkpoint_prefix(name) != name or name.endswith(_NO_SUFFIX) or name == "checkpoint":
        return None, set()
    if name.endswith((".zip", ".gz", ".tar", ".tgz")):
        raise CheckpointFormatError(f"{path!r} is a packed archive. Unpack it and pass the folder that it contains.")
    kind = classify(path)
    return {"hdf5": "keras2_hdf5", "shards": None}.get(kind, kind), set()


def _configs(folder: str, names: list[str]) -> list[str]:
    """Return the candidates; files whose content says 'model' win over those whose name only does."""
    named: list[str] = []
    telling: dict[str, dict] = {}
    for name in names:
        if not name.endswith(".json") or name.endswith(".index.json") or name in _NOT_CONFIG:
            continue
        content = _json(os.path.join(folder, name), _LARGEST_CONFIG)
        if isinstance(content, dict) and len(_CONFIG_KEYS & content.keys()) >= 2:
            # The same settings under two names (bert_config.json and config.json) leave no doubt.
            if content not in telling.values():
                telling[name] = content
        elif "config" in name.lower() or name == "hparams.json":
            named.append(name)
    return list(telling) or named


def _json(path: str, largest: int) -> dict[str, Any] | None:
    if os.path.getsize(path) > largest:
        return None
    try:
        return read_json(path)
    except ValueError:
        return None


def _folder(folder: str | os.PathLike[str]) -> str:
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        if os.path.exists(folder):
            raise CheckpointNotFoundError(f"The folder {folder!r} is a file; pass the folder it is in.")
        raise CheckpointNotFoundError(not_found(folder))
    return folder


def _files(folder: str) -> list[str]:
    return sorted(name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name)))


def _single(folder: str, names: list[str], what: str) -> str:
    if len(names) > 1:
        paths = ", ".join(repr(os.path.join(folder, name)) for name in names)
        raise AmbiguousCheckpointError(
            f"The folder {folder!r} holds more than one {what}: {paths}. Pass the path of the one that you mean."
        )
    return names[0]


def _nothing(folder: str, names: list[str], what: str, wanted: str) -> CheckpointNotFoundError:
    shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
    message = f"The folder {folder!r} holds no {what}. Looked for {wanted}; found {shown or 'no files'}."
    inner = [entry.path for entry in os.scandir(folder) if entry.is_dir() and _files(entry.path)]
    if inner:
        message += f" Sub-folders are not searched; perhaps you mean {', '.join(map(repr, sorted(inner)[:5]))}."
    return CheckpointNotFoundError(message)
