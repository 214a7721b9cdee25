"""How runs are shortened: few epochs and steps, short generated texts, nothing from the network or the keyboard."""

from __future__ import annotations

import builtins
import functools
import os
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

__all__ = ["shorten"]

USUAL = 2
TOKENS = 10
SAMPLES = 4


def shorten(steps: int) -> dict[str, int]:
    """Patch Keras and the decoders of this process.

    Args:
        steps: how many an epoch has at most.

    Returns:
        Counts of what the script does, which grow as it runs: fit, train_on_batch, predict, evaluate, generate,
        save_weights, load_weights.
    """
    import keras

    import bert4keras2.backend  # noqa: F401  ours first, so that its classes are there to be patched

    counts: dict[str, int] = {}
    _counted(keras.Model, "fit", counts, functools.partial(_fewer_steps, steps))
    for name in ("train_on_batch", "evaluate"):
        _counted(keras.Model, name, counts)
    from bert4keras2.backend import Model

    for name in ("predict", "save_weights", "load_weights"):  # few rows are predicted without Keras' loop
        _counted(Model, name, counts)
    _decoders(counts)
    _offline()
    return counts


def _counted(owner: type, name: str, counts: dict[str, int], change: Callable[..., Any] | None = None) -> None:
    method = getattr(owner, name)

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        counts[name] = counts.get(name, 0) + 1
        if change is not None:
            kwargs = change(kwargs)
        return method(self, *args, **kwargs)

    setattr(owner, name, wrapper)


def _fewer_steps(steps: int, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of fit with one epoch of a few steps; the data decides where they are silent."""
    if kwargs.get("epochs"):
        kwargs["epochs"] = kwargs.get("initial_epoch", 0) + 1
    for name in ("steps_per_epoch", "validation_steps"):
        if kwargs.get(name):
            kwargs[name] = min(kwargs[name], steps) if steps <= USUAL else steps  # a recipe asks for more
    return kwargs


def _decoders(counts: dict[str, int]) -> None:
    from bert4keras2.snippets import AutoRegressiveDecoder

    start = AutoRegressiveDecoder.__init__

    @functools.wraps(start)
    def short(self: Any, start_id: Any, end_id: Any, maxlen: int, minlen: int = 1, *args: Any, **kwargs: Any) -> None:
        start(self, start_id, end_id, min(maxlen, TOKENS), min(minlen, TOKENS // 2), *args, **kwargs)

    AutoRegressiveDecoder.__init__ = short
    sample = AutoRegressiveDecoder.random_sample

    @functools.wraps(sample)
    def fewer(self: Any, inputs: Any, n: int, *args: Any, **kwargs: Any) -> Any:
        return sample(self, inputs, min(n, SAMPLES), *args, **kwargs)

    AutoRegressiveDecoder.random_sample = fewer
    for name in ("random_sample", "beam_search"):
        method = getattr(AutoRegressiveDecoder, name)

        @functools.wraps(method)
        def counted(self: Any, *args: Any, method: Any = method, **kwargs: Any) -> Any:
            counts["generate"] = counts.get("generate", 0) + 1
            return method(self, *args, **kwargs)

        setattr(AutoRegressiveDecoder, name, counted)


def _offline() -> None:
    """Answer nothing at the keyboard, ask a web server once, and take image models without their weights."""
    builtins.input = _no_input
    from keras import applications

    create = applications.mobilenet_v2.MobileNetV2

    @functools.wraps(create)
    def random_weights(*args: Any, **kwargs: Any) -> Any:
        return create(*args, **{**kwargs, "weights": None})

    applications.mobilenet_v2.MobileNetV2 = applications.MobileNetV2 = random_weights
    from bert4keras2.snippets import WebServing

    WebServing.start = _ask_once


def _no_input(prompt: str = "") -> str:
    raise EOFError("nobody is at the keyboard")


def _ask_once(self: Any) -> None:
    """Serve in a thread, ask the first route for a text, and print what it answers."""
    from wsgiref.simple_server import make_server

    server = make_server("127.0.0.1", 0, self.app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    route = self.app.routes[0].rule
    query = urllib.parse.urlencode({"text": "今天的天气真不错", "n": 2, "k": 2})
    no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with no_proxy.open(f"http://127.0.0.1:{server.server_port}{route}?{query}", timeout=60) as answer:
        print(os.linesep + answer.read().decode("utf-8"))
    server.shutdown()
