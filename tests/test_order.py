"""The order of the house: which folder may import which, with the imports inside of functions counted."""

from __future__ import annotations

import ast
from pathlib import Path

import bert4keras2

PACKAGE = Path(bert4keras2.__file__).parent
# No file imports from a folder (or a file beside the folders) that stands later.
ORDER = (
    "errors",
    "files",
    "arguments",
    "keras_names",
    "old_names",
    "progress",
    "quiet",
    "metrics",
    "settings",
    "families",
    "functional",
    "checkpoints",
    "tokenizers",
    "snippets",
    "layers",
    "exporting",
    "training",
    "callbacks",
    "models",
    "backend",
    "optimizers",
    "embeddings",
    "decoders",
    "tasks",
    "pictures",
    "service",
    "pretraining",
    "prompting",
    "earlier",
    "bert",
    "tokenizer",
    "train",
    "utils",
    "clue",
    "migrate",
    "convert",
    "export",
    "inspect",
    "pretrain",
    "distill",
    "shrink",
    "commands",
    "__main__",
)
# Names that are found in a folder though they are of a later one (scripts of bert4keras want some, others belong
# together for users): looked up when they are asked for.
LATER = {"snippets": {"decoders"}, "training": {"optimizers", "models"}, "tasks": {"prompting"}}


def modules() -> dict[str, Path]:
    """Return all files of the package by the names of their modules."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("bert4keras2", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(path: Path) -> set[str]:
    """Return the modules of the package that a file imports anywhere, those for type checkers among them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import in line {node.lineno}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    # The longest beginning that is a module: `from package import name` is of the package, or of its module `name`.
    found = set()
    for name in names:
        parts = name.split(".")
        known = (".".join(parts[:size]) for size in range(len(parts), 0, -1))
        found |= {next((module for module in known if module in MODULES), "")}
    return found - {""}


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def room(module: str) -> str:
    """Return the folder of the package that a module is in, or its own name if it stands beside the folders."""
    return module.split(".")[1] if "." in module else ""


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes that reach one another (Tarjan, SIAM J. Comput. 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_every_folder_has_its_place():
    assert {room(module) for module in MODULES} - {""} == set(ORDER)


def test_no_file_imports_a_later_folder():
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others
        if module != "bert4keras2" and (other == "bert4keras2" or ORDER.index(room(other)) > ORDER.index(room(module)))
    ]
    assert wrong == []


def test_no_circles():
    assert circles(IMPORTS) == []
    folders: dict[str, set[str]] = {}
    for module, others in IMPORTS.items():
        folders.setdefault(room(module), set()).update({room(other) for other in others} - {room(module)})
    assert circles(folders) == []


def test_the_face_for_scripts_is_imported_by_nothing():
    """`bert4keras2.backend` gathers names for scripts; inside, each comes from where it is defined."""
    users = [m for m, others in IMPORTS.items() if "bert4keras2.backend" in others and m != "bert4keras2"]
    assert users == []


def test_names_that_are_looked_up_later():
    """Modules named by strings, which are imported at first use, keep the order too, but for those listed above."""
    for module, path in MODULES.items():
        if module == "bert4keras2":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in MODULES
            if named and node.value not in ("bert4keras2", module):
                ok = ORDER.index(room(node.value)) <= ORDER.index(room(module))
                assert ok or room(node.value) in LATER.get(room(module), ()), f"{module} names {node.value}"


def test_rooms_are_small():
    """A folder holds at most twelve files beside its rooms, and a file 400 lines."""
    for folder in ("backend", "checkpoints", "decoders"):
        flat = list((PACKAGE / folder).glob("*.py"))
        assert len(flat) <= 12, f"{folder}: {sorted(path.name for path in flat)}"
    for path in MODULES.values():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 400, f"{path} has {lines} lines"
