"""Random models and their variables, for the tests of Hugging Face folders."""

from __future__ import annotations

import numpy as np
from cases import BASE, randomize
from keras import ops

from bert4keras2.checkpoints import open_checkpoint
from bert4keras2.models import build_transformer_model

TINY = {name: value for name, value in BASE.items() if name != "initializer_range"}


def build(config=None, **kwargs):
    return build_transformer_model(config, return_keras_model=False, **kwargs)


def values(transformer) -> dict[str, np.ndarray]:
    return {path: np.array(ops.convert_to_numpy(variable)) for _, _, path, variable in transformer._variables()}


def arrays(path) -> dict[str, np.ndarray]:
    with open_checkpoint(path) as reader:
        return {name: reader.read(name) for name in reader.names()}


def equal(first: dict[str, np.ndarray], second: dict[str, np.ndarray]):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def tiny(family: str, **kwargs):
    """Return a random model of a family, no variable of which is zero."""
    transformer = build({**TINY, "initializer_range": 0.2}, model=family, **kwargs)
    randomize(transformer.model)
    return transformer
