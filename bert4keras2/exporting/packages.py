"""Packages that exporting needs and that are installed for it alone."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["load_package"]


def load_package(name: str, purpose: str) -> Any:
    """Return a package that is not among the library's requirements.

    Args:
        name: of the module.
        purpose: what it is wanted for, which the error says.

    Raises:
        ImportError: if it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(
            f'{purpose} needs {package}, which is not installed: pip install "bert4keras2[export]", or {package} alone'
            + ("" if isinstance(error, ModuleNotFoundError) and error.name == package else f" ({error})")
        ) from error
