"""Shared fixtures: golden data, and the real data beside the checkout where there is some."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from breadth import further_cases

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of recorded reference outputs."""
    return GOLDEN


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and checkpoints; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data beside the checkout")
    return SHARED


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    listed = tuple(further_cases())
    for item in items:
        if item.nodeid.startswith(listed):
            item.add_marker("breadth")
