"""What importing the package costs and brings along."""

from __future__ import annotations

import importlib.util
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import keras as plain_keras
import pytest

import bert4keras2
from bert4keras2 import backend
from bert4keras2.models import build_transformer_model

PACKAGE = Path(bert4keras2.__file__).parent


def run(code: str, **environment: str) -> str:
    """Return what a Python process of its own prints."""
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_import_costs_little():
    """The package and what scripts import of it take 0.3 s beyond Keras at most; the median of three processes."""
    code = (
        "import time, keras; start = time.perf_counter();"
        "import bert4keras2, bert4keras2.models, bert4keras2.tokenizers, bert4keras2.snippets, bert4keras2.optimizers;"
        "print(time.perf_counter() - start)"
    )
    assert statistics.median(float(run(code)) for _ in range(3)) < 0.3


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_no_tensorflow_on_other_backends(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    code = (
        "import sys, bert4keras2.models, bert4keras2.layers, bert4keras2.tokenizers, bert4keras2.snippets;"
        "import bert4keras2.optimizers, bert4keras2.checkpoints.loader, bert4keras2.clue;"
        "print('tensorflow' in sys.modules)"
    )
    assert run(code, KERAS_BACKEND=name) == "False"


def test_sources_keep_the_rules():
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*from .* import \*", source, re.M), f"{path}: star import"
        assert not re.search(r"^(import|from) tensorflow", source, re.M), f"{path}: TensorFlow at module level"
        folder = path.relative_to(PACKAGE).parts[0]
        for upper in {"backend": "layers|models", "layers": "models", "tokenizers": "models", "snippets": "models"}.get(
            folder, ""
        ).split("|"):
            assert not (upper and re.search(rf"^(import|from) bert4keras2\.({upper})", source, re.M)), path


def test_lazy_names():
    assert bert4keras2.build_transformer_model is build_transformer_model
    with pytest.raises(AttributeError, match="build_transformer_model"):
        bert4keras2.no_such_name  # noqa: B018


def test_keras_for_scripts():
    assert backend.keras.models.Model is backend.Model and backend.keras.Model is backend.Model
    assert backend.keras.layers.Dense is plain_keras.layers.Dense
    assert plain_keras.Model is not backend.Model, "Keras itself is left as it is"
    assert "layers" in dir(backend.keras)
    with pytest.raises(AttributeError):
        backend.keras.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", ["albert", "gpt2_ml", "t5.1.1", "nezha", "electra", "gau_alpha", "mt5.1.1_encoder"])
def test_families_of_later_versions_say_so(name):
    with pytest.raises(ValueError, match="this version does not build"):
        build_transformer_model(vocab_size=9, model=name)
