"""Models: a family is a row of a table, a model is its configuration."""

from __future__ import annotations

import importlib
from typing import Any

# Looked up at first use: the table of families alone, which command lines read, needs no Keras.
_EXPORTS = {
    "Config": "config",
    "FAMILIES": "families",
    "Model": "transformer",
    "Seq2Seq": "seq2seq",
    "Transformer": "transformer",
    "build_transformer_model": "build",
    "data_parallel": "parallel",
    **dict.fromkeys(
        ("ALBERT", "ALBERT_Unshared", "BERT", "ELECTRA", "GAU_alpha", "GPT", "GPT2", "GPT2_ML", "NEZHA"), "subclasses"
    ),
    **dict.fromkeys(("RoFormer", "RoFormerV2"), "subclasses"),
    **dict.fromkeys(("extend_with_language_model", "extend_with_unified_language_model"), "subclasses"),
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
