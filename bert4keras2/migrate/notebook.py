"""Notebooks: their code cells are rewritten as one script, with what only IPython understands put aside."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from bert4keras2.migrate.constructs import Note
from bert4keras2.migrate.rewrite import Result, migrate_source, syntax_note

__all__ = ["migrate_notebook"]

MARK = "# cell {} of a notebook"
ASIDE = "pass  # put aside: {}"
# `%magic`, `!command`, `?help`, `name = %magic`, and `help?`.
IPYTHON = re.compile(r"\s*(?:[%!?]|[\w, ]+=\s*[%!]).*|\s*[\w.]+\?{1,2}\s*")
ABOUT_PYTHON = ("%%capture", "%%prun", "%%time", "%%timeit")  # magics of cells whose rest is Python
OLD_PACKAGE = re.compile(r"pip3? install.*\bbert4keras\b(?!2)")


@dataclass
class _Cell:
    """A code cell.

    Attributes:
        number: among all cells, from 1.
        holder, key: the dict that has its source, and under which name.
        code: its source as Python.
        aside: lines that are not Python.
    """

    number: int
    holder: dict[str, Any]
    key: str
    code: str = ""
    aside: list[str] = field(default_factory=list)
    first: int = 0  # the line of the script that all cells make

    @property
    def source(self) -> str:
        return "".join(self.holder[self.key])

    def put(self, code: str) -> None:
        """Make code, with the lines that were put aside, the cell's source; its form, a list or a string, stays."""
        for number, line in enumerate(self.aside):
            code = re.sub(rf"^[ \t]*{re.escape(ASIDE.format(number))}$", lambda _, line=line: line, code, flags=re.M)
        if code != self.source:
            listed = isinstance(self.holder[self.key], list)
            self.holder[self.key] = code.splitlines(keepends=True) if listed else code


def migrate_notebook(text: str, always: bool = False, beside: Collection[str] | None = None) -> Result:
    """Return a notebook with the imports of its cells rewritten, and notes by cell on what else has to change.

    Args:
        text: the content of an .ipynb file.
        always, beside: as for `migrate_source`.
    """
    try:
        content = json.loads(text)
        cells = _code_cells(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Result(text, error=Note(1, 1, f"cannot parse as a notebook: {error}"[:100], "save it by Jupyter again"))
    notes, good = [], []
    for cell in cells:
        problem = _put_aside(cell)
        good += [cell] if problem is None else []
        notes += [replace(problem, cell=cell.number)] if problem else []
    lines = 0
    for cell in good:
        cell.first = lines + 2  # behind its mark
        lines += 1 + len(cell.code.split("\n"))
    result = migrate_source("\n".join(f"{MARK.format(cell.number)}\n{cell.code}" for cell in good), always, beside)
    if result.error or not (result.uses or always):
        return replace(result, text=text)
    for cell in cells:
        aside = enumerate(cell.source.split("\n"), 1)
        pip = "pip install bert4keras2"
        notes += [
            Note(line, 1, code.strip()[:60], pip, cell.number) for line, code in aside if OLD_PACKAGE.search(code)
        ]
    for note in result.notes:
        cell = next(cell for cell in reversed(good) if cell.first <= note.line)
        notes.append(replace(note, line=note.line - cell.first + 1, cell=cell.number))
    marks = "|".join(rf"^{re.escape(MARK.format(cell.number))}\n" for cell in good)
    parts = re.split(marks, result.text, flags=re.M)[1:] if good else []
    for number, (cell, code) in enumerate(zip(good, parts, strict=True), 1):
        cell.put(code if number == len(good) else code.removesuffix("\n"))
    notes.sort(key=lambda note: (note.cell, note))
    return Result(_dumped(content, text), notes, uses=result.uses)


def _code_cells(content: Any) -> list[_Cell]:
    sheets = content.get("worksheets") or [content]  # those of the oldest notebooks
    cells = [cell for sheet in sheets for cell in sheet["cells"]]
    found = []
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] == "code":
            found.append(_Cell(number, cell, "input" if "input" in cell else "source"))
            if not isinstance(found[-1].source, str):
                raise TypeError(f"cell {number} has no source")
    return found


def _put_aside(cell: _Cell) -> Note | None:
    """Fill in a cell's code; return what is wrong with it, if it is Python that does not parse."""
    lines = cell.source.split("\n")
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and first.split()[0] not in ABOUT_PYTHON:  # bash, html and the like
        cell.code, cell.aside = ASIDE.format(0), [cell.source]
        return None
    while error := _error(code := "\n".join(lines)):
        # Only lines that do not parse: one that begins with % may also go on with an expression.
        number = (getattr(error, "lineno", None) or 1) - 1
        if number >= len(lines) or not IPYTHON.fullmatch(lines[number]):
            return syntax_note(code, error)
        indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
        cell.aside.append(lines[number])
        lines[number] = indent + ASIDE.format(len(cell.aside) - 1)
    cell.code = code
    return None


def _error(code: str) -> SyntaxError | ValueError | None:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError) as error:
        return error
    return None


def _dumped(content: Any, text: str) -> str:
    """Return content as JSON in the form of a text that it came from."""
    indent = re.match(r"\s*\{\r?\n([ \t]+)", text)
    plain = text.isascii()
    dumped = json.dumps(content, ensure_ascii=plain and "\\u" in text, indent=indent[1] if indent else None)
    return dumped + text[len(text.rstrip()) :]
