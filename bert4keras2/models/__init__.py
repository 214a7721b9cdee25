"""Models: a family is a row of a table, a model is its configuration."""

from bert4keras2.backend import Model
from bert4keras2.models.build import build_transformer_model
from bert4keras2.models.config import Config
from bert4keras2.models.families import FAMILIES
from bert4keras2.models.parallel import data_parallel
from bert4keras2.models.seq2seq import Seq2Seq
from bert4keras2.models.transformer import Transformer

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
    "Config",
    "GAU_alpha",
    "Model",
    "RoFormer",
    "RoFormerV2",
    "Seq2Seq",
    "Transformer",
    "build_transformer_model",
    "data_parallel",
]


def _subclass(name: str, family: str) -> type[Transformer]:
    doc = f"The family {family!r}, to be subclassed by scripts that change its graph."
    return type(name, (Transformer,), {"family": family, "__doc__": doc, "__module__": __name__})


BERT = _subclass("BERT", "bert")
ALBERT = _subclass("ALBERT", "albert")
ALBERT_Unshared = _subclass("ALBERT_Unshared", "albert_unshared")
NEZHA = _subclass("NEZHA", "nezha")
ELECTRA = _subclass("ELECTRA", "electra")
RoFormer = _subclass("RoFormer", "roformer")
RoFormerV2 = _subclass("RoFormerV2", "roformer_v2")
GAU_alpha = _subclass("GAU_alpha", "gau_alpha")
GPT = _subclass("GPT", "gpt")
GPT2 = _subclass("GPT2", "gpt2")
GPT2_ML = _subclass("GPT2_ML", "gpt2_ml")
