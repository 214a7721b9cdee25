"""A task of CLUE or FewCLUE: its files, labels, reader, measure and predict files, in one object."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bert4keras2.clue.rows import Row
from bert4keras2.files import write_text

__all__ = ["Archive", "Kind", "Output", "Task"]

Names = tuple[str | tuple[str, ...], ...]
_PARTS = ("0", "1", "2", "3", "4", "few_all")  # of FewCLUE's training and development sets


@dataclass(frozen=True)
class Kind:
    """What tasks of one form share; each function gets the task first.

    Attributes:
        read: (task, path) -> rows.
        score: (task, rows, predictions) -> measures, with "score" for the one that the leaderboard takes.
        render: (task, rows, predictions) -> the content of the predict file.
        check: (task, rows or None, content) -> what is wrong with a predict file, one sentence for each problem.
        target: the attribute of a row that holds what is to be found.
    """

    read: Callable[[Task, str], list[Any]]
    score: Callable[[Task, Sequence[Any], Sequence[Any]], dict[str, Any]]
    render: Callable[[Task, Sequence[Any], Sequence[Any]], str]
    check: Callable[[Task, Sequence[Any] | None, str], list[str]]
    target: str


@dataclass(frozen=True)
class Output:
    """A predict file: the leaderboard's version, the file's name, and the names of the test file it answers."""

    version: str
    name: str
    tests: tuple[str, ...]
    also: tuple[str, ...] = ()  # names that the submission rules give it as well


@dataclass(frozen=True)
class Archive:
    """Where a task is to be had: one zip archive, or single files below an address.

    Attributes:
        address: of the archive, or of the folder of `files`.
        size, sha256: of the archive where they are known, otherwise 0 and "".
        files: names below the address; empty for an archive.
    """

    address: str
    size: int = 0
    sha256: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A task, as `bert4keras2.clue.CLUE` and `FEWCLUE` hold them by name.

    Attributes:
        name: as CLUE writes it.
        suite: "clue" or "fewclue".
        title: what it is called in Chinese.
        kind: how its rows are read, measured and written.
        labels: its labels in the order of class numbers, with what they mean; empty where answers are no classes.
        fields: the names of a row's texts in the files.
        files: for each split the names it goes by, in order of preference; names in a tuple are read together.
        outputs: its predict files, the newest version first.
        archive: where it is to be had.
        metric: the leaderboard's measure.
        integer_ids: the predict file has ids as numbers.
    """

    name: str
    suite: str
    title: str
    kind: Kind = field(repr=False)
    fields: tuple[str, ...]
    files: Mapping[str, Names] = field(repr=False)
    outputs: tuple[Output, ...] = field(repr=False)
    archive: Archive = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)
    metric: str = "accuracy"
    integer_ids: bool = False

    @property
    def label_names(self) -> list[str]:
        """The labels in the order of class numbers."""
        return list(self.labels)

    def find(self, folder: str | os.PathLike, split: str, part: int | str | None = None) -> list[str]:
        """Return the paths of a split's files; most splits are one file.

        Args:
            folder: of the task.
            split: "train", "valid", "test", and where the task has them "test_public", "trial" and "unlabeled".
            part: of FewCLUE's training and development sets: 0 to 4, or "few_all"; by default all of them together.

        Raises:
            FileNotFoundError: if the folder has none of the names; they are listed.
            ValueError: for a split or a part that the task does not have.
        """
        folder = os.fspath(folder)
        if split not in self.files:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.files)}")
        names = self.files[split]
        if part is not None:
            if self.suite != "fewclue" or split not in ("train", "valid") or str(part) not in _PARTS:
                raise ValueError(f"part={part!r} is for training and development sets of FewCLUE: 0 to 4, or 'few_all'")
            names = (f"{'dev' if split == 'valid' else split}_{part}.json",)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"There is no data folder {folder}")
        for name in names:
            paths = [os.path.join(folder, each) for each in ([name] if isinstance(name, str) else name)]
            there = [os.path.isfile(path) for path in paths]
            if all(there):
                return paths
            if any(there):
                raise FileNotFoundError(
                    f"{paths[there.index(False)]} is missing; {' and '.join(name)} are the {split} set together"
                )
        wanted = ", ".join(name if isinstance(name, str) else " with ".join(name) for name in names)
        raise FileNotFoundError(f"{folder} has no {split} file of {self.name}: looked for {wanted}")

    def read(self, path: str | os.PathLike) -> list[Any]:
        """Return the rows of a file; the types are in `bert4keras2.clue.rows`.

        Rows of inference tasks on which the annotators did not agree ("-") are left out.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is damaged, of another task, has a label that the task does not know or a span that does
                not fit its text; the message names the file and the line.
        """
        path = os.fspath(path)
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no file {path}")
        return self.kind.read(self, path)

    def load(self, folder: str | os.PathLike, split: str, part: int | str | None = None) -> list[Any]:
        """Return the rows of a split; arguments and errors are those of `find` and `read`.

        Raises:
            ValueError: also if a row to learn from or to measure with has no label.
        """
        rows: list[Any] = []
        for path in self.find(folder, split, part):
            found = self.read(path)
            if split in ("train", "valid") and (bare := next((row for row in found if not self.has_target(row)), None)):
                raise ValueError(
                    f"{path} is to be a {split} set, but the row with the id {bare.id} has no {self.kind.target}; is"
                    " it a test set?"
                )
            rows += found
        return rows

    def has_target(self, row: Row) -> bool:
        """Whether a row holds what is to be found; rows of test sets do not."""
        value = getattr(row, self.kind.target)
        # A text may have no entities; a question without an answer is one of a test set.
        return value is not None and not (self.kind.target == "answers" and not value)

    def score(self, rows: Sequence[Any], predictions: Sequence[Any]) -> dict[str, Any]:
        """Return the official measures of predictions, from 0 to 1; "score" is the leaderboard's.

        Args:
            rows: N rows with what is to be found.
            predictions: for each row a label; for c3 and chid the index of a choice or an idiom; for cmrc2018 a text;
                for cluener spans (start, end, type), the end exclusive.

        Returns:
            {"score": ..., and what the task measures besides}.

        Raises:
            ValueError: if the numbers differ, there are none, or a row has nothing to compare with.
        """
        self._same_number(rows, predictions)
        if (bare := next((row for row in rows if not self.has_target(row)), None)) is not None:
            raise ValueError(f"the row {bare.id} has no {self.kind.target} to compare with; test sets have none")
        return self.kind.score(self, rows, predictions)

    def output(self, version: str | None = None) -> Output:
        """Return the predict file of a version ("1.0", "1.1"), the newest by default.

        Raises:
            ValueError: if the task has no such version.
        """
        for output in self.outputs:
            if version is None or output.version == version:
                return output
        known = ", ".join(output.version for output in self.outputs)
        raise ValueError(f"{self.name} has no test set of version {version!r}; there is {known}")

    def write(
        self,
        folder: str | os.PathLike,
        rows: Sequence[Any],
        predictions: Sequence[Any],
        version: str | None = None,
        part: int | str | None = None,
    ) -> str:
        """Write the predict file that the leaderboard takes, under its name; it appears whole or not at all.

        Args:
            folder: where it is written; made if need be.
            rows: those of the test file, in its order.
            predictions: one for each row, as for `score`.
            version: of the test file, the newest by default.
            part: FewCLUE's training set that the model learnt from, 0 to 4 or "all", for its second stage.

        Returns:
            The path of the file.

        Raises:
            ValueError: if the numbers differ, or a prediction is none that the task allows.
            OSError: if the disk takes no more.
        """
        self._same_number(rows, predictions)
        content = self.kind.render(self, rows, predictions)
        os.makedirs(folder, exist_ok=True)
        name = self.output(version).name
        if part is not None:
            if self.suite != "fewclue" or str(part) not in (*_PARTS[:5], "all"):
                raise ValueError(f"part={part!r} is for FewCLUE: 0 to 4, or 'all'")
            name = name.replace(".json", f"_{part}.json")
        path = os.path.join(os.fspath(folder), name)
        write_text(path, content)
        return path

    def check_label(self, label: str) -> None:
        """Raise a ValueError that lists the labels if this is none of them."""
        if label not in self.labels:
            some = list(self.labels)
            shown = ", ".join(some if len(some) <= 20 else [*some[:3], "...", some[-1]])
            raise ValueError(f"the label {label!r} is none of {self.name}'s: {shown}")

    def written_id(self, row: Row) -> int | str:
        """Return a row's id as the predict file has it."""
        return int(row.id) if self.integer_ids and row.id.isdigit() else row.id

    def _same_number(self, rows: Sequence[Any], predictions: Sequence[Any]) -> None:
        if len(rows) != len(predictions) or not len(rows):
            raise ValueError(
                f"{len(predictions)} predictions for {len(rows)} rows of {self.name}: give one for each, in their order"
            )
