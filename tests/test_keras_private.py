"""Private names of Keras stand in one file, each with a reason, and are there in the Keras at hand."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import bert4keras2
from bert4keras2.functional import keras_private

PACKAGE = Path(bert4keras2.__file__).parent
PRIVATE = [name for name in keras_private.NAMES if name.startswith("_")]
# Classes that answer to a private name, and ask their base class by it.
ALLOWED = {
    "functional/keras_graphs.py": {
        "_inbound_nodes",
        "_inputs_struct",
        "_keras_history",
        "_nodes_by_depth",
        "_outbound_nodes",
        "_outputs_struct",
    },
    "optimizers/adam.py": {"_backend_update_step"},
    "optimizers/rules.py": {"_backend_apply_gradients", "_get_variable_index"},
    "training/before_tracing.py": {
        "_compile_metrics",
        "_distribute_strategy",
        "_distributed_dataset",
        "_outputs_struct",
    },
    "training/graph_runs.py": {"_run_through_graph", "_maybe_warn_inputs_struct_mismatch", "_should_torch_compile"},
    "training/jax_steps.py": {"_purge_model_variables", "_jax_state_synced"},
    "training/model.py": {"_maybe_symbolic_build", "_symbolic_build"},
}


def owners():
    """Return objects of Keras that the names should be found on."""
    x = keras.Input((3,))
    y = keras.layers.Dense(2)(x)
    model = keras.Model(x, y)
    model.compile("adam", "mse")
    optimizer = keras.optimizers.Adam(gradient_accumulation_steps=2)
    optimizer.build(model.trainable_variables)
    layers = [keras.layers.Embedding(3, 2), model.layers[-1], model]
    layers[0].build()
    masked = keras.layers.Masking()(np.zeros((1, 2, 3), "float32"))
    seen = []
    if keras.backend.backend() == "tensorflow":  # what a loop goes through
        model._maybe_symbolic_build = lambda iterator: seen.append(iterator)
        model.fit(np.ones((1, 3)), np.ones((1, 2)), verbose=0)
    return [y, masked, *layers, layers[0].embeddings, optimizer, *seen]


@pytest.mark.backend
def test_names_are_there():
    """Where this fails, a newer Keras calls something otherwise: keras_private.py is the place to mend it."""
    objects, backend = owners(), keras.backend.backend()
    strategies = ("_all_reduce_sum_gradients", "_maybe_symbolic_build", "_distribute_strategy", "_distributed_dataset")
    elsewhere = dict.fromkeys(strategies, "tensorflow")
    elsewhere |= dict.fromkeys(("jax_state_sync", "_purge_model_variables", "_jax_state_synced"), "jax")
    elsewhere["_should_torch_compile"] = "torch"
    for name in keras_private.NAMES:
        if name.startswith("keras.src") or elsewhere.get(name, backend) != backend:
            continue
        assert any(hasattr(one, name) for one in objects), (
            f"Keras {keras.__version__} has no {name} (seen with {', '.join(keras_private.SEEN_WITH)}): "
            f"{keras_private.NAMES[name]}"
        )
    assert not keras_private.in_stateless_scope()
    with keras.StatelessScope():
        assert keras_private.in_stateless_scope()
    assert callable(keras_private.rnn_loop()) and isinstance(keras_private.data_adapter(), type)


@pytest.mark.backend
def test_masks_are_found_in_compiled_steps():
    found = []

    class Look(keras.Layer):
        def call(self, inputs):
            found.append(keras_private.mask_of(inputs))
            return inputs

    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, Look()(keras.layers.Embedding(3, 2, mask_zero=True)(ids)))
    found.clear()
    model.predict(np.array([[1, 0]]), verbose=0)
    assert found and all(mask is not None for mask in found)


def test_they_are_used_in_one_file():
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).as_posix()
        if place == "functional/keras_private.py":
            continue
        text = path.read_text(encoding="utf-8")
        found = {name for name in PRIVATE if re.search(rf"(?<![\w]){name}\b", text)} - ALLOWED.get(place, set())
        # Names of our own that happen to be alike are attributes of self in classes that Keras knows nothing of.
        own = {
            name for name in found if not re.search(rf"(?<!self)\.{name}\b|[\"']{name}[\"']|super\(\)\.{name}\b", text)
        }
        assert found - own == set(), f"{place} uses {sorted(found - own)}"
        assert "keras.src" not in text, place


def test_each_has_a_reason():
    assert all(len(reason) > 20 for reason in keras_private.NAMES.values())
    assert list(keras_private.SEEN_WITH) == sorted(keras_private.SEEN_WITH, key=lambda v: tuple(map(int, v.split("."))))
