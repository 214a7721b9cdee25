"""The `keras` that scripts import from `bert4keras2.backend`: Keras 3, with our classes in their usual places.

Keras itself is left as it is: attribute access is forwarded, and only these are ours: `Model`, `Sequential` and
`load_model`, which take files of any name; `Callback` and `ModelCheckpoint` of `keras.callbacks`; `multi_gpu_model` of
`keras.utils`; `keras.backend`, which is `K`; losses and metrics that were renamed have their old names too.
"""

from __future__ import annotations

import types
from typing import Any

import keras as _keras

from bert4keras2.backend.keras2.k import K
from bert4keras2.keras_names import RENAMED
from bert4keras2.models.parallel import multi_gpu_model
from bert4keras2.training.callbacks import Callback, ModelCheckpoint
from bert4keras2.training.model import Model, Sequential
from bert4keras2.training.saving import load_model

__all__ = ["keras"]


class _Forwarding(types.ModuleType):
    """A module that answers for another one, except for a few names of its own."""

    def __init__(self, target: types.ModuleType, own: dict[str, Any]):
        super().__init__(target.__name__, target.__doc__)
        self.__dict__.update(own)
        self.__dict__["_target"] = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._target), *self.__dict__})

    def __repr__(self) -> str:
        return f"<{self._target.__name__} {_keras.__version__}, as bert4keras2 gives it to scripts>"


def _with_old_names(name: str) -> types.ModuleType:
    module = getattr(_keras, name)
    return _Forwarding(module, {old: getattr(module, new) for old, new in RENAMED[f"keras.{name}"].items()})


_callbacks = _Forwarding(_keras.callbacks, {"Callback": Callback, "ModelCheckpoint": ModelCheckpoint})
_models = _Forwarding(_keras.models, {"Model": Model, "Sequential": Sequential, "load_model": load_model})
_utils = _Forwarding(_keras.utils, {"multi_gpu_model": multi_gpu_model})
_renamed = {name: _with_old_names(name) for name in ("losses", "metrics")}
keras = _Forwarding(
    _keras,
    {
        "Model": Model,
        "Sequential": Sequential,
        "utils": _utils,
        "models": _models,
        "callbacks": _callbacks,
        "backend": K,
        **_renamed,
    },
)
