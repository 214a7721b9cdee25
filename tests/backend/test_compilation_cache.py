"""Compiled programs that a second process finds on the disk."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import pytest

from bert4keras2.backend import cache_compilations
from bert4keras2.functional import compilation_cache

SCRIPT = """
import sys
import jax, keras, numpy
from bert4keras2.backend import cache_compilations
from bert4keras2.models import build_transformer_model
cache_compilations(sys.argv[1])
seen = []
jax.monitoring.register_event_listener(lambda name, **_: seen.append(name.rpartition("/")[2]))
keras.utils.set_random_seed(0)
sizes = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
model = build_transformer_model(sizes)
print(float(model.predict([numpy.ones((2, 5), "int32")] * 2, verbose=0).sum()))
print(seen.count("cache_hits"), seen.count("cache_misses"))
"""


@pytest.mark.backend
@pytest.mark.long
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX keeps programs")
def test_a_second_process_compiles_nothing(tmp_path):
    said = []
    for _ in range(2):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "cache")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        said.append(done.stdout.split()[-3:])
    (first, hits, misses), (again, later_hits, later_misses) = said
    assert first == again and hits == "0" and int(misses) > 5
    assert (later_hits, later_misses) == (misses, "0")


@pytest.mark.backend
def test_where_programs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(compilation_cache.VARIABLE, raising=False)
    usual = compilation_cache._usual_folder()
    assert usual == str(tmp_path / "home" / "bert4keras2" / "compiled")
    monkeypatch.setenv(compilation_cache.VARIABLE, str(tmp_path / "said"))
    assert compilation_cache._usual_folder() == str(tmp_path / "said")
    with pytest.raises(ValueError, match="least_seconds is a number from 0 on, not -1"):
        cache_compilations(tmp_path, -1)
    if keras.backend.backend() == "tensorflow":
        assert cache_compilations(tmp_path / "other") is None and not list(tmp_path.iterdir())
    elif keras.backend.backend() == "torch":
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
        monkeypatch.setenv("TRITON_CACHE_DIR", "")
        assert cache_compilations() == str(tmp_path / "said")
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "said" / "inductor")
