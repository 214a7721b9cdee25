"""Frequencies of rotary positions, as they are and stretched for texts longer than those of training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

__all__ = ["angles", "rotary_frequencies", "rotary_magnitude", "rotary_tables"]


def rotary_frequencies(dim: int, base: float = 10000, scaling: dict[str, Any] | None = None) -> np.ndarray:
    """Return the angle per position of each pair of a head (Su et al., arXiv:2104.09864), for longer texts if asked.

    With k the factor by which texts are longer and m = 1, 2, ... dim / 2 the number of a pair:

    - "linear": theta / k, which is position interpolation (Chen et al., arXiv:2306.15595);
    - "ntk": the base becomes base * k ** (dim / (dim - 2)), so the first pair stays and the last is divided by k;
    - "ntk_fixed": theta_m / k ** (2 m / dim) (Su Jianlin, kexue.fm/archives/9706);
    - "ntk_mixed": theta_m * exp(-a m ** power) with a (dim / 2) ** power = log k (the same);
    - "yarn": theta * (g + (1 - g) / k), where g is 1 for pairs that turn often within the length of training, 0 for
      those that turn less than once, and linear in the number of the pair between (Peng et al., arXiv:2309.00071).

    Args:
        dim: even size of a head's queries and keys.
        base: of the frequencies.
        scaling: of the option `rope_scaling`, with all of its values; None for none.

    Returns:
        (dim / 2,) float64.
    """
    theta = float(base) ** (-2.0 * np.arange(dim // 2) / dim)
    kind = None if scaling is None else scaling["type"]
    if kind in (None, "rerope", "leaky_rerope"):
        return theta
    factor, m = float(scaling["factor"]), np.arange(1, dim // 2 + 1)
    if kind == "linear":
        return theta / factor
    if kind == "ntk":
        stretched = float(base) * factor ** (dim / max(dim - 2, 1))
        return stretched ** (-2.0 * np.arange(dim // 2) / dim)
    if kind == "ntk_fixed":
        return theta / factor ** (2.0 * m / dim)
    if kind == "ntk_mixed":
        power = float(scaling["power"])
        return theta * np.exp(-math.log(factor) / (dim / 2) ** power * m**power)
    length = float(scaling["length"])

    def pair_of(turns: float) -> float:
        """The number of the pair that turns so often within the length of training."""
        return dim * math.log(length / (2 * math.pi * turns)) / (2 * math.log(base))

    low = max(math.floor(pair_of(scaling["fast"])), 0)
    high = min(math.ceil(pair_of(scaling["slow"])), dim - 1)
    ramp = np.clip((np.arange(dim // 2) - low) / max(high - low, 0.001), 0, 1)
    return theta * ((1 - ramp) + ramp / factor)


def rotary_magnitude(scaling: dict[str, Any] | None) -> float:
    """Return what sines and cosines are multiplied by: 0.1 log k + 1 for YaRN, so that scores grow by its square."""
    yarn = scaling is not None and scaling["type"] == "yarn" and scaling["factor"] > 1
    return 0.1 * math.log(scaling["factor"]) + 1 if yarn else 1.0


def angles(position_ids: Any, frequencies: np.ndarray) -> Any:
    """Return (..., D / 2) float32: positions (...) times frequencies (D / 2,)."""
    return ops.expand_dims(ops.cast(position_ids, "float32"), -1) * ops.convert_to_tensor(frequencies.astype("float32"))


def rotary_tables(position_ids: Any, frequencies: np.ndarray, magnitude: float = 1.0) -> tuple[Any, Any]:
    """Return (sin, cos), each (..., D / 2) float32, of positions (...)."""
    turned = angles(position_ids, frequencies)
    return ops.sin(turned) * magnitude, ops.cos(turned) * magnitude
