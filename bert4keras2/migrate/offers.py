"""What the modules of bert4keras2 offer, read from their source so that nothing has to be imported."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

__all__ = ["offered"]

PACKAGE = Path(__file__).parent.parent


@functools.cache
def offered(module: str) -> frozenset[str] | None:
    """Return the names that `from bert4keras2.module import ...` finds, or None if there is no such module.

    Args:
        module: the part after "bert4keras2.", such as "snippets"; "" for the package itself.
    """
    path = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return None
    names: set[str] = {p.stem for p in path.iterdir() if p.is_dir() or p.suffix == ".py"} if path.is_dir() else set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
            if isinstance(node.value, ast.Dict):  # names that are looked up when first used
                keys = (key.value for key in node.value.keys if isinstance(key, ast.Constant))
                names.update(key for key in keys if isinstance(key, str))
    return frozenset(name for name in names if not name.startswith("__"))
