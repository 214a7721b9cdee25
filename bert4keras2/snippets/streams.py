"""Streams of batches that Keras trains on whatever their lengths, and that scripts iterate as generators."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bert4keras2.snippets.batches import (
    as_array,
    batch_parts,
    conform,
    flat,
    map_arrays,
    refilled,
    signature,
    without_nothing,
)

__all__ = ["PASS_END", "BatchStream", "batch_stream", "repeated"]

# Keras may take a few batches to build a model before it starts; a reader that stopped within so many was such a trial.
TRIAL_BATCHES = 8
# A size of 1 in this many batches is taken to be fixed (a column of labels).
PEEKED_BATCHES = 8
PREFETCHED_BATCHES = 2

# What an iterator over many passes yields between two of them; nobody who reads a stream sees it.
PASS_END = object()


class BatchStream:
    """An iterator of batches, in the form that the user's generator yields them, which Keras also accepts.

    Iterating it gives the batches as they are. Keras (`fit`, `evaluate`, `predict`) gets them as tuples, and on
    TensorFlow as a dataset whose sizes are None wherever they may vary: given a plain generator, Keras takes the
    sizes that the first two batches share for fixed, and fails at the first that differs.

    Each new use by Keras starts a new pass, except that nothing is lost to a model being built.

    Args:
        make_pass: returns an iterator over the batches; one over many passes yields PASS_END between two of them.
        inputs_only: each item is the model's inputs alone, not (inputs, targets).
        can_restart: `make_pass` may be called again.
        shapes: for TensorFlow, the shape of each array of a batch in the order in which they are yielded, batch axis
            included, None where it varies; found from the first batches by default.
        steps: batches of one pass; None if that is not known.
        peek: (count) -> first batches, for data that can be looked at without a pass; a pass is begun otherwise.
        watcher: an object whose `on_epoch_begin` and `on_epoch_end` are called as Keras calls those of its data.

    Attributes:
        steps: the same.
        can_restart: the same.
        error: what the newest reader failed with, which TensorFlow wraps into an error of its own.
    """

    def __init__(
        self,
        make_pass: Callable[[], Iterator[Any]],
        inputs_only: bool = False,
        can_restart: bool = True,
        shapes: Sequence[Sequence[int | None]] | None = None,
        steps: int | None = None,
        peek: Callable[[int], list[Any]] | None = None,
        watcher: Any = None,
    ):
        self.steps = steps
        self.error: Exception | None = None
        self._make_pass = make_pass
        self._inputs_only = inputs_only
        self.can_restart = can_restart
        self._shapes = shapes
        self._peek_at = peek
        self._watcher = watcher
        self._prepare: Callable[..., tuple] | None = None
        self._one_pass = False
        self._input_shapes: Sequence[Sequence[int | None]] = ()
        self._pass: Iterator[Any] | None = None
        self._pending: deque[Any] = deque()  # read ahead, served first
        self._served: list[Any] | None = []  # what the newest reader took, None once it is no trial any more
        self._left_out = 0  # batches at the beginning of a pass
        self._reader = 0
        self._trial = True  # whether the next reader may be there to build a model alone
        self._count = 0  # batches that the newest reader took
        self._ended = False  # whether it came to the end of a pass and stopped there
        # TensorFlow reads from a thread of its own, and an abandoned reader may still be at work.
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._lock:
            while (batch := self._read()) is PASS_END:
                pass
            return batch

    def prepare_by(
        self,
        prepare: Callable[..., tuple] | None,
        one_pass: bool = False,
        input_shapes: Sequence[Sequence[int | None]] = (),
    ) -> None:
        """Say what Keras' next readers get.

        Args:
            prepare: makes of the parts of a batch, (inputs[, targets[, sample weights]]), the same as arrays; it may
                raise an error for a wrong batch. None: arrays are made of them as they are.
            one_pass: whether a reader stops at the end of a pass.
            input_shapes: those of the model's inputs, with None for what varies; not known if empty.
        """
        self._prepare, self._one_pass, self._input_shapes, self.error = prepare, one_pass, input_shapes, None
        self._trial, self._served, self._left_out = True, None, 0

    def begin_with(self, passes: int = 0, batches: int = 0) -> None:
        """Leave out what a run that was interrupted has trained on; call it before anybody reads.

        Args:
            passes: how many; each begins anew, in its own order, and nothing of them is made.
            batches: how many of a pass that goes on and on; they are made and passed over.
        """
        for _ in range(passes):
            self._make_pass()
        self._left_out = batches

    def goes_on(self) -> bool:
        """Return whether the pass that was read last has more batches than `steps`."""
        with self._lock:
            if self._ended or not self.can_restart or self.steps is None or self._count < self.steps:
                return False  # also where a callback stopped before the end
            if self._count > self.steps:
                return True  # read ahead
            try:
                following = self._read()
            except StopIteration:
                return False
            self._pending.appendleft(following)
            return following is not PASS_END

    def _read(self) -> Any:
        if self._pending:
            return self._pending.popleft()
        if self._pass is None:
            self._pass = self._make_pass()
            left = self._left_out
            while left:
                left -= next(self._pass) is not PASS_END
        return next(self._pass)

    def _peek(self, count: int) -> list[Any]:
        """Return the next batches of one pass, at most so many, which are read again afterwards."""
        if self._peek_at is not None:
            return self._peek_at(count)
        with self._lock:
            found = self._ahead(count)
            if not found and self.can_restart:
                self._pass = None  # it was read to its end
                found = self._ahead(count)
            return found

    def _ahead(self, count: int) -> list[Any]:
        ahead: list[Any] = []
        found: list[Any] = []
        try:
            while len(found) < count:
                ahead.append(self._read())
                if ahead[-1] is not PASS_END:
                    found.append(ahead[-1])
                elif found:
                    break
        except StopIteration:
            pass
        self._pending.extendleft(reversed(ahead))
        return found

    def _batches(self) -> Iterator[tuple]:
        """Yield the batches of a new reader, (inputs,), (inputs, targets) or (inputs, targets, sample weights)."""
        with self._lock:
            self._reader += 1
            reader, prepare, one_pass = self._reader, self._prepare, self._one_pass
            if self._served is not None:  # what a trial took
                self._pending.extendleft(reversed(self._served))
            elif reader > 1 and self.can_restart:
                self._pending.clear()
                self._pass = None
            self._served = [] if self._trial else None
            self._trial = False
            self._count, self._ended = 0, False
        while True:
            with self._lock:
                if reader != self._reader:
                    return  # another reader has taken over
                try:
                    batch = self._read()
                except StopIteration:
                    self._ended = True
                    return
                except Exception as error:
                    self.error = error
                    raise
                if self._served is not None:
                    self._served.append(batch)
                    if len(self._served) > TRIAL_BATCHES:
                        self._served = None
                if batch is PASS_END:
                    self._ended = one_pass
                    if one_pass:
                        return
                    continue
                self._count += 1
            try:
                parts = self._as_tuple(batch, prepare)
            except Exception as error:
                self.error = error
                raise
            yield parts

    def _as_tuple(self, batch: Any, prepare: Callable[..., tuple] | None = None) -> tuple:
        parts = batch_parts(batch, self._inputs_only)
        if prepare is not None:
            parts = prepare(*parts)
        return without_nothing(tuple(map_arrays(as_array, part) for part in parts))

    # -- what keras asks of a data adapter -------------------------------------------------------------------

    @property
    def one_pass(self) -> bool:
        """Whether Keras' readers stop at the end of a pass."""
        return self._one_pass

    @property
    def num_batches(self) -> int | None:
        """The batches after which readers stop, None where they go on or that is not known."""
        return self.steps if self._one_pass else None

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
                    yield tuple(map_arrays(keras.ops.convert_to_tensor, part) for part in batch)

        return torch.utils.data.DataLoader(Tensors(), batch_size=None)

    def get_tf_dataset(self) -> Any:
        """Return a tf.data.Dataset with None for each size that may vary."""
        import tensorflow as tf

        found = self._signature()
        specs = flat(found)

        def batches():
            for number, batch in enumerate(self._batches(), 1):
                try:
                    arrays = conform(flat(batch), specs, number)
                except ValueError as error:
                    self.error = error
                    raise
                yield refilled(batch, arrays)

        return tf.data.Dataset.from_generator(batches, output_signature=found).prefetch(PREFETCHED_BATCHES)

    def _signature(self) -> tuple:
        peeked = [self._as_tuple(batch, self._prepare) for batch in self._peek(1)]
        if not peeked:
            raise ValueError("The generator gave no batch: there is nothing to train on or to predict")
        if self._shapes is None and any(1 in array.shape[1:] for array in flat(peeked[0])):
            peeked = [self._as_tuple(batch, self._prepare) for batch in self._peek(PEEKED_BATCHES)]
        return signature(peeked, self._shapes, self._input_shapes)

    def on_epoch_begin(self) -> None:
        """Tell those who watch."""
        if self._watcher is not None:
            self._watcher.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tell those who watch; Keras also calls this when it has built a model, before the first epoch."""
        self._trial = False
        if self._watcher is not None:
            self._watcher.on_epoch_end()


def repeated(make_pass: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Yield the batches of pass after pass, with PASS_END between them; nothing if a pass has none."""
    while True:
        empty = True
        for batch in make_pass():
            empty = False
            yield batch
        if empty:
            return
        yield PASS_END


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
