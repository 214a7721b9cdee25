"""Predict files of several tasks as one zip for the leaderboard, and what is wrong with such a zip."""

from __future__ import annotations

import datetime
import os
import re
import zipfile
from dataclasses import dataclass, field

from bert4keras2.clue.table import CLUE, FEWCLUE
from bert4keras2.clue.task import Output, Task
from bert4keras2.files import atomic_path

__all__ = ["Report", "check_zip", "zip_predictions"]

_LARGEST = 512 * 2**20  # bytes of one predict file; real ones have some megabytes


def _outputs(suite: str | None = None) -> dict[str, tuple[Task, Output]]:
    """Return task and predict file by the names that predict files may have."""
    found: dict[str, tuple[Task, Output]] = {}
    for task in (*CLUE.values(), *FEWCLUE.values()):
        if suite in (None, task.suite):
            for output in task.outputs:
                found |= dict.fromkeys((output.name, *output.also), (task, output))
    return found


def _whole_name(name: str) -> str:
    """Return the name of a predict file without FewCLUE's number of the training set."""
    return re.sub(r"_predict_([0-4]|all)\.json$", "_predict.json", name)


def zip_predictions(
    folder: str | os.PathLike,
    path: str | os.PathLike | None = None,
    team: str = "bert4keras2",
    suite: str | None = None,
) -> str:
    """Pack the predict files of a folder as the leaderboard takes them: flat, in one zip.

    Args:
        folder: where `Task.write` put them; other files in it are left out.
        path: of the zip; by default in the folder, under the name that the rules ask for: submit_TEAM_DATE.zip for
            CLUE, fewclue_submit_examples.zip for FewCLUE.
        team: part of that name.
        suite: "clue" or "fewclue"; needed only if the folder has files of both.

    Returns:
        The path of the zip.

    Raises:
        FileNotFoundError: if the folder has no predict file.
        ValueError: if it has files of both benchmarks and `suite` does not say which.
        OSError: if the disk takes no more.
    """
    folder = os.fspath(folder)
    if suite not in (None, "clue", "fewclue"):
        raise ValueError(f'suite is "clue" or "fewclue", not {suite!r}')
    known = _outputs(suite)
    names = [name for name in sorted(os.listdir(folder)) if _whole_name(name) in known]
    if not names:
        raise FileNotFoundError(f"{folder} has no predict file; their names are {', '.join(sorted(known))}")
    suites = {known[_whole_name(name)][0].suite for name in names}
    if len(suites) > 1:
        raise ValueError(f'{folder} has predict files of both benchmarks; say suite="clue" or suite="fewclue"')
    if path is None:
        day = datetime.date.today().strftime("%Y%m%d")
        name = f"submit_{team}_{day}.zip" if suites == {"clue"} else "fewclue_submit_examples.zip"
        path = os.path.join(folder, name)
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(os.path.join(folder, name), name)
    return os.fspath(path)


@dataclass
class Report:
    """What is in a zip of predict files.

    Attributes:
        files: rows of each predict file.
        problems: one sentence for each; none means that the leaderboard's rules are kept.
        unchecked: predict files whose test files were not at hand; only their form was looked at.
    """

    files: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there are files, all of them compared with their test files, and nothing is wrong."""
        return bool(self.files) and not self.problems and not self.unchecked

    def __str__(self) -> str:
        lines = [f"{name}: {rows} rows" for name, rows in self.files.items()]
        lines += [f"{name}: no test file at hand, only its form was looked at" for name in self.unchecked]
        return "\n".join([*lines, *self.problems, "" if self.problems else "no problem found"]).strip()


def check_zip(path: str | os.PathLike, data: str | os.PathLike | None = None) -> Report:
    """Compare a zip of predict files with the rules of the leaderboard and with the test files.

    Looked at are: names of files, which lie flat in the zip; JSON; the number of rows, their ids and their order;
    labels; and what a task asks besides (choices that a question has, entities that stand in the text).

    Args:
        path: of the zip.
        data: a folder with the tasks' folders (tnews, wsc, ...), where the test files are; those that are not there
            are listed as unchecked.

    Returns:
        A `Report`.

    Raises:
        FileNotFoundError: if there is no zip, or no data folder.
    """
    path = os.fspath(path)
    for place in (path, data):
        if place is not None and not os.path.exists(place):
            raise FileNotFoundError(f"There is nothing at {place}")
    report, known = Report(), _outputs()
    suites = set()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename
                entry = known.get(_whole_name(name))
                if entry is None:
                    report.problems.append(f"{name}: no name of a predict file; they lie flat in the zip")
                    continue
                if name in report.files:
                    report.problems.append(f"{name} is in the zip twice")
                    continue
                if member.file_size > _LARGEST:
                    report.problems.append(f"{name} is larger than any predict file ({member.file_size} bytes)")
                    continue
                suites.add(entry[0].suite)
                _check_file(report, name, archive.read(member), *entry, data)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        report.problems.append(f"{path} is no whole zip ({error})")
    if len(suites) > 1:
        report.problems.append("files of CLUE and of FewCLUE are in one zip; each benchmark takes its own")
    if not report.files and not report.problems:
        report.problems.append(f"{path} is empty")
    return report


def _check_file(
    report: Report, name: str, content: bytes, task: Task, output: Output, data: str | os.PathLike | None
) -> None:
    places = [] if data is None else [os.path.join(os.fspath(data), task.name, test) for test in output.tests]
    place = next(filter(os.path.isfile, places), None)
    rows = None if place is None else task.read(place)
    if rows is None:
        report.unchecked.append(name)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        report.files[name] = 0
        report.problems.append(f"{name}: not UTF-8 ({error.reason} at byte {error.start})")
        return
    report.files[name] = len(rows) if rows is not None else sum(bool(line.strip()) for line in text.splitlines())
    report.problems += [f"{name}: {problem}" for problem in task.kind.check(task, rows, text)]
