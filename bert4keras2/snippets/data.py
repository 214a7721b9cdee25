"""`DataGenerator`: the base class of the data generators in training scripts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from bert4keras2.snippets.buckets import bucketed, sample_length
from bert4keras2.snippets.streams import PASS_END, batch_stream

__all__ = ["DataGenerator"]


class DataGenerator:
    """Turn samples into batches; subclasses say how.

    A subclass defines either `__iter__(self, random=False)`, which collects the samples of `self.sample(random)` and
    yields batches, or `collate(self, batch)`, which makes one batch of a list of samples.

    Args:
        data: a list of samples, or an iterable without a length that can be started again (a file reader).
        batch_size: samples per batch.
        buffer_size: for data without a length, how many samples the shuffle buffer holds; 1000 batches by default.
        bucket_window: serve random samples in batches of similar length, chosen within windows of so many batches;
            order is kept where nothing is random. None leaves the order alone.
        length_of: the length of a sample; by default the size of its texts and lists.
        output_shapes: TensorFlow only, and seldom needed: the shape of each array of a batch, in order, with None for
            what varies. A subclass may set it as a class attribute.

    Raises:
        ValueError: if a size is not positive.
    """

    bucket_window: int | None = None
    length_of: Callable[[Any], int] | None = None
    output_shapes: Sequence[Sequence[int | None]] | None = None

    def __init__(
        self,
        data: Iterable[Any],
        batch_size: int = 32,
        buffer_size: int | None = None,
        *,
        bucket_window: int | None = None,
        length_of: Callable[[Any], int] | None = None,
        output_shapes: Sequence[Sequence[int | None]] | None = None,
    ):
        sizes = {"batch_size": batch_size, "buffer_size": buffer_size, "bucket_window": bucket_window}
        for name, size in sizes.items():
            if size is not None and size < 1:
                raise ValueError(f"{name} must be at least 1, got {size!r}")
        if not hasattr(data, "__iter__") and not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
            raise TypeError(f"data must be a list of samples or an iterable, got {type(data).__name__}")
        self.data = data
        self.batch_size = batch_size
        self.buffer_size = buffer_size or batch_size * 1000
        if bucket_window is not None:
            self.bucket_window = bucket_window
        if length_of is not None:
            self.length_of = length_of
        if output_shapes is not None:
            self.output_shapes = output_shapes
        try:
            self.steps: int | None = -(-len(data) // batch_size)
        except TypeError:  # an iterator, or an object whose length is not known
            self.steps = None

    def __len__(self) -> int:
        if self.steps is None:
            raise TypeError(
                f"{type(self).__name__} has no length: its data is an iterable without one. Give fit a number of"
                " steps_per_epoch of your own"
            )
        return self.steps

    def __bool__(self) -> bool:
        return True

    # -- samples ---------------------------------------------------------------------------------------------

    def sample(self, random: bool | np.random.RandomState = False) -> Iterator[tuple[bool, Any]]:
        """Yield (is_end, sample) for each sample, once; is_end marks the last one.

        Args:
            random: shuffle: with NumPy's global generator if True, or with this one. Data without a length is
                shuffled within a buffer.

        Raises:
            ValueError: if there are no samples.
        """
        samples = iter(self.data)
        if random:
            generator = random if isinstance(random, np.random.RandomState) else np.random
            samples = self._shuffled(generator)
            if self.bucket_window:
                length_of = self.length_of or sample_length
                samples = bucketed(samples, self.batch_size, self.bucket_window, length_of, generator)
        nothing = object()
        current = next(samples, nothing)
        if current is nothing:
            raise ValueError(
                f"{type(self).__name__} has no samples. An iterator can be read only once: give a list, or an object"
                " whose __iter__ starts anew"
            )
        for following in samples:
            yield False, current
            current = following
        yield True, current

    def _shuffled(self, random: Any) -> Iterator[Any]:
        if self.steps is not None:
            for i in random.permutation(len(self.data)):
                yield self.data[i]
            return
        buffer: list[Any] = []
        for sample in self.data:
            buffer.append(sample)
            if len(buffer) > self.buffer_size:
                yield buffer.pop(random.randint(len(buffer)))
        while buffer:
            yield buffer.pop(random.randint(len(buffer)))

    # -- batches ---------------------------------------------------------------------------------------------

    def collate(self, batch: list[Any]) -> Any:
        """Make a batch, (inputs, targets), of a list of samples; for subclasses that do not define `__iter__`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define __iter__(self, random=False), which yields batches, or"
            " collate(self, batch), which makes one of a list of samples"
        )

    def __iter__(self, random: bool | np.random.RandomState = False) -> Iterator[Any]:
        batch: list[Any] = []
        for is_end, sample in self.sample(random):
            batch.append(sample)
            if len(batch) == self.batch_size or is_end:
                yield self.collate(batch)
                batch = []

    def forfit(self, random: bool = True) -> Iterator[Any]:
        """Return an endless stream of batches, pass after pass, to iterate or to give to `fit` or `evaluate`.

        Args:
            random: shuffle each pass.
        """

        def passes(random):
            while True:
                empty = True
                for batch in self.__iter__(random):
                    empty = False
                    yield batch
                if empty:
                    raise ValueError(f"{type(self).__name__}.__iter__ yielded no batch")
                if self._is_read_once():
                    return
                yield PASS_END

        return self._stream(passes, random)

    def for_fit(self, random: bool = True) -> Iterator[Any]:
        """Return what `forfit` returns: its name in copies of early examples."""
        return self.forfit(random)

    def fortest(self, random: bool = False) -> Iterator[Any]:
        """Return a stream of one pass over the inputs alone, to iterate or to give to `predict`.

        Args:
            random: shuffle; by default predictions come in the order of the data.
        """
        return self._stream(lambda random: (batch[0] for batch in self.__iter__(random)), random, inputs_only=True)

    def _is_read_once(self) -> bool:
        return self.steps is None and iter(self.data) is self.data

    def _stream(self, passes: Callable[[Any], Iterator[Any]], random: Any, inputs_only: bool = False) -> Iterator[Any]:
        # TensorFlow reads ahead in a thread. With a generator of its own the order depends on NumPy's seed at this
        # moment alone, not on how far that thread got before the script drew its next random number.
        seed = np.random.randint(2**31) if random is True else None
        started = itertools.count()

        def make_pass():
            return passes(random if seed is None else np.random.RandomState([seed, next(started)]))

        return batch_stream(
            make_pass,
            inputs_only=inputs_only,
            can_restart=not self._is_read_once(),
            shapes=self.output_shapes,
            steps=self.steps,
        )

    def to_dataset(
        self, types: Any, shapes: Any, names: str | Sequence[Any] | None = None, padded_batch: bool = False
    ) -> Any:
        """Return an endless tf.data.Dataset (TensorFlow must be installed); the subclass yields single samples.

        Args:
            types: the dtype of each array, nested as a sample is, e.g. `(("int32", "int32"), "float32")`.
            shapes: the shape of each array, nested likewise and without a batch axis, e.g. `(([None], [None]), [1])`.
            names: turn samples into dicts: one name, a name for each part, or a sequence of names for each part.
            padded_batch: pad the sizes that are None to the longest of a batch; otherwise samples are equal in shape.

        Returns:
            A dataset of batches of `batch_size`.

        Raises:
            ImportError: if TensorFlow is not installed.
        """
        try:
            import tensorflow as tf
        except ImportError as error:
            raise ImportError("to_dataset makes a tf.data.Dataset: pip install tensorflow, or use forfit()") from error
        types = _with_names(names, types)
        shapes = _with_names(names, _shape_leaves(shapes))
        signature = tf.nest.map_structure(lambda dtype, shape: tf.TensorSpec(shape.sizes, dtype), types, shapes)

        def samples():
            for sample in self.forfit():
                yield _with_names(names, _tuples(sample))

        dataset = tf.data.Dataset.from_generator(samples, output_signature=signature)
        if padded_batch:
            return dataset.padded_batch(self.batch_size, tf.nest.map_structure(lambda spec: spec.shape, signature))
        return dataset.batch(self.batch_size)


class _Shape:
    """A shape that is no sequence, so that it is one leaf of a nested structure."""

    def __init__(self, sizes: Iterable[int | None]):
        self.sizes = tuple(sizes)


def _shape_leaves(shapes: Any) -> Any:
    if all(size is None or isinstance(size, int) for size in shapes):
        return _Shape(shapes)
    return tuple(_shape_leaves(part) for part in shapes)


def _tuples(part: Any) -> Any:
    return tuple(_tuples(item) for item in part) if isinstance(part, list | tuple) else part


def _with_names(names: Any, part: Any) -> Any:
    """Return the part as dicts by name: {name: part}, {name: item, ...} or a tuple of such."""
    part = _tuples(part)
    if names is None:
        return part
    if isinstance(names, str):
        return {names: part}
    if all(isinstance(name, str) for name in names):
        return dict(zip(names, part, strict=True))
    return tuple(_with_names(name, item) for name, item in zip(names, part, strict=True))
