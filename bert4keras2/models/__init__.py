"""Models: a family is a page, a model is its configuration."""

from bert4keras2.families.config import Config
from bert4keras2.families.table import FAMILIES
from bert4keras2.models.attention_maps import AttentionMaps, attention_maps
from bert4keras2.models.build import build_transformer_model
from bert4keras2.models.parallel import data_parallel
from bert4keras2.models.seq2seq import Seq2Seq
from bert4keras2.models.subclasses import (
    ALBERT,
    BERT,
    ELECTRA,
    GPT,
    GPT2,
    GPT2_ML,
    NEZHA,
    ALBERT_Unshared,
    GAU_alpha,
    RoFormer,
    RoFormerV2,
    extend_with_language_model,
    extend_with_unified_language_model,
)
from bert4keras2.models.transformer import Transformer
from bert4keras2.old_names import came_along, lookup
from bert4keras2.training.model import Model

__all__ = [
    "ALBERT",
    "BERT",
    "ELECTRA",
    "FAMILIES",
    "GPT",
    "GPT2",
    "GPT2_ML",
    "NEZHA",
    "ALBERT_Unshared",
    "AttentionMaps",
    "Config",
    "GAU_alpha",
    "Model",
    "RoFormer",
    "RoFormerV2",
    "Seq2Seq",
    "Transformer",
    "attention_maps",
    "build_transformer_model",
    "data_parallel",
    "extend_with_language_model",
    "extend_with_unified_language_model",
]
# A star import brings along what it brought in bert4keras; names that it does not have are looked up in the table.
__all__ += [name for name in came_along("models") if name not in globals()]
__getattr__ = lookup(__name__)
