"""What a run shows and notes while it is under way."""

from __future__ import annotations

import time
from typing import Any

import keras

__all__ = ["Progress"]


class Progress(keras.callbacks.Callback):
    """A bar over all steps: loss, accuracy, tokens per second, the expected end; and the log of each evaluation.

    Args:
        steps: batches of the whole run.
        done: batches that were trained on before.
        tokens: of a batch, padding included.
        show: show the bar.

    Attributes:
        seconds: how long the steps of this process took, evaluation and saving included.
        count: batches of this process.
    """

    def __init__(self, steps: int, done: int, tokens: int, show: bool = True):
        super().__init__()
        self.tokens, self.seconds, self.count = tokens, 0.0, 0
        self._options = {"total": steps, "initial": done, "disable": not show, "unit": "step", "desc": "training"}
        self._started = time.perf_counter()

    def on_train_begin(self, logs: Any = None) -> None:
        """Show the bar."""
        if not hasattr(self, "_bar"):
            from tqdm import tqdm

            self._bar = tqdm(**self._options)
            self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move on; numbers are looked at now and then alone, as they make steps wait."""
        self.count += 1
        self.seconds = time.perf_counter() - self._started
        if self._bar.update():
            self._show(logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Show the means since the last evaluation."""
        self._show(logs or {})

    def _show(self, logs: dict[str, Any]) -> None:
        shown = {name: f"{float(value):.4g}" for name, value in logs.items() if _is_shown(name)}
        self._bar.set_postfix({**shown, "tokens/s": f"{self.rate:,.0f}"}, refresh=False)

    @property
    def rate(self) -> float:
        """Tokens per second of this process."""
        return self.tokens * self.count / self.seconds if self.seconds else 0.0

    def close(self) -> None:
        """Put the bar away."""
        if hasattr(self, "_bar"):
            self._bar.close()


def _is_shown(name: str) -> bool:
    return name in ("loss", "val_loss") or name.endswith("accuracy")
