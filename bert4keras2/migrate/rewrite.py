"""Rewriting a script's imports in place: only names change, comments and formatting stay."""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass, field

from bert4keras2.keras_names import RENAMED
from bert4keras2.migrate.constructs import MODULES, NAMES, Note, find_constructs
from bert4keras2.migrate.offers import offered

__all__ = ["Result", "migrate_source"]

OLD, NEW = "bert4keras", "bert4keras2"
KERAS_ROOTS = ("keras", "tensorflow.keras")
# What Keras' own modules give under these names is replaced by what bert4keras2.backend gives.
OURS = {("keras", "backend"): "K", ("keras", "Model"): "Model", ("keras.models", "Model"): "Model"}


@dataclass
class Result:
    """What became of a script.

    Attributes:
        text: the new source; the old one where nothing changed.
        notes: what a person has to look at, by line.
        error: why the script could not be read; None if it could.
        uses: whether it imports bert4keras (or bert4keras2).
    """

    text: str
    notes: list[Note] = field(default_factory=list)
    error: Note | None = None
    uses: bool = False


def migrate_source(source: str, always: bool = False) -> Result:
    """Return a script with its imports rewritten, and notes on what else has to change.

    Args:
        source: the script's text.
        always: rewrite imports of Keras even if the script does not import bert4keras.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return Result(source, error=_syntax_note(source, error))
    work = _Rewriter(source, tree)
    if not (work.uses or always):
        return Result(source)
    work.run()
    notes = {*work.notes, *find_constructs(tree, work.backends, work.tensorflows)}
    # Columns are counted in characters, as editors do; the parser counts bytes.
    fixed = (Note(n.line, work.column(n.line, n.column - 1) + 1, n.construct, n.replacement) for n in notes)
    return Result(work.apply(), sorted(fixed), uses=work.uses)


def _syntax_note(source: str, error: SyntaxError | ValueError) -> Note:
    line = getattr(error, "lineno", None) or 1
    lines = source.split("\n")
    text = lines[line - 1].strip() if line <= len(lines) else ""
    if re.match(r"print\s+[^\s(=]|print\s*$|exec\s+[^\s(=]|except\s+\w+\s*,|raise\s+\w+\s*,", text):
        advice = "this is Python 2: run 2to3 (or rewrite the line) first, then this tool again"
    else:
        advice = "correct the syntax first, then run this tool again"
    message = getattr(error, "msg", None) or str(error)
    return Note(line, getattr(error, "offset", None) or 1, f"cannot parse ({message}): {text[:60]}", advice)


class _Rewriter:
    """Collects the edits of one script."""

    def __init__(self, source: str, tree: ast.Module):
        self.source, self.tree = source, tree
        self.lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", source)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.newline = "\r\n" if self.lines and self.lines[0].endswith("\r\n") else "\n"
        self.edits: list[tuple[int, int, str]] = []
        self.notes: list[Note] = []
        self.backends: set[str] = set()
        self.tensorflows: set[str] = set()
        self.imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        self.uses = any(_root(name) in (OLD, NEW) for node in self.imports for name in _modules(node))
        self.first_statements = _first_statements(tree, self)

    def column(self, line: int, byte: int) -> int:
        """Return the character column of a byte column; lines count from 1, columns from 0."""
        if line > len(self.lines):
            return byte
        return len(self.lines[line - 1].encode("utf-8")[:byte].decode("utf-8", "ignore"))

    def at(self, line: int, byte: int) -> int:
        """Return the offset in the source of a position that the parser gave."""
        return self.starts[line - 1] + self.column(line, byte)

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return where a node begins and ends."""
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def note(self, node: ast.AST, construct: str, replacement: str) -> None:
        """Leave something to a person."""
        self.notes.append(Note(node.lineno, node.col_offset + 1, construct, replacement))

    def run(self) -> None:
        """Collect edits and notes on imports, and rename the uses of `bert4keras` as a name."""
        renamed = False
        for node in self.imports:
            if isinstance(node, ast.ImportFrom):
                self.from_import(node)
            else:
                renamed |= self.plain_import(node)
        if renamed:
            for node in ast.walk(self.tree):
                if isinstance(node, ast.Name) and node.id == OLD:
                    self.edits.append((*self.span(node), NEW))

    def apply(self) -> str:
        """Return the source with the edits made."""
        text = self.source
        for start, end, new in sorted(set(self.edits), reverse=True):
            text = text[:start] + new + text[end:]
        return text

    # -- import a.b as c -------------------------------------------------------------------------------------

    def plain_import(self, node: ast.Import) -> bool:
        """Rewrite an `import` statement; return whether it binds the name bert4keras."""
        moved: dict[int, str] = {}
        binds = False
        for index, alias in enumerate(node.names):
            if _root(alias.name) == OLD:
                start, _ = self.span(alias)
                self.edits.append((start, start + len(OLD), NEW))
                binds |= alias.asname is None
                self._check_module(alias, alias.name)
                continue
            if alias.name == "tensorflow" or (_root(alias.name) == "tensorflow" and alias.asname is None):
                self.tensorflows.add(alias.asname or "tensorflow")
            module = _keras_module(alias.name)
            gone = _gone_module(alias.name)
            if gone:
                self.note(alias, f"import {alias.name}", gone)
            elif module == "keras.backend" and alias.asname:
                moved[index] = _as("K", alias.asname)
                self.backends.add(alias.asname)
            elif module == "keras" and (alias.name == "keras" or alias.asname):
                moved[index] = _as("keras", alias.asname or "keras")
            elif module and alias.name.startswith("keras") and alias.asname is None:
                moved[index] = "keras"
            elif module == "keras.models":
                self.note(alias, f"import {alias.name} as {alias.asname}", "use keras.models of bert4keras2.backend")
        self._move(node, moved)
        return binds

    # -- from a.b import c as d ------------------------------------------------------------------------------

    def from_import(self, node: ast.ImportFrom) -> None:
        """Rewrite a `from ... import` statement."""
        name = node.module or ""
        if node.level:
            return
        if _root(name) == OLD:
            self._rename_module(node, NEW + name[len(OLD) :])
            self._check_names(node, name)
        if _root(name) in (OLD, NEW):
            self.backends.update(a.asname or a.name for a in node.names if a.name == "K")
            return
        gone = _gone_module(name)
        if gone:
            self.note(node, f"from {name} import ...", gone)
            return
        if name == "tensorflow":
            moved = {i: _as("keras", a.asname or "keras") for i, a in enumerate(node.names) if a.name == "keras"}
            self._move(node, moved)
            return
        module = _keras_module(name)
        if module is None:
            return
        for alias in node.names:
            if alias.name in NAMES:
                self.note(alias, f"from {name} import {alias.name}", NAMES[alias.name])
        if module == "keras.backend":
            names = ", ".join(alias.name for alias in node.names)
            self.note(node, f"from {name} import {names}", "from bert4keras2.backend import K, and write K.name")
            return
        moved = {
            index: _as(OURS[module, alias.name], alias.asname or alias.name)
            for index, alias in enumerate(node.names)
            if (module, alias.name) in OURS
        }
        for index, alias in enumerate(node.names):
            if moved.get(index, "").split(" ")[0] == "K":
                self.backends.add(alias.asname or alias.name)
        for alias in node.names:
            new = RENAMED.get(module, {}).get(alias.name)
            if new:
                self.edits.append((*self.span(alias), f"{new} as {alias.asname or alias.name}"))
        if name != module and len(moved) < len(node.names):
            self._rename_module(node, module)
        self._move(node, moved)

    def _rename_module(self, node: ast.ImportFrom, new: str) -> None:
        start, end = self.span(node)
        match = re.match(r"from(?:\s|\\\r?\n)+", self.source[start:end])
        begin = start + match.end() if match else start
        if self.source.startswith(node.module, begin):
            self.edits.append((begin, begin + len(node.module), new))
        else:
            self.note(node, f"from {node.module} import ...", f"write the module as {new}")

    def _move(self, node: ast.Import | ast.ImportFrom, moved: dict[int, str]) -> None:
        """Take names out of an import statement and import them from bert4keras2.backend."""
        if not moved:
            return
        ours = f"from {NEW}.backend import {', '.join(dict.fromkeys(moved.values()))}"
        start, end = self.span(node)
        if len(moved) == len(node.names):
            self.edits.append((start, end, ours))
            return
        own_line = id(node) in self.first_statements
        indent = self.source[self.starts[node.lineno - 1] : start]
        self.edits.append((start, start, f"{ours}{self.newline}{indent}" if own_line else f"{ours}; "))
        kept = [index for index in range(len(node.names)) if index not in moved]
        for index in moved:
            begin, finish = self.span(node.names[index])
            if index < kept[-1] or self.source[end - 1] == ")":  # with the comma behind, comments stay
                comma = re.compile(r"[ \t]*,[ \t]*").match(self.source, finish)
                finish = comma.end() if comma else finish
                line = self.starts[node.names[index].lineno - 1]
                alone = re.compile(r"\r?\n").match(self.source, finish)
                if alone and not self.source[line:begin].strip():
                    begin, finish = line, alone.end()
            else:  # with the comma before
                begin = self.span(node.names[index - 1])[1]
            self.edits.append((begin, finish, ""))

    # -- what bert4keras2 does not have ------------------------------------------------------------------------

    def _check_module(self, node: ast.AST, name: str) -> bool:
        known = offered(name[len(OLD) + 1 :]) is not None
        if not known:
            self.note(node, name, "bert4keras2 has no module of that name")
        return known

    def _check_names(self, node: ast.ImportFrom, name: str) -> None:
        module = name[len(OLD) + 1 :]
        if not self._check_module(node, name):
            return
        names = offered(module) or frozenset()
        for alias in node.names:
            if alias.name == "*":
                if module in ("layers", "models"):
                    advice = "it no longer brings Keras' layers along: add `from keras.layers import *`, or name them"
                    self.note(node, f"from {name} import *", advice)
            elif alias.name not in names:
                close = difflib.get_close_matches(alias.name, names, 2)
                advice = f"bert4keras2{'.' if module else ''}{module} has no such name"
                if close:
                    advice += f"; close: {', '.join(close)}"
                if module in ("layers", "models"):
                    advice += "; Keras' own layers come from keras.layers"
                self.note(alias, f"from {name} import {alias.name}", advice)


def _first_statements(tree: ast.Module, work: _Rewriter) -> set[int]:
    """Return the ids of import statements with only white space before them, and nothing but a comment behind."""
    found = set()
    for node in work.imports:
        start, end = work.span(node)
        before = work.source[work.starts[node.lineno - 1] : start]
        rest = work.source[end : work.starts[node.end_lineno]].strip()
        if not before.strip() and (not rest or rest.startswith("#")):
            found.add(id(node))
    return found


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""] if not node.level else []
    return [alias.name for alias in node.names]


def _root(module: str) -> str:
    return module.split(".")[0]


def _as(name: str, bound: str) -> str:
    return name if name == bound else f"{name} as {bound}"


def _keras_module(name: str) -> str | None:
    """Return a module of Keras by its name in Keras 3, "keras.models" for "tensorflow.keras.models"; else None."""
    for root in KERAS_ROOTS:
        if name == root or name.startswith(root + "."):
            return "keras" + name[len(root) :]
    return None


def _gone_module(name: str) -> str | None:
    for module in (name, _keras_module(name) or name):
        for gone, advice in MODULES.items():
            if module == gone or module.startswith(gone + "."):
                return advice
    return None
