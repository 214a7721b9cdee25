"""Models: a family is a row of a table, a model is its configuration."""

from bert4keras2.backend import Model
from bert4keras2.models.build import build_transformer_model
from bert4keras2.models.config import Config
from bert4keras2.models.families import FAMILIES
from bert4keras2.models.transformer import Transformer

__all__ = ["BERT", "FAMILIES", "Config", "Model", "RoFormer", "RoFormerV2", "Transformer", "build_transformer_model"]


class BERT(Transformer):
    """BERT, to be subclassed by scripts that change its graph."""

    family = "bert"


class RoFormer(Transformer):
    """RoFormer, to be subclassed by scripts that change its graph."""

    family = "roformer"


class RoFormerV2(Transformer):
    """RoFormerV2, to be subclassed by scripts that change its graph."""

    family = "roformer_v2"
