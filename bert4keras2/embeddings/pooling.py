"""From a model of hidden states to a model of vectors: which tensors are pooled, and how."""

from __future__ import annotations

import re
from typing import Any

import keras
from keras import ops

from bert4keras2.functional import keras_private
from bert4keras2.layers import FirstToken, GlobalAveragePooling1D
from bert4keras2.training.model import Model

__all__ = ["POOLINGS", "vector_model"]

POOLINGS = ("mean", "cls", "pooler", "first-last")
INPUTS = ("Input-Token", "Input-Segment", "Input-Position")

# The layers that turn the last hidden states into a head's output, and those that end the embeddings, last one first.
_HEAD = re.compile(r"(Pooler|Pooler-Dense|NSP-Proba|MLM-\w+|Discriminator-\w+|Output-Mapping)$")
_EMBEDDINGS = [f"Embedding-{part}" for part in ("Mapping", "Dropout", "Norm", "Position", "Token-Segment", "Token")]


def vector_model(model: Any, pooling: str = "mean", output: Any = None) -> Model:
    """Return a Keras model from token ids to one vector per text, in float32; it shares the layers of `model`.

    Args:
        model: a functional Keras model or a `Transformer`.
        pooling: "mean" and "cls" of the last hidden states, "pooler", or "first-last": the mean of the means over the
            embeddings and over the last hidden states. Means leave out padding.
        output: symbolic tensor, or name of a layer, to be pooled instead of the last hidden states; if it has the
            shape (B, C), it is the vector.

    Raises:
        TypeError: if `model` is no functional model.
        ValueError: if the model has inputs that a text does not fill, or lacks what `pooling` or `output` ask for.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is one of {', '.join(map(repr, POOLINGS))}, not {pooling!r}")
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
    vector = _pooled(model, graph, pooling, output, mask)
    return Model(graph.inputs, vector)


def pad_id_of(graph: keras.Model) -> int:
    """Return the token id that a model takes for padding."""
    tables = (op for op in graph.operations if op.name.endswith("Embedding-Token"))
    return next((table.pad_id for table in tables if hasattr(table, "pad_id")), 0)


def _pooled(model: Any, graph: Any, pooling: str, output: Any, mask: Any) -> Any:
    """Return the symbolic (B, C) vectors of a model's texts."""
    mean, first = GlobalAveragePooling1D(dtype="float32"), FirstToken(dtype="float32")
    if output is not None:
        if pooling in ("pooler", "first-last"):
            raise ValueError(f"output= names what is pooled, so pooling is 'mean' or 'cls', not {pooling!r}")
        states = _tensor(graph, output) if isinstance(output, str) else output
        rank = len(getattr(states, "shape", ()))
        if rank not in (2, 3) or states.shape[-1] is None or not keras.backend.is_float_dtype(states.dtype):
            raise ValueError(f"output= is a layer's name or a symbolic tensor (B, T, C) or (B, C), not {output!r:.200}")
        if rank == 2:
            return ops.cast(states, "float32")
        return first(states) if pooling == "cls" else mean(states, mask=mask)
    if pooling == "pooler":
        return ops.cast(_tensor(graph, "Pooler-Dense", "build the model with with_pool=True or 'linear'"), "float32")
    # The object that built a model knows its hidden states, whatever a subclass made of them.
    states = getattr(model, "hidden_states", None) or getattr(
        getattr(graph, "transformer", None), "hidden_states", None
    )
    last = states[-1] if states else _before_heads(graph)
    if pooling == "cls":
        return first(last)
    if pooling == "mean":
        return mean(last, mask=mask)
    begin = states[0] if states else _embeddings(graph)
    return (mean(begin, mask=mask) + mean(last, mask=mask)) / 2


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
