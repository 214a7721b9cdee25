"""What modules offer, read from their source so that nothing has to be imported."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import sys
from pathlib import Path

__all__ = ["installed", "names_of", "offered"]

PACKAGE = Path(__file__).parent.parent
# Folders of a package that its own folder hands on: Keras up to 3.11 keeps what it offers in `api`.
ROOMS = {"keras": ("api",), "tensorflow": ("_api/v2",)}
ASLEEP = ("antigravity", "this", "__main__")  # modules of Python that do something when they are imported


def offered(module: str) -> frozenset[str] | None:
    """Return the names that `from bert4keras2.module import ...` finds, or None if there is no such module.

    Args:
        module: the part after "bert4keras2.", such as "snippets"; "" for the package itself.
    """
    return _names_in((PACKAGE,), tuple(module.split(".")) if module else ())


def names_of(module: str) -> frozenset[str] | None:
    """Return the names in a module of an installed package, None if it has no such module.

    Args:
        module: the whole name of the module.

    Raises:
        LookupError: if the package is not installed, or not readable as source.
    """
    root, *parts = module.split(".")
    if root in sys.stdlib_module_names:
        return _names_in_python(module)
    place = _place(root)
    if place is None:
        raise LookupError(f"{root} is not installed")
    return _names_in((place, *(place / room for room in ROOMS.get(root, ()))), tuple(parts))


def installed(root: str) -> bool:
    """Return whether a package or module of a name is a part of Python or installed; it is not imported."""
    if root in sys.stdlib_module_names or root in sys.builtin_module_names:
        return True
    try:
        return importlib.util.find_spec(root) is not None
    except (ImportError, ValueError):
        return root in sys.modules


@functools.cache
def _place(root: str) -> Path | None:
    """Return the folder of an installed package."""
    spec = importlib.util.find_spec(root)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return Path(locations[0]) if locations else None


@functools.cache
def _names_in_python(module: str) -> frozenset[str] | None:
    if module in ASLEEP:
        return frozenset()
    try:
        return frozenset(dir(importlib.import_module(module)))
    except ImportError:
        return None


@functools.cache
def _names_in(folders: tuple[Path, ...], parts: tuple[str, ...]) -> frozenset[str] | None:
    """Return the names in a module below one of some folders, the first that has it."""
    for folder in folders:
        path = folder.joinpath(*parts)
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.is_file():
            within = {p.stem for p in path.iterdir() if p.is_dir() or p.suffix == ".py"} if path.is_dir() else set()
            return frozenset(name for name in within | _names_in_source(file) if not name.startswith("__"))
    return None


def _names_in_source(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            names |= names_of(node.module or "") or set()
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
            if isinstance(node.value, ast.Dict):  # names that are looked up when first used
                keys = (key.value for key in node.value.keys if isinstance(key, ast.Constant))
                names.update(key for key in keys if isinstance(key, str))
    return names
