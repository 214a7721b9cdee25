"""A model and its caches as compiled functions, on whichever backend Keras runs, and the loop that they go through."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from bert4keras2.decoders.faster.weights import check_weights, recipes_of
from bert4keras2.decoders.kv_cache import Cache, Memory, absent, advance, extend, own, prefill, repeat
from bert4keras2.decoders.logits import Controls
from bert4keras2.functional.compiled import compiled
from bert4keras2.functional.functions import ON_TORCH
from bert4keras2.functional.prepared import PreparedLayers, preparing

__all__ = ["Engine", "engine_of", "loop", "python_loop", "segments_of", "transformer_of"]

# Shape legend: R rows, P padded prompt length, N capacity for new tokens, V vocabulary, T tokens of one step.


def transformer_of(model: Any) -> Any:
    """Return the `Transformer` of a model.

    Args:
        model: what build_transformer_model returned, a Keras model or the `Transformer` itself.

    Raises:
        TypeError: if it is neither.
    """
    found = model if hasattr(model, "make_context") else getattr(model, "transformer", None)
    if found is None:
        raise TypeError(
            f"Cached generation needs a model as build_transformer_model returns it, not {type(model).__name__}. For "
            "a model built on top of one, or loaded from a .keras file, build the same model with "
            "build_transformer_model and load the weights into it (model.load_weights)"
        )
    return found


def engine_of(model: Any, weights: str | None = None) -> Engine:
    """Return the engine of a model, always the same one, so that what it has compiled is not compiled again.

    Args:
        model: as of `transformer_of`.
        weights: as of `Engine`.
    """
    transformer, name = transformer_of(model), "engine" if weights is None else f"engine_{weights}"
    if name not in vars(transformer):
        setattr(transformer, name, Engine(transformer, weights))
    return vars(transformer)[name]


class Engine:
    """Prefill, step and loops of one model, compiled once for each set of shapes and rules.

    TensorFlow runs them as XLA programs, JAX as jitted functions of the current weights, PyTorch eagerly without
    gradients. The model's weights are read at each call, so training between two calls counts.

    Args:
        transformer: of one stack that generates (application "lm" or "unilm"), an encoder-decoder, or a decoder.
        weights: "bfloat16" for copies of the matrices in fewer bits, which steps over few rows use; None for none.

    Attributes:
        xla: whether TensorFlow compiles by XLA, which takes seconds for each set of shapes and then runs faster.
    """

    xla = True

    def __init__(self, transformer: Any, weights: str | None = None):
        narrow = check_weights(weights)
        config = transformer.config
        if config.stack == "encoder" or (config.stack == "single" and config.application == "encoder"):
            raise ValueError(
                f"A {config.family} model with application='encoder' sees what follows a token and cannot generate: "
                "build it with application='lm' or 'unilm'"
            )
        if config.position_axes > 1 or config.patch_size:
            raise ValueError(
                "What follows an image has positions of its own, and cached generation counts on from the last token: "
                "predict the next token by the model itself, on the whole sequence, for position_axes=2 or patch_size"
            )
        self.transformer = transformer
        self.encoder, self.decoder = transformer.halves if config.stack == "seq2seq" else (None, transformer)
        self._functions: dict[Any, Callable] = {}
        # On PyTorch nothing is compiled, and what layers look at before they compute is looked at here.
        self._prepared = PreparedLayers(lambda: recipes_of(transformer, narrow)) if ON_TORCH else None

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.transformer.config

    @property
    def extra_inputs(self) -> list[str]:
        """Names of the inputs that the model has besides its own."""
        return [tensor.name for tensor in self.transformer.additional_input_layers]

    @property
    def positions(self) -> int | None:
        """How many positions the model knows; None where any text fits."""
        return self.config.positions

    # -- what is compiled ------------------------------------------------------------------------------------

    def start(
        self,
        inputs: list[np.ndarray],
        lengths: list[int],
        capacity: int,
        num_rows: int,
        kind: Any,
        state: Callable[[Any, Cache, Any], Any],
        past: Any = (),
    ) -> Any:
        """Prefill prompts and return the state of a loop.

        Args:
            inputs: arrays of the model's inputs in their order, token ids padded with 0 at the end, then those of
                additional_input_layers.
            lengths: how many tokens each prompt has.
            capacity: N, how many tokens may follow.
            num_rows: how many rows go on from each prompt.
            kind: names the state, since functions of the same name are compiled once.
            state: (logits (R, V), cache, token ids (R, P)) -> the state.
            past: cache of a beginning that all prompts share, which is not read again.
        """

        def function(tensors: list[Any], lengths: Any, condition: Any, past: Any) -> Any:
            logits, cache, tokens = self._prefill(tensors, lengths, capacity, condition, past)
            if num_rows > 1:
                logits, tokens = (ops.repeat(tensor, num_rows, axis=0) for tensor in (logits, tokens))
            return state(logits, repeat(cache, num_rows), tokens)

        return self.compiled(("start", capacity, num_rows, kind), function)(*self._split(inputs, lengths), past)

    def open(
        self, inputs: list[np.ndarray], lengths: list[int], capacity: int, past: Any = ()
    ) -> tuple[np.ndarray, Cache]:
        """Prefill prompts as `start` does; return the logits of the next token (R, V) and the cache for `step`."""

        def function(tensors: list[Any], lengths: Any, condition: Any, past: Any) -> tuple[Any, Cache]:
            return self._prefill(tensors, lengths, capacity, condition, past)[:2]

        logits, cache = self.compiled(("open", capacity), function)(*self._split(inputs, lengths), past)
        return ops.convert_to_numpy(logits), cache

    def step(
        self, cache: Cache, tokens: np.ndarray, segments: np.ndarray | None, t: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, Cache]:
        """Run the model over tokens (R, T) that follow `t` others after the prompts.

        Args:
            cache: of `open` or of this function.
            tokens: (R, T) ids.
            segments: (R, T) ids, or None for a model without.
            t: how many tokens have followed.
            rows: (R,) rows of the cache to go on from; its own if None.

        Returns:
            (R, T, V) logits and the new cache.
        """

        def function(cache: Cache, rows: Any, tokens: Any, segments: Any, t: Any) -> tuple[Any, Cache]:
            if not absent(rows):
                cache = tree.map_structure(lambda tensor: ops.take(tensor, rows, axis=0), cache)
            return advance(self.decoder, cache, tokens, segments, t)

        whole = [() if ids is None else ids.astype("int32") for ids in (rows, tokens, segments)]
        logits, cache = self.compiled(("step",), function)(cache, *self.tensors([*whole, np.int32(t)]))
        return ops.convert_to_numpy(logits), cache

    def advance(self, cache: Cache, tokens: Any, segments: Any, t: Any) -> tuple[Any, Cache]:
        """Run the model over the next tokens of each row, as a part of what is compiled; see `kv_cache.advance`."""
        return advance(self.decoder, cache, tokens, segments, t)

    def loop(self, unfinished: Callable[[Any], Any], step: Callable[[Any], Any], state: Any) -> Any:
        """Run step while unfinished on a state of nested tuples and dicts, as one loop of the backend."""
        return loop(unfinished, step, state)

    def compiled(self, key: Any, function: Callable, other: Engine | None = None) -> Callable:
        """Return the function compiled for the backend; functions of one key are the same.

        Args:
            key: names the function.
            function: of this model's layers.
            other: engine of another model whose layers it calls too.
        """
        engines = [self] if other is None else [self, other]
        if key not in self._functions:
            values = lambda: [variable for engine in engines for variable in engine._variables]  # noqa: E731
            self._functions[key] = compiled(function, values, self.xla)
        kept = [engine._prepared for engine in engines if engine._prepared is not None]
        return _prepared(self._functions[key], kept) if kept else self._functions[key]

    @staticmethod
    def tensors(values: Any) -> Any:
        """Return a list or named tuple of arrays and numbers with tensors in their place; () stays as it is."""
        found = [value if absent(value) else ops.convert_to_tensor(value) for value in values]
        return type(values)(*found) if hasattr(values, "_fields") else found

    def fingerprint(self) -> np.ndarray:
        """Return numbers that change when weights do: the sums of all their rows."""

        def function() -> Any:
            values = [ops.cast(variable.value, "float32") for variable in self._variables]
            return ops.concatenate([ops.reshape(ops.sum(x, axis=-1) if x.shape else x, (-1,)) for x in values])

        return ops.convert_to_numpy(self.compiled(("fingerprint",), function)())

    def _prefill(
        self, tensors: list[Any], lengths: Any, capacity: int, condition: Any, past: Any = ()
    ) -> tuple[Any, Cache, Any]:
        """Return the first logits, the cache, and the token ids of the prompts, the first of which `past` may hold."""
        if not absent(past):
            tokens, begin = tensors[0], past.prompt.shape[1]
            segments = tensors[1][:, begin:] if self.config.segment_vocab_size else ()
            rest = extend(self.decoder, past, tokens[:, begin:], segments, lengths - begin, capacity)
            return *rest, tokens
        if self.encoder is None:
            memory = Memory(tensors[0]) if self.config.stack == "decoder" else ()
            logits, cache = prefill(self.decoder, tensors, lengths, capacity, condition, memory)
            return logits, cache, tensors[0] if absent(memory) else tensors[1]
        context = self.encoder.make_context(tensors[:1])
        context.condition = None if absent(condition) else condition
        states, context = self.encoder.run(context, tensors[:1])
        memory = Memory(states, context.attention_mask)
        logits, cache = prefill(self.decoder, [states, tensors[1]], lengths, capacity, condition, memory)
        return logits, cache, tensors[1]

    def _split(self, inputs: list[np.ndarray], lengths: list[int]) -> tuple[list[Any], Any, Any]:
        """Return the model's own inputs and the lengths as tensors, and the condition that the other inputs give."""
        extra = self.transformer.additional_input_layers
        own, rest = inputs[: len(inputs) - len(extra)], inputs[len(inputs) - len(extra) :]
        ids = ["int32" if np.asarray(array).dtype.kind in "iu" else None for array in own]
        tensors = [ops.convert_to_tensor(array, dtype=dtype) for array, dtype in zip(own, ids, strict=True)]
        lengths = ops.convert_to_tensor(lengths, dtype="int32")
        if self.transformer.layer_norm_cond is None:
            return tensors, lengths, ()
        return tensors, lengths, self._condition(list(rest), training=False)

    @functools.cached_property
    def _condition(self) -> Any:
        """The model from the additional inputs to the condition of the layer normalizations."""
        return keras.Model(self.transformer.additional_input_layers, self.transformer.layer_norm_cond)

    @property
    def _variables(self) -> list[Any]:
        found = {id(variable): variable for layer in self.transformer.layers.values() for variable in layer.variables}
        return list(found.values())


# -- what the loops of sampling, drafting and beam search share --------------------------------------------------


def loop(unfinished: Callable[[Any], Any], step: Callable[[Any], Any], state: Any) -> Any:
    """Run step while unfinished on a state of nested tuples and dicts, as one loop of the backend."""
    if keras.backend.backend() == "torch":
        return python_loop(unfinished, step, own(state))

    def packed(values: Any) -> Any:
        return tree.pack_sequence_as(state, list(values))

    return packed(
        ops.while_loop(
            lambda *values: unfinished(packed(values)),
            lambda *values: tuple(tree.flatten(step(packed(values)))),
            tuple(tree.flatten(state)),
        )
    )


def python_loop(unfinished: Callable[[Any], Any], step: Callable[[Any], Any], state: Any) -> Any:
    """Run step while unfinished on a state, step by step."""
    while bool(unfinished(state)):
        state = step(state)
    return state


def segments_of(controls: Controls, column: Any) -> Any:
    """Return (R, 1) segment ids of new tokens, () for a model without."""
    return () if absent(controls.segment) else ops.broadcast_to(ops.expand_dims(controls.segment, 1), column.shape)


def _prepared(function: Callable, kept: list[PreparedLayers]) -> Callable:
    """Return a function that runs with layers prepared."""

    def call(*args: Any) -> Any:
        with preparing(*kept):
            return function(*args)

    return call
