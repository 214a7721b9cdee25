"""What a family's page is made of: the family, tables of its variables' names in checkpoints, its released packages."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

__all__ = ["Family", "Part", "Place", "Released", "Row", "Table"]

# What the heads of tasks are called beside a backbone where the source has no class for them.
TASK = "task.*"
# What the names of variables begin with that no released checkpoint has: they follow those of the model's layers.
OWN = "bert4keras2"
# What a placeholder of a row matches in the names of the model's variables.
PLACEHOLDERS = {"i": r"\d{1,9}", "dense": "kernel|bias", "norm": "beta|gamma", "qkv": "q|k|v"}


class Part(NamedTuple):
    """Which of several equal parts of a stored array a variable is: the names of GPT-2 pack q, k and v like this."""

    axis: int
    index: int
    count: int


class Place(NamedTuple):
    """Where a variable is in a checkpoint: the names that it may have, whether transposed, which part of the array.

    An optional one keeps its first value where the checkpoint lacks it.
    """

    names: list[str]
    transpose: bool = False
    part: Part | None = None
    optional: bool = False


@dataclass(frozen=True)
class Row:
    """One pair of names, with placeholders in braces that stand for the same on both sides.

    Args:
        path: a model's variable, such as "Transformer-{i}-FeedForward/i0_dense/{dense}".
        name: the checkpoint's name for it.
        transpose: the checkpoint stores the matrix transposed.
        aliases: further names that old files use.
        part: the variable is one part of the stored array; all parts of it have rows of the same name.
    """

    path: str
    name: str
    transpose: bool = False
    aliases: tuple[str, ...] = ()
    part: Part | None = None


@dataclass(frozen=True)
class Table:
    """The names of one source for the variables of one family.

    Args:
        rows: the pairs of names; the first that matches counts.
        words: what the values of placeholders are called there, such as {"kernel": "weight"}.
        transposed: all matrices called "kernel" are stored transposed.
        heads: patterns of names that other heads of the family use: no reason for a warning.
        ignore: patterns of names that hold no weights, such as optimizer slots.
        roots: prefixes that all names may have or lack; the first that fits is taken.
        tasks: rows of the heads that tasks (bert4keras2.tasks) put on top, where the source has a class for them.
    """

    rows: tuple[Row, ...]
    words: dict[str, str] = field(default_factory=dict)
    transposed: bool = False
    heads: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    roots: tuple[str, ...] = ("",)
    tasks: tuple[Row, ...] = ()

    def find(self, path: str) -> Place | None:
        """Return where a variable is in the checkpoint.

        Args:
            path: the variable's path without the model's prefix.

        Returns:
            None if the table says nothing about the variable.
        """
        for row in (*self.rows, *self.tasks):
            match = re.fullmatch(_pattern(row.path), path)
            if match:
                values = {
                    name: int(value) if name == "i" else self.words.get(value, value)
                    for name, value in match.groupdict().items()
                }
                names = [name.format(**values) for name in (row.name, *row.aliases)]
                transpose = row.transpose or (self.transposed and path.endswith("/kernel"))
                return Place(names, transpose, row.part)
        return None

    def silent(self, name: str) -> bool:
        """Whether a name of the checkpoint that the model does not use is nothing to warn about."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in (*self.heads, *self.ignore, TASK, f"{OWN}[./]*"))

    def variant(self, drop: tuple[str, ...] = (), plus: tuple[Row, ...] = (), **changes: Any) -> Table:
        """Return a table with rows dropped (by patterns of their paths) and others put first."""
        kept = tuple(row for row in self.rows if not any(fnmatch.fnmatchcase(row.path, p) for p in drop))
        return replace(self, rows=(*plus, *kept), **changes)


def _pattern(template: str) -> str:
    """Return the regular expression of a path with placeholders."""
    parts = re.split(r"\{(\w+)\}", template)
    return "".join(f"(?P<{p}>{PLACEHOLDERS[p]})" if k % 2 else re.escape(p) for k, p in enumerate(parts))


@dataclass(frozen=True)
class Released:
    """A released package, or several that differ in size alone.

    Args:
        name: of the folder that it unpacks to; {a,b} stands for either, * for anything.
        model: what `model=` of build_transformer_model takes.
        project: where it is published: a project on github.com, or a repository on the Hugging Face hub alone ("").
        options: further arguments of build_transformer_model.
        tokenizer: what to know for the tokenizer; "" for a WordPiece vocabulary in lower case.
        hub: name on the Hugging Face hub of a port by its authors.
        note: what else differs from the usual files.
    """

    name: str
    model: str
    project: str
    options: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = ""
    hub: str = ""
    note: str = ""

    @property
    def folders(self) -> list[str]:
        """The folder names, with {a,b} written out."""
        return _written_out(self.name)


def _written_out(name: str) -> list[str]:
    match = re.search(r"\{([^{}]*)\}", name)
    if match is None:
        return [name]
    return [
        full
        for choice in match[1].split(",")
        for full in _written_out(name[: match.start()] + choice + name[match.end() :])
    ]


@dataclass(frozen=True)
class Family:
    """Everything that the library knows of one family of models; the code that computes them is shared by all.

    Args:
        name: what `model=` of build_transformer_model takes.
        structure: fields of `Config` in which it differs from BERT.
        tensorflow: names in the TensorFlow checkpoints that it was released as; None if there are none.
        huggingface: names in Hugging Face folders; None if there is no layout.
        model_type: what Hugging Face's config.json calls it; "" if there is no layout.
        class_name: what the names of Hugging Face's classes begin with.
        classifier_act: activation of the hidden layer that Hugging Face's classifier of texts has where others have the
            pooler; "" where it stands on that.
        names_embedding_size: whether its config.json has the key `embedding_size` even where that is the width.
        causal_class: what the name of its language model ends with; "" if it has none.
        other_names: what `model=` takes besides, with the options that each of these implies.
        other_layouts: layouts of TensorFlow files that are read and not written, each with a name that it alone holds.
        claims: (model_type with underscores, content of a JSON) -> whether such a configuration is of this family,
            where its `model_type` is shared with others.
        telling_keys: keys of a configuration that this family alone has, for files older than `model_type`.
        signs: regular expressions of names that only this family's checkpoints hold.
        unlike: the same of names that rule the family out, whatever the signs.
        hints: the same for what tells it from BERT's other relatives, once no sign has been found.
        stored_as: another family whose checkpoints hold the same names; only the configuration tells them apart.
        read: content of a Hugging Face config.json -> with the spellings that `Config` knows, where they differ.
        write: `Config` -> content of such a file, where it is not BERT's.
        keys: `Config` -> further keys of such a file, where it is BERT's.
        released: packages.
        own: nobody has released any: variables without a row are written under their own paths, so rows are few.
    """

    name: str
    structure: dict[str, Any]
    tensorflow: Table | None = None
    huggingface: Table | None = None
    model_type: str = ""
    class_name: str = ""
    causal_class: str = ""
    classifier_act: str = ""
    names_embedding_size: bool = False
    other_names: dict[str, dict[str, Any]] = field(default_factory=dict)
    other_layouts: tuple[tuple[str, Table], ...] = ()
    claims: Callable[[str, dict[str, Any]], bool] | None = None
    telling_keys: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    stored_as: str | None = None
    read: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    write: Callable[[Any], dict[str, Any]] | None = None
    keys: Callable[[Any], dict[str, Any]] | None = None
    released: tuple[Released, ...] = ()
    own: bool = False
