"""Encoder-decoder models: two transformers over one table of embeddings."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras import ops
from keras.layers import Input

from bert4keras2.layers import AttentionMask, Dropout, Embedding, RelativePositionEmbeddingT5
from bert4keras2.models.transformer import Context, Transformer
from bert4keras2.training.model import Model

__all__ = ["Decoder", "Encoder", "Seq2Seq"]


class Stack(Transformer):
    """Base of encoder and decoder: names begin with the stack's, but for the embeddings that both share."""

    stack = ""

    def prefixed(self, name: str) -> str:
        """Return a layer's name with the model's prefix and the stack's."""
        return self.config.prefix + (name if name == "Embedding-Token" else f"{self.stack}-{name}")

    def embed(self, tokens: Any) -> Any:
        """Return (B, T, C) embeddings of token ids (B, T)."""
        config = self.config
        x = self.apply(
            tokens,
            Embedding,
            input_dim=config.rows,
            output_dim=config.embedding_width,
            embeddings_initializer=self.initializer,
            mask_zero=True,
            name="Embedding-Token",
        )
        x = self.apply(x, Dropout, rate=config.dropout_rate, name="Embedding-Dropout")
        if config.embedding_width != config.hidden_size:
            x = self.project(x, config.hidden_size, "Embedding-Mapping")
        return x

    def position_bias(self, query: Any, key: Any, bidirectional: bool, positions: Any = None) -> Any:
        """Return (1, H, T, S) biases by the distance between queries (B, T, ...) and keys (B, S, ...).

        With positions, those of queries (B, T) and keys (B, S), they are (B, H, T, S).
        """
        config = self.config
        return self.apply(
            query,
            RelativePositionEmbeddingT5,
            {"key": key, "as_bias": True, **({} if positions is None else {"positions": positions})},
            input_dim=config.relative_attention_num_buckets,
            output_dim=config.num_attention_heads,
            max_distance=config.relative_attention_max_distance,
            bidirectional=bidirectional,
            embeddings_initializer=self.initializer,
            name="Embedding-Relative-Position",
        )


class Encoder(Stack):
    """T5's encoder (Raffel et al., arXiv:1910.10683)."""

    stack = "Encoder"

    def make_context(self, inputs: list[Any]) -> Context:
        """Return padding mask and position biases."""
        tokens = inputs[0]
        mask = self.apply(tokens, AttentionMask, name="Attention-Mask")
        bias = self.position_bias(tokens, tokens, bidirectional=True)
        return Context(attention_mask=mask, bias=bias, condition=self.layer_norm_cond)

    def apply_embeddings(self, inputs: list[Any]) -> Any:
        """Return (B, T, C) embeddings of the tokens."""
        return self.embed(inputs[0])


class Decoder(Stack):
    """T5's decoder; its inputs are the encoder's output (B, S, C) and token ids (B, T)."""

    stack = "Decoder"
    memory_mask: Any = None

    def get_inputs(self) -> list[Any]:
        """Return the symbolic inputs Input-Context and Decoder-Input-Token."""
        context = Input((None, self.config.hidden_size), name=f"{self.config.prefix}Input-Context")
        return [context, *super().get_inputs()]

    def make_context(self, inputs: list[Any]) -> Context:
        """Return causal mask, position biases and what the cross-attention looks at."""
        memory, tokens = inputs[:2]
        mask = self.apply(tokens, AttentionMask, application="lm", name="Attention-Mask")
        context = Context(attention_mask=mask, condition=self.layer_norm_cond)
        context.memory, context.memory_mask = memory, self.memory_mask
        self.locate(context, tokens)
        return context

    def locate(self, context: Context, tokens: Any, positions: tuple[Any, Any] | None = None) -> None:
        """Fill in the biases by the distances among the tokens, and from them to the memory."""
        context.bias = self.position_bias(tokens, tokens, False, positions)
        if self.config.cross_position_bias:
            memory = context.memory
            if positions is not None:
                places = ops.expand_dims(ops.arange(ops.shape(memory)[1], dtype=positions[0].dtype), 0)
                positions = positions[0], ops.broadcast_to(places, ops.shape(memory)[:2])
            context.memory_bias = self.position_bias(tokens, memory, False, positions)

    def apply_embeddings(self, inputs: list[Any]) -> Any:
        """Return (B, T, C) embeddings of the tokens."""
        return self.embed(inputs[1])


class Seq2Seq(Transformer):
    """An encoder and a decoder as one model.

    After `build`, `model` maps both inputs to the decoder's output; `encoder` and `decoder` are Keras models of the
    halves, which share its layers: generation runs the first once and the second for every token.
    """

    def build(self) -> Seq2Seq:
        """Create the graph and the Keras model."""
        parts = {"layers": self.layers, "layer_norm_cond": self.layer_norm_cond}
        self.halves = [
            cls(dataclasses.replace(self.config, stack=cls.stack.lower()), **parts) for cls in (Encoder, Decoder)
        ]
        encoder, decoder = self.halves
        tokens, answer = encoder.get_inputs(), decoder.get_inputs()[1:]
        memory = encoder.trace(tokens)
        decoder.memory_mask = encoder.context.attention_mask
        self.output = decoder.trace([memory, *answer])
        decoder.memory_mask = None
        self.hidden_states = decoder.hidden_states
        self.inputs = self.input = [*tokens, *answer, *self.additional_input_layers]
        self.outputs = self.output if isinstance(self.output, list) else [self.output]
        self.model = Model(self.inputs, self.output, name=self.config.name)
        self.tag()
        return self

    @property
    def encoder(self) -> Any:
        """The Keras model from Encoder-Input-Token to the encoder's output."""
        return self._half(0)

    @property
    def decoder(self) -> Any:
        """The Keras model from Input-Context and Decoder-Input-Token to the decoder's output."""
        return self._half(1)

    def _half(self, index: int) -> Any:
        # Built at first use: the layers' first calls, which get_layer(...).output returns, are those of the whole.
        half = self.halves[index]
        if half.model is None:
            half.additional_input_layers = self.additional_input_layers
            half.build()
        return half.model
