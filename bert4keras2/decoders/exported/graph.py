"""One step of generation as a function of named tensors that keep nothing between two calls."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from bert4keras2.decoders.engine import Engine
from bert4keras2.families.attention_options import kind
from bert4keras2.layers.attention import APPEND
from bert4keras2.models.transformer import Context

__all__ = ["EncoderGraph", "Port", "StepGraph"]

# Shape legend: B batch, T new tokens, P past ones, K scored ones, S length of an encoder's input, H heads, D size of a
# head, V vocabulary.


class Port(NamedTuple):
    """An input or output of a graph."""

    name: str
    dims: tuple[int | str, ...]  # a word for a size that varies
    dtype: str = "int32"

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape, None where it varies."""
        return tuple(size if isinstance(size, int) else None for size in self.dims)


class _Graph:
    """What both graphs know of a model.

    Args:
        engine: of the model.

    Raises:
        ValueError: if the model remembers more than keys and values.
    """

    def __init__(self, engine: Engine):
        config = engine.config
        if kind(config) not in ("softmax", "gau"):
            raise ValueError(
                f"attention of the kind {kind(config)!r} remembers other things than keys and values, for which the"
                " files of a decoding step have no place; model.export(file, format='onnx') writes the model without"
            )
        self.engine, self.seq2seq = engine, config.stack == "seq2seq"
        self.extra = [
            Port(tensor.name, ("batch", *tensor.shape[1:]), str(tensor.dtype))
            for tensor in engine.transformer.additional_input_layers
        ]
        # One token through the model shows what it remembers.
        extra = [np.zeros((1, *port.shape[1:]), port.dtype) for port in self.extra]
        inputs = [np.ones((1, 1), "int32")] * (1 + bool(config.segment_vocab_size) * (not self.seq2seq))
        inputs += [np.ones((1, 1), "int32")] if self.seq2seq else []
        inputs += [np.zeros((1, 1), "int32")] if config.custom_position_ids else []
        tensors, lengths, condition = engine._split([*inputs, *extra], [1])
        cache = engine._prefill(tensors, lengths, 1, condition)[1]
        self.layers, self.crosses = list(cache.attention), list(cache.cross)
        self.past = self._pairs("past", cache.attention, "past")
        self.cross = self._pairs("cross", cache.cross, "source")

    @staticmethod
    def _pairs(title: str, pairs: dict[str, Any], length: str) -> list[Port]:
        return [
            Port(f"{title}.{number}.{part}", ("batch", tensor.shape[1], length, tensor.shape[3]), "float32")
            for number, pair in enumerate(pairs.values())
            for part, tensor in zip(("key", "value"), pair, strict=True)
        ]

    def condition(self, extra: list[Any]) -> Any:
        """Return the condition of the layer normalizations that the additional inputs give, () for none."""
        return self.engine._condition(extra, training=False) if extra else ()


class EncoderGraph(_Graph):
    """An encoder, and the keys and values that a decoder's cross-attention looks at."""

    @property
    def inputs(self) -> list[Port]:
        """Token ids (B, S), then the model's additional inputs."""
        return [Port("Input-Token", ("batch", "source")), *self.extra]

    @property
    def outputs(self) -> list[Port]:
        """Keys and values (B, H, S, D) of each layer."""
        return self.cross

    def __call__(self, tokens: Any, *extra: Any) -> list[Any]:
        """Return the outputs for tensors in the order of the inputs."""
        first = ops.zeros_like(tokens[:, :1])
        lengths = ops.ones_like(tokens[:, 0])
        cache = self.engine._prefill([tokens, first], lengths, 1, self.condition(list(extra)))[1]
        return [tensor for pair in cache.cross.values() for tensor in pair]


class StepGraph(_Graph):
    """Some tokens that follow others, of which keys and values are given; with none of them, a prompt."""

    @property
    def inputs(self) -> list[Port]:
        """All inputs; `Attention-Mask` and `Attention-Position` are of the tokens before and the new ones."""
        segments = bool(self.engine.config.segment_vocab_size)
        return [
            Port("Input-Token", ("batch", "new")),
            *([Port("Input-Segment", ("batch", "new"))] if segments else []),
            Port("Attention-Mask", ("batch", "total")),
            Port("Attention-Position", ("batch", "total")),
            Port("Score-Index", ("batch", "scored")),
            *([Port("Encoder-Mask", ("batch", "source"))] if self.seq2seq else []),
            *self.extra,
            *self.past,
            *self.cross,
        ]

    @property
    def outputs(self) -> list[Port]:
        """Logits (B, K, V) at the places that `Score-Index` names, then keys and values (B, H, P + T, D)."""
        grown = [
            Port(port.name.replace("past", "present"), (*port.dims[:2], "total", port.dims[3]), port.dtype)
            for port in self.past
        ]
        return [Port("logits", ("batch", "scored", self.engine.config.rows), "float32"), *grown]

    def __call__(self, *tensors: Any) -> list[Any]:
        """Return the outputs for tensors in the order of the inputs."""
        given = {port.name: tensor for port, tensor in zip(self.inputs, tensors, strict=True)}
        config, decoder = self.engine.config, self.engine.decoder
        tokens, segments = given["Input-Token"], given.get("Input-Segment")
        positions = given["Attention-Position"]
        past = ops.shape(positions)[1] - ops.shape(tokens)[1]
        own = positions[:, past:]
        mask = self._mask(tokens, segments, given["Attention-Mask"], past)
        condition = self.condition([given[port.name] for port in self.extra])
        caches = {
            name: (given[f"{title}.{number}.key"], given[f"{title}.{number}.value"])
            for title, names in (("past", self.layers), ("cross", self.crosses))
            for number, name in enumerate(names)
        }
        context = Context(
            attention_mask=ops.expand_dims(mask, 1),
            condition=None if isinstance(condition, tuple) else condition,
            position_ids=own,
            caches=caches,
            index=APPEND,
            logits=True,
        )
        inputs = [tokens, *([] if segments is None else [segments]), *([own] if config.custom_position_ids else [])]
        if self.seq2seq:
            # Of the encoder's output, its keys and values are left; what else asks for it asks for its length.
            context.memory = ops.swapaxes(given["cross.0.key"], 1, 2)
            context.memory_mask = ops.not_equal(ops.expand_dims(given["Encoder-Mask"], (1, 2)), 0)
            inputs = [context.memory, tokens]
        decoder.locate(context, tokens, (own, positions))
        logits, context = decoder.run(context, inputs, last=given["Score-Index"])
        return [logits, *(tensor for name in self.layers for tensor in context.collected[name])]

    def _mask(self, tokens: Any, segments: Any, mask: Any, past: Any) -> Any:
        """Return (B, T, P + T) booleans: which tokens, of those that count, each new one sees."""
        unilm = self.engine.config.application == "unilm"
        # A token sees those whose number is not above its own; tokens of a UniLM source have the same.
        order = ops.cumsum(segments if unilm else ops.ones_like(tokens), axis=1)
        before = ops.zeros((ops.shape(tokens)[0], past), dtype=order.dtype)
        # The new ones' numbers begin at 0 or 1, those before are at 0.
        order_of_all = ops.concatenate([before, order], axis=1)
        visible = ops.expand_dims(order_of_all, 1) <= ops.expand_dims(order, 2)
        return ops.logical_and(visible, ops.expand_dims(ops.not_equal(mask, 0), 1))
