"""The layers that models are composed of."""

from bert4keras2.layers.attention import MultiHeadAttention, attend
from bert4keras2.layers.base import Layer
from bert4keras2.layers.crf import ConditionalRandomField
from bert4keras2.layers.dropout import Dropout
from bert4keras2.layers.embedding import Embedding, TaskEmbedding
from bert4keras2.layers.feed_forward import FeedForward
from bert4keras2.layers.gau import GatedAttentionUnit
from bert4keras2.layers.global_pointer import EfficientGlobalPointer, GlobalPointer
from bert4keras2.layers.length import LogScale, ReRopePosition, WindowMask
from bert4keras2.layers.loss import Loss
from bert4keras2.layers.masks import AttentionMask, causal_mask, padding_mask, unilm_mask
from bert4keras2.layers.memm import MaximumEntropyMarkovModel
from bert4keras2.layers.merge import Add
from bert4keras2.layers.mixing.flash import MixedChunkAttention
from bert4keras2.layers.mixing.gmlp import GatedMLP
from bert4keras2.layers.mixing.linear import LinearAttention
from bert4keras2.layers.mixing.mixers import ExternalAttention, FourierMixing, LinearMixing, TokenMLP
from bert4keras2.layers.mixing.nystrom import EfficientAttention, NystromAttention
from bert4keras2.layers.mixing.scale import LayerScale
from bert4keras2.layers.mixing.synthesizer import SynthesizerAttention
from bert4keras2.layers.normalization import LayerNormalization, ScaleOffset
from bert4keras2.layers.pooling import (
    BatchConcat,
    BatchSplit,
    Concatenate1D,
    FirstToken,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
)
from bert4keras2.layers.position import PositionEmbedding, RotaryPosition, SinusoidalPositionEmbedding
from bert4keras2.layers.ramp import ResidualRamp
from bert4keras2.layers.relative_position import RelativePositionEmbedding, RelativePositionEmbeddingT5
from bert4keras2.old_names import came_along, lookup

__all__ = [
    "Add",
    "AttentionMask",
    "BatchConcat",
    "BatchSplit",
    "Concatenate1D",
    "ConditionalRandomField",
    "Dropout",
    "EfficientAttention",
    "EfficientGlobalPointer",
    "Embedding",
    "ExternalAttention",
    "FeedForward",
    "FirstToken",
    "FourierMixing",
    "GatedAttentionUnit",
    "GatedMLP",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "GlobalPointer",
    "Layer",
    "LayerNormalization",
    "LayerScale",
    "LinearAttention",
    "LinearMixing",
    "LogScale",
    "Loss",
    "MaximumEntropyMarkovModel",
    "MixedChunkAttention",
    "MultiHeadAttention",
    "NystromAttention",
    "PositionEmbedding",
    "ReRopePosition",
    "RelativePositionEmbedding",
    "RelativePositionEmbeddingT5",
    "ResidualRamp",
    "RotaryPosition",
    "ScaleOffset",
    "SinusoidalPositionEmbedding",
    "SynthesizerAttention",
    "TaskEmbedding",
    "TokenMLP",
    "WindowMask",
    "attend",
    "causal_mask",
    "padding_mask",
    "unilm_mask",
]
# A star import brings along what it brought in bert4keras; names that it does not have are looked up in the table.
__all__ += [name for name in came_along("layers") if name not in globals()]
__getattr__ = lookup(__name__)
