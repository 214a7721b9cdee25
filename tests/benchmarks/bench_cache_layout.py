"""One step's attention over caches stored by position (B, S, H, D) and by head (B, H, S, D), compiled by JAX.

KERAS_BACKEND=jax python tests/benchmarks/bench_cache_layout.py
"""

from __future__ import annotations

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

LAYERS, ROWS, PLACES, HEADS, SIZE = 12, 10, 64, 12, 64


def step(layout: str):
    """Return the compiled attention of all layers for keys and values in a layout."""

    @jax.jit
    def run(query, caches):
        total = 0.0
        for keys, values in caches:
            weights = jax.nn.softmax(jnp.einsum(f"bthd,{layout}->bhts", query, keys))
            total = total + jnp.einsum(f"bhts,{layout}->bthd", weights, values)
        return total

    return run


def main() -> None:
    random = np.random.RandomState(0)
    query = jnp.asarray(random.rand(ROWS, 1, HEADS, SIZE), "float32")
    sizes = {"b": ROWS, "s": PLACES, "h": HEADS, "d": SIZE}
    runs = {}
    for layout in ("bshd", "bhsd"):
        shape = [sizes[letter] for letter in layout]
        caches = [tuple(jnp.asarray(random.rand(*shape), "float32") for _ in "kv") for _ in range(LAYERS)]
        runs[layout] = (step(layout), caches)
    times: dict[str, list[float]] = {layout: [] for layout in runs}
    for _ in range(32):
        for layout, (function, caches) in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(function(query, caches))
            times[layout].append(1e3 * (time.perf_counter() - start))
    slow, fast = (statistics.median(times[layout][2:]) for layout in ("bshd", "bhsd"))
    print(f"by position {slow:.1f} ms, by head {fast:.1f} ms, ratio {slow / fast:.1f}")


if __name__ == "__main__":
    main()
