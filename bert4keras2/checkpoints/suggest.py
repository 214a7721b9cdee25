"""What a checkpoint looks like, for errors that say which model would have fitted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bert4keras2.checkpoints.errors import CheckpointFormatError
from bert4keras2.checkpoints.readers import Reader

__all__ = ["layer_count", "looks_like", "suggestion"]

# Signs of a family in the names of a checkpoint, the most telling first.
SIGNS = (
    ("electra", r"(^|/|\.)electra[/.]|discriminator_predictions"),
    ("gau_alpha", r"GAU_alpha/|\.gau\."),
    ("albert", r"transformer/group_0|albert_layer_groups"),
    # Versions of T5 differ in the names of norms and in the number of inner projections.
    ("mt5.1.1", r"(^|/)(encoder|decoder)/.*rms_norm/scale"),
    ("t5.1.1", r"(^|/)(encoder|decoder)/block_.*/wi_0/|(^|\.)(encoder|decoder)\.block\..*\.wi_0\."),
    ("t5.1.0", r"(^|/)(encoder|decoder)/block_|(^|\.)(encoder|decoder)\.block\."),
    ("gpt2_ml", r"^newslm/"),
    ("gpt", r"(^|\.)tokens_embed\."),
    ("gpt2", r"^gpt/(output/|.*/attention/input/)LayerNorm|(^|/)h\d+/attn|(^|\.)h\.\d+\.attn"),
    ("gpt", r"^gpt/"),
)
# RoFormer and NEZHA differ in what they compute, not in what they store.
TWINS = ("roformer", "nezha")
SEGMENTS = r"token_type_embeddings"


def looks_like(names: Sequence[str]) -> str | None:
    """Return the family that a checkpoint's variable names point to, or None if they point to none.

    Args:
        names: the names of its variables.

    Returns:
        A name that `model=` takes. NEZHA's checkpoints hold the same variables as RoFormer's: both are "roformer"
        here, and their configurations tell.

    Raises:
        CheckpointFormatError: for a layout that is recognised and cannot be loaded.
    """
    _refuse_unsupported(names)
    for family, pattern in SIGNS:
        if any(re.search(pattern, name) for name in names):
            return family
    layers = any(re.search(r"(layer_\d+/|layer\.\d+\.)attention", name) for name in names)
    if not layers and not any("word_embeddings" in name for name in names):
        return None
    if any("position_embeddings" in name for name in names):
        return "bert"
    if any(re.search(r"query[/.]bias", name) for name in names):
        return "roformer"
    return "roformer_v2" if any(re.search(r"query[/.](kernel|weight)", name) for name in names) else None


def layer_count(names: Sequence[str]) -> int:
    """Return the number of blocks that the names of a checkpoint count up to, 0 if they count none."""
    pattern = r"(?:^|[/.])(?:layer[_.]?|block[_.]|h\.?)(\d+)[/.]"
    # The number that comes first is the block's: T5 numbers the parts of a block too.
    return 1 + max([int(match[1]) for name in names if (match := re.search(pattern, name))], default=-1)


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
    if family != config.family and not {family, config.family} <= set(TWINS):
        twin = " NEZHA has the same variables: model='nezha' if it is one." if family in TWINS else ""
        advice = _released(reader, family)
        return f"Its variables look like model={family!r}, but the model is {config.family!r}.{twin}{advice}"
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


def _released(reader: Reader, family: str) -> str:
    """Return a sentence about the released package that the checkpoint's folder is named after, "" for none."""
    from bert4keras2.checkpoints.registry import advice

    return advice(reader.path, family)
