"""Arrays of what scripts call a model with: lists, rows of different lengths, and words for what is no batch at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.snippets.sequences import sequence_padding

__all__ = ["Place", "input_places", "inputs_as_arrays", "on_host", "output_places", "targets_as_arrays"]


class Place(NamedTuple):
    """Where an array goes: an input or an output of a functional model."""

    kind: str  # "Input" or "Output"
    name: str
    shape: tuple[int | None, ...]  # batch axis included
    pad: int | None = 0  # what shorter rows are filled up with; None: nothing, they are refused


def input_places(model: Any, pads: dict[str, int]) -> list[Place]:
    """Return the inputs of a functional model in their order; none of another, or of one that takes texts.

    Args:
        model: the model.
        pads: {input name: id of padding}, where that is not 0.
    """
    tensors = keras.tree.flatten(getattr(model, "inputs", None) or [])
    if any(tensor.dtype == "string" for tensor in tensors):
        return []
    names = [keras_private.maker(tensor).name for tensor in tensors]
    return [
        Place("Input", name, tuple(tensor.shape), pads.get(name, 0))
        for name, tensor in zip(names, tensors, strict=True)
    ]


def output_places(model: Any, masked: set[str]) -> list[Place]:
    """Return the outputs of a functional model in their order; none of another.

    Args:
        model: the model.
        masked: names of outputs whose mask hides what is padded.
    """
    tensors = keras.tree.flatten(getattr(model, "outputs", None) or [])
    names = list(getattr(model, "output_names", None) or [])
    return [
        Place("Output", name, tuple(tensor.shape), 0 if name in masked else None)
        for name, tensor in zip(names, tensors, strict=False)
    ]


def inputs_as_arrays(x: Any, places: Sequence[Place]) -> Any:
    """Return inputs with an array for each list of numbers, its rows filled up to one length.

    Args:
        x: an array, a list, a tuple or a dict of inputs; or the rows of a model with one input.
        places: the model's inputs; if empty, lists of lists are taken for inputs.

    Raises:
        TypeError: for texts.
        ValueError: for a row that is in no batch, rows that cannot be filled up, or another number of inputs.
    """
    if isinstance(x, Mapping):
        named = {place.name: place for place in places}
        return {name: _as_array(value, named.get(name)) for name, value in x.items()}
    if isinstance(x, str | bytes):
        raise TypeError(_texts(x, places[0] if places else None))
    if not isinstance(x, list | tuple):
        if len(places) > 1 and hasattr(x, "shape"):
            _as_array(x, places[0]._replace(shape=()))  # texts first
            raise ValueError(_wrong_number(1, places))
        return _as_array(x, places[0] if len(places) == 1 else None)
    if not places:
        lists = x and all(isinstance(part, list | tuple) for part in x)
        return [_as_array(part, None) for part in x] if lists else x
    if len(places) == 1:
        wrapped = len(x) == 1 and _depth(x) + _is_column(x[0], places[0]) == len(places[0].shape) + 1
        return [_as_array(x[0], places[0])] if wrapped else _as_array(x, places[0])
    if len(x) != len(places):
        if x and isinstance(_first(x), str | bytes):
            raise TypeError(_texts(_first(x), places[0]))
        if np.isscalar(_first(x)) or all(hasattr(part, "shape") for part in x):
            raise ValueError(_wrong_number(len(x), places))
        return x
    arrays = [_as_array(part, place) for part, place in zip(x, places, strict=True)]
    return tuple(arrays) if isinstance(x, tuple) else arrays


def targets_as_arrays(y: Any, places: Sequence[Place]) -> Any:
    """Return targets or sample weights with an array for each list of numbers.

    Args:
        y: one array, a list or a dict by the names of the outputs.
        places: the model's outputs; none are known if empty.

    Raises:
        ValueError: for rows that cannot be filled up.
    """
    if isinstance(y, Mapping):
        named = {place.name: place for place in places}
        return {name: _as_array(value, named.get(name)) for name, value in y.items()}
    if not isinstance(y, list | tuple):
        return _as_array(y, places[0] if len(places) == 1 else None)
    if len(places) > 1:
        if len(y) != len(places):
            return y
        arrays = [_as_array(part, place) for part, place in zip(y, places, strict=True)]
        return tuple(arrays) if isinstance(y, tuple) else arrays
    if any(hasattr(part, "shape") and len(part.shape) for part in y):
        if len(y) == 1 and (not places or len(y[0].shape) >= len(places[0].shape) - 1):
            return y  # one array in a list
        return _as_array(y, places[0]) if places else y
    return _as_array(y, places[0] if places else None)


def on_host(value: Any) -> np.ndarray | None:
    """Return an array that the host can look at without copying; None for others, such as tensors on a GPU."""
    if isinstance(value, np.ndarray):
        return value
    library = type(value).__module__.partition(".")[0]
    try:
        if library == "torch" and value.device.type == "cpu":
            return value.detach().numpy()
        if library in ("jax", "jaxlib") and all(device.platform == "cpu" for device in value.devices()):
            return np.asarray(value)
        if library == "tensorflow" and value.device.endswith("CPU:0") and not hasattr(value, "row_splits"):
            return value.numpy()
    except (AttributeError, NotImplementedError, TypeError, ValueError):  # no array yet, or of a dtype NumPy lacks
        return None
    return None


# -- one array -----------------------------------------------------------------------------------------------------


def _as_array(value: Any, place: Place | None) -> Any:
    """Return an array of a list or of an array of objects; others as they are, if they may go to the place."""
    if value is None:
        return None
    if hasattr(value, "to_numpy"):  # columns of pandas and the like
        value = value.to_numpy()
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        value = value.tolist()
    if isinstance(value, list | tuple):
        value = _stacked(value, place)
    elif isinstance(value, str | bytes):
        raise TypeError(_texts(value, place))
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        raise TypeError(_texts(value.flat[0] if value.size else "", place))
    shape = () if np.isscalar(value) else getattr(value, "shape", None)
    if place is not None and place.kind == "Input" and shape is not None and not hasattr(value, "row_splits"):
        _check_rank(tuple(shape), place)
    return value


def _stacked(rows: Sequence[Any], place: Place | None) -> np.ndarray:
    """Return nested lists of numbers as one array, rows filled up where they differ in length."""
    first = _first(rows)
    if isinstance(first, str | bytes):
        raise TypeError(_texts(first, place))
    if hasattr(first, "detach"):  # tensors of PyTorch on a GPU would not become arrays by themselves
        rows = keras.tree.map_structure(lambda part: part.detach().cpu() if hasattr(part, "detach") else part, rows)
    try:
        array = np.asarray(rows)
    except ValueError:
        array = None
    where = f"{place.kind} {place.name!r}" if place is not None else "The data"
    if array is not None:
        if array.dtype.kind == "O":
            raise ValueError(f"{where} got lists in which something is no number, such as None; is a value missing?")
        return array
    if place is not None and place.pad is None:
        why = (
            "and predictions for what fills them up could not be told from others: encode texts by"
            " tokenizer.encode_batch, or fill up rows by sequence_padding of bert4keras2.snippets"
            if place.kind == "Input"
            else "and has no mask that would hide what fills them up: make them an array by sequence_padding of"
            " bert4keras2.snippets, and weigh what is padding with a sample_weight of 0"
        )
        raise ValueError(f"{where} got rows of different lengths, {why}")
    try:
        padded = sequence_padding([np.asarray(row) for row in rows], value=0 if place is None else place.pad)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{where} got lists that do not form an array, nor rows of different lengths ({error}). Make them an array"
            " first: sequence_padding of bert4keras2.snippets fills up several axes with seq_dims="
        ) from error
    return _as_array(padded, place)


def _first(rows: Any) -> Any:
    """Return the first item of nested lists that is no list."""
    while isinstance(rows, list | tuple) and len(rows):
        rows = rows[0]
    return rows


def _is_column(array: Any, place: Place) -> bool:
    """Whether flat numbers are meant for a place (B, 1)."""
    return place.shape[1:] == (1,) and len(getattr(array, "shape", ())) == 1


def _depth(rows: Any) -> int:
    """Return how many axes nested lists have, judged by their first items."""
    depth = 0
    while isinstance(rows, list | tuple) and len(rows):
        rows, depth = rows[0], depth + 1
    return depth + len(getattr(rows, "shape", ()))


def _check_rank(shape: tuple[int, ...], place: Place) -> None:
    expected = place.shape
    if not expected:
        return
    if shape and (len(shape) != len(expected) - 1 or expected[-1] == 1):
        return  # Keras makes columns of flat arrays, and says what is wrong with others
    sizes = ", ".join("rows" if i == 0 else "length" if i == 1 else str(size) for i, size in enumerate(expected))
    what = "a single number" if not shape else f"one row of shape {shape}"
    raise ValueError(
        f"Input {place.name!r} got {what}, but models take batches, here of shape ({sizes}): put the row into a list of"
        " rows, as in predict([[token_ids], [segment_ids]]); tokenizer.encode_batch([text]) makes such a batch of texts"
    )


def _wrong_number(got: int, places: Sequence[Place]) -> str:
    names = ", ".join(repr(place.name) for place in places)
    return (
        f"The model has {len(places)} inputs ({names}), but got {got}: give a list of {len(places)} arrays, such as"
        " tokenizer.encode_batch(texts) returns, or a dict by these names"
    )


def _texts(text: Any, place: Place | None) -> str:
    shown = str(text)[:40]
    if place is None:
        return (
            f"The model got texts ({shown!r}), but it takes numbers: ids of tokenizer.encode_batch(texts), or labels 0,"
            " 1, 2..."
        )
    if place.kind == "Input":
        return (
            f"Input {place.name!r} got texts ({shown!r}), but the model takes ids: token_ids, segment_ids ="
            " tokenizer.encode_batch(texts) makes them of a list of texts"
        )
    return (
        f"Output {place.name!r} got labels that are texts ({shown!r}), but losses take numbers: count the classes, as"
        " in {label: i for i, label in enumerate(sorted(set(labels)))}, and train on the numbers 0, 1, 2..."
    )
