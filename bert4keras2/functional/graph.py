"""The graph of a functional model: finding layers in it, and the calls of a layer, as Keras 2's layers told of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.old_names import current_arguments

__all__ = ["NodeMethods", "current_layer_name", "losing", "search_layer"]


# The model whose compiled loss is being computed.
_LOSING: ContextVar[Any] = ContextVar("losing", default=None)


@contextmanager
def losing(model: Any) -> Iterator[None]:
    """A context in which a model's loss is computed: `search_layer` finds the layers behind its outputs."""
    token = _LOSING.set(model)
    try:
        yield
    finally:
        _LOSING.reset(token)


def search_layer(inputs: Any, name: str, exclude_from: Iterable[Any] | None = None, **old: Any) -> Any:
    """Return the layer of a name that a symbolic tensor was computed with, or None.

    Args:
        inputs: a symbolic tensor or a list of them, such as `model.output`; or a layer; in a compiled loss, outputs of
            the model, which stand for it.
        name: the layer's name; layers inside of models that were called on the way are found too.
        exclude_from: layers (or their names) not to walk through; a set is extended by the layers that were visited.
        **old: arguments of earlier releases: exclude, which is `exclude_from`.

    Raises:
        TypeError: if `inputs` is not symbolic, as inside of a running layer.
    """
    if old:
        exclude_from = current_arguments("search_layer", old)["exclude_from"]
    seen = exclude_from if isinstance(exclude_from, set) else set(exclude_from or ())
    pending: list[Any] = []
    for item in keras.tree.flatten(inputs):
        if isinstance(item, keras.layers.Layer):
            pending.append(item)
        elif keras_private.is_made_by_layer(item):
            pending.append(keras_private.maker(item))
        elif _LOSING.get() is not None:
            pending.append(_LOSING.get())
        else:
            raise TypeError(
                f"search_layer() walks back from a symbolic tensor of a functional graph, not from"
                f" {type(item).__name__}: start at model.output or at what build_transformer_model returns"
            )
    while pending:
        layer = pending.pop()
        if layer in seen or layer.name in seen:
            continue
        if layer.name == name:
            return layer
        seen.add(layer)
        if isinstance(layer, keras.Model):
            pending.extend(layer.layers)
        pending.extend(before for call in keras_private.calls_of(layer) for before in call.before)
    return None


class NodeMethods:
    """Methods of a layer's calls in a functional graph, to be mixed into a keras Layer."""

    def get_output_at(self, node_index: int) -> Any:
        """Return the symbolic output of one of the layer's calls.

        Args:
            node_index: which call, from 0; -1 is the newest.

        Returns:
            A tensor, or a list of them.

        Raises:
            ValueError: if the layer has not been called so often in a functional graph.
        """
        return _one(_numbered(self, node_index).outputs)

    def get_input_at(self, node_index: int) -> Any:
        """Return the symbolic input of one of the layer's calls; arguments as for `get_output_at`."""
        return _one(_numbered(self, node_index).inputs)

    @property
    def output_mask(self) -> Any:
        """The symbolic mask of the layer's output in its first call, None without one; a list for several outputs."""
        return _one([keras_private.mask_of(tensor) for tensor in _numbered(self, 0).outputs])

    @property
    def input_mask(self) -> Any:
        """The symbolic mask of the layer's input in its first call, as `output_mask`."""
        return _one([keras_private.mask_of(tensor) for tensor in _numbered(self, 0).inputs])

    @property
    def output_shape(self) -> Any:
        """The shape of the layer's output in its first call, with None for sizes that vary; a list for several."""
        return _one([tuple(tensor.shape) for tensor in _numbered(self, 0).outputs])

    @property
    def input_shape(self) -> Any:
        """The shape of the layer's input in its first call, as `output_shape`."""
        return _one([tuple(tensor.shape) for tensor in _numbered(self, 0).inputs])


def current_layer_name(name: str, known: Iterable[str]) -> str | None:
    """Return what a layer with a name of earlier releases is called today, with a warning; None for other names.

    The first releases counted blocks from 1 and called them encoders; blocks that share their layers have no numbers.

    Args:
        name: a name that no layer has.
        known: the names of a model's layers.
    """
    known = set(known)
    match = re.fullmatch(r"(.*)(Encoder|Transformer)-(\d+)-(.+)", name)
    if not match:
        return None
    prefix, old, number, part = match.groups()
    shared = f"{prefix}Transformer-{part}"
    if shared in known:
        warnings.warn(
            f"the blocks of this model share the layer {shared!r}: its output in block i is get_output_at(i)",
            UserWarning,
            stacklevel=3,
        )
        return shared
    today = f"{prefix}Transformer-{int(number) - 1}-{part}"
    if old == "Encoder" and today in known:
        warnings.warn(f"layer {name!r} is called {today!r} today", UserWarning, stacklevel=3)
        return today
    return None


def _numbered(layer: Any, index: int) -> keras_private.Call:
    calls = keras_private.calls_of(layer)
    if not -len(calls) <= index < len(calls):
        raise ValueError(
            f"layer {layer.name!r} was called {len(calls)} times in a functional graph: there is no call number {index}"
        )
    return calls[index]


def _one(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else list(tensors)
