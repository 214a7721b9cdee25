"""The trunk of every model: inputs, embeddings, blocks and heads, put together by a `Config`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
from keras.layers import Input, Lambda

from bert4keras2.families.config import Config
from bert4keras2.functional import keras_private
from bert4keras2.functional.initializers import ByFunction, DepthScaledNormal, TruncatedNormal
from bert4keras2.layers import (
    Add,
    AttentionMask,
    Dropout,
    Embedding,
    PositionEmbedding,
    TaskEmbedding,
)
from bert4keras2.models import heads
from bert4keras2.models.blocks import Blocks
from bert4keras2.models.positions import locate
from bert4keras2.models.weights import CheckpointMixin
from bert4keras2.training.model import Model

__all__ = ["Context", "Transformer"]


@dataclass
class Context:
    """What is computed once per forward pass and handed to every block."""

    attention_mask: Any = None  # (B, 1, 1 | T, S) booleans; of blocks that count tokens alone (B, 1, 1, T)
    window_mask: Any = None  # (B, 1, T, S) booleans of the blocks that see near tokens alone
    query_scale: Any = None  # (B, 1 | T, 1) factors of the scores where all is seen
    rerope: Any = None  # tables of `ReRopePosition`, in place of `rotary`
    number: int = 0  # of the block under way
    segment_ids: Any = None  # (B, T) of UniLM, for blocks whose mask does not tell of it
    rotary: Any = None  # (sin, cos), each (1 | B, T, key_size / 2)
    relative: Any = None  # (T, S, key_size) vectors of distances
    bias: Any = None  # (1, H, T, S) added to the scores
    condition: Any = None  # (B, D), shifts all layer normalizations
    scores: Any = None  # (B, H, T, S) scores of the block before
    memory: Any = None  # (B, S, C) what a decoder attends to besides itself
    memory_mask: Any = None  # (B, 1, 1, S) booleans
    memory_bias: Any = None  # (1, H, T, S)
    position_ids: Any = None  # (B, T), 0, 1, 2... if None
    places: tuple[Any, Any] | None = None  # of queries (B, T) and keys (B, S) where keys come from a cache
    # Generation: keys and values, each (B, H, S, D), by the names of attention layers, or a dictionary of tensors that
    # do not grow. None: no caches; empty: none are there yet. What this pass leaves is collected; `index` is where the
    # new positions are written.
    caches: dict[str, Any] | None = None
    collected: dict[str, Any] = field(default_factory=dict)
    crosses: set[str] = field(default_factory=set)  # those of `collected` that are of an encoder's output
    index: Any = 0
    maps: dict[str, Any] | None = None  # where attention layers leave their weights (B, H, T, S); None: they keep none
    logits: bool = False  # end in token scores before their activation
    # What is made of the last hidden states (B, T, C) in place of the model's own heads: pre-training has its own.
    heads: Callable[[Any], Any] | None = None


class _Pass(NamedTuple):
    """One run through a model: the context that its blocks see, and the hidden states that they leave."""

    context: Context
    hidden_states: list[Any]


# {id of a transformer: its run under way}. Each thread has its own: models are shared, what runs through them is not.
_PASSES: ContextVar[dict[int, _Pass]] = ContextVar("passes", default={})  # noqa: B039 (never changed in place)


class Transformer(Blocks, CheckpointMixin):
    """A model under construction: its layers by name, its graph, and the hooks that subclasses override.

    Args:
        config: sizes, structure and options.
        layer_norm_cond: (B, D) symbolic condition of all layer normalizations (kexue.fm/archives/7124).
        additional_input_layers: symbolic inputs to append to the model's own.
        layers: layers by name to share with another model instead of creating them.
        **options: fields of the configuration that a subclass sets otherwise.

    After `build`, `model` is the Keras model, `inputs` and `outputs` its symbolic ends, `layers` its layers by name,
    and `hidden_states` the (B, T, C) tensors after the embeddings and after each block, the last one as heads see it.
    """

    family: str | None = None

    def __init__(
        self,
        config: Config,
        layer_norm_cond: Any = None,
        additional_input_layers: Any = None,
        layers: dict[str, Any] | None = None,
        **options: Any,
    ):
        if not isinstance(config, Config):
            raise TypeError(
                f"{type(self).__name__}.__init__() handed on {config!r} by position: a subclass hands all on by name,"
                " as in super().__init__(**kwargs)"
            )
        self.config = config = dataclasses.replace(config, **options)
        self.layers: dict[str, Any] = {} if layers is None else layers
        self.layer_norm_cond = layer_norm_cond
        extra = additional_input_layers
        self.additional_input_layers = (
            list(extra) if isinstance(extra, list | tuple) else [extra] if extra is not None else []
        )
        self._built = _Pass(Context(), [])
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
        self.output = self.trace(self.inputs)
        self.outputs = self.output if isinstance(self.output, list) else [self.output]
        self.model = Model(self.input, self.output, name=self.config.name)
        self.tag()
        return self

    def tag(self) -> None:
        """Let the Keras model and some layers tell whose they are: generation and saving go back to the blocks."""
        self.model.transformer = self
        for name in ("Embedding-Token", "Attention-Mask"):  # of what scripts build on the model, one is a part
            if self.prefixed(name) in self.layers:
                self.layers[self.prefixed(name)].transformer = self
        for tensor in self.outputs:
            keras_private.maker(tensor).transformer = self

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Call the finished model: `bert(inputs)` is `bert.model(inputs)`."""
        return self.model(inputs, **kwargs)

    def trace(self, inputs: list[Any]) -> Any:
        """Return the outputs for symbolic inputs, with masks and positions for the hooks."""
        self.context = self.make_context(inputs)
        return self.call(inputs)

    def call(self, inputs: list[Any]) -> Any:
        """Return the outputs for symbolic inputs by the hooks."""
        outputs = self.apply_embeddings(inputs)
        self.hidden_states = [outputs]
        for index in range(self.config.num_hidden_layers):
            outputs = self.apply_main_layers(outputs, index)
            self.hidden_states.append(outputs)
        return self.apply_final_layers(outputs)

    def run(self, context: Context, inputs: list[Any], last: Any = None) -> tuple[Any, Context]:
        """Return the outputs for tensors under a context of one's own, and that context: how generation goes on.

        Args:
            context: masks, positions and caches.
            inputs: tensors in the order of the model's inputs.
            last: (B, 1) positions whose hidden states alone go to the heads; all if None.
        """
        states: list[Any] = []
        token = _PASSES.set({**_PASSES.get(), id(self): _Pass(context, states)})
        try:
            x = self.apply_embeddings(inputs)
            states.append(x)
            for index in range(self.config.num_hidden_layers):
                x = self.apply_main_layers(x, index)
                states.append(x)
            if last is not None:
                x = keras.ops.take_along_axis(x, keras.ops.expand_dims(last, -1), axis=1)
            return self.apply_final_layers(x), context
        finally:
            _PASSES.reset(token)

    @property
    def context(self) -> Context:
        """The context of the run under way in this thread, otherwise that of the model's graph."""
        return _PASSES.get().get(id(self), self._built).context

    @context.setter
    def context(self, context: Context) -> None:
        self._built = self._built._replace(context=context)

    @property
    def hidden_states(self) -> list[Any]:
        """(B, T, C) tensors after the embeddings and after each block, the last one as heads see it."""
        return _PASSES.get().get(id(self), self._built).hidden_states

    @hidden_states.setter
    def hidden_states(self, states: list[Any]) -> None:
        self._built = self._built._replace(hidden_states=states)

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
            **kwargs: arguments of the class, `name` among them; without one the layer is not shared.
        """
        if layer is Dropout and not kwargs.get("rate"):
            return inputs
        if layer is Lambda:  # Keras takes its arguments when it is made
            kwargs, arguments = {**kwargs, "arguments": arguments or {}}, None
        name = kwargs.get("name")
        name = kwargs["name"] = None if name is None else self.prefixed(name)
        if name not in self.layers:
            made = layer(**kwargs)
            name = name or made.name
            self.layers[name] = made
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
        config = self.config
        names = ["Input-Token"]
        if config.segment_vocab_size:
            names.append("Input-Segment")
        if config.custom_position_ids:
            names.append("Input-Position")
        length = config.sequence_length
        inputs = [Input((length,), dtype="int32", name=self.prefixed(name)) for name in names]
        if config.position_axes > 1:
            inputs[-1] = Input((length, config.position_axes), name=self.prefixed("Input-Position"))
        if config.patch_size:
            inputs.append(Input((length, config.patch_size), name=self.prefixed("Input-Patch")))
        return inputs

    def make_context(self, inputs: list[Any]) -> Context:
        """Return the masks and position tables that all blocks share."""
        config = self.config
        tokens, segments, positions = self.split_inputs(inputs)
        unilm = {"segment_ids": segments} if config.application == "unilm" else {}
        application, of_pairs = (config.application, unilm) if config.pairwise else ("encoder", {})
        mask = self.apply(
            tokens, AttentionMask, of_pairs, application=application, pad_id=config.pad_id, name="Attention-Mask"
        )
        context = Context(attention_mask=mask, condition=self.layer_norm_cond, position_ids=positions)
        if not config.pairwise:
            context.segment_ids = unilm.get("segment_ids")
        self.locate(context, tokens)
        return context

    def locate(self, context: Context, tokens: Any, positions: tuple[Any, Any] | None = None) -> None:
        """Fill in what a context says of positions besides those of the embeddings.

        Args:
            context: whose `position_ids` are the positions of the tokens.
            tokens: (B, T) ids.
            positions: those of queries (B, T) and keys (B, S) where keys come from a cache.
        """
        locate(self, context, tokens, positions)

    def split_inputs(self, inputs: list[Any]) -> tuple[Any, Any, Any]:
        """Return token ids, segment ids and position ids, None for those that the model does not take."""
        rest = list(inputs)
        tokens = rest.pop(0)
        segments = rest.pop(0) if self.config.segment_vocab_size else None
        positions = rest.pop(0) if self.config.custom_position_ids else None
        return tokens, segments, positions

    def apply_embeddings(self, inputs: list[Any]) -> Any:
        """Return (B, T, C) embeddings of the inputs.

        Scripts call the hooks of a finished model on symbolic inputs of their own, to put its blocks to another use
        (BERT-of-Theseus): masks and positions are those of these inputs from then on.
        """
        if self.model is not None and isinstance(inputs[0], keras.KerasTensor) and inputs[0] is not self.inputs[0]:
            self.context = self.make_context(inputs)
        config, positions = self.config, self.context.position_ids
        tokens, segments, _ = self.split_inputs(inputs)
        table = {"output_dim": config.embedding_width, "embeddings_initializer": self.initializer}
        token_table = {"input_dim": config.rows, "mask_zero": True, "pad_id": config.pad_id, **table}
        token_table["name"] = "Embedding-Token"
        x = self.apply(tokens, Embedding, **token_table)
        if segments is not None:
            if config.shared_segment_embeddings:
                s = self.apply(segments, Embedding, {"masked": False}, **token_table)
            else:
                s = self.apply(
                    segments, Embedding, input_dim=config.segment_vocab_size, name="Embedding-Segment", **table
                )
            x = self.apply([x, s], Add, name="Embedding-Token-Segment")
        if config.patch_size:
            # Patches of an image stand at tokens of their own; those of text are zeros, and add nothing.
            patches = inputs[1 + bool(config.segment_vocab_size) + config.custom_position_ids]
            patches = self.project(patches, config.embedding_width, "Embedding-Patch", use_bias=False)
            x = self.apply([x, patches], Add, name="Embedding-Token-Patch")
        if config.position == "absolute":
            x = self.apply(
                x,
                PositionEmbedding,
                {} if positions is None else {"position_ids": positions},
                input_dim=config.max_position,
                hierarchical=config.hierarchical_position,
                custom_position_ids=config.custom_position_ids,
                offset=config.position_offset,
                name="Embedding-Position",
                **table,
            )
        if config.task_vocab_size:
            x = self.apply(
                x,
                TaskEmbedding,
                input_dim=config.task_vocab_size,
                task_id=config.task_id,
                name="Embedding-Task",
                **table,
            )
        if config.embedding_norm:
            x = self.normalize(x, "Embedding-Norm")
        x = self.apply(x, Dropout, rate=config.dropout_rate, name="Embedding-Dropout")
        if config.embedding_width != config.hidden_size:
            x = self.project(x, config.hidden_size, "Embedding-Mapping")
        return x

    def apply_main_layers(self, inputs: Any, index: int) -> Any:
        """Return (B, T, C) after block number `index`."""
        return self.block(inputs, index)

    def apply_final_layers(self, inputs: Any) -> Any:
        """Return the heads' outputs, one alone or a list, or the last hidden states if there is no head."""
        x = inputs
        if self.config.output_norm:
            x = self.normalize(x, "Output-Norm")
            x = self.apply(x, Dropout, rate=self.config.dropout_rate, name="Output-Dropout")
            self.hidden_states[-1] = x
        return heads.outputs(self, x) if self.context.heads is None else self.context.heads(x)
