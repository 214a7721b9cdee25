"""Streams of batches that Keras trains on whatever their lengths, and that scripts iterate as generators."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["BatchStream", "batch_stream"]

# Keras may take a few batches to build a model before it starts; a reader that stopped within so many was such a trial.
TRIAL_BATCHES = 8
# A size of 1 in this many batches is taken to be fixed (a column of labels).
PEEKED_BATCHES = 8
PREFETCHED_BATCHES = 2


class BatchStream:
    """An iterator of batches, in the form that the user's generator yields them, which Keras also accepts.

    Iterating it gives the batches as they are. Keras (`fit`, `evaluate`, `predict`) gets them as tuples, and on
    TensorFlow as a dataset whose sizes are None wherever they may vary: given a plain generator, Keras takes the
    sizes that the first two batches share for fixed, and fails at the first that differs.

    Each new use by Keras starts a new pass, except that nothing is lost to a model being built.

    Args:
        make_pass: returns an iterator over the batches.
        inputs_only: each item is the model's inputs alone, not (inputs, targets).
        can_restart: `make_pass` may be called again.
        shapes: for TensorFlow, the shape of each array of a batch in the order in which they are yielded, batch axis
            included, None where it varies; found from the first batches by default.
    """

    def __init__(
        self,
        make_pass: Callable[[], Iterator[Any]],
        inputs_only: bool = False,
        can_restart: bool = True,
        shapes: Sequence[Sequence[int | None]] | None = None,
    ):
        self._make_pass = make_pass
        self._inputs_only = inputs_only
        self._can_restart = can_restart
        self._shapes = shapes
        self._checks: list[Callable[..., Any]] = []
        self._pass: Iterator[Any] | None = None
        self._pending: deque[Any] = deque()  # read ahead, served first
        self._served: list[Any] | None = []  # what the newest reader took, None once it is no trial any more
        self._reader = 0
        self._signature: Any = None
        # TensorFlow reads from a thread of its own, and an abandoned reader may still be at work.
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._lock:
            return self._read()

    def set_checks(self, checks: list[Callable[..., Any]]) -> None:
        """Have each `check(inputs, targets, ...)` called on each batch that Keras takes; they raise for a wrong one."""
        self._checks = checks

    def _read(self) -> Any:
        if self._pending:
            return self._pending.popleft()
        if self._pass is None:
            self._pass = self._make_pass()
        return next(self._pass)

    def _peek(self, count: int) -> list[Any]:
        with self._lock:
            ahead: list[Any] = []
            try:
                while len(ahead) < count:
                    ahead.append(self._read())
            except StopIteration:
                pass
            self._pending.extendleft(reversed(ahead))
            return ahead

    def _batches(self) -> Iterator[tuple]:
        """Yield the batches of a new reader, (inputs,), (inputs, targets) or (inputs, targets, sample weights)."""
        with self._lock:
            self._reader += 1
            reader = self._reader
            if reader == 2 and self._served is not None:
                self._pending.extendleft(reversed(self._served))
            elif reader > 1 and self._can_restart:
                self._pending.clear()
                self._pass = None
            self._served = []
        while True:
            with self._lock:
                if reader != self._reader:
                    return  # another reader has taken over
                try:
                    batch = self._read()
                except StopIteration:
                    return
                if self._served is not None:
                    self._served.append(batch)
                    if len(self._served) > TRIAL_BATCHES:
                        self._served = None
            batch = self._as_tuple(batch)
            for check in self._checks:
                check(*batch)
            yield batch

    def _as_tuple(self, batch: Any) -> tuple:
        if self._inputs_only or not isinstance(batch, list | tuple):
            return (_map(_array, batch),)
        if not 1 <= len(batch) <= 3:
            raise ValueError(
                f"A batch must be (inputs, targets) or (inputs, targets, sample weights), got {len(batch)} parts;"
                " put several inputs into a list of their own: yield [tokens, segments], labels"
            )
        parts = tuple(_map(_array, part) for part in batch)
        while len(parts) > 1 and parts[-1] is None:  # labels None: the loss is a layer of the model
            parts = parts[:-1]
        return parts

    # -- what keras asks of a data adapter -------------------------------------------------------------------

    num_batches = None
    batch_size = None
    has_partial_batch = None
    partial_batch_size = None

    def get_numpy_iterator(self) -> Iterator[tuple]:
        """Return an iterator over tuples of arrays."""
        return self._batches()

    def get_jax_iterator(self) -> Iterator[tuple]:
        """Return an iterator over tuples of arrays (JAX takes NumPy's)."""
        return self._batches()

    def get_torch_dataloader(self) -> Any:
        """Return a torch DataLoader over tuples of tensors."""
        import keras
        import torch.utils.data

        stream = self

        class Tensors(torch.utils.data.IterableDataset):
            def __iter__(self):
                for batch in stream._batches():
                    yield tuple(_map(keras.ops.convert_to_tensor, part) for part in batch)

        return torch.utils.data.DataLoader(Tensors(), batch_size=None)

    def get_tf_dataset(self) -> Any:
        """Return a tf.data.Dataset with None for each size that may vary."""
        import tensorflow as tf

        if self._signature is None:
            self._signature = self._find_signature(tf)
        signature = self._signature
        specs = _flatten(signature)

        def batches():
            for number, batch in enumerate(self._batches(), 1):
                arrays = _flatten(batch)
                if len(arrays) != len(specs):
                    raise ValueError(f"Batch {number} has {len(arrays)} arrays, the first had {len(specs)}")
                pairs = enumerate(zip(arrays, specs, strict=True))
                yield _refilled(batch, [_conform(array, spec, number, i) for i, (array, spec) in pairs])

        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(PREFETCHED_BATCHES)

    def _find_signature(self, tf: Any) -> tuple:
        peeked = [self._as_tuple(batch) for batch in self._peek(1)]
        if not peeked:
            raise ValueError("The generator gave no batch: there is nothing to train on or to predict")
        if self._shapes is None and any(1 in array.shape[1:] for array in _flatten(peeked[0])):
            peeked = [self._as_tuple(batch) for batch in self._peek(PEEKED_BATCHES)]
        columns = list(zip(*(_flatten(batch) for batch in peeked), strict=True))
        shapes = self._shapes if self._shapes is not None else [_varying_shape(column) for column in columns]
        if len(shapes) != len(columns):
            raise ValueError(f"output_shapes has {len(shapes)} shapes, but a batch has {len(columns)} arrays")
        specs = [tf.TensorSpec(shape, column[0].dtype) for shape, column in zip(shapes, columns, strict=True)]
        return _refilled(peeked[0], specs)

    def on_epoch_begin(self) -> None:
        """Nothing to do."""

    def on_epoch_end(self) -> None:
        """Nothing to do."""


def _varying_shape(arrays: Sequence[np.ndarray]) -> tuple[int | None, ...]:
    """Return a shape with None for the sizes that may vary: all but those that are 1 in every array.

    A column of labels (B, 1) must stay one: sparse losses and metrics look at that size.
    """
    axes = range(1, arrays[0].ndim)
    return (None, *(1 if all(array.shape[axis] == 1 for array in arrays) else None for axis in axes))


def _conform(array: np.ndarray, spec: Any, number: int, index: int) -> np.ndarray:
    """Return the array with the dtype that the first batch had, or say what differs."""
    if not spec.shape.is_compatible_with(array.shape):
        raise ValueError(
            f"Array {index} of batch {number} has shape {array.shape}, expected {tuple(spec.shape)}: a size of 1 in the"
            " first batches was taken to be fixed. Set output_shapes on the DataGenerator, one shape for each array,"
            " with None for what varies"
        )
    dtype = spec.dtype.as_numpy_dtype
    if array.dtype == dtype or not isinstance(dtype, type) or not issubclass(dtype, np.number | np.bool_):
        return array
    converted = array.astype(dtype)
    if np.issubdtype(dtype, np.integer) and not np.array_equal(converted, array):
        raise ValueError(
            f"Array {index} of batch {number} is {array.dtype}, but the first batch had whole numbers"
            f" ({np.dtype(dtype).name}); give it one dtype in every batch, such as np.array(labels, 'float32')"
        )
    return converted


def _is_array(part: Any) -> bool:
    """Tell whether a part of a batch stands for one array; lists of plain numbers do."""
    return not isinstance(part, dict | list | tuple) or (not isinstance(part, dict) and all(map(np.isscalar, part)))


def _map(function: Callable[[Any], Any], part: Any) -> Any:
    """Apply `function` to each array of nested lists, tuples and dicts; None stays."""
    if part is None:
        return None
    if _is_array(part):
        return function(part)
    if isinstance(part, dict):
        return {key: _map(function, part[key]) for key in sorted(part)}
    return type(part)(_map(function, value) for value in part)


def _array(values: Any) -> np.ndarray:
    """Return an array; double precision becomes Keras' own, as it does when Keras is given arrays."""
    array = np.asarray(values)
    if array.dtype != np.float64:
        return array
    import keras

    return array.astype(keras.config.floatx())


def _flatten(part: Any) -> list[Any]:
    arrays: list[Any] = []
    _map(arrays.append, part)
    return arrays


def _refilled(batch: tuple, leaves: Sequence[Any]) -> tuple:
    """Return the batch with other leaves, and with tuples for lists, which tf.data would stack."""
    if any(part is None for part in batch):
        raise ValueError("A batch has sample weights but no targets, which tf.data cannot carry; yield targets too")
    remaining = iter(leaves)

    def refill(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: refill(part[key]) for key in sorted(part)}
        return tuple(map(refill, part)) if isinstance(part, list | tuple) else next(remaining)

    return refill(batch)


@functools.lru_cache(maxsize=1)
def _stream_class() -> type[BatchStream] | None:
    """Return BatchStream as a class that Keras takes for data; None if this Keras keeps the base class elsewhere.

    Keras accepts instances of its DataAdapter in place of data since 3.7, for such uses, but does not export it.
    """
    from bert4keras2.functional import keras_private

    adapter = keras_private.data_adapter()
    if adapter is None:
        return None
    return type("BatchStream", (BatchStream, adapter), {"__doc__": BatchStream.__doc__, "__module__": __name__})


def batch_stream(make_pass: Callable[[], Iterator[Any]], **options: Any) -> Iterator[Any]:
    """Return the batches as a BatchStream; where Keras cannot take one, as a plain generator.

    Args:
        make_pass: a function that returns an iterator over batches.
        options: the other arguments of BatchStream.
    """
    cls = _stream_class()
    if cls is not None:
        return cls(make_pass, **options)
    stream = BatchStream(make_pass, **options)
    return (stream._as_tuple(batch) for batch in stream)
