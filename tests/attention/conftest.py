"""XLA on TensorFlow compiles each shape for seconds, and what is compared here is arithmetic: graphs run without."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def xla(monkeypatch):
    from bert4keras2.decoders.engine import Engine

    monkeypatch.setattr(Engine, "xla", False)
