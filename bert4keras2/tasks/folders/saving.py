"""A task as a folder: what Hugging Face reads of it, and `task.json` with the rest."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass, field
from typing import Any

from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.checkpoints.folder import GENERATOR, find_checkpoint, find_config
from bert4keras2.decoders import Generator
from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.embeddings.modules import MODULES
from bert4keras2.errors import CheckpointFormatError, CheckpointMismatchError, CheckpointNotFoundError
from bert4keras2.exporting import ExportedModel, described
from bert4keras2.families.config import read_config
from bert4keras2.files import read_json, write_text
from bert4keras2.functional.later_draws import made_for_loading
from bert4keras2.models import build_transformer_model
from bert4keras2.models.export import save_huggingface
from bert4keras2.tasks.folders.kinds import KINDS, find_kind
from bert4keras2.tokenizers import load_tokenizer
from bert4keras2.tokenizers.folder import save_tokenizer

__all__ = ["Saved", "load", "load_task", "save", "saved_task"]

FILE, FORMAT = "task.json", 1
# What the names of Hugging Face's classes for tasks end with, and the task with the head that is the same function.
CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ForSequenceClassification": ("TextClassifier", {"pooling": "pooler"}),
    "ForTokenClassification": ("EntityTagger", {"head": "softmax"}),
    "ForQuestionAnswering": ("SpanReader", {"head": "start_end"}),
    "ForMultipleChoice": ("MultipleChoice", {"pooling": "pooler"}),
}
PROBLEMS = {"regression": "number", "multi_label_classification": "multi", "single_label_classification": "single"}
# Options of `build_transformer_model` that the written weights have behind them.
DONE = ("keep_tokens", "compound_tokens", "checkpoint_path", "ignore_invalid_weights", "autoresize_weights", "progress")
# Positions of a Hugging Face folder's task, unless the model has fewer.
LONGEST = 512


@dataclass(frozen=True)
class Saved:
    """What a folder says of the task in it.

    Attributes:
        kind: the name of the task's class.
        labels: the labels of its head; None if it has none.
        settings: the task's own options.
        build: options of `build_transformer_model`.
        tokenizer: options of `load_tokenizer`.
        whole: whether texts are as long as the model knows positions, since nobody says more.
    """

    kind: str
    labels: list[str] | None
    settings: dict[str, Any] = field(default_factory=dict)
    build: dict[str, Any] = field(default_factory=dict)
    tokenizer: dict[str, Any] = field(default_factory=dict)
    whole: bool = False


def save(task: Any, folder: str | os.PathLike) -> None:
    """Write a task, as `Task.save` says."""
    folder = os.fspath(folder)
    task.model  # noqa: B018  (an error where there is none yet)
    said = told(task)
    save_huggingface(task.transformer, folder, also=task.huggingface_keys())
    save_tokenizer(task.tokenizer, folder, task.transformer)
    write_told(folder, said)


def told(task: Any) -> dict[str, Any]:
    """Return what `task.json` says of a task."""
    build = {name: value for name, value in task.build_options.items() if name not in DONE}
    return {
        "format": FORMAT,
        "task": type(task).__name__,
        "options": task.settings(),
        "model": _writable(build),
        "tokenizer": _writable(task.tokenizer_options),
    }


def write_told(folder: str, said: dict[str, Any]) -> None:
    """Write `task.json`."""
    write_text(os.path.join(folder, FILE), json.dumps(said, ensure_ascii=False, indent=1) + "\n")


def _writable(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that JSON can hold, with a warning about others."""
    found = {}
    for name, value in options.items():
        try:
            json.dumps(value)
            found[name] = value
        except TypeError:
            warnings.warn(f"{FILE} cannot hold {name}={value!r:.80}: pass it to load_task again", stacklevel=6)
    return found


def saved_task(folder: str | os.PathLike) -> Saved | None:
    """Return what a folder says of the task in it, None if it has none.

    Raises:
        CheckpointError: if `task.json` is damaged, of a newer version, or does not fit config.json.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        return None
    path = os.path.join(folder, FILE)
    if os.path.isfile(path):
        return _our_own(folder, path)
    try:
        file = read_config(find_config(folder, "safetensors"))
    except CheckpointNotFoundError:
        return None
    for name in file.get("architectures") or ():
        for ending, (kind, settings) in CLASSES.items():
            if str(name).endswith(ending):
                return _of_huggingface(file, kind, settings)
    return None


def _our_own(folder: str, path: str) -> Saved:
    said = read_json(path, "a task of bert4keras2")
    kind, parts = said.get("task"), [said.get(name, {}) for name in ("options", "model", "tokenizer")]
    number = said.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise CheckpointFormatError(f"{path} is of a newer version of bert4keras2 (format {number}): update it")
    if find_kind(kind) is None or not all(isinstance(part, dict) for part in parts):
        raise CheckpointFormatError(f"{path} describes no task: 'task' is {kind!r}, expected one of {', '.join(KINDS)}")
    labels = None
    if KINDS[kind].labelled:
        file = read_config(find_config(folder, "safetensors"))
        if not file.get("id2label"):
            raise CheckpointFormatError(f"{path} is of a {kind}, but config.json beside it has no 'id2label'")
        labels = _labels(file)
    labels, settings = KINDS[kind].from_labels(labels, parts[0])
    return Saved(kind, labels, settings, *parts[1:])


def _of_huggingface(file: dict[str, Any], kind: str, settings: dict[str, Any]) -> Saved:
    settings = dict(settings)
    labels = _labels(file) if KINDS[kind].labelled else None
    if kind == "TextClassifier":
        problem = file.get("problem_type") or (
            "regression" if len(labels or ()) == 1 else "single_label_classification"
        )
        settings["kind"] = PROBLEMS.get(problem, "single")
    return Saved(kind, *KINDS[kind].from_labels(labels, settings), whole=True)


def _labels(file: dict[str, Any]) -> list[str]:
    """Return the labels of a config.json, in which those of a head with two unnamed ones are left out."""
    table = file.get("id2label") or {str(i): f"LABEL_{i}" for i in range(file.get("num_labels") or 2)}
    try:
        found = [str(table[key]) for key in sorted(table, key=int)]
        if [int(key) for key in sorted(table, key=int)] != list(range(len(found))):
            raise ValueError("numbers are missing")
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointFormatError(
            f"id2label of config.json maps the numbers from 0 on to labels ({error})"
        ) from error
    return found


def load(folder: str, saved: Saved, options: dict[str, Any]) -> Any:
    """Return the task of a folder.

    Args:
        folder: with weights, configuration and vocabulary.
        saved: what it says.
        options: of the task, `tokenizer_options`, and of `build_transformer_model`, which win over what it says; of an
            exported task, its own and `threads`.

    Raises:
        CheckpointError: if labels, head and weights do not fit together.
    """
    if described(folder) is not None:
        return _load_exported(folder, saved, options)
    cls, options = KINDS[saved.kind], dict(options)
    settings = {**saved.settings, **{name: options.pop(name) for name in cls.own_options() if name in options}}
    tokenizer_options = {**saved.tokenizer, **(options.pop("tokenizer_options", None) or {})}
    build = {**saved.build, **options}
    found = find_checkpoint(folder)
    implied = cls.implied_options(settings, folder, build)
    tokenizer = load_tokenizer(folder, **tokenizer_options)
    labels = {"labels": saved.labels} if cls.labelled else {}

    def make() -> Any:
        transformer = build_transformer_model(found.config_path, **{**implied, **build, "return_keras_model": False})
        if saved.whole:
            settings.setdefault("maxlen", min(transformer.config.positions or LONGEST, LONGEST))
        return cls(transformer, tokenizer, **labels, **settings)

    task, draws = made_for_loading(make, later=not isinstance(build.get("model"), type))
    transformer = task.transformer
    try:
        transformer.load_weights_from_checkpoint(found.checkpoint_path, progress=build.get("progress"))
    except CheckpointMismatchError as error:
        told = f"{len(saved.labels)} labels: {', '.join(saved.labels)[:200]}" if saved.labels else "no labels"
        raise CheckpointMismatchError(
            f"{error}\nThe folder says that it is a {saved.kind} with {told}. If weights and config.json are of"
            f" different runs, save the task again"
        ) from error
    if draws is not None:
        draws.finish()
    transformer.source = folder
    task.build_options, task.tokenizer_options = build, tokenizer_options
    return task


def _load_exported(folder: str, saved: Saved, options: dict[str, Any]) -> Any:
    """Return the task of an exported folder: it predicts and evaluates, by onnxruntime."""
    cls, options = KINDS[saved.kind], dict(options)
    own = {name: options.pop(name) for name in cls.own_options() if name in options}
    tokenizer_options = {**saved.tokenizer, **(options.pop("tokenizer_options", None) or {})}
    threads = options.pop("threads", None)
    if options:
        raise ValueError(
            f"{folder} holds an exported model, which is built already: {next(iter(options))} says nothing"
        )
    labels = {"labels": saved.labels} if cls.labelled else {}
    settings = {**saved.settings, **own}
    return cls(
        ExportedModel(folder, "task", threads), load_tokenizer(folder, **tokenizer_options), **labels, **settings
    )


def load_task(folder: str | os.PathLike, **options: Any) -> Any:
    """Return the task that a folder holds, with its weights, labels and tokenizer.

    Args:
        folder: what `Task.save` wrote; or the folder (or name on the hub) of one of Hugging Face's classifiers of
            texts or tokens, extractive readers, or models for multiple choice. What `Task.export` wrote as ONNX is
            run by onnxruntime.
        **options: those of the task, `tokenizer_options`, and of `build_transformer_model`, to be used instead of what
            the folder says; of an exported task, its own and `threads`.

    Returns:
        A `TextClassifier`, `EntityTagger`, `SpanReader`, `MultipleChoice` or `TextMatcher`; or the `Generator` or
        `SentenceEncoder` whose `save` wrote the folder.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the folder holds no task, or its parts do not fit together.
    """
    path = resolve(folder, progress=options.get("progress"))
    saved = saved_task(path)
    if saved is None:
        if os.path.isfile(os.path.join(path, GENERATOR)):
            return Generator.load(path, **options)
        if os.path.isfile(os.path.join(path, MODULES)):
            return SentenceEncoder.load(path, **options)
        raise CheckpointFormatError(
            f"{os.fspath(folder)!r} holds no task: there is no {FILE}, and config.json names no class that ends with"
            f" {', '.join(CLASSES)}. TextClassifier.from_checkpoint({os.fspath(folder)!r}, labels=[...]) begins one"
        )
    return load(path, saved, options)
