"""Models that come with the package: a name is enough, and no network is asked."""

from __future__ import annotations

from pathlib import Path

__all__ = ["embedded_models"]

FOLDER = Path(__file__).parents[2] / "embedded"


def embedded_models() -> dict[str, str]:
    """Return {name: path of its folder}."""
    return {path.name: str(path) for path in sorted(FOLDER.glob("*")) if path.is_dir()}
