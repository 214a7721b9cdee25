"""Checkpoints from the Hugging Face hub, by the package `huggingface_hub`, which is imported only then."""

from __future__ import annotations

import os
import re
from types import ModuleType
from typing import Any

from bert4keras2.checkpoints.folder import find_checkpoint, find_weights
from bert4keras2.checkpoints.formats.errors import CheckpointError, CheckpointNotFoundError

__all__ = ["from_hub"]

SMALL = (
    "*config*.json", "hparams.json", "*vocab*", "*.model", "tokenizer.json", "special_tokens_map.json",
    "added_tokens.json", "merges.txt",
)  # fmt: skip
# In the order of preference; the next is asked for only where a repository has nothing of the one before.
WEIGHTS = (
    ("model*.safetensors", "model*.safetensors.index.json"),
    ("*.ckpt*",),
    ("pytorch_model*.bin", "pytorch_model*.bin.index.json"),
)
# Sub-folders (onnx, openvino, ...) and weights of half precision beside the others.
IGNORED = ("*/*", "*.fp16.*", "*.bf16.*", "*non_ema*")
REASONS = {
    "RepositoryNotFoundError": "there is no such repository, or it is private; check its name",
    "RevisionNotFoundError": "the repository has no such revision",
    "GatedRepoError": "its owner wants you to accept terms first: do so on its page, and log in with 'hf auth login'",
}


def from_hub(
    name: str, revision: str | None = None, cache_dir: str | os.PathLike[str] | None = None, **kwargs: Any
) -> str:
    """Download a checkpoint from the Hugging Face hub, or find it in the local cache.

    Configuration, vocabulary and weights are fetched, nothing else; safetensors are preferred to TensorFlow files and
    those to PyTorch's.

    Args:
        name: of the repository, 'owner/name'.
        revision: branch, tag or commit; the main branch if None.
        cache_dir: where downloads are kept; the hub's own cache if None.
        **kwargs: further arguments of `huggingface_hub.snapshot_download`, such as token or local_files_only.

    Returns:
        The local folder: `build_transformer_model(from_hub("hfl/rbt3"))` builds it, `load_tokenizer` reads its
        vocabulary.

    Raises:
        ImportError: if huggingface_hub is not installed.
        ValueError: if the name is not of the form 'owner/name'.
        CheckpointNotFoundError: if it cannot be downloaded, or holds no checkpoint.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"from_hub() takes the name of a repository, 'owner/name', not {name!r}")
    hub = _import_hub(name)
    small: tuple[str, ...] = SMALL
    for patterns in WEIGHTS:
        folder = _download(hub, name, (*small, *patterns), revision=revision, cache_dir=cache_dir, **kwargs)
        small = ()  # those are there now
        try:
            find_weights(folder)
            break
        except CheckpointNotFoundError:
            continue
    try:
        find_checkpoint(folder)
    except CheckpointError as error:
        raise CheckpointNotFoundError(
            f"The repository {name!r} holds no checkpoint that can be built. {error}"
        ) from error
    return folder


def _download(hub: ModuleType, name: str, patterns: tuple[str, ...], **kwargs: Any) -> str:
    try:
        return str(
            hub.snapshot_download(repo_id=name, allow_patterns=list(patterns), ignore_patterns=list(IGNORED), **kwargs)
        )
    except TypeError:
        raise  # an argument that does not exist
    except Exception as error:  # of huggingface_hub, of the HTTP package below it, of the system
        kind = type(error).__name__
        first = (str(error).strip().splitlines() or [""])[0]
        reason = REASONS.get(kind, "is this machine offline?")
        raise CheckpointNotFoundError(
            f"Cannot download {name!r} from the Hugging Face hub: {reason} ({kind}: {first}) Without a connection, "
            "copy the repository's files into any folder (config.json, the vocabulary and model.safetensors) and pass "
            "the path of that folder to build_transformer_model."
        ) from error


def _import_hub(name: str) -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"Downloading {name!r} needs a further package: pip install huggingface_hub. Or download the repository's "
            "files by hand into a folder, and pass its path to build_transformer_model."
        ) from error
    return huggingface_hub
