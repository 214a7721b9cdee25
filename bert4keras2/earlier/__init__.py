"""Functions and classes of earlier releases of bert4keras that have no direct counterpart: `old_names` leads here."""

import importlib
from typing import Any

# Looked up when asked for: a script that wants a helper does not import the models.
_PLACES = {
    "BiasAdd": "layers",
    "ExponentialMovingAverage": "optimizers",
    "GradientAccumulation": "optimizers",
    "LM_Mask": "building",
    "PiecewiseLinearLearningRate": "optimizers",
    "Progress": "helpers",
    "Scale": "layers",
    "SimpleTokenizer": "characters",
    "UniLM_Mask": "building",
    "ZeroMasking": "layers",
    "build_bert_model": "building",
    "delete_arguments": "helpers",
    "get_all_attributes": "helpers",
    "groupby": "helpers",
    "insert_arguments": "helpers",
    "is_py2": "helpers",
    "load_pretrained_model": "building",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
