"""From a model of hidden states to a model of vectors: which tensors are pooled, and how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from bert4keras2.functional import keras_private
from bert4keras2.functional.functions import align
from bert4keras2.layers import FirstToken, GlobalAveragePooling1D, GlobalMaxPooling1D
from bert4keras2.training.model import Model

__all__ = ["POOLINGS", "check_pooling", "vector_model"]

# What is made of the last hidden states alone; the names are those of sentence-transformers.
OF_STATES = ("mean", "cls", "max", "mean_sqrt_len", "weightedmean", "lasttoken")
POOLINGS = (*OF_STATES, "pooler", "first-last")
INPUTS = ("Input-Token", "Input-Segment", "Input-Position")

# The layers that turn the last hidden states into a head's output, and those that end the embeddings, last one first.
_HEAD = re.compile(r"(Pooler|Pooler-Dense|NSP-Proba|MLM-\w+|Discriminator-\w+|Output-Mapping)$")
_EMBEDDINGS = [f"Embedding-{part}" for part in ("Mapping", "Dropout", "Norm", "Position", "Token-Segment", "Token")]


def check_pooling(pooling: Any) -> list[str]:
    """Return the poolings that a name or several names stand for.

    Raises:
        ValueError: if one is unknown, or there is none.
    """
    names = [pooling] if isinstance(pooling, str) or not isinstance(pooling, Sequence) else list(pooling)
    unknown = [name for name in names if name not in POOLINGS]
    if unknown or not names:
        raise ValueError(f"pooling is one of {', '.join(map(repr, POOLINGS))}, not {(unknown or [pooling])[0]!r}")
    return names


def vector_model(
    model: Any, pooling: str | Sequence[str] = "mean", output: Any = None, layers: Sequence[Any] = ()
) -> Model:
    """Return a Keras model from token ids to one vector per text, in float32; it shares the layers of `model`.

    Args:
        model: a functional Keras model or a `Transformer`.
        pooling: as of `SentenceEncoder`; of several names the vectors are put one behind the other. Padding is left
            out everywhere.
        output: symbolic tensor, or name of a layer, to be pooled instead of the last hidden states; if it has the
            shape (B, C), it is the vector.
        layers: Keras layers that the vectors then go through.

    Raises:
        TypeError: if `model` is no functional model.
        ValueError: if the model has inputs that a text does not fill, or lacks what `pooling` or `output` ask for.
    """
    names = check_pooling(pooling)
    graph = model if isinstance(model, keras.Model) else getattr(model, "model", None)
    if not isinstance(graph, keras.Model) or not getattr(graph, "inputs", None):
        raise TypeError(
            "SentenceEncoder needs a functional Keras model or a Transformer of build_transformer_model, "
            f"not {type(model).__name__}"
        )
    for tensor in graph.inputs:
        if not tensor.name.endswith(INPUTS):
            hint = "; of a T5, build model='..._encoder'" if tensor.name.endswith("Input-Context") else ""
            raise ValueError(
                f"a text fills the inputs {', '.join(INPUTS)}, but the model also has {tensor.name!r}{hint}"
            )
    tokens = [tensor for tensor in graph.inputs if tensor.name.endswith(INPUTS[0])]
    if len(tokens) != 1:
        names = ", ".join(repr(tensor.name) for tensor in tokens)
        raise ValueError(f"a text fills one Input-Token, but the model has {names or 'none'}: use its encoder alone")
    # The first position counts even as padding, as it does in attention: an empty text without special tokens.
    mask = ops.logical_or(ops.not_equal(tokens[0], pad_id_of(graph)), ops.cumsum(ops.ones_like(tokens[0]), axis=1) < 2)
    parts = [_pooled(model, graph, name, output, mask) for name in names]
    vector = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)
    for layer in layers:
        vector = layer(vector)
    return Model(graph.inputs, vector)


def pad_id_of(graph: keras.Model) -> int:
    """Return the token id that a model takes for padding."""
    tables = (op for op in graph.operations if op.name.endswith("Embedding-Token"))
    return next((table.pad_id for table in tables if hasattr(table, "pad_id")), 0)


def _pooled(model: Any, graph: Any, pooling: str, output: Any, mask: Any) -> Any:
    """Return the symbolic (B, C) vectors of a model's texts."""
    if output is not None:
        if pooling not in OF_STATES:
            raise ValueError(f"output= names what is pooled, so pooling is 'mean' or 'cls', not {pooling!r}")
        states = _tensor(graph, output) if isinstance(output, str) else output
        rank = len(getattr(states, "shape", ()))
        if rank not in (2, 3) or states.shape[-1] is None or not keras.backend.is_float_dtype(states.dtype):
            raise ValueError(f"output= is a layer's name or a symbolic tensor (B, T, C) or (B, C), not {output!r:.200}")
        return ops.cast(states, "float32") if rank == 2 else _of_states(states, mask, pooling)
    if pooling == "pooler":
        return ops.cast(_tensor(graph, "Pooler-Dense", "build the model with with_pool=True or 'linear'"), "float32")
    # The object that built a model knows its hidden states, whatever a subclass made of them.
    states = getattr(model, "hidden_states", None) or getattr(
        getattr(graph, "transformer", None), "hidden_states", None
    )
    last = states[-1] if states else _before_heads(graph)
    if pooling != "first-last":
        return _of_states(last, mask, pooling)
    begin = states[0] if states else _embeddings(graph)
    return (_of_states(begin, mask, "mean") + _of_states(last, mask, "mean")) / 2


def _of_states(states: Any, mask: Any, pooling: str) -> Any:
    """Return (B, C) float32 of states (B, T, C) and where there are tokens (B, T)."""
    if pooling == "cls":
        return FirstToken(dtype="float32")(states)
    if pooling == "max":
        return GlobalMaxPooling1D(dtype="float32")(states, mask=mask)
    if pooling == "mean":
        return GlobalAveragePooling1D(dtype="float32")(states, mask=mask)
    real = ops.cast(mask, "float32")
    if pooling == "mean_sqrt_len":
        mean = GlobalAveragePooling1D(dtype="float32")(states, mask=mask)
        return mean * ops.sqrt(ops.sum(real, axis=1, keepdims=True))
    states = ops.cast(states, "float32")
    places = ops.cumsum(real, axis=1)  # 1, 2, 3... at tokens
    if pooling == "lasttoken":
        weights = real * ops.cast(ops.equal(places, ops.sum(real, axis=1, keepdims=True)), "float32")
    else:  # later tokens of a causal model have seen more (Muennighoff, arXiv:2202.08904)
        weights = real * places
    weights = align(weights / ops.sum(weights, axis=1, keepdims=True), [0, 1], 3)
    return ops.sum(ops.where(weights > 0, states, 0.0) * weights, axis=1)


def _tensor(graph: Any, name: str, advice: str = "") -> Any:
    """Return the output of a layer in a graph; the prefix of a model may stand before its name."""
    found = [op for op in graph.operations if op.name == name] or [
        op for op in graph.operations if op.name.endswith(f"-{name}") or op.name.endswith(f"_{name}")
    ]
    if len(found) != 1:
        raise ValueError(
            f"the model has {len(found) or 'no'} layers called {name!r}" + (f"; {advice}" if advice else "")
        )
    # A layer may be called in other models too.
    return keras_private.calls_of(found[0], graph)[-1].outputs[0]


def _before_heads(graph: Any) -> Any:
    """Return the last hidden states (B, T, C) of a model whose builder is not known."""
    for x in graph.outputs:
        while True:
            call = keras_private.call_of(x)
            if not _HEAD.search(call.layer.name) and call.kwargs.get("mode") != "dense":
                break
            x = call.inputs[0]
        if len(x.shape) == 3 and keras.backend.is_float_dtype(x.dtype):
            return x
    shapes = ", ".join(str(tuple(x.shape)) for x in graph.outputs)
    raise ValueError(
        f"no hidden states (B, T, C) are known for this model, whose outputs have the shapes {shapes}: "
        "pass output=, the symbolic tensor or the name of the layer that gives them"
    )


def _embeddings(graph: Any) -> Any:
    """Return the (B, T, C) output of a model's embeddings."""
    for name in _EMBEDDINGS:
        if any(operation.name.endswith(name) for operation in graph.operations):
            return _tensor(graph, name)
    raise ValueError("pooling='first-last' needs the embeddings of a model from build_transformer_model; it has none")
