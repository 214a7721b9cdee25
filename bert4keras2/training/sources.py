"""What scripts hand to `fit`, `evaluate` and `predict` in place of arrays, as streams of batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.snippets.data import DataGenerator
from bert4keras2.snippets.streams import BatchStream, batch_stream, repeated

__all__ = ["is_dataset", "stream_of"]


def stream_of(x: Any, use: str, shuffle: bool = False) -> BatchStream | None:
    """Return a source of batches as a stream; None for arrays, and for datasets of other libraries.

    Args:
        x: a DataGenerator, a stream, a keras.utils.PyDataset, a torch DataLoader, or any other iterator or iterable.
        use: "fit", "evaluate" or "predict".
        shuffle: whether the samples of a DataGenerator, or the batches of a PyDataset, come in random order.
    """
    stream = _stream_of(x, use, shuffle)
    return stream if hasattr(stream, "prepare_by") else None  # where Keras takes no streams, they are generators


def _stream_of(x: Any, use: str, shuffle: bool) -> Any:
    if hasattr(x, "prepare_by"):
        return x
    if isinstance(x, DataGenerator):
        return x.fortest() if use == "predict" else x.forfit(random=bool(shuffle))
    if isinstance(x, keras.utils.PyDataset):
        return _of_dataset(x, shuffle)
    if isinstance(x, Iterator):
        return batch_stream(lambda: x, can_restart=False, steps=_length(x))
    if x is None or isinstance(x, list | tuple | Mapping | str | bytes) or _is_array(x) or is_dataset(x):
        return None
    if hasattr(x, "__iter__"):
        return batch_stream(lambda: repeated(lambda: iter(x)), steps=_length(x))
    if hasattr(x, "__getitem__") and hasattr(x, "__len__"):
        return batch_stream(lambda: repeated(lambda: (x[i] for i in range(len(x)))), steps=len(x))
    return None


def is_dataset(x: Any) -> bool:
    """Whether something is a dataset of tf.data or grain, which Keras reads by itself."""
    libraries = {cls.__module__.partition(".")[0] for cls in type(x).__mro__}
    return bool(libraries & {"tensorflow", "grain"}) and not _is_array(x)


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") or hasattr(x, "__array__")


def _length(x: Any) -> int | None:
    try:
        return len(x)
    except TypeError:  # such as a DataLoader over an iterable
        return None


def _of_dataset(dataset: Any, shuffle: bool) -> BatchStream:
    adapter = keras_private.dataset_adapter(dataset, shuffle)
    steps = dataset.num_batches
    return batch_stream(
        lambda: repeated(adapter.get_numpy_iterator),
        steps=steps,
        # A pass may have been begun by processes, which Keras starts and stops with each epoch.
        peek=lambda count: [dataset[i] for i in range(count if steps is None else min(count, steps))],
        watcher=adapter,
    )
