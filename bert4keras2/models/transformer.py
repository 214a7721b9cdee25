"""The trunk of every model: inputs, embeddings, blocks and heads, put together by a `Config`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras.layers import Dense, Dropout, Input

from bert4keras2.backend import DepthScaledNormal, Model, TruncatedNormal
from bert4keras2.backend.initializers import ByFunction
from bert4keras2.layers import (
    Add,
    AttentionMask,
    Embedding,
    FeedForward,
    LayerNormalization,
    MultiHeadAttention,
    PositionEmbedding,
    RotaryPosition,
)
from bert4keras2.models import heads
from bert4keras2.models.config import Config
from bert4keras2.models.weights import CheckpointMixin

__all__ = ["Context", "Transformer"]


@dataclass
class Context:
    """What is computed once per forward pass and handed to every block."""

    attention_mask: Any = None  # (B, 1, 1 | T, S) booleans
    rotary: Any = None  # (sin, cos), each (1 | B, T, key_size / 2)
    condition: Any = None  # (B, D), shifts all layer normalizations
    scores: Any = None  # (B, H, T, S) scores of the block before, where those are residual


class Transformer(CheckpointMixin):
    """A model under construction: its layers by name, its graph, and the hooks that subclasses override.

    Args:
        config: sizes, structure and options.
        layer_norm_cond: (B, D) symbolic condition of all layer normalizations (kexue.fm/archives/7124).
        additional_input_layers: symbolic inputs to append to the model's own.
        layers: layers by name to share with another model instead of creating them.

    After `build`, `model` is the Keras model, `inputs` and `outputs` its symbolic ends and `layers` its layers by name.
    """

    family: str | None = None

    def __init__(
        self,
        config: Config,
        layer_norm_cond: Any = None,
        additional_input_layers: Any = None,
        layers: dict[str, Any] | None = None,
    ):
        self.config = config
        self.layers: dict[str, Any] = {} if layers is None else layers
        self.layer_norm_cond = layer_norm_cond
        extra = additional_input_layers
        self.additional_input_layers = (
            list(extra) if isinstance(extra, list | tuple) else [extra] if extra is not None else []
        )
        self.context = Context()
        self.model: Any = None
        self.family = config.family
        if not isinstance(type(self).initializer, property):
            # A subclass defined it as a method (shape, dtype): layers get an object that they can save.
            self.initializer = ByFunction(self.initializer)

    def __getattr__(self, name: str) -> Any:
        # Scripts read sizes off the object: bert.hidden_size, bert.num_hidden_layers...
        if name != "config" and not name.startswith("__") and hasattr(self.config, name):
            return getattr(self.config, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    # -- construction ----------------------------------------------------------------------------------------

    def build(self) -> Transformer:
        """Create the graph and the Keras model."""
        self.inputs = [*keras.tree.flatten(self.get_inputs()), *self.additional_input_layers]
        self.input = self.inputs[0] if len(self.inputs) == 1 else self.inputs
        self.output = self.call(self.inputs)
        self.outputs = self.output if isinstance(self.output, list) else [self.output]
        self.model = Model(self.input, self.output, name=self.config.name)
        return self

    def call(self, inputs: list[Any]) -> Any:
        """Return the outputs for symbolic inputs."""
        self.context = self.make_context(inputs)
        outputs = self.apply_embeddings(inputs)
        for index in range(self.config.num_hidden_layers):
            outputs = self.apply_main_layers(outputs, index)
        return self.apply_final_layers(outputs)

    def prefixed(self, name: str) -> str:
        """Return a layer's name with the model's prefix."""
        return self.config.prefix + name

    def apply(
        self, inputs: Any = None, layer: Any = None, arguments: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Call the layer of a name, creating it at first use.

        Args:
            inputs: what to call it with; if None, the layer itself is returned.
            layer: its class.
            arguments: keyword arguments of the call.
            **kwargs: arguments of the class, `name` among them.
        """
        if layer is Dropout and not kwargs.get("rate"):
            return inputs
        name = kwargs["name"] = self.prefixed(kwargs["name"])
        if name not in self.layers:
            self.layers[name] = layer(**kwargs)
        found = self.layers[name]
        return found if inputs is None else found(inputs, **(arguments or {}))

    @property
    def initializer(self) -> Any:
        """An initializer as the model's weights were drawn, for layers that scripts put on top."""
        if self.config.depth_init:
            return DepthScaledNormal(self.config.num_hidden_layers, self.config.depth_init)
        return TruncatedNormal(self.config.initializer_range)

    # -- hooks -----------------------------------------------------------------------------------------------

    def get_inputs(self) -> list[Any]:
        """Return the symbolic inputs: token ids, segment ids and position ids, as far as the options ask for them."""
        names = ["Input-Token"]
        if self.config.segment_vocab_size:
            names.append("Input-Segment")
        if self.config.custom_position_ids:
            names.append("Input-Position")
        length = self.config.sequence_length
        return [Input((length,), dtype="int32", name=self.prefixed(name)) for name in names]

    def make_context(self, inputs: list[Any]) -> Context:
        """Return the masks and position tables that all blocks share."""
        config = self.config
        tokens, segments, positions = self.split_inputs(inputs)
        unilm = {"segment_ids": segments} if config.application == "unilm" else {}
        mask = self.apply(tokens, AttentionMask, unilm, application=config.application, name="Attention-Mask")
        rotary = None
        if config.position == "rotary":
            given = {} if positions is None else {"position_ids": positions}
            rotary = self.apply(
                tokens, RotaryPosition, given, output_dim=config.key_size, name="Embedding-Rotary-Position"
            )
        return Context(attention_mask=mask, rotary=rotary, condition=self.layer_norm_cond)

    def split_inputs(self, inputs: list[Any]) -> tuple[Any, Any, Any]:
        """Return token ids, segment ids and position ids, None for those that the model does not take."""
        rest = list(inputs)
        tokens = rest.pop(0)
        segments = rest.pop(0) if self.config.segment_vocab_size else None
        positions = rest.pop(0) if self.config.custom_position_ids else None
        return tokens, segments, positions

    def apply_embeddings(self, inputs: list[Any]) -> Any:
        """Return (B, T, C) embeddings of the inputs."""
        config = self.config
        tokens, segments, positions = self.split_inputs(inputs)
        table = {"output_dim": config.embedding_width, "embeddings_initializer": self.initializer}
        token_table = {"input_dim": config.rows, "mask_zero": True, "name": "Embedding-Token", **table}
        x = self.apply(tokens, Embedding, **token_table)
        if segments is not None:
            if config.shared_segment_embeddings:
                s = self.apply(segments, Embedding, {"masked": False}, **token_table)
            else:
                s = self.apply(
                    segments, Embedding, input_dim=config.segment_vocab_size, name="Embedding-Segment", **table
                )
            x = self.apply([x, s], Add, name="Embedding-Token-Segment")
        if config.position == "absolute":
            x = self.apply(
                x,
                PositionEmbedding,
                {} if positions is None else {"position_ids": positions},
                input_dim=config.max_position,
                hierarchical=config.hierarchical_position,
                custom_position_ids=config.custom_position_ids,
                name="Embedding-Position",
                **table,
            )
        x = self.normalize(x, "Embedding-Norm")
        x = self.apply(x, Dropout, rate=config.dropout_rate, name="Embedding-Dropout")
        if config.embedding_width != config.hidden_size:
            x = self.project(x, config.hidden_size, "Embedding-Mapping")
        return x

    def apply_main_layers(self, inputs: Any, index: int) -> Any:
        """Return (B, T, C) after block number `index`."""
        x = self.residual(inputs, self.attention, f"Transformer-{index}-MultiHeadSelfAttention")
        return self.residual(x, self.feed_forward, f"Transformer-{index}-FeedForward")

    def apply_final_layers(self, inputs: Any) -> Any:
        """Return the heads' outputs, one alone or a list, or the input if there is no head."""
        return heads.outputs(self, inputs)

    # -- parts -----------------------------------------------------------------------------------------------

    def residual(self, x: Any, branch: Any, name: str) -> Any:
        """Return norm(x + dropout(branch(x))): where residual, dropout and norm stand is written here alone."""
        y = self.apply(branch(x, name), Dropout, rate=self.config.dropout_rate, name=f"{name}-Dropout")
        return self.normalize(self.apply([x, y], Add, name=f"{name}-Add"), f"{name}-Norm")

    def attention(self, x: Any, name: str) -> Any:
        """Return the self-attention branch of a block."""
        config, context = self.config, self.context
        arguments = {"attention_mask": context.attention_mask, "rotary": context.rotary}
        if context.scores is not None:
            arguments["previous_scores"] = context.scores
        y = self.apply(
            x,
            MultiHeadAttention,
            {key: value for key, value in arguments.items() if value is not None},
            heads=config.num_attention_heads,
            head_size=config.head_size,
            out_dim=config.hidden_size,
            key_size=config.key_size,
            use_bias=config.use_bias,
            attention_dropout=config.attention_dropout_rate,
            return_attention_scores=config.residual_attention_scores,
            kernel_initializer=self.initializer,
            name=name,
        )
        if config.residual_attention_scores:
            y, context.scores = y
        return y

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
        return self.apply(x, LayerNormalization, arguments, name=name, **config.norm, **conditional)

    def project(self, x: Any, units: int, name: str, **kwargs: Any) -> Any:
        """Return x through the Dense layer of a name, with a bias where the family has biases."""
        kwargs = {"use_bias": self.config.use_bias, **kwargs}
        return self.apply(x, Dense, units=units, kernel_initializer=self.initializer, name=name, **kwargs)
