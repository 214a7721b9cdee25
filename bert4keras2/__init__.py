"""bert4keras2: pre-trained Chinese language models in Keras 3, on TensorFlow, JAX or PyTorch."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# The names that nearly every script needs. They are looked up when first used, so that
# importing the package costs nothing beyond `import keras`.
_EXPORTS = {
    "build_transformer_model": "bert4keras2.models",
    "Tokenizer": "bert4keras2.tokenizers",
    "SpTokenizer": "bert4keras2.tokenizers",
    "load_vocab": "bert4keras2.tokenizers",
    "DataGenerator": "bert4keras2.snippets",
    "sequence_padding": "bert4keras2.snippets",
    "set_seed": "bert4keras2.backend",
    "SentenceEncoder": "bert4keras2.embeddings",
    "from_hub": "bert4keras2.checkpoints.hub",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")
