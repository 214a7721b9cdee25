"""`ExportedEngine`: an engine of generation over ONNX files, in the place of one over a Keras model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops, tree

from bert4keras2.decoders.engine import Engine, python_loop
from bert4keras2.decoders.kv_cache import Cache, absent, repeat
from bert4keras2.exporting import ExportedModel, OnnxModel

__all__ = ["ExportedEngine", "StepConfig"]

# Shape legend: R rows, P padded prompt length, T tokens of one step, N capacity for new tokens, S length of an
# encoder's input.


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """What generation has to know of a model whose step is a file; the fields of `Config` by their names."""

    family: str
    stack: str
    application: str
    rows: int
    positions: int | None
    segment_vocab_size: int
    pad_id: int
    with_lm: bool = True
    custom_position_ids: bool = False  # the step is told all positions in any case

    @classmethod
    def of(cls, config: Any) -> StepConfig:
        """Return what of a model's configuration is needed."""
        names = ("family", "stack", "application", "rows", "positions", "segment_vocab_size", "pad_id")
        return cls(**{name: getattr(config, name) for name in names})


class ExportedEngine:
    """Prefill and step by onnxruntime; tokens are chosen by the same functions as on a Keras model.

    Args:
        step: the model of one step.
        encoder: that of the encoder; None for a model of one stack.
        config: of the model.
        extra_inputs: names of the inputs that the model has besides its own.
    """

    def __init__(self, step: OnnxModel, encoder: OnnxModel | None, config: StepConfig, extra_inputs: list[str]):
        self.onnx, self.encoder, self.config, self.extra_inputs = step, encoder, config, extra_inputs
        self._past = [name for name in step.inputs if name.startswith("past.")]
        shapes = step.shapes
        self._empty = {name: shapes[name] for name in self._past}

    @classmethod
    def load(cls, folder: str | os.PathLike, threads: int | None = None) -> ExportedEngine:
        """Return the engine of a folder that `Generator.export` wrote.

        Raises:
            ImportError: if onnxruntime is not installed.
            ValueError: if the folder holds something else.
        """
        found = ExportedModel(folder, "generator", threads)
        parts = found.description.parts
        encoder = parts.get("encoder")
        other = None if encoder is None else OnnxModel(os.path.join(found.folder, os.path.basename(encoder)), threads)
        return cls(found.run, other, StepConfig(**parts["config"]), list(parts["extra_inputs"]))

    @property
    def positions(self) -> int | None:
        """How many positions the model knows; None where any text fits."""
        return self.config.positions

    # -- what requests ask of an engine ------------------------------------------------------------------------

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
        """Prefill prompts and return the state of a loop; arguments as for `Engine.start`, but for `past`: none is."""
        logits, cache = self.open(inputs, lengths, capacity)
        tokens = inputs[1 if self.encoder is not None else 0]
        logits, tokens = (ops.convert_to_tensor(np.repeat(array, num_rows, axis=0)) for array in (logits, tokens))
        return state(logits, repeat(cache, num_rows), tokens)

    def open(
        self, inputs: list[np.ndarray], lengths: list[int], capacity: int, past: Any = ()
    ) -> tuple[np.ndarray, Cache]:
        """Prefill prompts; return the logits of the next token (R, V) and the cache for `step`; there is no `past`."""
        own, condition = self._without_extra(inputs)
        cross: dict[str, Any] = {}
        memory: Any = ()
        if self.encoder is not None:
            source, tokens = own[:2]
            segments = None
            given = {"Input-Token": source, **dict(zip(self.extra_inputs, condition, strict=True))}
            cross = self.encoder.by_name(given)
            memory = _shown(source, self.config.pad_id)
        else:
            tokens = own[0]
            segments = own[1] if self.config.segment_vocab_size else None
        rows, length = tokens.shape
        prompt = _shown(tokens, self.config.pad_id)
        empty = {name: np.zeros((rows, shape[1], 0, shape[3]), "float32") for name, shape in self._empty.items()}
        counts = np.asarray(lengths, "int32")
        after = np.zeros((rows, capacity), bool)
        # The loops count on from the lengths, so they are of the backend.
        cache = Cache(empty, cross, ops.convert_to_tensor(counts), prompt, after, tuple(condition), memory)
        places = np.tile(np.arange(length, dtype="int32"), (rows, 1))
        logits, past = self._run(cache, tokens, segments, prompt, places, counts[:, None] - 1)
        return logits[:, 0], cache._replace(attention=past)

    def step(
        self, cache: Cache, tokens: np.ndarray, segments: np.ndarray | None, t: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, Cache]:
        """Run the model over tokens (R, T) that follow `t` others; arguments and result as for `Engine.step`."""
        if rows is not None:
            cache = tree.map_structure(lambda x: np.take(_array(x), rows, axis=0), cache)
        return self._advance(cache, tokens, segments, t)

    def advance(self, cache: Cache, tokens: Any, segments: Any, t: Any) -> tuple[Any, Cache]:
        """Run the model over the next tokens of each row, within the loops."""
        logits, cache = self._advance(cache, _array(tokens), None if absent(segments) else _array(segments), int(t))
        return ops.convert_to_tensor(logits), cache

    def loop(self, unfinished: Callable[[Any], Any], step: Callable[[Any], Any], state: Any) -> Any:
        """Run step while unfinished on a state, step by step."""
        return python_loop(unfinished, step, state)

    def compiled(self, key: Any, function: Callable) -> Callable:
        """Return the function as it is: what it calls is no part of a compiled program."""
        return function

    tensors = staticmethod(Engine.tensors)

    # -- calls of the files ------------------------------------------------------------------------------------

    def _advance(self, cache: Cache, tokens: np.ndarray, segments: Any, t: int) -> tuple[np.ndarray, Cache]:
        count = tokens.shape[1]
        after = _array(cache.after).copy()
        after[:, t : t + count] = tokens != self.config.pad_id
        prompt, lengths = _array(cache.prompt), _array(cache.lengths)
        shown = np.concatenate([prompt, after[:, : t + count]], axis=1)
        # Each row counts its own positions: what follows stands behind the padding, but is numbered from the prompt's
        # end.
        places = np.tile(np.arange(prompt.shape[1], dtype="int32"), (len(prompt), 1))
        places = np.concatenate([places, lengths[:, None] + np.arange(t + count, dtype="int32")], axis=1)
        if self.positions is not None:  # rows that are done run along with others, whose prompts may be shorter
            places = np.minimum(places, self.positions - 1)
        index = np.tile(np.arange(count, dtype="int32"), (len(tokens), 1))
        logits, past = self._run(cache, tokens, segments, shown, places, index)
        return logits, cache._replace(attention=past, after=after)

    def _run(
        self, cache: Cache, tokens: np.ndarray, segments: Any, shown: np.ndarray, places: np.ndarray, index: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        given = {
            "Input-Token": tokens,
            "Input-Segment": segments,
            "Attention-Mask": shown,
            "Attention-Position": places,
            "Score-Index": index,
            "Encoder-Mask": cache.memory,
            **dict(zip(self.extra_inputs, cache.condition, strict=True)),
            **cache.attention,
            **cache.cross,
        }
        logits, *grown = self.onnx.by_name({name: _array(given[name]) for name in self.onnx.inputs}).values()
        return logits, dict(zip(self._past, grown, strict=True))

    def _without_extra(self, inputs: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        count = len(inputs) - len(self.extra_inputs)
        return list(inputs[:count]), [np.asarray(array, "float32") for array in inputs[count:]]


def _array(value: Any) -> np.ndarray:
    """Return what a graph is fed: an array, of int32 where it counts or tells yes from no."""
    array = value if isinstance(value, np.ndarray) else ops.convert_to_numpy(value)
    return array if array.dtype.kind == "f" else array.astype("int32")


def _shown(tokens: np.ndarray, pad_id: int) -> np.ndarray:
    """Return (R, P) booleans as `layers.padding_mask` does: the padding id is padding, but for the first place."""
    shown = tokens != pad_id
    shown[:, 0] = True
    return shown
