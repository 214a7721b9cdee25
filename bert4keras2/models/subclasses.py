"""The families by the names of classes, for scripts that subclass one to change its graph."""

from __future__ import annotations

from bert4keras2.models.transformer import Transformer

__all__ = [
    "ALBERT",
    "BERT",
    "ELECTRA",
    "GPT",
    "GPT2",
    "GPT2_ML",
    "NEZHA",
    "ALBERT_Unshared",
    "GAU_alpha",
    "RoFormer",
    "RoFormerV2",
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
