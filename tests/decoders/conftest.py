"""XLA on TensorFlow compiles each shape for seconds: the tests named here have it, others run the graphs without."""

from __future__ import annotations

import pytest

WITH_XLA = (
    "test_generator_is_greedy",
    "test_the_same_on_every_backend",
    "test_same_shapes_compile_once",
    "test_all_rules_of_a_small_vocabulary_compile",
)


@pytest.fixture(autouse=True)
def xla(request, monkeypatch):
    from bert4keras2.decoders.engine import Engine

    if request.node.originalname not in WITH_XLA:
        monkeypatch.setattr(Engine, "xla", False)
