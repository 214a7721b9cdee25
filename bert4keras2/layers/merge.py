"""Sums that keep the mask of what they add up."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.graph import NodeMethods
from bert4keras2.functional.registry import register
from bert4keras2.layers.direct import DirectCalls, is_plain_list

__all__ = ["Add"]


@register
class Add(DirectCalls, NodeMethods, keras.layers.Add):
    """The sum of a list of tensors, masked where any of those that have a mask is.

    Keras' own layer drops the mask as soon as one tensor lacks one, and segment vectors have none: pooling, CRF and
    whatever else stands on top of a model would take padding for text.
    """

    direct_call = True

    def called_directly(self, args, kwargs, dtype):
        return len(args) == 1 and not kwargs and _are_alike(args[0], dtype)

    def directly(self, inputs):
        """Return the sum of tensors that broadcast."""
        return sum(inputs[1:], inputs[0])

    def call(self, inputs):
        """Return the sum of tensors that broadcast."""
        return self.directly(inputs) if _are_alike(inputs, self.compute_dtype) else super().call(inputs)

    def compute_mask(self, inputs, mask=None):
        known = [one for one in mask or [] if one is not None]
        if not known:
            return None
        joined = known[0]
        for one in known[1:]:
            joined = joined if one is known[0] else ops.logical_and(joined, one)
        return joined


def _are_alike(inputs: Any, dtype: str) -> bool:
    """Whether these are plain tensors of a type and of as many axes."""
    return is_plain_list(inputs, dtype) and len({x.ndim for x in inputs}) == 1
