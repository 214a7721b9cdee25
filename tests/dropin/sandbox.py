"""A copy of a script's folder in which imports and paths are changed, and nothing else but how much is computed."""

from __future__ import annotations

import ast
import difflib
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bert4keras2.migrate import Note, migrate_source
from tests.dropin.checkpoints import PACKAGES
from tests.dropin.recipes import Recipe
from tests.dropin.world import World

__all__ = ["Copy", "needs_all_blocks", "prepare"]

COPIED = (".py", ".csv", ".json", ".txt", ".tsv", ".model")
TARGETS = (ast.Name, ast.Attribute)
BLOCKS = (ast.FunctionDef, ast.ClassDef)
RIGHT = ("data_sample.json",)  # the one that SimBERT's repository has breaks lines within its strings
BEST = "best_val_"  # scores; they are set where one is better, too
# What is shortened in every script: names of numbers, and the largest that they may be.
LARGEST = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "num_epochs": 1}


@dataclass
class Copy:
    """A script that can be run.

    Attributes:
        script: the copy.
        originals: {copied file: source as it was fetched}.
        notes: {copied file: what the migration tool leaves to a person}.
        problem: what the migration tool says of a script that it cannot read, or None.
    """

    script: Path
    originals: dict[Path, str] = field(default_factory=dict)
    notes: dict[Path, list[Note]] = field(default_factory=dict)
    problem: Note | None = None

    def line(self, path: Path, number: int) -> int:
        """Return the line in the fetched file that became line `number` of the copy."""
        before, after = self.originals[path].splitlines(), path.read_text(encoding="utf-8").splitlines()
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
        for _, start, end, new_start, new_end in matcher.get_opcodes():
            if new_start < number <= new_end:
                return min(start + number - new_start, max(end, start + 1))
        return number

    def note_at(self, path: Path, number: int) -> Note | None:
        """Return a note on the statement that has line `number` of the fetched file, or on its function or class.

        A function that takes gradients of a graph may stop a line before it does: where it looks for the tensors.
        """
        spans = [
            (node.lineno, node.end_lineno)
            for node in ast.walk(ast.parse(self.originals[path]))
            if isinstance(node, ast.stmt) and (isinstance(node, BLOCKS) or not hasattr(node, "body"))
        ]
        around = sorted((span for span in spans if span[0] <= number <= span[1]), reverse=True)
        found = (note for span in around for note in self.notes.get(path, []) if span[0] <= note.line <= span[1])
        return next(found, None)


def needs_all_blocks(source: str) -> bool:
    """Return whether a script counts on more blocks than two."""
    return bool(re.search(r"Transformer-(?:[2-9]|1\d)-|num_hidden_layers\s*=|_layers\s*=\s*\d", source))


def prepare(script: Path, folder: Path, world: World, recipe: Recipe) -> Copy:
    """Copy a script with what is beside it, and return the copy.

    Args:
        script: as it was fetched.
        folder: a new folder of its own; the script is to run in its sub-folder "work".
        world: data and checkpoints, to which its absolute paths then lead.
        recipe: what it needs besides.
    """
    work = folder / "work"
    work.mkdir(parents=True)
    for path in sorted(script.parent.iterdir()):
        if path.is_file() and path.suffix in COPIED:
            shutil.copy(path, work / path.name)
    for name in ("datasets", "v3c7s"):
        (folder / name).symlink_to(world.folder / name)
    (work / "datasets").symlink_to(world.datasets)
    for name in RIGHT:
        if (work / name).exists():
            shutil.copy(world.datasets / name, work / name)
    (folder / "corpus_tfrecord").mkdir()
    sources = {path: path.read_text(encoding="utf-8") for path in work.glob("*.py")}
    deep = any(map(needs_all_blocks, [sources[work / script.name], *_imported(work / script.name, sources)]))
    root = world.roots["full" if deep else "short"]
    moved = {prefix: f"{world.others}/{part}" for prefix, part in recipe.data.items()}
    moved |= {"/root/": f"{root}/", "/home/": f"{world.home}/", "gs://": f"{world.bucket}/"}
    for name in recipe.folders:
        (work / name).mkdir(parents=True, exist_ok=True)
    if recipe.data:  # of other authors, who keep checkpoints elsewhere
        moved["*"] = f"{root}/kg/bert{'/wide' if recipe.wide else ''}"
    copy = Copy(work / script.name, originals=sources)
    for path, source in sources.items():
        result = migrate_source(source, always=True)
        copy.notes[path] = result.notes
        if result.error:
            copy.problem = result.error if path == copy.script else copy.problem
            continue
        path.write_text(_edit(result.text, moved, recipe.settings), encoding="utf-8")
    return copy


def _imported(script: Path, sources: dict[Path, str]) -> list[str]:
    """Return the sources beside a script that it imports."""
    names = re.findall(r"^\s*(?:from|import)\s+(\w+)", sources[script], re.MULTILINE)
    return [source for path, source in sources.items() if path.stem in names]


def _edit(source: str, moved: dict[str, str], settings: dict[str, Any]) -> str:
    """Return a source with other absolute paths and smaller numbers; lines keep their places."""
    edits: list[tuple[int, int, int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            new = _moved(node.value, moved)
            if new != node.value and node.lineno == node.end_lineno:
                edits.append((node.lineno, node.col_offset, node.end_col_offset, repr(new)))
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], TARGETS):
            new = _number(ast.unparse(node.targets[0]).rpartition(".")[2], node.value, settings)
            if new is not None and node.value.lineno == node.value.end_lineno:
                edits.append((node.value.lineno, node.value.col_offset, node.value.end_col_offset, new))
    lines = source.splitlines(keepends=True)
    for number, start, end, new in sorted(edits, reverse=True):
        line = lines[number - 1].encode("utf-8")  # the parser counts bytes
        lines[number - 1] = (line[:start] + new.encode("utf-8") + line[end:]).decode("utf-8")
    return "".join(lines)


def _moved(path: str, moved: dict[str, str]) -> str:
    """Return where a path of a script leads: by its beginning, or by the checkpoint that it names, under moved["*"]."""
    package = next((name for name in PACKAGES if f"/{name}" in path), None) if "*" in moved else None
    if package:
        return f"{moved['*']}/{package}{path.split(f'/{package}', 1)[1]}"
    old = next((prefix for prefix in moved if path.startswith(prefix)), None)
    return path if old is None else moved[old] + path[len(old) :]


def _number(name: str, value: ast.expr, settings: dict[str, Any]) -> str | None:
    if name in settings and (isinstance(value, ast.Constant) or not name.startswith(BEST)):
        return repr(settings[name])
    if name in LARGEST and isinstance(value, ast.Constant) and isinstance(value.value, int):
        return repr(min(value.value, LARGEST[name]))
    return None
