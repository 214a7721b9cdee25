"""Writing a model as a folder that Hugging Face's transformers, and `build_transformer_model`, read."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from typing import Any

from bert4keras2.checkpoints.formats.safetensors import write_safetensors
from bert4keras2.checkpoints.loader import saved_arrays, table_for
from bert4keras2.families.attention_options import saved_options
from bert4keras2.families.huggingface import huggingface_config
from bert4keras2.families.table import page
from bert4keras2.files import write_text

__all__ = ["save_config", "save_huggingface"]

# Options that transformers does not know, and that are not to be read from a configuration either.
UNSAID = ("hierarchical_position", "residual_attention_scores", "shared_segment_embeddings")


def save_huggingface(
    transformer: Any, folder: str | os.PathLike, dtype: str | None = None, also: dict[str, Any] | None = None
) -> None:
    """Write config.json and model.safetensors, each beside its place and then renamed into it.

    Args:
        transformer: the model, as `build_transformer_model(..., return_keras_model=False)` returns it.
        folder: where to; it is made. The vocabulary's files are not written.
        dtype: type of the floating arrays, such as "float16"; float32 if None.
        also: further keys of config.json, which win over the model's own.

    Raises:
        ValueError: if Hugging Face's format has no place for the family, its activation or one of its variables.
    """
    config, content = transformer.config, _content(transformer, dtype, also)
    table = table_for(config.family, "huggingface")
    bindings = transformer._bindings("huggingface", None)
    named = {id(binding.variable) for binding in bindings}
    nameless = [path for _, _, path, v in transformer._variables() if v.trainable and id(v) not in named]
    if nameless:
        listed = ", ".join(nameless[:5]) + (f" and {len(nameless) - 5} more" if len(nameless) > 5 else "")
        raise ValueError(
            f"Hugging Face's {content['model_type']} has no place for {listed}; save the Keras model instead"
        )
    _warn(config)
    folder = os.fspath(folder)
    os.makedirs(folder, exist_ok=True)
    write_safetensors(os.path.join(folder, "model.safetensors"), saved_arrays(bindings, table, dtype), {"format": "pt"})
    _write_config(folder, content)


def save_config(transformer: Any, folder: str | os.PathLike, also: dict[str, Any] | None = None) -> None:
    """Write config.json alone, for a model whose weights are exported: what readers of a vocabulary and labels ask.

    Args:
        transformer: the model, as `build_transformer_model(..., return_keras_model=False)` returns it.
        folder: where to; it exists.
        also: further keys, which win over the model's own.
    """
    try:
        content = _content(transformer, None, also)
    except ValueError:  # of a family, or with an activation, that Hugging Face has none of: sizes say enough
        config = transformer.config
        names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        content = {**{name: getattr(config, name) for name in names}, "vocab_size": config.rows}
        content |= {"type_vocab_size": config.segment_vocab_size, "pad_token_id": config.pad_id, **(also or {})}
    _write_config(folder, content)


def _content(transformer: Any, dtype: str | None, also: dict[str, Any] | None) -> dict[str, Any]:
    config = dataclasses.replace(transformer.config, hidden_act=_activation(transformer))
    return {**huggingface_config(config), "torch_dtype": dtype or "float32", **(also or {})}


def _write_config(folder: str | os.PathLike, content: dict[str, Any]) -> None:
    write_text(os.path.join(folder, "config.json"), json.dumps(content, indent=2, sort_keys=True) + "\n")


def _activation(transformer: Any) -> Any:
    """Return the activation of a model's blocks, which "gelu" stood for one version of when it was built."""
    for name, layer in transformer.layers.items():
        if name.endswith(("-FeedForward", "-GatedAttentionUnit")):
            found = layer.activation
            return found[0] if isinstance(found, list) and len(found) == 1 else found
    return transformer.config.hidden_act


def _warn(config: Any) -> None:
    """Warn of what transformers computes otherwise."""
    unsaid = [name for name in UNSAID if getattr(config, name)]
    unsaid += ["application='unilm'"] if config.application == "unilm" else []
    if unsaid:
        warnings.warn(
            f"A config.json cannot say {', '.join(unsaid)}: transformers computes the model without it, and "
            "build_transformer_model needs the option again",
            stacklevel=4,
        )
    own = page(config.family)
    unknown = [] if own.own else list(saved_options(config, own.structure))
    if unknown:
        warnings.warn(
            f"transformers knows nothing of {', '.join(unknown)}: it computes the model without, while "
            "build_transformer_model reads them from config.json",
            stacklevel=4,
        )
    if config.stack == "seq2seq" and config.cross_position_bias:
        warnings.warn(
            "transformers computes T5's cross-attention without position biases: it gives other numbers for this "
            "model, which was built with them (cross_position_bias=True)",
            stacklevel=4,
        )
