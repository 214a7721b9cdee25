"""Compiled functions over a model and its caches, on whichever backend Keras runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bert4keras2.decoders.kv_cache import Cache, Memory, absent, advance, known_positions, prefill, repeat
from bert4keras2.decoders.logits import Rules
from bert4keras2.decoders.loops import beam_loop, beam_start, sample_loop, sample_start

__all__ = ["Engine", "engine_of", "transformer_of"]


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


def engine_of(model: Any) -> Engine:
    """Return the engine of a model, always the same one, so that what it has compiled is not compiled again."""
    transformer = transformer_of(model)
    if "engine" not in vars(transformer):
        transformer.engine = Engine(transformer)
    return transformer.engine


class Engine:
    """Prefill, step and loops of one model, compiled once for each set of shapes and rules.

    TensorFlow runs them as XLA programs, JAX as jitted functions of the current weights, PyTorch eagerly without
    gradients. The model's weights are read at each call, so training between two calls counts.

    Args:
        transformer: of one stack that generates (application "lm" or "unilm"), an encoder-decoder, or a decoder.

    Attributes:
        xla: whether TensorFlow compiles by XLA, which takes seconds for each set of shapes and then runs faster.
    """

    xla = True

    def __init__(self, transformer: Any):
        config = transformer.config
        if config.stack == "encoder" or (config.stack == "single" and config.application == "encoder"):
            raise ValueError(
                f"A {config.family} model with application='encoder' sees what follows a token and cannot generate: "
                "build it with application='lm' or 'unilm'"
            )
        self.transformer = transformer
        self.encoder, self.decoder = transformer.halves if config.stack == "seq2seq" else (None, transformer)
        self._functions: dict[Any, Callable] = {}
        self._condition: Any = None

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.transformer.config

    @property
    def positions(self) -> int | None:
        """How many positions the model knows; None where any text fits."""
        return known_positions(self.config)

    # -- what is compiled ------------------------------------------------------------------------------------

    def start(
        self, inputs: list[np.ndarray], lengths: list[int], room: int, times: int = 1, beams: int = 0
    ) -> dict[str, Any]:
        """Prefill prompts and return the state of a loop.

        Args:
            inputs: arrays of the model's inputs in their order, token ids padded with 0 at the end, then those of
                additional_input_layers.
            lengths: how many tokens each prompt has.
            room: how many tokens may follow.
            times: how many rows go on from each prompt.
            beams: of a beam search, 0 for sampling.
        """

        def function(tensors, lengths, condition):
            logits, cache, tokens = self._prefill(tensors, lengths, room, condition)
            logits, tokens = (_repeat(tensor, times) for tensor in (logits, tokens))
            cache = repeat(cache, times)
            return beam_start(logits, cache, tokens, beams) if beams else sample_start(logits, cache, tokens)

        return self._compiled(("start", room, times, beams), function)(*self._split(inputs, lengths))

    def sample(self, state: dict, rules: Rules, greedy: bool, inputs: dict[str, Any]) -> dict:
        """Run `sample_loop`."""
        function = self._compiled(
            ("sample", rules, greedy), lambda state, inputs: sample_loop(self.decoder, state, rules, greedy, inputs)
        )
        return function(state, _tensors(inputs))

    def beam(self, state: dict, rules: Rules, beams: int, inputs: dict[str, Any]) -> dict:
        """Run `beam_loop`."""
        function = self._compiled(
            ("beam", rules, beams), lambda state, inputs: beam_loop(self.decoder, state, rules, beams, inputs)
        )
        return function(state, _tensors(inputs))

    def open(self, inputs: list[np.ndarray], lengths: list[int], room: int) -> tuple[np.ndarray, dict]:
        """Prefill prompts; return the scores of the next token (R, V) and the cache for `step`."""

        def function(tensors, lengths, condition):
            logits, cache, _ = self._prefill(tensors, lengths, room, condition)
            return logits, cache.tree()

        logits, tree = self._compiled(("open", room), function)(*self._split(inputs, lengths))
        return _numpy(logits), tree

    def step(
        self, tree: dict, tokens: np.ndarray, segments: np.ndarray | None, t: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, dict]:
        """Run the model over tokens (R, T) that follow `t` others after the prompts.

        Args:
            tree: cache of `open` or of this function.
            tokens: (R, T) ids.
            segments: (R, T) ids, or None for a model without.
            t: how many tokens have followed.
            rows: (R,) rows of the cache to go on from; its own if None.

        Returns:
            (R, T, V) scores and the new cache.
        """

        def function(tree, rows, tokens, segments, t):
            from keras import tree as trees

            if not absent(rows):
                tree = trees.map_structure(lambda x: _take(x, rows), tree)
            logits, cache = advance(self.decoder, Cache.of(tree), tokens, None if absent(segments) else segments, t)
            return logits, cache.tree()

        rows = () if rows is None else rows.astype("int32")
        segments = () if segments is None else segments.astype("int32")
        values = _tensors({"rows": rows, "tokens": tokens.astype("int32"), "segments": segments, "t": np.int32(t)})
        logits, tree = self._compiled(("step",), function)(
            tree, values["rows"], values["tokens"], values["segments"], values["t"]
        )
        return _numpy(logits), tree

    def _prefill(self, tensors: list[Any], lengths: Any, room: int, condition: Any):
        """Return the first scores, the cache, and the token ids of the prompts."""
        condition = None if absent(condition) else condition
        if self.encoder is None:
            memory = Memory(tensors[0], None) if self.config.stack == "decoder" else None
            logits, cache = prefill(self.decoder, tensors, lengths, room, condition, memory)
            return logits, cache, tensors[0] if memory is None else tensors[1]
        context = self.encoder.make_context(tensors[:1])
        context.condition = condition
        states, context = self.encoder.run(context, tensors[:1])
        memory = Memory(states, context.attention_mask)
        logits, cache = prefill(self.decoder, [states, tensors[1]], lengths, room, condition, memory)
        return logits, cache, tensors[1]

    def _split(self, inputs: list[np.ndarray], lengths: list[int]) -> tuple[list[Any], Any, Any]:
        """Return the model's own inputs and the lengths as tensors, and the condition that the other inputs give."""
        from keras import ops

        extra = self.transformer.additional_input_layers
        own, rest = inputs[: len(inputs) - len(extra)], inputs[len(inputs) - len(extra) :]
        ids = ["int32" if np.asarray(array).dtype.kind in "iu" else None for array in own]
        tensors = [ops.convert_to_tensor(array, dtype=dtype) for array, dtype in zip(own, ids, strict=True)]
        lengths = ops.convert_to_tensor(lengths, dtype="int32")
        condition = self.transformer.layer_norm_cond
        if condition is None:
            return tensors, lengths, ()
        if self._condition is None:
            import keras

            self._condition = keras.Model(extra, condition)
        return tensors, lengths, self._condition(list(rest), training=False)

    # -- compiling -------------------------------------------------------------------------------------------

    def _compiled(self, key: Any, function: Callable) -> Callable:
        """Return the function compiled for the backend; functions of one key are the same."""
        if key not in self._functions:
            self._functions[key] = self._compile(function)
        return self._functions[key]

    def _compile(self, function: Callable) -> Callable:
        import keras

        backend = keras.backend.backend()
        if backend == "tensorflow":
            import tensorflow as tf

            return tf.function(function, jit_compile=self.xla, autograph=False)
        if backend == "jax":
            import jax

            def with_weights(values, *args):
                with keras.StatelessScope(state_mapping=list(zip(self._variables, values, strict=True))):
                    return function(*args)

            jitted = jax.jit(with_weights)
            return lambda *args: jitted([variable.value for variable in self._variables], *args)

        def eager(*args):
            import torch

            with torch.inference_mode():
                return function(*args)

        return eager

    @property
    def _variables(self) -> list[Any]:
        found = {id(variable): variable for layer in self.transformer.layers.values() for variable in layer.variables}
        return list(found.values())


def _repeat(tensor: Any, times: int) -> Any:
    from keras import ops

    return ops.repeat(tensor, times, axis=0) if times > 1 else tensor


def _take(tensor: Any, rows: Any) -> Any:
    from keras import ops

    return ops.take(tensor, rows, axis=0)


def _tensors(values: dict[str, Any]) -> dict[str, Any]:
    """Return arrays and numbers as tensors, () as it is."""
    from keras import ops

    return {name: value if absent(value) else ops.convert_to_tensor(value) for name, value in values.items()}


def _numpy(tensor: Any) -> np.ndarray:
    from keras import ops

    return ops.convert_to_numpy(tensor)
