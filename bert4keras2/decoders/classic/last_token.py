"""A model's scores at the last position alone, without projecting all others on the vocabulary."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.activations import get_activation
from bert4keras2.layers import Dropout, Embedding, LayerNormalization, ScaleOffset
from bert4keras2.training.model import Model

__all__ = ["last_token"]

# Where a model keeps the one made of it. Keras does not look for layers under such names, and what it shares with the
# model would keep a model in a table of this module alive for ever.
_MEMO = "__last_token__"

# Activations whose value at a position depends on that position alone; softmax runs over the last axis.
_NAMES = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "gelu_erf", "gelu_tanh", "swish", "tanh"),
    *("sigmoid", "softplus", "softmax", "log_softmax"),
)
_ACTIVATIONS = (
    *(getattr(keras.activations, name) for name in _NAMES if hasattr(keras.activations, name)),
    *(get_activation(name) for name in _NAMES),
)
# Layers that treat each position by itself. Subclasses may do anything, so only exact types count.
_POSITION_WISE = (
    *(Embedding, LayerNormalization, ScaleOffset, keras.layers.Activation, keras.layers.Dense, Dropout),
    keras.layers.Dropout,
    keras.layers.LayerNormalization,
)


class LastToken(Model):
    """A model that is asked once for each token, so its `predict` is silent."""

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0, *args: Any, **kwargs: Any) -> Any:
        """Predict as keras.Model.predict does, without a progress bar by default."""
        return super().predict(x, batch_size, verbose, *args, **kwargs)


def last_token(model: Any) -> Any:
    """Return a model that computes the scores of the last position, (B, V) where the model's are (B, T, V).

    It shares the layers, so it follows their training, and is made once for each model. The last hidden state is cut
    out as early as that cannot change the result: before the layers at the end of the graph that treat each position
    by itself (Dense, normalization, the projection on the vocabulary, softmax). Behind any other layer the output
    itself is cut.

    Args:
        model: a functional Keras model whose outputs have the shape (B, T, ...).

    Returns:
        A functional model with the same inputs. Its `predict` shows no progress bar unless `verbose` is given.

    Raises:
        ValueError: if the model is no functional model or an output has no position axis.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"last_token() needs a functional Keras model, not {type(model).__name__}")
    if _MEMO not in vars(model):
        vars(model)[_MEMO] = _build(model)
    return vars(model)[_MEMO]


def _build(model: Any) -> LastToken:
    name = model.name
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"last_token() needs a functional Keras model, which {name} is not (or is not built yet): "
            "index the result of your model with [:, -1] in predict() instead"
        )
    outputs = model.output
    for output in keras.tree.flatten(outputs):
        if len(output.shape) < 2:
            raise ValueError(f"last_token() needs outputs (B, T, ...), but {name} has one of shape {output.shape}")
    outputs = keras.tree.map_structure(_at_last_position, outputs)
    # Keras returns a list of one where scripts expect an array.
    outputs = outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs
    return LastToken(model.input, outputs)


def _at_last_position(output: Any) -> Any:
    """Return the symbolic last position of a symbolic output."""
    tail = []
    x = output
    while (found := _position_wise(x)) is not None:
        tail.append(found)
        x = found[1]
    x = x[:, -1:]
    for layer, _, arguments in reversed(tail):
        x = layer(x, **arguments)
    return x[:, 0]


def _position_wise(x: Any) -> tuple[Any, Any, dict[str, Any]] | None:
    """Return (layer, input, arguments) of the call that made x (B, T, C), if it treats each position by itself."""
    call = keras_private.call_of(x)
    if call is None or type(call.layer) not in _POSITION_WISE:
        return None
    layer, tensors, args, kwargs = call.layer, call.inputs, call.args, dict(call.kwargs)
    if len(args) != 1 or len(tensors) != 1 or args[0] is not tensors[0] or len(tensors[0].shape) != 3:
        return None
    if isinstance(layer, Embedding):
        fits = kwargs == {"mode": "dense"}
    elif isinstance(layer, keras.layers.LayerNormalization):
        fits = not kwargs and layer.axis in (-1, [-1], 2, [2])
    elif isinstance(layer, ScaleOffset):
        fits = not kwargs and not layer.conditional
    else:
        fits = not kwargs and getattr(layer, "activation", None) in (None, *_ACTIVATIONS)
    return (layer, tensors[0], kwargs) if fits else None
