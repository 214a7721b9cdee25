"""What a checkpoint looks like, for errors that say which model would have fitted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.released import advice
from bert4keras2.errors import CheckpointFormatError
from bert4keras2.families.table import PAGES, page

__all__ = ["block_number", "block_numbers", "layer_count", "looks_like", "suggestion"]

SEGMENTS = r"token_type_embeddings"
# What makes a checkpoint one of BERT or its relatives: a block, or the name of the token embeddings.
BLOCK = r"(layer_\d+/|layer\.\d+\.)attention"
# The number that comes first is the block's: T5 numbers the parts of a block too.
NUMBER = re.compile(r"(?:^|[/.])(?:layer[_.]?|block[_.]|h\.?)(\d{1,9})[/.]")


def looks_like(names: Sequence[str]) -> str | None:
    """Return the family that a checkpoint's variable names point to, or None if they point to none.

    Args:
        names: the names of its variables.

    Returns:
        The name of the family. NEZHA's checkpoints hold the same variables as RoFormer's: both are "roformer" here, and
        their configurations tell.

    Raises:
        CheckpointFormatError: for a layout that is recognised and cannot be loaded.
    """
    _refuse_unsupported(names)
    for family in PAGES:
        if _any(family.signs, names) and not _any(family.unlike, names):
            return family.name
    if not _any((BLOCK, "word_embeddings"), names):
        return None
    return next((family.name for family in PAGES if _any(family.hints, names)), None)


def _any(patterns: Iterable[str], names: Sequence[str]) -> bool:
    return any(re.search(pattern, name) for pattern in patterns for name in names)


def block_number(name: str) -> int | None:
    """Return the number of the block that a variable's name in a checkpoint is of, None outside of blocks."""
    match = NUMBER.search(name)
    return int(match[1]) if match else None


def block_numbers(names: Iterable[str]) -> set[int]:
    """Return the numbers of the blocks that the names of a checkpoint speak of, each of which some name has."""
    return {number for name in names if (number := block_number(name)) is not None}


def layer_count(names: Iterable[str]) -> int:
    """Return the number of blocks that the names of a checkpoint count up to, 0 if they count none."""
    return 1 + max(block_numbers(names), default=-1)


def _refuse_unsupported(names: Sequence[str]) -> None:
    if any("/layer_shared/" in name or name.endswith("embeddings/word_embeddings_2") for name in names):
        raise CheckpointFormatError(
            "This is ALBERT in the layout of brightmart/albert_zh from before Google's release (variables "
            "word_embeddings_2 and encoder/layer_shared), which factorises otherwise and is not supported. Use the "
            "package in Google's layout instead: albert_tiny_zh_google, albert_small_zh_google, or Google's "
            "albert_base_zh and larger."
        )


def suggestion(reader: Reader, config: Any) -> str:
    """Return a sentence about what the checkpoint looks like, where it does not fit the model.

    Args:
        reader: the open checkpoint.
        config: the model's `Config`.

    Raises:
        CheckpointFormatError: for a layout that is recognised and cannot be loaded.
    """
    names = reader.names()
    family = looks_like(names)
    if family is None:
        return "None of its variables has a name that transformer checkpoints use."
    if family not in (config.family, page(config.family).stored_as):
        twins = [other.name for other in PAGES if other.stored_as == family]
        twin = "".join(f" {name.upper()} has the same variables: model={name!r} if it is one." for name in twins)
        fits = advice(reader.path, family)
        return f"Its variables look like model={family!r}, but the model is {config.family!r}.{twin}{fits}"
    # ALBERT's shared block is stored once.
    count = layer_count(names) if family != "albert" else 0
    if count and count != config.num_hidden_layers:
        return f"It has {count} layers, the model {config.num_hidden_layers} (num_hidden_layers)."
    if config.segment_vocab_size and not any(re.search(SEGMENTS, name) for name in names):
        shared = "model='cdial_gpt'" if config.family == "gpt" else "shared_segment_embeddings=True"
        if not config.shared_segment_embeddings:
            return (
                "It has no segment embeddings: pass segment_vocab_size=0, or "
                f"{shared} if segments have the embeddings of tokens."
            )
    return "Is this the checkpoint that belongs to the configuration file?"
