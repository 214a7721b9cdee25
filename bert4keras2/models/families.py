"""The table of model families: how each differs from BERT."""

from __future__ import annotations

import difflib
import re
from typing import Any

__all__ = ["ALIASES", "FAMILIES", "family_of", "guess_family"]

# Fields of `Config` that a family sets; what is not named is as in BERT.
FAMILIES: dict[str, dict[str, Any]] = {
    # Devlin et al., arXiv:1810.04805
    "bert": {"norm": {"epsilon": 1e-12}},
    # Su et al., arXiv:2104.09864
    "roformer": {"norm": {"epsilon": 1e-12}, "position": "rotary"},
    # Su Jianlin, kexue.fm/archives/8998
    "roformer_v2": {
        "position": "rotary",
        "use_bias": False,
        "norm": {"epsilon": 1e-12, "zero_mean": False, "scale": False, "offset": False},
        "mlm_transform": False,
        "output_prefix": "Output-",
        "pretrained_heads": False,
        "depth_init": 2,
    },
}

# Other names of a family; Chinese RoBERTa checkpoints are BERT trained longer (Cui et al., arXiv:1906.08101).
ALIASES = {"roberta": "bert", "simbert": "bert", "roformer_sim": "roformer", "wobert": "bert"}

# Families of bert4keras that this version does not build, so that asking for one says so.
NOT_YET = ("albert", "nezha", "electra", "gpt", "t5", "mt5", "gau", "gpt2")

# Keys of a configuration that only one family has, for files older than `model_type`.
TELLING_KEYS = {"n_embd": "gpt2", "num_hidden_groups": "albert", "d_kv": "t5", "use_relative_position": "nezha"}


def family_of(name: str) -> str:
    """Return the family that a `model=` name stands for.

    Raises:
        ValueError: for an unknown name, with the closest known one.
    """
    if not isinstance(name, str):
        raise TypeError(f"model= takes the name of a family or a subclass of Transformer, not {name!r}")
    key = name.lower().replace("-", "_")
    key = ALIASES.get(key, key)
    if key not in FAMILIES:
        planned = next((family for family in NOT_YET if re.match(rf"{family}(_|\.|$)", key)), None)
        if planned is not None:
            raise ValueError(
                f"model={name!r}: this version does not build {planned} models. It builds {', '.join(FAMILIES)}"
            )
        known = sorted([*FAMILIES, *ALIASES])
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ValueError(f"Unknown model {name!r}{hint} Known are: {', '.join(known)}")
    return key


def guess_family(file: dict[str, Any]) -> str | None:
    """Return the family that a configuration names or gives away, None if it does neither.

    Raises:
        ValueError: if it names one that cannot be built.
    """
    by_key = next((family for key, family in TELLING_KEYS.items() if file.get(key)), None)
    model_type = file.get("model_type") or by_key
    if model_type is None:
        return None
    key = str(model_type).lower().replace("-", "_")
    if key in ("roberta", "xlm_roberta"):
        raise ValueError(
            f"The configuration says model_type {model_type!r}, whose positions count from 2: this version does not "
            "build it. (Chinese RoBERTa-wwm checkpoints are BERT models and say so.)"
        )
    if key == "roformer" and file.get("norm_type") == "rmsnorm":
        key = "roformer_v2"
    return family_of(key)
