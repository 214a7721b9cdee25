"""Pre-training: from raw text to a folder that `build_transformer_model` loads.

`pretrain` does what a `PretrainingConfig` says; `bert4keras2 pretrain` is the same as a command.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what is looked up below: the help of a command needs no Keras
    from bert4keras2.pretraining.config import PretrainingConfig
    from bert4keras2.pretraining.corpus import CorpusError
    from bert4keras2.pretraining.objectives import OBJECTIVES
    from bert4keras2.pretraining.run import pretrain

_EXPORTS = {"OBJECTIVES": "objectives", "CorpusError": "corpus", "PretrainingConfig": "config", "pretrain": "run"}

__all__ = ["OBJECTIVES", "CorpusError", "PretrainingConfig", "pretrain"]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")
