"""Keras as scripts see it, and functions on tensors shared by layers and scripts."""

from bert4keras2.backend.keras2.k import K
from bert4keras2.backend.namespace import keras
from bert4keras2.functional.activations import (
    gelu_erf,
    gelu_tanh,
    get_activation,
    leaky_relu,
    resolve_activation,
    set_gelu,
    swish,
)
from bert4keras2.functional.compilation_cache import cache_compilations
from bert4keras2.functional.devices import get_available_gpus
from bert4keras2.functional.functions import (
    align,
    apply_rotary_position_embeddings,
    attention_normalize,
    batch_gather,
    divisible_temporal_padding,
    pool1d,
    root_mean_square,
    sequence_masking,
    sinusoidal_embeddings,
)
from bert4keras2.functional.graph import search_layer
from bert4keras2.functional.initializers import DepthScaledNormal, Sinusoidal, TruncatedNormal
from bert4keras2.functional.losses import (
    multilabel_categorical_crossentropy,
    sparse_multilabel_categorical_crossentropy,
)
from bert4keras2.functional.piecewise import piecewise_linear
from bert4keras2.functional.registry import register
from bert4keras2.functional.seeds import set_seed
from bert4keras2.old_names import lookup
from bert4keras2.training.model import Model

__all__ = [
    "DepthScaledNormal",
    "K",
    "Model",
    "Sinusoidal",
    "TruncatedNormal",
    "align",
    "apply_rotary_position_embeddings",
    "attention_normalize",
    "batch_gather",
    "cache_compilations",
    "divisible_temporal_padding",
    "gelu_erf",
    "gelu_tanh",
    "get_activation",
    "get_available_gpus",
    "is_tf_keras",
    "keras",
    "leaky_relu",
    "multilabel_categorical_crossentropy",
    "piecewise_linear",
    "pool1d",
    "register",
    "resolve_activation",
    "root_mean_square",
    "search_layer",
    "sequence_masking",
    "set_gelu",
    "set_seed",
    "sinusoidal_embeddings",
    "sparse_multilabel_categorical_crossentropy",
    "swish",
]

# What old scripts branch on: Keras is `keras` itself, whatever the environment variable TF_KERAS says.
is_tf_keras = False
# Names of earlier releases are looked up in the table.
__getattr__ = lookup(__name__)
