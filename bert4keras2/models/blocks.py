"""What a model's blocks are made of: branches, and where residual, dropout and normalization stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras.layers import Dense

from bert4keras2.families.attention_options import chosen, kind
from bert4keras2.layers import (
    Add,
    Dropout,
    FeedForward,
    GatedAttentionUnit,
    LayerNormalization,
    MultiHeadAttention,
)
from bert4keras2.models import mixing, residuals
from bert4keras2.training.recompute import recomputed

__all__ = ["Blocks"]


class Blocks:
    """The part of a `Transformer` that builds its blocks from `config` and `context`."""

    config: Any
    context: Any
    initializer: Any
    apply: Callable[..., Any]
    layers: dict[str, Any]
    prefixed: Callable[[str], str]

    def block_name(self, index: int) -> str:
        """Return the beginning of the names of a block's layers."""
        return "Transformer" if self.config.share_blocks else f"Transformer-{index}"

    def block(self, x: Any, index: int) -> Any:
        """Return (B, T, C) after block number `index`."""
        config, name = self.config, self.block_name(index)
        self.context.number = index
        if config.block == "gau":
            return self.residual(x, self.gated_attention, f"{name}-GatedAttentionUnit", config.attention_norm)
        if config.block == "flash":
            return self.residual(x, self.mixing, f"{name}-GatedAttentionUnit", config.attention_norm)
        if config.block == "gmlp":
            return self.residual(x, self.mixing, f"{name}-GatedMLP", config.attention_norm)
        branch = self.attention if kind(config) == "softmax" else self.mixing
        x = self.residual(x, branch, f"{name}-MultiHeadSelfAttention", config.attention_norm)
        if self.context.memory is not None:
            x = self.residual(x, self.cross_attention, f"{name}-MultiHeadCrossAttention", config.attention_norm)
        return self.residual(x, self.feed_forward, f"{name}-FeedForward", config.feed_forward_norm)

    def residual(self, x: Any, branch: Callable[[Any, str], Any], name: str, norm: str = "post") -> Any:
        """Return x plus its branch: where residual, dropout and normalization stand is written here alone.

        Args:
            x: (B, T, C).
            branch: called with x and the name of its layer.
            name: of the branch's layer, from which the others' names derive.
            norm: "post": norm(x + branch(x)); "pre": x + branch(norm(x)); "both": one of each; "none".
        """
        before, after = {
            "post": ("", "-Norm"),
            "pre": ("-Norm", ""),
            "both": ("-Norm-0", "-Norm-1"),
            "none": ("", ""),
        }[norm]
        y = self.normalize(x, name + before) if before else x
        fresh = self.prefixed(name) not in self.layers
        with recomputed(self.prefixed(name)):
            y = branch(y, name)
        y = self.apply(y, Dropout, rate=self.config.dropout_rate, name=f"{name}-Dropout")
        if self.config.residual is not None or self.config.layer_scale is not None:
            y, x = residuals.grown(self, y, name), residuals.stretched(self, x, name)
            if fresh:
                residuals.start(self, name)
        y = self.apply([x, y], Add, name=f"{name}-Add")
        return self.normalize(y, name + after) if after else y

    def attention(self, x: Any, name: str) -> Any:
        """Return the self-attention branch of a block."""
        context = self.context
        arguments = {
            **self._seen(),
            "relative": context.relative,
            "bias": context.bias,
            "previous_scores": context.scores,
        }
        y = self._attend(x, arguments, name, return_attention_scores=self.config.residual_attention_scores)
        if self.config.residual_attention_scores:
            y, context.scores = y
        return y

    def _seen(self) -> dict[str, Any]:
        """Return what the self-attention of the block under way sees: mask and rotary positions."""
        config, context = self.config, self.context
        positions = {"rotary": context.rotary, "rerope": context.rerope}
        seen = {"attention_mask": context.attention_mask, "query_scale": context.query_scale}
        if context.window_mask is None:
            return {**seen, **positions}
        said = chosen("attention_window", config.attention_window)
        full = said.get("full_layers", 0)
        last = isinstance(full, int) and context.number >= config.num_hidden_layers - full
        if last or (not isinstance(full, int) and context.number in full):
            return {**seen, **(positions if said["positions"] else {})}
        return {"attention_mask": context.window_mask, **positions}

    def cross_attention(self, x: Any, name: str) -> Any:
        """Return the branch of a decoder's block that attends to the encoder's output."""
        context = self.context
        arguments = {"memory": context.memory, "attention_mask": context.memory_mask, "bias": context.memory_bias}
        return self._attend(x, arguments, name)

    def mixing(self, x: Any, name: str) -> Any:
        """Return the branch of a block that mixes tokens otherwise than by softmax attention."""
        layer, arguments, kwargs = mixing.layer_of(self.config, self.context, self.initializer)
        return self._with_cache(x, layer, arguments, name=name, **kwargs)

    def _attend(self, x: Any, arguments: dict[str, Any], name: str, **kwargs: Any) -> Any:
        config = self.config
        return self._with_cache(
            x,
            MultiHeadAttention,
            arguments,
            heads=config.num_attention_heads,
            head_size=config.head_size,
            out_dim=config.hidden_size,
            name=name,
            **self._scoring(),
            **kwargs,
        )

    def _scoring(self) -> dict[str, Any]:
        """Return the arguments that layers with scores of pairs share."""
        config = self.config
        return {
            "key_size": config.key_size,
            "use_bias": config.use_bias,
            "normalization": config.normalization,
            "attention_scale": config.attention_scale,
            "attention_dropout": config.attention_dropout_rate,
            "kernel_initializer": self.initializer,
            **({"key_norm": True} if config.key_norm else {}),
        }

    def _with_cache(self, x: Any, layer: Any, arguments: dict[str, Any], **kwargs: Any) -> Any:
        """Return what an attention layer makes of x; what it remembers is handed to it and taken from the context."""
        config, context = self.config, self.context
        arguments = {key: value for key, value in arguments.items() if value is not None}
        if context.maps is not None and getattr(layer, "has_weights", True):
            *outputs, weights = self.apply(x, layer, {**arguments, "return_weights": True}, **kwargs)
            context.maps[_unused(self.prefixed(kwargs["name"]), context.maps)] = weights
            return outputs[0] if len(outputs) == 1 else tuple(outputs)
        if context.caches is None:
            return self.apply(x, layer, arguments, **kwargs)
        key = _unused(kwargs["name"], context.collected)
        if "memory" in arguments:
            context.crosses.add(key)
        arguments["cache"] = context.caches.get(key, ())
        if not config.pairwise:
            if arguments["cache"]:
                arguments["positions"] = context.position_ids
        else:
            arguments["index"] = context.index
        if arguments["cache"] and "memory" in arguments:
            # The memory's keys and values do not change while a decoder goes on.
            del arguments["memory"]
            arguments["index"] = None
        *outputs, cache = self.apply(x, layer, arguments, **kwargs)
        context.collected[key] = cache
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def gated_attention(self, x: Any, name: str) -> Any:
        """Return the branch of a block that is one gated attention unit."""
        config = self.config
        return self._with_cache(
            x,
            GatedAttentionUnit,
            self._seen(),
            units=config.intermediate_size,
            activation=config.hidden_act,
            name=name,
            **self._scoring(),
        )

    def feed_forward(self, x: Any, name: str) -> Any:
        """Return the feed-forward branch of a block."""
        return self.apply(
            x,
            FeedForward,
            units=self.config.intermediate_size,
            activation=self.config.hidden_act,
            use_bias=self.config.use_bias,
            kernel_initializer=self.initializer,
            name=name,
        )

    def normalize(self, x: Any, name: str) -> Any:
        """Return x after the layer normalization of a name, conditional if the model has a condition."""
        config, condition = self.config, self.context.condition
        conditional = (
            {}
            if condition is None
            else {
                "conditional": True,
                "hidden_units": config.layer_norm_cond_hidden_size,
                "hidden_activation": config.layer_norm_cond_hidden_act or "linear",
                "hidden_initializer": self.initializer,
            }
        )
        arguments = {} if condition is None else {"condition": condition}
        options = {**config.norm, **conditional}
        if conditional and options.get("scale") is False and options.get("offset") is False:
            # RoFormerV2 and GAU-alpha have nothing there that a condition could shift: it moves constants then.
            options |= {"scale": 1.0, "offset": 0.0}
        return self.apply(x, LayerNormalization, arguments, name=name, **options)

    def project(self, x: Any, units: int, name: str, **kwargs: Any) -> Any:
        """Return x through the Dense layer of a name, with a bias where the family's mappings have one."""
        use_bias = self.config.use_bias if self.config.mapping_bias is None else self.config.mapping_bias
        kwargs = {"use_bias": use_bias, **kwargs}
        return self.apply(x, Dense, units=units, kernel_initializer=self.initializer, name=name, **kwargs)


def _unused(name: str, taken: dict[str, Any]) -> str:
    """Return a name for what a layer leaves at a call: one that all blocks share is called once for each of them."""
    key = name
    while key in taken:
        key = f"{name}@{len(taken)}"
    return key
