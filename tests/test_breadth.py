"""The list of tests that JAX leaves out names tests that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from breadth import further_cases

ROOT = Path(__file__).parent.parent


def test_marked(request):
    """No line is of a test that was renamed, and a listed one has the mark."""
    for line in further_cases():
        path, _, name = line.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8"), line
    found = [item for item in request.session.items if item.nodeid.startswith(tuple(further_cases()))]
    assert all(item.get_closest_marker("breadth") for item in found)


@pytest.mark.backend
def test_others_stay(request):
    assert not request.node.get_closest_marker("breadth")
