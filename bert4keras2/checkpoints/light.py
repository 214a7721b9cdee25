"""Modules of `bert4keras2.models` that are data and plain functions, imported without the package around them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["plain_module"]

_LOADED: dict[str, ModuleType] = {}
_ACTIVATIONS = "bert4keras2.backend.activations"


def plain_module(name: str) -> ModuleType:
    """Return a module of `bert4keras2.models` that needs no Keras, such as "families".

    Importing it by its full name would run the package's `__init__`, which imports Keras: seconds, and hundreds of MB,
    for command lines that build no model. Where the package has been imported already, its own module is returned.

    Args:
        name: of a module that imports nothing of `bert4keras2.models`, and of the backend `resolve_activation` at most,
            which is imported when it is called.
    """
    full = f"bert4keras2.models.{name}"
    if full in sys.modules:
        return sys.modules[full]
    if name not in _LOADED:
        path = Path(__file__).parent.parent / "models" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"bert4keras2._plain_{name}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        stand_in = _ACTIVATIONS not in sys.modules
        if stand_in:
            sys.modules[_ACTIVATIONS] = _later()
        try:
            spec.loader.exec_module(module)
        finally:
            if stand_in:
                del sys.modules[_ACTIVATIONS]
        _LOADED[name] = module
    return _LOADED[name]


def _later() -> ModuleType:
    """Return a module whose `resolve_activation` imports the real one when it is called."""

    def resolve_activation(activation: Any) -> Any:
        return importlib.import_module(_ACTIVATIONS).resolve_activation(activation)

    module = ModuleType(_ACTIVATIONS)
    module.resolve_activation = resolve_activation
    return module
