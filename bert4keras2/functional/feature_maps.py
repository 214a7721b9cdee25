"""Feature maps of linear attention: phi with sim(q, k) = phi(q) . psi(k), in float32."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from keras import ops

__all__ = ["elu_features", "monomials", "orthogonal_rows", "polynomial_features", "random_features", "unit_features"]

# Shape legend: D size of queries and keys, F features.


def elu_features(x: Any) -> Any:
    """Return elu(x) + 1 of x (..., D) (Katharopoulos et al., arXiv:2006.16236)."""
    return ops.elu(x) + 1.0


def unit_features(x: Any) -> Any:
    """Return [1; x / |x|] (..., D + 1), whose products are 1 + cos(q, k) (Su Jianlin, kexue.fm/archives/7546)."""
    length = ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + 1e-12)
    return ops.concatenate([ops.ones_like(x[..., :1]), x * length], axis=-1)


def monomials(dim: int, order: int, kind: str = "taylor") -> tuple[np.ndarray, np.ndarray]:
    """Return which factors the polynomial features of a vector have, and their weights.

    The products of the features are the kernel: "taylor", the sum of (q.k)^r / r! up to r = order; "limit",
    (1 + q.k / order)^order. Both tend to e^(q.k) with the order, so that softmax attention is linear attention of
    infinitely many features (Su Jianlin, kexue.fm/archives/8601). Tensor powers hold each monomial several times; here
    it stands once with the root of its weight, C(dim + order, order) features in place of the sum of dim^r.

    Args:
        dim: size D of the vectors.
        order: the degree.
        kind: "taylor" or "limit".

    Returns:
        (F, order) integers: the factors of each feature among [1; x], 0 being the 1; and (F,) weights.
    """
    index = np.array(list(itertools.combinations_with_replacement(range(dim + 1), order)), "int64")
    weights = []
    for row in index:
        counts = np.bincount(row, minlength=dim + 1)
        degree = order - counts[0]
        weight = 1.0 / math.prod(math.factorial(count) for count in counts[1:])
        if kind == "limit":
            weight *= math.perm(order, degree) / order**degree
        weights.append(math.sqrt(weight))
    return index, np.array(weights)


def polynomial_features(x: Any, index: np.ndarray, weights: np.ndarray) -> Any:
    """Return the features (..., F) of x (..., D) whose factors and weights `monomials` gave."""
    extended = ops.concatenate([ops.ones_like(x[..., :1]), x], axis=-1)
    found = ops.cast(weights, x.dtype)
    for factor in index.T:
        found = found * ops.take(extended, ops.convert_to_tensor(factor.astype("int32")), axis=-1)
    return found


def orthogonal_rows(rows: int, dim: int, random: np.random.Generator, radii: str = "random") -> np.ndarray:
    """Return (rows, dim) directions for random features: orthogonal in blocks, with the lengths of Gaussian vectors.

    Args:
        rows: how many features.
        dim: size of the vectors.
        random: what draws them.
        radii: "random" lengths of fresh Gaussian vectors, which leaves the estimate without bias; "root", the root of
            `dim` for all, which has less variance and a bias.
    """
    blocks = []
    for _ in range(-(-rows // dim)):
        q, r = np.linalg.qr(random.standard_normal((dim, dim)))
        blocks.append((q * np.sign(np.diag(r))).T)  # signs make it uniform among rotations
    directions = np.concatenate(blocks)[:rows]
    lengths = np.linalg.norm(random.standard_normal((rows, dim)), axis=1) if radii == "random" else dim**0.5
    return directions * np.reshape(lengths, (-1, 1) if radii == "random" else ())


def random_features(x: Any, directions: Any, query: bool) -> Any:
    """Return the positive random features (..., F) of x (..., D), whose products estimate e^(q.k) (arXiv:2009.14794).

    A query's exponents are lowered by their maximum, which its normalization divides out again. Keys' are not: a
    maximum over positions would tell earlier tokens of later ones, and w.k - |k|^2 / 2 is at most |w|^2 / 2.

    Args:
        x: vectors.
        directions: (F, D).
        query: whether the vectors are queries.
    """
    exponent = ops.matmul(x, ops.transpose(directions)) - ops.sum(ops.square(x), axis=-1, keepdims=True) / 2
    if query:
        exponent = exponent - ops.stop_gradient(ops.max(exponent, axis=-1, keepdims=True))
    return (ops.exp(exponent) + 1e-6) * directions.shape[0] ** -0.5
