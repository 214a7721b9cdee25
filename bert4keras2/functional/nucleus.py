"""The fewest tokens that reach a probability together (Holtzman et al., arXiv:1904.09751), in keras.ops."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.functional.functions import ON_TORCH

__all__ = ["nucleus"]

# How many of the largest weights are put in order before all of them are.
LARGEST = 256


def nucleus(weights: Any, share: Any) -> Any:
    """Return weights (R, K), at most 1, with those outside of the nucleus at 0; ties at its edge stay in.

    Under XLA the edge is found by bisection: sorting the whole vocabulary at each step would cost more than the model.
    The steps are a loop, since unrolled and fused, as XLA does for small vocabularies, they take LLVM forever.
    """
    if ON_TORCH:
        return ops.where(weights >= _edge_in_order(weights, share), weights, 0.0)
    total = ops.sum(weights, axis=-1, keepdims=True)

    def halve(_, edges):
        low, high = edges
        middle = (low + high) / 2
        enough = ops.sum(ops.where(weights >= middle, weights, 0.0), axis=-1, keepdims=True) >= share * total
        return ops.where(enough, middle, low), ops.where(enough, high, middle)

    low, _ = ops.fori_loop(0, 30, halve, (ops.zeros_like(total), ops.ones_like(total)))
    return ops.where(weights >= low, weights, 0.0)


def _edge_in_order(weights: Any, share: Any) -> Any:
    """Return the least weights (R, 1) of nuclei, on PyTorch: it sorts faster than it halves 30 times.

    The largest weights are enough where a model is sure of something; all are sorted where one nucleus has more.
    """
    least = share * weights.sum(-1, keepdim=True)
    largest = weights.topk(min(LARGEST, weights.shape[-1])).values
    sums = largest.cumsum(-1)
    if bool((sums[:, -1:] < least).any()):
        largest = weights.sort(descending=True).values
        sums = largest.cumsum(-1)
    place = (sums < least).sum(-1, keepdim=True)
    return largest.gather(-1, place.clamp(max=largest.shape[-1] - 1))
