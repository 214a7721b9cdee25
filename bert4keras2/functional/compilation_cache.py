"""Compiled programs on disk, so that a second process need not compile what an earlier one did."""

from __future__ import annotations

import os

import keras

__all__ = ["VARIABLE", "cache_compilations"]

#: The folder, where the environment says it.
VARIABLE = "BERT4KERAS2_COMPILATION_CACHE"


def cache_compilations(folder: str | os.PathLike | None = None, least_seconds: float = 0.0) -> str | None:
    """Keep what the backend compiles from now on in a folder, and take from it what is there.

    On JAX this is XLA's persistent cache: programs of the same operations, shapes, versions and device are loaded
    instead of compiled; call it before the first model. On PyTorch it is the folder of `torch.compile`, that is of
    Inductor and Triton; this library compiles nothing there by itself. TensorFlow keeps no programs of XLA for the
    CPU or of its own just-in-time calls: nothing happens.

    Args:
        folder: where to; it is made. If None, the variable BERT4KERAS2_COMPILATION_CACHE says it, and otherwise it is
            bert4keras2/compiled in the user's cache directory (XDG_CACHE_HOME, or ~/.cache).
        least_seconds: on JAX, programs that took less time to compile are not kept.

    Returns:
        The folder; None on TensorFlow.

    Raises:
        ValueError: if least_seconds is negative.
        OSError: if the folder cannot be made.
    """
    if not least_seconds >= 0:
        raise ValueError(f"least_seconds is a number from 0 on, not {least_seconds!r}")
    backend = keras.backend.backend()
    if backend not in ("jax", "torch"):
        return None
    folder = os.path.abspath(os.path.expanduser(os.fspath(folder or _usual_folder())))
    os.makedirs(folder, exist_ok=True)
    if backend == "torch":
        # Read when torch.compile first asks for them.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(folder, "inductor")
        os.environ["TRITON_CACHE_DIR"] = os.path.join(folder, "triton")
        return folder
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", float(least_seconds))
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    # JAX looks for a folder once, at its first compilation, which importing Keras may have been.
    compilation_cache.reset_cache()
    return folder


def _usual_folder() -> str:
    if said := os.environ.get(VARIABLE):
        return said
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return os.path.join(home, "bert4keras2", "compiled")
