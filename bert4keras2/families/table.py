"""All families: what their pages say, under the names that `model=` takes; and which one a configuration is of."""

from __future__ import annotations

import difflib
from typing import Any

from bert4keras2.families.albert import ALBERT, ALBERT_UNSHARED
from bert4keras2.families.bert import BERT
from bert4keras2.families.electra import ELECTRA
from bert4keras2.families.ernie import ERNIE
from bert4keras2.families.family import Family, Released
from bert4keras2.families.flash import FLASH
from bert4keras2.families.gau_alpha import GAU_ALPHA
from bert4keras2.families.gpt import GPT, GPT2, GPT2_ML
from bert4keras2.families.mixers import FNET, GMLP, MIXER, RESMLP
from bert4keras2.families.nezha import NEZHA
from bert4keras2.families.roberta import FAIRSEQ_ROBERTA, XLM_ROBERTA
from bert4keras2.families.roformer import ROFORMER, ROFORMER_V2
from bert4keras2.families.t5 import MT5, T5_1_0, T5_1_1

__all__ = ["FAMILIES", "FAMILY_KEY", "PAGES", "family_of", "guess_family", "page", "released"]

# In the order in which documents list them. Of two families whose signs both fit, the first one counts.
PAGES: tuple[Family, ...] = (
    BERT, ROFORMER, ROFORMER_V2, GAU_ALPHA, NEZHA, ALBERT, ALBERT_UNSHARED, ELECTRA, ERNIE, XLM_ROBERTA,
    FAIRSEQ_ROBERTA, MT5, T5_1_1, T5_1_0, GPT2_ML, GPT2, GPT, FLASH, FNET, GMLP, MIXER, RESMLP,
)  # fmt: skip
_BY_NAME = {family.name: family for family in PAGES}
# {name: the fields of `Config` in which the family differs from BERT}
FAMILIES: dict[str, dict[str, Any]] = {family.name: family.structure for family in PAGES}
# {other name: (family, options that the name implies)}
OTHER_NAMES = {name: (family.name, options) for family in PAGES for name, options in family.other_names.items()}
STACKS = ("encoder", "decoder")
# Where `model_type` does not tell, a configuration that we write names the family here.
FAMILY_KEY = "bert4keras2_family"


def page(name: str) -> Family:
    """Return what the library knows of a family, by the family's own name."""
    return _BY_NAME[name]


def released() -> tuple[Released, ...]:
    """Return the released packages of all families."""
    return tuple(package for family in PAGES for package in family.released)


def family_of(name: str) -> tuple[str, dict[str, Any]]:
    """Return the family that a `model=` name stands for, and the options that the name implies.

    Raises:
        TypeError: if it is no string.
        ValueError: for an unknown name, with the closest known one.
    """
    if not isinstance(name, str):
        raise TypeError(f"model= takes the name of a family or a subclass of Transformer, not {name!r}")
    key = name.lower().replace("-", "_")
    implied: dict[str, Any] = {}
    for stack in STACKS:
        if key.endswith(f"_{stack}") and "t5" in key:
            key, implied = key.removesuffix(f"_{stack}"), {"stack": stack}
    key = key.replace("t5_1_", "t5.1.")
    if key in OTHER_NAMES:
        key, options = OTHER_NAMES[key]
        implied = {**options, **implied}
    if key not in FAMILIES:
        known = sorted([*FAMILIES, *OTHER_NAMES])
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ValueError(f"Unknown model {name!r}{hint} Known are: {', '.join(known)}")
    return key, dict(implied)


def guess_family(file: dict[str, Any]) -> str | None:
    """Return the name of the family that a configuration says or gives away, None if it does neither.

    Raises:
        ValueError: if it names one that cannot be built.
    """
    if file.get(FAMILY_KEY):
        return family_of(file[FAMILY_KEY])[0]
    told = next((family.model_type for family in PAGES if any(file.get(key) for key in family.telling_keys)), None)
    model_type = file.get("model_type") or told
    if model_type is None:
        return None
    kind = str(model_type).lower().replace("-", "_")
    for family in PAGES:
        if family.claims is not None and family.claims(kind, file):
            return family.name
    return family_of(kind)[0]
