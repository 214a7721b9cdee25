"""What the values of a model's configuration may be, in every spelling; whatever reads one is spared the others."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

from bert4keras2.errors import CheckpointFormatError

__all__ = ["check_values"]

_MOST = 10**9  # rows or columns of a matrix
_MOST_BLOCKS = 1000
# Keys by what their values are. None, where a key stands for the usual value, is fine for all of them.
_WHOLE = {
    "vocab_size": 1, "hidden_size": 1, "num_attention_heads": 1, "intermediate_size": 1, "embedding_size": 1,
    "attention_head_size": 1, "attention_key_size": 1, "max_position": 1, "max_position_embeddings": 1,
    "segment_vocab_size": 0, "type_vocab_size": 0, "task_vocab_size": 0, "task_type_vocab_size": 0, "task_id": 0,
    "sequence_length": 1, "max_relative_position": 1, "relative_attention_num_buckets": 4,
    "relative_attention_max_distance": 1, "pad_id": 0, "position_offset": 0, "depth_init": 0,
    "layer_norm_cond_hidden_size": 1, "chunk_size": 1, "tiny_attention": 1, "position_axes": 1, "patch_size": 0,
    "num_hidden_groups": 0, "inner_group_num": 0,
    "n_vocab": 1, "n_embd": 1, "n_head": 1, "n_inner": 1, "n_ctx": 1, "n_positions": 1,
    "d_model": 1, "d_kv": 1, "d_ff": 1, "num_heads": 1, "pad_token_id": -1,  # where there is none
}  # fmt: skip
_BLOCKS = {"num_hidden_layers", "n_layer", "num_layers", "num_decoder_layers"}
_SHARES = {
    "dropout_rate", "attention_dropout_rate", "hidden_dropout_prob", "attention_probs_dropout_prob", "resid_pdrop",
    "attn_pdrop",
}  # fmt: skip
_NUMBERS = {"initializer_range", "layer_norm_eps", "layer_norm_epsilon", "layer_scale"}
_FLAGS = {
    "use_task_id", "use_relative_position", "tie_word_embeddings", "scale_decoder_outputs", "tied_output",
    "output_scale", "cross_position_bias", "attention_scale", "shared_segment_embeddings", "custom_position_ids",
    "residual_attention_scores", "ignore_invalid_weights", "autoresize_weights", "with_nsp",
    "chunk_bias", "key_norm",
}  # fmt: skip
_FLAGS_OR_NAMES = {"with_pool", "with_mlm", "with_lm", "with_discriminator"}
_TEXTS = {
    "model_type", "bert4keras2_family", "feed_forward_proj", "position_embedding_type", "norm_type", "normalization",
    "application", "prefix", "name", "block",
}  # fmt: skip
_LISTS_OF_TEXTS = {"architectures"}
_LISTS = {"keep_tokens", "compound_tokens"}
_ACTIVATIONS = {"hidden_act", "activation_function"}


def check_values(content: Mapping[str, Any], where: str) -> None:
    """Raise unless each value that is known by its key is of a kind that a model can have there.

    Args:
        content: of a JSON file, or keywords of a call; keys that are not known are not looked at.
        where: what it is of, for messages.

    Raises:
        CheckpointFormatError: for the first value that is of no such kind; it is a ValueError too.
    """
    for name, value in content.items():
        wanted = None if value is None else _wanted(name, value)
        if wanted is not None:
            raise CheckpointFormatError(f"{where}: {name} is {wanted}, not {_shown(value)}")


def _wanted(name: str, value: Any) -> str | None:
    """Return what a value should be, None if it is that."""
    if name in _WHOLE:
        return None if _is_whole(value, _WHOLE[name], _MOST) else f"a whole number from {_WHOLE[name]} to {_MOST}"
    if name in _BLOCKS:
        return None if _is_whole(value, 0, _MOST_BLOCKS) else f"a number of blocks, at most {_MOST_BLOCKS}"
    if name in _SHARES:
        return None if _is_number(value) and 0 <= value < 1 else "a share from 0 to below 1"
    if name in _NUMBERS:
        return None if _is_number(value) and 0 <= value < 1e6 else "a number from 0 on"
    if name in _FLAGS:
        return None if _is_flag(value) else "true or false"
    if name in _FLAGS_OR_NAMES:
        return None if _is_flag(value) or isinstance(value, str) or callable(value) else "true, false or an activation"
    if name in _TEXTS:
        return None if isinstance(value, str) else "a text"
    if name in _LISTS_OF_TEXTS:
        fine = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        return None if fine else "a list of texts"
    if name in _LISTS:
        return None if hasattr(value, "__len__") and not isinstance(value, str | bytes | Mapping) else "a list"
    if name in _ACTIVATIONS:
        return None if _is_activation(value) else "the name of an activation"
    if name == "hierarchical_position":
        return None if _is_flag(value) or _is_number(value) and 0 < value < 1 else "true, false or a share"
    return None


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    # 0 and 1 are what some programs write, and NumPy has booleans of its own.
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool") or _is_whole(value, 0, 1)


def _is_activation(value: Any) -> bool:
    names = value if isinstance(value, list | tuple) else [value]
    # A pair of them is what the inner projections of a gated network have.
    return 0 < len(names) <= 2 and all(isinstance(name, str) or callable(name) for name in names)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 100 else f"{text[:100]}..."
