"""On TensorFlow a graph takes seconds for each shape, XLA more, and what is compared here is arithmetic.

One test has graphs, the others run eagerly.
"""

from __future__ import annotations

import keras
import pytest

WITH_GRAPHS = ("test_generation_by_a_cache_that_does_not_grow",)


@pytest.fixture(autouse=True)
def eager(request, monkeypatch):
    from bert4keras2.decoders.engine import Engine

    monkeypatch.setattr(Engine, "xla", False)
    if keras.backend.backend() == "tensorflow" and request.node.originalname not in WITH_GRAPHS:
        monkeypatch.setattr(Engine, "compiled", lambda self, key, function: function)
