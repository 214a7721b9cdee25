"""Checkpoints from the Hugging Face hub, by the package `huggingface_hub`, which is imported only then."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from bert4keras2.checkpoints.folder import find_checkpoint, find_weights
from bert4keras2.errors import CheckpointError, CheckpointNotFoundError

__all__ = ["download", "from_hub"]

SMALL = (
    "*config*.json", "hparams.json", "*vocab*", "*.model", "tokenizer.json", "special_tokens_map.json",
    "added_tokens.json", "merges.txt", "modules.json",
)  # fmt: skip
# For those who do not reach huggingface.co: another address of the hub, or the same files from elsewhere.
ELSEWHERE = (
    "In China, set the environment variable HF_ENDPOINT=https://hf-mirror.com before Python starts, or take the model"
    " from ModelScope: pip install modelscope, find it on modelscope.cn, and modelscope download --model OWNER/NAME"
    " --local_dir FOLDER. Or copy its files into any folder by hand (config.json, the vocabulary and"
    " model.safetensors). Then pass the path of that folder."
)
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
    name: str,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    **kwargs: Any,
) -> str:
    """Download a checkpoint from the Hugging Face hub, or find it in the local cache.

    Configuration, vocabulary and weights are fetched, nothing else; safetensors are preferred to TensorFlow files and
    those to PyTorch's.

    Args:
        name: of the repository, 'owner/name'.
        revision: branch, tag or commit; the main branch if None.
        cache_dir: where downloads are kept; the hub's own cache if None.
        progress: False for no bars; otherwise those of huggingface_hub, which appear on a terminal.
        **kwargs: further arguments of `huggingface_hub.snapshot_download`, such as token or local_files_only.

    Returns:
        The local folder. `build_transformer_model("hfl/rbt3")` and `load_tokenizer("hfl/rbt3")` download by themselves;
        this function is for a revision, a token, a cache of one's own.

    Raises:
        ImportError: if huggingface_hub is not installed.
        ValueError: if the name is not of the form 'owner/name'.
        CheckpointNotFoundError: if it cannot be downloaded, or holds no checkpoint.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"from_hub() takes the name of a repository, 'owner/name', not {name!r}")
    return download(name, progress=progress, revision=revision, cache_dir=cache_dir, **kwargs)


def download(name: str, weights: bool = True, progress: bool | None = None, **kwargs: Any) -> str:
    """Download a repository, or find it in the cache, and return the local folder.

    Args:
        name: 'owner/name'.
        weights: whether weights are wanted, without which there is no checkpoint; otherwise the small files alone.
        progress: see `from_hub`.
        **kwargs: of `huggingface_hub.snapshot_download`.

    Raises:
        ImportError: if huggingface_hub is not installed.
        CheckpointNotFoundError: if it cannot be downloaded, or holds no checkpoint.
    """
    hub = _import_hub(name)
    with _bars(hub, progress):
        if not weights:
            return _snapshot(hub, name, SMALL, **kwargs)
        small: tuple[str, ...] = SMALL
        for patterns in WEIGHTS:
            folder = _snapshot(hub, name, (*small, *patterns), **kwargs)
            small = ()  # those are there now
            try:
                find_weights(folder)
                break
            except CheckpointNotFoundError:
                continue
        parts = _module_folders(folder)
        if parts:
            patterns = tuple(f"{part}/{name}" for part in parts for name in ("*config*.json", "*.safetensors", "*.bin"))
            folder = _snapshot(hub, name, patterns, ignored=(), **kwargs)
    try:
        find_checkpoint(folder)
    except CheckpointError as error:
        raise CheckpointNotFoundError(
            f"The repository {name!r} holds no checkpoint that can be built. {error}"
        ) from error
    return folder


@contextmanager
def _bars(hub: ModuleType, progress: bool | None) -> Iterator[None]:
    """A context without the hub's bars, if they are not wanted and the user has not put them off already."""
    if progress is not False or hub.utils.are_progress_bars_disabled():
        yield
        return
    hub.utils.disable_progress_bars()
    try:
        yield
    finally:
        hub.utils.enable_progress_bars()


def _module_folders(folder: str) -> list[str]:
    """Return the sub-folders that a folder of sentence-transformers has for what comes after the model."""
    path = os.path.join(folder, "modules.json")
    try:
        with open(path, encoding="utf-8-sig") as file:
            found = [str(row["path"]) for row in json.load(file) if row.get("path")]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []  # there is none, or whoever reads it says what is wrong
    return [part for part in found if re.fullmatch(r"[\w-]+", part)]


def _snapshot(
    hub: ModuleType, name: str, patterns: tuple[str, ...], ignored: tuple[str, ...] = IGNORED, **kwargs: Any
) -> str:
    try:
        return str(
            hub.snapshot_download(repo_id=name, allow_patterns=list(patterns), ignore_patterns=list(ignored), **kwargs)
        )
    except TypeError:
        raise  # an argument that does not exist
    except Exception as error:  # of huggingface_hub, of the HTTP package below it, of the system
        kind = type(error).__name__
        first = (str(error).strip().splitlines() or [""])[0]
        known = REASONS.get(kind)
        raise CheckpointNotFoundError(
            f"Cannot download {name!r} from the Hugging Face hub: {known or 'is this machine offline?'}"
            f" ({kind}: {first}){'' if known else ' ' + ELSEWHERE}"
        ) from error


def _import_hub(name: str) -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"Downloading {name!r} from the Hugging Face hub needs a further package: pip install huggingface_hub"
            f" (or pip install 'bert4keras2[hub]'). {ELSEWHERE}"
        ) from error
    return huggingface_hub
