"""What a finished run leaves: a folder that `build_transformer_model` and `load_tokenizer` read, and its card."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any, NamedTuple

from bert4keras2.checkpoints.folder import companions
from bert4keras2.files import atomic_path
from bert4keras2.pretraining.card import model_card
from bert4keras2.pretraining.config import PretrainingConfig
from bert4keras2.pretraining.objectives import Objective
from bert4keras2.pretraining.progress import Progress
from bert4keras2.pretraining.shards import Shards
from bert4keras2.pretraining.texts import VOCABULARY

__all__ = ["Result", "save_result"]


class Result(NamedTuple):
    """What a run came to.

    Attributes:
        folder: of the finished model.
        history: {name in the logs: its values, one for each state that was kept}.
        tokens_per_second: of the last process, padding included; 0 if nothing was left to do.
    """

    folder: str
    history: dict[str, list[float]]
    tokens_per_second: float


def save_result(
    config: PretrainingConfig,
    objective: Objective,
    shards: Shards,
    transformer: Any,
    history: dict[str, list[float]],
    progress: Progress,
) -> Result:
    """Write model, vocabulary, history, curve and card, and return what the run came to."""
    transformer.save_pretrained(config.output)
    _copy_vocabulary(config)
    record = {"config": config.values(), "history": history}
    _write_text(config.output, "pretraining.json", json.dumps(record, ensure_ascii=False, indent=1))
    drawn = _draw_curve(os.path.join(config.output, "curve.png"), history)
    card = model_card(config, objective, shards, transformer, history, progress, drawn)
    _write_text(config.output, "README.md", card)
    return Result(config.output, history, progress.rate)


def _copy_vocabulary(config: PretrainingConfig) -> None:
    """Put the files of the vocabulary beside the weights."""
    if config.start is not None:
        for name in companions(config.start):
            shutil.copyfile(os.path.join(config.start, name), os.path.join(config.output, name))
    else:
        target = os.path.join(config.output, VOCABULARY)
        if config.vocabulary and os.path.abspath(config.vocabulary) != os.path.abspath(target):
            shutil.copyfile(config.vocabulary, target)
        said = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
        _write_text(config.output, "tokenizer_config.json", json.dumps(said, indent=1))


def _write_text(folder: str, name: str, text: str) -> None:
    with atomic_path(os.path.join(folder, name)) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def _draw_curve(path: str, history: dict[str, list[float]]) -> bool:
    """Draw loss and accuracies, where matplotlib is installed; return whether it was."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, values in history.items():
        axes = left if name.endswith("loss") else right if name.endswith("accuracy") else None
        if axes is not None:
            axes.plot(range(1, len(values) + 1), values, label=name, marker="." if len(values) < 30 else None)
    for axes, title in ((left, "loss"), (right, "accuracy")):
        axes.set(title=title, xlabel="states kept")
        if axes.lines:
            axes.legend()
        axes.grid(alpha=0.3)
    with atomic_path(path, ".png") as partial:
        figure.savefig(partial, dpi=120)
    return True
