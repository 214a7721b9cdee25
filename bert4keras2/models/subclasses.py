"""The families by the names of classes, for scripts that subclass one to change its graph."""

from __future__ import annotations

import inspect

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
    "PARTS",
    "RoFormer",
    "RoFormerV2",
    "extend_with_language_model",
    "extend_with_unified_language_model",
    "own_parameters",
]

PARTS = ("layer_norm_cond", "additional_input_layers", "layers")  # what is handed to `Transformer` besides its Config


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


def _extended(base: type[Transformer], application: str, name: str) -> type[Transformer]:
    if not (isinstance(base, type) and issubclass(base, Transformer)):
        raise TypeError(f"the model to extend is BERT, another class of bert4keras2.models or a subclass, not {base!r}")
    doc = f"`{base.__name__}` as with application={application!r}."
    return type(name, (base,), {"implied_application": application, "__doc__": doc, "__module__": base.__module__})


def extend_with_language_model(BaseModel: type[Transformer]) -> type[Transformer]:
    """Return a subclass that is a causal language model: what `application="lm"` makes of the class.

    Args:
        BaseModel: BERT, another class of this module, or a subclass of one.

    Returns:
        A class for `build_transformer_model(model=...)`; another `application` given there wins.

    Raises:
        TypeError: if it is no such class.
    """
    return _extended(BaseModel, "lm", "LanguageModel")


def extend_with_unified_language_model(BaseModel: type[Transformer]) -> type[Transformer]:
    """Return a subclass that reads segment 0 both ways and generates segment 1: what `application="unilm"` makes of it.

    Args:
        BaseModel: BERT, another class of this module, or a subclass of one.

    Returns:
        A class for `build_transformer_model(model=...)`; another `application` given there wins.

    Raises:
        TypeError: if it is no such class.
    """
    return _extended(BaseModel, "unilm", "UnifiedLanguageModel")


def own_parameters(cls: type[Transformer]) -> set[str]:
    """Return the keywords that the constructors of a subclass take beyond those of `Transformer`."""
    found: set[str] = set()
    for base in cls.__mro__[: cls.__mro__.index(Transformer)]:
        if "__init__" in vars(base):
            parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
            found |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return found - {"config", *PARTS}
