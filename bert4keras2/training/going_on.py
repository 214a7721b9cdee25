"""The data of a run that goes on after an interruption: in the order in which they would have come."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from bert4keras2.snippets.streams import PASS_END, batch_stream

__all__ = ["begin_where_it_stopped"]

ROWS = 32  # of a batch, as Keras has it


def begin_where_it_stopped(given: dict[str, Any], streams: list[Any], keeper: Any, steps: str) -> None:
    """Give `fit` data that begin with the epoch in which a run was interrupted.

    Streams that begin anew leave out what was trained on. Arrays become a stream of batches: the order of each epoch
    follows from the run's seed and the epoch's number alone, where Keras' own depends on all that was drawn before.

    Args:
        given: the arguments of `fit`, changed in place.
        streams: those that are among them; one of arrays is added.
        keeper: has `epoch` and `order_seed`.
        steps: the argument that says how many batches make an epoch.
    """
    stream = given.get("x")
    if stream not in streams:
        if not _is_of_arrays(given):
            return
        stream = _of_arrays(given, keeper.order_seed)
        if not hasattr(stream, "prepare_by"):  # where Keras takes no streams
            return
        for name in ("y", "sample_weight", "batch_size", "shuffle"):
            given.pop(name, None)
        stream.prepare_by(None, one_pass=given.get(steps) is None)
        streams.append(stream)
        given["x"] = stream
    elif not stream.can_restart:
        return
    if given.get(steps) is None:
        stream.begin_with(passes=keeper.epoch)
    else:
        stream.begin_with(batches=keeper.epoch * given[steps])


def _is_of_arrays(given: dict[str, Any]) -> bool:
    flat = keras.tree.flatten((given.get("x"), given.get("y"), given.get("sample_weight")))
    return bool(flat) and all(isinstance(part, np.ndarray) for part in flat if part is not None)


def _of_arrays(given: dict[str, Any], seed: int) -> Any:
    parts = [given.get("x"), given.get("y"), given.get("sample_weight")]
    while parts[-1] is None:
        parts.pop()
    rows = len(keras.tree.flatten(parts)[0])
    size, shuffle, started = given.get("batch_size") or ROWS, given.get("shuffle", True), itertools.count()

    def make_pass() -> Iterator[Any]:
        return passes(next(started))

    def passes(first: int) -> Iterator[Any]:
        for number in itertools.count(first):
            order = np.random.RandomState([seed, number]).permutation(rows) if shuffle else np.arange(rows)
            for start in range(0, rows, size):
                own = order[start : start + size]
                yield tuple(keras.tree.map_structure(lambda array, own=own: array[own], part) for part in parts)
            yield PASS_END

    return batch_stream(make_pass, steps=-(-rows // size))
