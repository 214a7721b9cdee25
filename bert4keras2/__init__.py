"""bert4keras2: pre-trained Chinese language models in Keras 3, on TensorFlow, JAX or PyTorch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what is looked up below, for type checkers and editors
    from bert4keras2.checkpoints.hub import from_hub
    from bert4keras2.decoders import Generator
    from bert4keras2.embeddings import SentenceEncoder
    from bert4keras2.functional.seeds import set_seed
    from bert4keras2.models import build_transformer_model
    from bert4keras2.snippets import DataGenerator, sequence_padding
    from bert4keras2.tokenizers import SpTokenizer, Tokenizer, load_tokenizer, load_vocab

__version__ = "0.1.0"

# The names that nearly every script needs. They are looked up when first used, so that
# importing the package costs nothing beyond `import keras`.
_EXPORTS = {
    "DataGenerator": "bert4keras2.snippets",
    "Generator": "bert4keras2.decoders",
    "SentenceEncoder": "bert4keras2.embeddings",
    "SpTokenizer": "bert4keras2.tokenizers",
    "Tokenizer": "bert4keras2.tokenizers",
    "build_transformer_model": "bert4keras2.models",
    "from_hub": "bert4keras2.checkpoints.hub",
    "load_tokenizer": "bert4keras2.tokenizers",
    "load_vocab": "bert4keras2.tokenizers",
    "sequence_padding": "bert4keras2.snippets",
    "set_seed": "bert4keras2.functional.seeds",
}

__all__ = [
    "DataGenerator",
    "Generator",
    "SentenceEncoder",
    "SpTokenizer",
    "Tokenizer",
    "__version__",
    "build_transformer_model",
    "from_hub",
    "load_tokenizer",
    "load_vocab",
    "sequence_padding",
    "set_seed",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
