"""What a model's attention looks at: the weights of all its layers for given inputs, and how spread they are."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

__all__ = ["AttentionMaps", "attention_maps"]


class AttentionMaps(NamedTuple):
    """The attention of a model, by the names of its layers, from the first block to the last."""

    weights: dict[str, np.ndarray]  # (B, H, T, S) float32: how much query t takes of key s
    entropies: dict[str, np.ndarray]  # (B, H) in nats: the mean over the real queries; log(S) is attention to all alike
    real: np.ndarray  # (B, T) booleans: the queries that are no padding, of a decoder's own text where there is one


def attention_maps(model: Any, inputs: Any) -> AttentionMaps:
    """Return the attention weights of every layer that has some, and their entropies.

    The pass runs without a graph and keeps all maps at once: it is meant for a few texts that are looked at.

    Args:
        model: what `build_transformer_model` returned, the model of a task, a task, or a Keras model that was built on
            one of them.
        inputs: arrays (B, T) of token ids, and whatever else the model takes, as a list in its order or a dictionary by
            the names of its inputs. Segment ids that are left out are 0.

    Returns:
        Weights (B, H, T, S) and entropies (B, H) by the layers' names, such as
        "Transformer-0-MultiHeadSelfAttention". Attention that normalises by no sum (squared ReLU, linear forms) is
        shown as it is; its entropies are those of its absolute values, divided by their sum.

    Raises:
        TypeError: if there is no transformer in the model.
        ValueError: if an input is missing.
    """
    transformer = _transformer_of(model)
    tensors = _tensors(transformer, inputs)
    count = len(transformer.additional_input_layers)
    own, extra = tensors[: len(tensors) - count], tensors[len(tensors) - count :]
    condition = None
    if transformer.layer_norm_cond is not None:
        condition = keras.Model(transformer.additional_input_layers, transformer.layer_norm_cond)(extra)
    maps: dict[str, Any] = {}
    halves = getattr(transformer, "halves", None)
    if halves is None:
        context = transformer.make_context(own)
        _run(transformer, context, own, condition, maps)
    else:
        encoder, decoder = halves
        context = encoder.make_context(own[:1])
        states = _run(encoder, context, own[:1], condition, maps)
        mask, own = context.attention_mask, [states, *own[1:]]
        context = decoder.make_context(own)
        context.memory_mask = mask
        _run(decoder, context, own, condition, maps)
    weights = {name: ops.convert_to_numpy(ops.cast(values, "float32")) for name, values in maps.items()}
    config = transformer.config
    real = ops.convert_to_numpy(own[-1 if config.stack in ("seq2seq", "decoder") else 0]) != config.pad_id
    real[:, 0] = True
    asked = ops.convert_to_numpy(tensors[0]) != config.pad_id
    asked[:, 0] = True
    entropies = {
        name: _entropy(values, asked if values.shape[2] == asked.shape[1] and "Encoder-" in name else real)
        for name, values in weights.items()
    }
    return AttentionMaps(weights, entropies, real)


def _run(transformer: Any, context: Any, inputs: list[Any], condition: Any, maps: dict[str, Any]) -> Any:
    """Return the last hidden states of one stack, whose attention is added to the maps."""
    if condition is not None:
        context.condition = condition
    # No head is needed, and a head over the vocabulary would be most of the work.
    context.maps, context.heads = maps, lambda x: x
    return transformer.run(context, inputs)[0]


def _transformer_of(model: Any) -> Any:
    """Return the transformer that a model is or stands on."""
    if hasattr(model, "make_context"):
        return model
    for found in (model, getattr(model, "model", None), *getattr(model, "layers", ())):
        if getattr(found, "transformer", None) is not None:
            return found.transformer
    raise TypeError(
        f"attention_maps() needs a model of build_transformer_model or of a task, or one built on it, and there is no "
        f"transformer in this {type(model).__name__}. A model from a .keras file has none: build it anew and load the "
        "weights into it"
    )


def _tensors(transformer: Any, inputs: Any) -> list[Any]:
    """Return the inputs as tensors in the model's order."""
    wanted = [tensor.name for tensor in transformer.inputs]
    if isinstance(inputs, dict):
        given = dict(inputs)
    else:
        arrays = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        given = dict(zip(wanted, arrays, strict=False))
        if len(arrays) > len(wanted):
            raise ValueError(f"attention_maps() got {len(arrays)} inputs, and the model takes {', '.join(wanted)}")
    segments = transformer.prefixed("Input-Segment")
    if segments in wanted and segments not in given and wanted[0] in given:
        given[segments] = np.zeros_like(np.asarray(given[wanted[0]]))
    missing = [name for name in wanted if name not in given]
    if missing:
        raise ValueError(f"attention_maps() needs {', '.join(missing)} too: the model takes {', '.join(wanted)}")
    arrays = [np.asarray(given[name]) for name in wanted]
    if any(array.ndim < 2 for array in arrays):
        raise ValueError("attention_maps() takes batches: token ids (B, T), so for one text [token_ids]")
    return [ops.convert_to_tensor(array, dtype="int32" if array.dtype.kind in "iu" else "float32") for array in arrays]


def _entropy(weights: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return (B, H): the mean entropy of weights (B, H, T, S) over the queries that are real (B, T)."""
    shares = np.abs(weights)
    shares = shares / np.maximum(shares.sum(-1, keepdims=True), 1e-30)
    terms = -(shares * np.log(np.maximum(shares, 1e-30))).sum(-1)
    return (terms * real[:, None]).sum(-1) / np.maximum(real.sum(-1), 1)[:, None]
