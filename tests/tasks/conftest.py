"""A tiny checkpoint for all tests of tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
from task_cases import write_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """The folder of a tiny checkpoint."""
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))
