"""bert4keras2: pre-trained Chinese language models in Keras 3, on TensorFlow, JAX or PyTorch.

    from bert4keras2 import build_transformer_model, load_tokenizer

    tokenizer = load_tokenizer(folder)         # of a released checkpoint, or a name on the Hugging Face hub
    model = build_transformer_model(folder)    # a Keras model, with its weights

What most scripts need is here; the rest is in `backend` (Keras as scripts import it), `models`, `tokenizers`, `layers`,
`optimizers`, `training`, `callbacks`, `snippets` (data, files), `decoders` (generation), `embeddings` (sentence
vectors), `tasks` (classifiers, taggers, readers), `prompting`, `pretraining`, `checkpoints`, `metrics` and `clue`. All
of it is imported at first use. On the command line: bert4keras2 --help
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what is looked up below, for type checkers and editors
    from bert4keras2 import backend as backend
    from bert4keras2 import callbacks as callbacks
    from bert4keras2 import checkpoints as checkpoints
    from bert4keras2 import clue as clue
    from bert4keras2 import decoders as decoders
    from bert4keras2 import embeddings as embeddings
    from bert4keras2 import layers as layers
    from bert4keras2 import metrics as metrics
    from bert4keras2 import models as models
    from bert4keras2 import optimizers as optimizers
    from bert4keras2 import pretraining as pretraining
    from bert4keras2 import prompting as prompting
    from bert4keras2 import snippets as snippets
    from bert4keras2 import tasks as tasks
    from bert4keras2 import tokenizers as tokenizers
    from bert4keras2 import training as training
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
_MODULES = (
    "backend", "callbacks", "checkpoints", "clue", "decoders", "embeddings", "layers", "metrics", "models",
    "optimizers", "pretraining", "prompting", "snippets", "tasks", "tokenizers", "training",
)  # fmt: skip

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
    if name in _MODULES:
        return importlib.import_module(f"bert4keras2.{name}")
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}, and the modules"
        f" {', '.join(_MODULES)}"
    )


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
