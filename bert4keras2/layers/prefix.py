"""Keys and values that stand before a text's own."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from bert4keras2.layers.base import Layer, register

__all__ = ["KeyValuePrefix"]

# Shape legend: B batch, P prefix length, T query length, S key length, H heads, D size of keys, Dv of values.


class Attended(NamedTuple):
    """What `attend` is given besides queries; see there."""

    key: Any
    value: Any
    mask: Any = None
    bias: Any = None
    relative: Any = None
    previous_scores: Any = None
    others: Any = ()


@register
class KeyValuePrefix(Layer):
    """Keys (P, H, D) and values (P, H, Dv) that learn, before those of each text (P-tuning v2, arXiv:2110.07602).

    They are never hidden, and stand nowhere: they are not rotated, and have no bias and no vector of a distance.

    Args:
        heads: number of heads H.
        key_size: size D of a head's keys.
        head_size: size Dv of a head's values.
        length: how many there are, P.
        hidden: units of a network that makes them while they learn; none if None.
        stddev: standard deviation of their start.
    """

    def __init__(
        self,
        heads: int,
        key_size: int,
        head_size: int,
        length: int = 20,
        hidden: int | None = None,
        stddev: float = 0.02,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.heads, self.key_size, self.head_size = heads, key_size, head_size
        self.length, self.hidden, self.stddev = length, hidden, stddev

    def build(self, input_shape=None):
        start = keras.initializers.RandomNormal(stddev=self.stddev)
        width = self.heads * (self.key_size + self.head_size)
        inner = width if self.hidden is None else self.hidden
        self.table = self.add_weight(name="table", shape=(self.length, inner), initializer=start)
        if self.hidden is not None:
            self.hidden_dense = self.dense("hidden_dense", self.hidden, inner, activation="tanh")
            self.output_dense = self.dense("output_dense", width, self.hidden)
        self.built = True

    def call(self, inputs=None):
        """Return keys (P, H, D) and values (P, H, Dv)."""
        x = ops.convert_to_tensor(self.table)
        if self.hidden is not None:
            x = self.output_dense(self.hidden_dense(x))
        key, value = ops.split(x, [self.heads * self.key_size], axis=-1)
        sizes = ((key, self.key_size), (value, self.head_size))
        return tuple(ops.reshape(part, (self.length, self.heads, size)) for part, size in sizes)

    def before(self, given: Attended, by_head: bool = False) -> Attended:
        """Return what is attended to with the prefix before it.

        Args:
            given: keys and values are (B, S, H, D), or (B, H, S, D) if `by_head`.
            by_head: how they lie.
        """
        keys, values = self.call()
        return Attended(
            key=self._ahead(keys, given.key, by_head),
            value=self._ahead(values, given.value, by_head),
            mask=self._wider(given.mask, True, -1),
            bias=self._wider(given.bias, 0, -1),
            relative=self._wider(given.relative, 0, -2),
            previous_scores=self._wider(given.previous_scores, 0, -1),
            others=[
                (self._wider(mask, False, -1), query, self._ahead(keys, key, by_head))
                for mask, query, key in given.others
            ],
        )

    def _ahead(self, own: Any, part: Any, by_head: bool) -> Any:
        """Return keys or values of a text with those of the prefix before them."""
        own = ops.cast(ops.swapaxes(own, 0, 1) if by_head else own, part.dtype)
        own = ops.broadcast_to(ops.expand_dims(own, 0), (*ops.shape(part)[:1], *own.shape))
        return ops.concatenate([own, part], axis=2 if by_head else 1)

    def _wider(self, x: Any, value: Any, axis: int) -> Any:
        """Return a tensor with one value for each place of the prefix before its own along an axis of keys."""
        if x is None:
            return None
        shape = [*ops.shape(x)]
        shape[axis] = self.length
        return ops.concatenate([ops.full(tuple(shape), value, dtype=x.dtype), x], axis=axis)

    def get_config(self) -> dict[str, Any]:
        names = "heads key_size head_size length hidden stddev"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
