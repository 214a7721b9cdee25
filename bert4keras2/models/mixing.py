"""Which layer mixes the tokens of a block, where that is not softmax attention or the gated attention unit."""

from __future__ import annotations

from typing import Any

from bert4keras2.families.attention_options import LINEAR, chosen, kind
from bert4keras2.layers.mixing.flash import MixedChunkAttention
from bert4keras2.layers.mixing.gmlp import GatedMLP
from bert4keras2.layers.mixing.linear import LinearAttention
from bert4keras2.layers.mixing.mixers import ExternalAttention, FourierMixing, LinearMixing, TokenMLP
from bert4keras2.layers.mixing.nystrom import EfficientAttention, NystromAttention
from bert4keras2.layers.mixing.synthesizer import SynthesizerAttention

__all__ = ["layer_of"]


def layer_of(config: Any, context: Any, initializer: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return a layer's class, what it is called with and what it is made with.

    Args:
        config: the model's `Config`.
        context: the `Context` of the pass under way.
        initializer: of the model's weights.
    """
    mixer, causal = kind(config), config.application != "encoder"
    mask = {"attention_mask": context.attention_mask}
    rotary = {**mask, "rotary": context.rotary}
    tokens = {**rotary, "segment_ids": context.segment_ids}
    placed = {**mask, "places": context.places}
    first = {"kernel_initializer": initializer}
    if mixer == "flash":
        return MixedChunkAttention, tokens, {**_unit(config, causal), **first}
    if mixer == "gmlp":
        sizes = {"units": config.intermediate_size, "attention_size": config.tiny_attention}
        return GatedMLP, placed, {**sizes, **_places(config), **_dense(config), **first}
    said = chosen("attention", config.attention)
    del said["type"]
    heads = {
        "heads": config.num_attention_heads,
        "head_size": config.head_size,
        "key_size": config.key_size,
        "out_dim": config.hidden_size,
        "use_bias": config.use_bias,
        "attention_scale": config.attention_scale,
        **first,
    }
    if mixer in LINEAR:
        kernel = "elu" if mixer == "linear" else mixer
        return LinearAttention, tokens, {**heads, "kernel": kernel, "causal": causal, **said}
    if mixer == "nystrom":
        return NystromAttention, rotary, {**heads, **said}
    if mixer == "efficient":
        return EfficientAttention, rotary, heads
    if mixer == "synthesizer":
        return SynthesizerAttention, {**placed, "rotary": context.rotary}, {**heads, **_places(config), **said}
    if mixer == "external":
        return ExternalAttention, mask, {"heads": config.num_attention_heads, **said, **first}
    if mixer == "mlp":
        return TokenMLP, mask, {**said, **_places(config), "activation": config.hidden_act, **first}
    if mixer == "resmlp":
        return LinearMixing, placed, {**_places(config), **first}
    return FourierMixing, mask, said


def _unit(config: Any, causal: bool) -> dict[str, Any]:
    return {
        "units": config.intermediate_size,
        "key_size": config.key_size,
        "chunk_size": config.chunk_size,
        "causal": causal,
        "relative_bias": config.chunk_bias,
        "normalization": config.normalization,
        "attention_scale": config.attention_scale,
        "attention_dropout": config.attention_dropout_rate,
        **_dense(config),
    }


def _dense(config: Any) -> dict[str, Any]:
    return {"activation": config.hidden_act, "use_bias": config.use_bias}


def _places(config: Any) -> dict[str, Any]:
    return {"max_length": config.max_position}
