"""Generators in folders: the model, the tokenizer, and how prompts are made and texts end."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

from bert4keras2.checkpoints.folder import GENERATOR
from bert4keras2.errors import CheckpointFormatError
from bert4keras2.files import read_json, write_text
from bert4keras2.tokenizers.folder import save_tokenizer

__all__ = ["generates", "save_generator", "saved_options", "transformer_to_save", "write_options"]

FORMAT = 1
MODEL_OPTIONS = ("application", "with_lm")


def save_generator(generator: Any, model: Any, folder: str | os.PathLike) -> None:
    """Write a generator, as `Generator.save` says.

    Args:
        generator: the `Generator`.
        model: the model that it was made of.
        folder: where to.
    """
    transformer = transformer_to_save(generator, model)
    folder = os.fspath(folder)
    with warnings.catch_warnings():  # our own file says what config.json cannot
        warnings.filterwarnings("ignore", "A config.json cannot say application")
        transformer.save_pretrained(folder)
    save_tokenizer(generator.tokenizer, folder, transformer)
    write_options(generator, folder)


def generates(config: Any) -> bool:
    """Whether a model of this configuration is one that a `Generator` takes."""
    if config.stack == "seq2seq":
        return bool(config.with_lm)
    return config.stack == "single" and config.application in ("lm", "unilm")


def transformer_to_save(generator: Any, model: Any) -> Any:
    """Return the `Transformer` of a generator that a folder can keep.

    Raises:
        ValueError: if its model is none of `build_transformer_model`, `prompt` is a function, or there is no tokenizer.
    """
    transformer = model if hasattr(model, "hidden_states") else getattr(model, "transformer", None)
    if not hasattr(transformer, "save_pretrained"):
        raise ValueError("save() writes a model of build_transformer_model, and this generator was made of another one")
    if generator.prompter.encode is not None:
        raise ValueError(
            "prompt= is a function, which a folder cannot keep: save a generator without it, and pass it to load()"
        )
    if generator.tokenizer is None:
        raise ValueError("save() writes the tokenizer too, and this generator has none")
    return transformer


def write_options(generator: Any, folder: str) -> None:
    """Write how a generator makes prompts and ends texts, and what its model was built for."""
    prompter, config = generator.prompter, generator.engine.config
    options = {"end_id": list(generator.end_ids), "maxlen": prompter.maxlen, "start_id": prompter.start_id}
    options |= {"segment": prompter.segment, "batch_size": generator.batch_size}
    said = {"format": FORMAT, "options": options, "model": {name: getattr(config, name) for name in MODEL_OPTIONS}}
    write_text(os.path.join(folder, GENERATOR), json.dumps(said, ensure_ascii=False, indent=1) + "\n")


def saved_options(folder: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the generator and of the model that a folder keeps; none of a released checkpoint.

    Raises:
        CheckpointFormatError: if the file is damaged, or of a newer version.
    """
    path = os.path.join(os.fspath(folder), GENERATOR)
    if not os.path.isfile(path):
        return {}, {}
    said = read_json(path, "a generator of bert4keras2")
    number, options, model = (said.get(name) for name in ("format", "options", "model"))
    if isinstance(number, int) and number > FORMAT:
        raise CheckpointFormatError(f"{path} is of a newer version of bert4keras2 (format {number}): update it")
    if not isinstance(options, dict) or not isinstance(model, dict):
        raise CheckpointFormatError(f"{path} describes no generator: 'options' and 'model' are objects there")
    return options, {name: value for name, value in model.items() if name in MODEL_OPTIONS}
