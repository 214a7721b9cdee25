"""Rewriting a script's imports in place: only names change, comments and formatting stay."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from bert4keras2.keras_names import RENAMED
from bert4keras2.migrate.constructs import NAMES, Note, find_constructs, sets_model
from bert4keras2.migrate.modules import HOMES, MOVED, advice_on
from bert4keras2.migrate.names import keras_names, what_is_wrong_elsewhere, what_is_wrong_with_ours
from bert4keras2.migrate.offers import offered
from bert4keras2.old_names import MODULES as OLD_MODULES

__all__ = ["Result", "migrate_source", "syntax_note"]

OLD, NEW = "bert4keras", "bert4keras2"
KERAS_ROOTS = ("keras", "tensorflow.keras", "tensorflow.python.keras")
# What Keras' own modules give under these names is replaced by ours: {(module, name): (module, name)}.
BACKEND, CALLBACKS = f"{NEW}.backend", f"{NEW}.training.callbacks"
OURS = {
    ("keras", "backend"): (BACKEND, "K"),
    ("keras", "Model"): (BACKEND, "Model"),
    ("keras.models", "Model"): (BACKEND, "Model"),
    ("keras.callbacks", "ModelCheckpoint"): (CALLBACKS, "ModelCheckpoint"),
    ("keras.utils", "multi_gpu_model"): (f"{NEW}.models.parallel", "multi_gpu_model"),
}


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


def migrate_source(source: str, always: bool = False, beside: Collection[str] | None = None) -> Result:
    """Return a script with its imports rewritten, and notes on what else has to change.

    After that each of its imports finds what it names, or has a note.

    Args:
        source: the script's text.
        always: rewrite imports of Keras even if the script does not import bert4keras.
        beside: names of modules beside the script, to tell which packages are missing; None to leave other packages
            than Keras and TensorFlow out of it.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return Result(source, error=syntax_note(source, error))
    work = _Rewriter(source, tree, beside)
    if not (work.uses or always):
        return Result(source)
    work.run()
    notes = {*work.notes, *find_constructs(tree, work.backends, work.tensorflows, work.kerases)}
    # Columns are counted in characters, as editors do; the parser counts bytes.
    fixed = (replace(note, column=work.column(note.line, note.column - 1) + 1) for note in notes)
    return Result(work.apply(), sorted(fixed), uses=work.uses)


def syntax_note(source: str, error: SyntaxError | ValueError) -> Note:
    """Return what to do about a source that does not parse."""
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

    def __init__(self, source: str, tree: ast.Module, beside: Collection[str] | None):
        self.source, self.tree, self.beside = source, tree, beside
        self.lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", source)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.newline = "\r\n" if self.lines and self.lines[0].endswith("\r\n") else "\n"
        self.edits: list[tuple[int, int, str]] = []
        self.notes: list[Note] = []
        self.backends: set[str] = set()
        self.tensorflows: set[str] = set()
        self.kerases: set[str] = set()
        self.ours = {**OURS}
        if sets_model(tree):  # which Keras 3 refuses
            self.ours["keras.callbacks", "Callback"] = CALLBACKS, "Callback"
        self.guarded = _guarded(tree)
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
        moved: dict[int, tuple[str, str]] = {}
        binds = False
        for index, alias in enumerate(node.names):
            name, bound = alias.name, alias.asname
            if _root(name) in (OLD, NEW):
                if _root(name) == OLD:
                    start, _ = self.span(alias)
                    self.edits.append((start, start + len(OLD), NEW))
                    binds |= bound is None
                self._check_module(alias, name)
                continue
            if name == "tensorflow" or (_root(name) == "tensorflow" and bound is None):
                self.tensorflows.add(bound or "tensorflow")
            module = _keras_module(name)
            if module is None:
                self._elsewhere(node, alias, f"import {name}", name)
                continue
            today = MOVED.get(module, module)
            gone = advice_on(module) if today == module else None
            if gone or keras_names(today) == frozenset():
                self.note(alias, f"import {name}", gone or "Keras 3 has no module of that name")
            if module.startswith("keras.backend.") and bound:  # the rest of the script may do without what is gone
                moved[index] = BACKEND, _as("K", bound)
                self.backends.add(bound)
            elif gone:
                continue
            elif module == "keras.backend" and bound:
                moved[index] = BACKEND, _as("K", bound)
                self.backends.add(bound)
            elif module == "keras" and (name == "keras" or bound):
                moved[index] = BACKEND, _as("keras", bound or "keras")
                self.kerases.add(bound or "keras")
            elif name.startswith("keras") and bound is None:
                moved[index] = BACKEND, "keras"
                self.kerases.add("keras")
            elif module == "keras.models":
                self.note(alias, f"import {name} as {bound}", "use keras.models of bert4keras2.backend")
            elif name != today and bound:
                self.edits.append((*self.span(alias), _as(today, bound)))
        self._move(node, moved)
        return binds

    # -- from a.b import c as d ------------------------------------------------------------------------------

    def from_import(self, node: ast.ImportFrom) -> None:
        """Rewrite a `from ... import` statement."""
        name = node.module or ""
        if node.level:
            return
        if _root(name) in (OLD, NEW):
            self._of_ours(node, name)
            return
        module = _keras_module(name)
        if name == "tensorflow":
            keras = {i for i, alias in enumerate(node.names) if alias.name == "keras"}
            self.kerases.update(node.names[i].asname or "keras" for i in keras)
            self._move(node, {i: (BACKEND, _as("keras", node.names[i].asname or "keras")) for i in keras})
            rest = [alias for i, alias in enumerate(node.names) if i not in keras]
        elif module is None:
            rest = node.names
        else:
            self._of_keras(node, name, module)
            return
        for alias in rest:
            self._elsewhere(node, alias, f"from {name} import {alias.name}", name, alias.name)

    def _of_ours(self, node: ast.ImportFrom, name: str) -> None:
        if _root(name) == OLD:
            module, _, rest = name[len(OLD) + 1 :].partition(".")
            parts = (NEW, OLD_MODULES.get(module, module), rest)
            self._rename_module(node, ".".join(part for part in parts if part))
        self.backends.update(a.asname or a.name for a in node.names if a.name == "K")
        self.kerases.update(a.asname or a.name for a in node.names if a.name == "keras")
        if self._check_module(node, name):
            for alias in node.names:
                wrong = what_is_wrong_with_ours(name.partition(".")[2], alias.name)
                if wrong:
                    self.note(alias if alias.name != "*" else node, f"from {name} import {alias.name}", wrong)

    def _of_keras(self, node: ast.ImportFrom, name: str, module: str) -> None:
        today = MOVED.get(module, module)
        gone = advice_on(name) or advice_on(module)
        if gone:
            self.note(node, f"from {name} import ...", gone)
            return
        if module == "keras.backend":
            names = ", ".join(alias.name for alias in node.names)
            self.note(node, f"from {name} import {names}", "from bert4keras2.backend import K, and write K.name")
            return
        moved = {}
        for index, alias in enumerate(node.names):
            place = self._today(alias, name, today)
            if place:
                moved[index] = place[0], _as(place[1], alias.asname or alias.name)
            if place == (BACKEND, "K"):
                self.backends.add(alias.asname or alias.name)
        if name != today and len(moved) < len(node.names):
            self._rename_module(node, today)
        self._move(node, moved)

    def _today(self, alias: ast.alias, name: str, module: str) -> tuple[str, str] | None:
        """Return where a name of a module of Keras is found today, and as what; None if it can stay where it is."""
        key = (module, alias.name)
        if key in self.ours:
            if alias.name in NAMES:
                self.note(alias, f"from {name} import {alias.name}", NAMES[alias.name])
            return self.ours[key]
        renamed = RENAMED.get(module, {}).get(alias.name)
        if renamed:
            self.edits.append((*self.span(alias), f"{renamed} as {alias.asname or alias.name}"))
            return None
        whole = f"{module}.{alias.name}"
        if whole in MOVED:  # a module of that name
            parent, _, child = MOVED[whole].rpartition(".")
            return parent, child
        names = keras_names(module)
        advice = NAMES.get(alias.name) or advice_on(whole)
        if advice is None and names is not None and alias.name != "*" and alias.name not in names:
            home = next((home for home in HOMES if alias.name in (keras_names(home) or ())), None)
            if home:
                return self.ours.get((home, alias.name), (home, alias.name))
            advice = f"Keras 3 has no {whole}"
        if advice is None and names == frozenset():
            advice = f"Keras 3 has no module {module}"
        if advice:
            self.note(alias, f"from {name} import {alias.name}", advice)
        return None

    def _elsewhere(self, node: ast.stmt, alias: ast.alias, construct: str, module: str, name: str = "") -> None:
        """Leave a note on an import of another package that finds nothing, unless the script is prepared for that."""
        wrong = None if id(node) in self.guarded else what_is_wrong_elsewhere(module, name, self.beside)
        if wrong:
            self.note(alias, construct, wrong)

    def _rename_module(self, node: ast.ImportFrom, new: str) -> None:
        start, end = self.span(node)
        match = re.match(r"from(?:\s|\\\r?\n)+", self.source[start:end])
        begin = start + match.end() if match else start
        if self.source.startswith(node.module, begin):
            self.edits.append((begin, begin + len(node.module), new))
        else:
            self.note(node, f"from {node.module} import ...", f"write the module as {new}")

    def _move(self, node: ast.Import | ast.ImportFrom, moved: dict[int, tuple[str, str]]) -> None:
        """Take names out of an import statement and import each, {index: (module, name)}, from where it is."""
        if not moved:
            return
        modules = dict.fromkeys(module for module, _ in moved.values())
        lines = [
            f"from {module} import {', '.join(dict.fromkeys(name for home, name in moved.values() if home == module))}"
            for module in modules
        ]
        start, end = self.span(node)
        indent = self.source[self.starts[node.lineno - 1] : start]
        between = f"{self.newline}{indent}" if id(node) in self.first_statements else "; "
        if len(moved) == len(node.names):
            self.edits.append((start, end, between.join(lines)))
            return
        self.edits.append((start, start, between.join([*lines, ""])))
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

    def _check_module(self, node: ast.AST, name: str) -> bool:
        known = offered(".".join(name.split(".")[1:])) is not None
        if not known:
            self.note(node, name, "bert4keras2 has no module of that name")
        return known


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


def _guarded(tree: ast.Module) -> set[int]:
    """Return the ids of import statements whose failure a script is prepared for."""
    tries = [node for node in ast.walk(tree) if isinstance(node, ast.Try) and node.handlers]
    return {id(node) for found in tries for node in ast.walk(found) if isinstance(node, ast.Import | ast.ImportFrom)}
