"""Finding the variable that a technique is about, by the name of its layer."""

from __future__ import annotations

import difflib
import re
from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.layers.frozen import FrozenEncoder

__all__ = ["find_embedding"]


def find_embedding(model: keras.Model, name: str) -> tuple[Any, Any]:
    """Return the layer and the variable that a name means.

    Args:
        model: a built model.
        name: the name of a layer, such as "Embedding-Token"; or a regular expression that is searched for in the names
            of layers and the paths of variables, such as "Token" or "Embedding-.*/embeddings".

    Returns:
        layer: the layer that owns the variable.
        variable: its embeddings; of another layer, its only floating variable.

    Raises:
        TypeError: if the name is not a string.
        ValueError: if the model is not built, nothing has the name, several variables do, or no gradient reaches it.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"The embedding is named by a string such as 'Embedding-Token', not by {name!r}")
    if not model.built:
        raise ValueError(
            f"{model.name} has no variables yet, so {name!r} cannot be looked up: build it first, as by calling it on a"
            " batch"
        )
    owned = _owned(model)
    found = [item for item in owned if item[0].name == name or item[1].path == name]
    if not found:
        try:
            pattern = re.compile(name)
        except re.error as error:
            raise ValueError(f"No layer is named {name!r}, which is no regular expression either: {error}") from error
        found = [item for item in owned if pattern.search(item[0].name) or pattern.search(item[1].path)]
    embeddings = [item for item in found if isinstance(item[0], keras.layers.Embedding)]
    found = embeddings if embeddings else found
    if len(found) == 1:
        _reached(model, *found[0])
        return found[0]
    if found:
        raise ValueError(
            f"{name!r} means several variables: {', '.join(variable.path for _, variable in found)}. Name one of them;"
            " to treat several, call the function once for each"
        )
    names = list(dict.fromkeys([n for layer, variable in owned for n in (layer.name, variable.path)]))
    close = difflib.get_close_matches(name, names, 5, 0.5)
    if not close:
        close = [layer.name for layer, _ in owned if isinstance(layer, keras.layers.Embedding)] or names[:5]
    raise ValueError(f"{model.name} has no layer or variable {name!r}; it has {', '.join(map(repr, close))}")


def _reached(model: keras.Model, layer: Any, variable: Any) -> None:
    """Raise a ValueError if a layer is of an encoder that gradients do not go through."""
    for frozen in keras_private.inner_layers(model):
        if isinstance(frozen, FrozenEncoder) and any(inner is layer for inner in keras_private.inner_layers(frozen)):
            raise ValueError(
                f"no gradient reaches {variable.path}: it is within {frozen.name}, whose backward pass is not computed"
                " (ladder_side_tuning), so techniques that move embeddings do nothing there"
            )


def _owned(model: keras.Model) -> list[tuple[Any, Any]]:
    """Return (layer, variable) of the floating variables of all layers, each variable with the layer that made it."""
    pairs = []
    seen: set[int] = set()
    for layer in keras_private.inner_layers(model, include_self=True):
        for variable in keras_private.own_variables(layer):
            if id(variable) not in seen and keras.backend.standardize_dtype(variable.dtype).find("float") >= 0:
                seen.add(id(variable))
                pairs.append((layer, variable))
    return pairs
