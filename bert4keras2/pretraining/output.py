"""What a finished run leaves: a folder that `build_transformer_model` and `load_tokenizer` read, and its card."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from typing import Any, NamedTuple

from bert4keras2.decoders import Generator
from bert4keras2.decoders.saving import generates, write_options
from bert4keras2.files import write_text
from bert4keras2.pictures import training_curve
from bert4keras2.pretraining.card import model_card
from bert4keras2.pretraining.progress import Progress
from bert4keras2.pretraining.texts import VOCABULARY
from bert4keras2.tokenizers import load_tokenizer

__all__ = ["Result", "keep_vocabulary", "save_model"]


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

    def summary(self) -> str:
        """Return it in words: the last figures, and how the model is loaded."""
        last = (f"{name} {round(values[-1], 4)}" for name, values in self.history.items() if values)
        lines = [f"{self.folder}: {', '.join(last)}"]
        if self.tokens_per_second:
            lines.append(f"{self.tokens_per_second:,.0f} tokens per second")
        lines.append(f'Load it with build_transformer_model("{self.folder}") and load_tokenizer("{self.folder}").')
        return "\n".join(lines)


def save_model(
    config: Any,
    transformer: Any,
    made: dict[str, Any],
    history: dict[str, list[float]],
    progress: Progress,
) -> Result:
    """Write model, vocabulary, history, curve and card, and return what the run came to.

    A model that writes texts gets what `Generator.load` reads besides.

    Args:
        config: of the run; its `output` is the folder.
        transformer: the model; the vocabulary of the checkpoint that it began with comes along, if there was one.
        made: what the card says of how it was made.
        history: values by their names in the logs.
        progress: what was noted along the way.
    """
    folder = config.output
    with warnings.catch_warnings():  # generator.json says what config.json cannot
        warnings.filterwarnings("ignore", "A config.json cannot say application")
        transformer.save_pretrained(folder)
    if generates(transformer.config):
        write_options(Generator(transformer, load_tokenizer(folder)), folder)
    record = {"config": config.values(), "history": history}
    write_text(os.path.join(folder, "pretraining.json"), json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    drawn = _draw_curve(os.path.join(folder, "curve.png"), history)
    card = model_card(folder, transformer, made, history, progress.rate, drawn)
    write_text(os.path.join(folder, "README.md"), card + "\n")
    return Result(folder, history, progress.rate)


def keep_vocabulary(path: str, folder: str) -> None:
    """Put a vocabulary into a folder, with what transformers has to know of it."""
    target = os.path.join(folder, VOCABULARY)
    if os.path.abspath(path) != os.path.abspath(target):
        shutil.copyfile(path, target)
    said = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
    write_text(os.path.join(folder, "tokenizer_config.json"), json.dumps(said, indent=1) + "\n")


def _draw_curve(path: str, history: dict[str, list[float]]) -> bool:
    """Draw loss and accuracies, where matplotlib is installed; return whether it was."""
    drawn = {name: values for name, values in history.items() if name.endswith(("loss", "accuracy"))}
    try:
        training_curve(drawn, path, xlabel="states kept")
    except ImportError:
        return False
    return True
