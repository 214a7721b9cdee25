"""What a pass through a model knows of positions, computed once and handed to all blocks."""

from __future__ import annotations

from typing import Any

from bert4keras2.families.attention_options import chosen
from bert4keras2.functional.initializers import Sinusoidal
from bert4keras2.layers.length import LogScale, ReRopePosition, WindowMask
from bert4keras2.layers.position import RotaryPosition
from bert4keras2.layers.relative_position import RelativePositionEmbedding

__all__ = ["locate"]


def locate(transformer: Any, context: Any, tokens: Any, positions: tuple[Any, Any] | None) -> None:
    """Fill in what a context says of positions besides those of the embeddings.

    Args:
        transformer: the model.
        context: whose `position_ids` are the positions of the tokens, and whose mask is there.
        tokens: (B, T) ids.
        positions: those of queries (B, T) and keys (B, S) where keys come from a cache.
    """
    config, given = transformer.config, {} if positions is None else {"positions": positions}
    context.places = positions
    if config.position == "rotary":
        own = {} if context.position_ids is None else {"position_ids": context.position_ids}
        scaling = None if config.rope_scaling is None else chosen("rope_scaling", config.rope_scaling)
        if scaling is not None and "window" in scaling:
            context.rerope = transformer.apply(
                tokens,
                ReRopePosition,
                given,
                output_dim=config.key_size,
                window=scaling["window"],
                factor=scaling.get("factor"),
                causal=config.application == "lm",
                name="Embedding-ReRoPE-Position",
            )
        else:
            context.rotary = transformer.apply(
                tokens,
                RotaryPosition,
                own,
                output_dim=config.key_size,
                name="Embedding-Rotary-Position",
                **({} if scaling is None else {"scaling": scaling}),
                **({} if config.position_axes == 1 else {"axes": config.position_axes}),
            )
    elif config.position == "relative":
        context.relative = transformer.apply(
            tokens,
            RelativePositionEmbedding,
            given,
            input_dim=2 * config.max_relative_position + 1,
            output_dim=config.key_size,
            embeddings_initializer=Sinusoidal(),
            trainable=False,
            name="Embedding-Relative-Position",
        )
    if config.attention_window is not None:
        said = chosen("attention_window", config.attention_window)
        shown = {"attention_mask": context.attention_mask, **given}
        context.window_mask = transformer.apply(
            tokens, WindowMask, shown, window=said["window"], name="Attention-Window-Mask"
        )
    if config.log_n is not None:
        said = chosen("log_n", config.log_n)
        context.query_scale = transformer.apply(
            context.attention_mask,
            LogScale,
            length=said["length"],
            at_inference=said["type"] == "inference",
            name="Attention-Log-Scale",
        )
