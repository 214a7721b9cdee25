"""How tasks come from folders and go into them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.checkpoints.loader import table_for
from bert4keras2.embeddings.exported import write_exported
from bert4keras2.families.table import page
from bert4keras2.models import build_transformer_model
from bert4keras2.tasks.folders.saving import load, load_task, save, saved_task, told, write_told
from bert4keras2.tasks.rows.values import numbered
from bert4keras2.tokenizers import load_tokenizer

__all__ = ["TaskFolders"]

T = TypeVar("T", bound="TaskFolders")


class TaskFolders:
    """The part of a `Task` that speaks of folders."""

    transformer: Any
    tokenizer: Any
    labels: list[str] | None
    build_options: dict[str, Any]
    tokenizer_options: dict[str, Any]
    model: Any
    maxlen: int
    prefix: str
    parts: Callable[[], dict[str, Any]]
    #: Whether a task has labels at all.
    labelled = True

    @classmethod
    def from_checkpoint(
        cls: type[T], name_or_folder: str | os.PathLike, labels: Iterable[Any] | None = None, **options: Any
    ) -> T:
        """Return a task on the model of a released checkpoint, or go on with a task that was saved.

        Args:
            name_or_folder: the folder that `build_transformer_model` reads, or its name on the Hugging Face hub. A
                folder of a saved task of this kind, or one of Hugging Face's classifiers of it, brings its head
                along, if `labels` are not given or are its own.
            labels: the labels that there are; those of the folder or of the first `fit` if None.
            **options: those of the task; `tokenizer_options`, a dict for `load_tokenizer`; all others go to
                `build_transformer_model`, such as model="roformer_v2" or dropout_rate=0.1.

        Raises:
            FileNotFoundError: if a file is missing.
            TypeError: for an unknown option.
            ValueError: if files and options do not fit together.
        """
        folder = resolve(name_or_folder, progress=options.get("progress"))
        saved = saved_task(folder)
        given = numbered(labels) if cls.labelled else None
        if saved is not None and saved.kind == cls.__name__ and given in (None, saved.labels):
            return load(folder, saved, options)
        own = {name: options.pop(name) for name in cls.own_options() if name in options}
        tokenizer_options = options.pop("tokenizer_options", None) or {}
        implied = cls.implied_options(own, folder, options)
        tokenizer = load_tokenizer(folder, **tokenizer_options)
        transformer = build_transformer_model(folder, **{**implied, **options, "return_keras_model": False})
        task = cls(transformer, tokenizer, labels=given, **own) if cls.labelled else cls(transformer, tokenizer, **own)
        task.build_options, task.tokenizer_options = options, tokenizer_options
        return task

    @classmethod
    def own_options(cls) -> list[str]:
        """Return the names of the task's own options."""
        found = {}
        for part in reversed(cls.__mro__):
            if "__init__" in vars(part) and part is not object:
                found |= inspect.signature(part.__init__).parameters
        return [name for name in found if name not in ("self", "transformer", "tokenizer", "labels", "options")]

    @classmethod
    def implied_options(cls, own: dict[str, Any], folder: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of `build_transformer_model` that the task's own imply."""
        return {}

    @classmethod
    def from_labels(cls, labels: list[str] | None, settings: dict[str, Any]) -> tuple[list[str] | None, dict[str, Any]]:
        """Return the task's labels and options for those of a folder."""
        return labels, settings

    def settings(self) -> dict[str, Any]:
        """Return the task's own options, which a saved folder keeps."""
        return {name: getattr(self, name) for name in self.own_options()}

    def huggingface_keys(self) -> dict[str, Any]:
        """Return what config.json says of the task."""
        if self.labels is None:
            return {}
        numbers = dict(enumerate(self.labels))
        return {"id2label": {str(i): x for i, x in numbers.items()}, "label2id": {x: i for i, x in numbers.items()}}

    def has_class(self, layer: str) -> bool:
        """Whether Hugging Face has a class for the model with a head of this name."""
        config = self.transformer.config
        table = table_for(config.family, "huggingface")
        return config.prefix + layer in self.transformer.layers and table.find(f"{layer}/kernel") is not None

    def class_name(self, ending: str) -> list[str]:
        """Return the `architectures` of a config.json for the class that has the ending."""
        return [page(self.transformer.config.family).class_name + ending]

    def save(self, folder: str | os.PathLike) -> None:
        """Write the task: model, head, vocabulary, labels and options; `load_task` reads it.

        The folder is one of Hugging Face's, too: its `AutoModel` reads the model, and where it has a class for the
        head, `pipeline` reads all of it.

        Args:
            folder: where to; it is made.

        Raises:
            ValueError: if there is no model yet, or the files of the tokenizer are not known.
            OSError: if the disk takes no more.
        """
        save(self, folder)

    def export(self, folder: str | os.PathLike, to: str = "onnx", int8: bool = False, **options: Any) -> str:
        """Write the task for another program: the model, its labels and options, and the tokenizer's files.

        Args:
            folder: where to; as ONNX, `load_task` reads it.
            to: "onnx", "saved_model", "litert" or "openvino".
            int8: matrices of eight bits ("onnx", "litert").
            **options: `opset` for ONNX.

        Returns:
            What was written and how it compares, in words.

        Raises:
            ImportError: if a package of the format is not installed.
            ValueError: if there is no model yet, or it cannot be exported.
        """
        said = told(self)
        return write_exported(
            folder, "task", self.model, self.transformer, self.tokenizer, to, int8, ["scores"],
            {"maxlen": self.maxlen, "prefix": self.prefix}, self.parts(), self.huggingface_keys(),
            lambda place: write_told(place, said), **options,
        )  # fmt: skip

    @classmethod
    def load(cls: type[T], folder: str | os.PathLike, **options: Any) -> T:
        """Return a task of this kind from the folder that `save` wrote; `load_task` finds the kind by itself."""
        task = load_task(folder, **options)
        if not isinstance(task, cls):
            raise ValueError(f"{os.fspath(folder)} holds a {type(task).__name__}, not a {cls.__name__}")
        return task
