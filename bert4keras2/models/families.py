"""The table of model families: how each differs from BERT."""

from __future__ import annotations

import difflib
from typing import Any

__all__ = ["ALIASES", "FAMILIES", "PRESETS", "family_of", "guess_family"]

# Root mean square normalization without weights, of RoFormerV2 and GAU-alpha.
PLAIN_RMS = {"epsilon": 1e-12, "zero_mean": False, "scale": False, "offset": False}
GPT = {"causal": True, "mlm_transform": False, "scores_name": "LM-Activation", "pretrained_heads": False}
T5 = {
    "stack": "seq2seq",
    "position": "bucketed",
    "attention_norm": "pre",
    "feed_forward_norm": "pre",
    "output_norm": True,
    "embedding_norm": False,
    "attention_scale": False,
    "segments": False,
    "use_bias": False,
    "mapping_bias": True,
    "norm": {"epsilon": 1e-6, "zero_mean": False, "offset": False},
    "mlm_transform": False,
    "output_scale": True,
    "pretrained_heads": False,
}

# Fields of `Config` that a family sets; what is not named is as in BERT.
FAMILIES: dict[str, dict[str, Any]] = {
    # Devlin et al., arXiv:1810.04805
    "bert": {"norm": {"epsilon": 1e-12}},
    # Lan et al., arXiv:1909.11942; unshared: each block starts from the shared one and goes its own way
    "albert": {"norm": {"epsilon": 1e-12}, "share_blocks": True},
    "albert_unshared": {"norm": {"epsilon": 1e-12}},
    # Wei et al., arXiv:1909.00204
    "nezha": {"norm": {"epsilon": 1e-12}, "position": "relative"},
    # Clark et al., arXiv:2003.10555
    "electra": {"norm": {"epsilon": 1e-12}, "pretrained_heads": False},
    # Su et al., arXiv:2104.09864
    "roformer": {"norm": {"epsilon": 1e-12}, "position": "rotary"},
    # Su Jianlin, kexue.fm/archives/8998
    "roformer_v2": {
        "position": "rotary",
        "use_bias": False,
        "norm": PLAIN_RMS,
        "mlm_transform": False,
        "scores_name": "Output-MLM-Activation",
        "pretrained_heads": False,
        "depth_init": 2,
    },
    # Su Jianlin, kexue.fm/archives/9052; the unit: Hua et al., arXiv:2202.10447
    "gau_alpha": {
        "block": "gau",
        "position": "rotary",
        "use_bias": False,
        "norm": PLAIN_RMS,
        "normalization": "softmax_plus",
        "mlm_transform": False,
        "scores_name": "Output-MLM-Activation",
        "pretrained_heads": False,
        "depth_init": 3,
    },
    # Radford et al. 2018, as CDial-GPT (Wang et al., arXiv:2008.03946) was converted
    "gpt": {**GPT, "embedding_norm": False, "norm": {"epsilon": 1e-12}},
    # Radford et al. 2019, as CPM (Zhang et al., arXiv:2012.00413)
    "gpt2": {
        **GPT,
        "segments": False,
        "embedding_norm": False,
        "attention_norm": "pre",
        "feed_forward_norm": "pre",
        "output_norm": True,
        "norm": {"epsilon": 1e-5},
    },
    # Zhang Zhibo, github.com/imcaspar/gpt2-ml, with the blocks of Grover (Zellers et al., arXiv:1905.12616)
    "gpt2_ml": {
        **GPT,
        "segments": False,
        "attention_norm": "none",
        "feed_forward_norm": "both",
        "norm": {"epsilon": 1e-5},
    },
    # Raffel et al., arXiv:1910.10683; 1.1: Shazeer, arXiv:2002.05202; mT5: Xue et al., arXiv:2010.11934
    "t5.1.0": {**T5, "scores_name": "Output-LM-Activation"},
    "t5.1.1": {**T5, "scores_name": "Output-LM", "tied_output": False},
    "mt5.1.1": {**T5, "scores_name": "Output-LM", "tied_output": False},
}

# Models that are a family with options: (family, options that a call may override).
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    # Su Jianlin, kexue.fm/archives/7427 and 8454: a sentence vector and a generator in one
    "simbert": ("bert", {"application": "unilm", "with_pool": "linear"}),
    "roformer_sim": ("roformer", {"application": "unilm", "with_pool": "linear"}),
    # Su Jianlin, kexue.fm/archives/7718: a dialogue model from NEZHA
    "nezha_gpt": ("nezha", {"application": "lm"}),
    # Speakers are tokens of the vocabulary
    "cdial_gpt": ("gpt", {"shared_segment_embeddings": True}),
}

# Other names of a family; Chinese RoBERTa checkpoints are BERT trained longer (Cui et al., arXiv:1906.08101).
ALIASES = {
    "roberta": "bert",
    "wobert": "bert",
    "t5": "t5.1.0",
    "mt5": "mt5.1.1",
    "t5_pegasus": "mt5.1.1",
    "gau": "gau_alpha",
}
STACKS = ("encoder", "decoder")

# Keys of a configuration that only one family has, for files older than `model_type`.
TELLING_KEYS = {
    "n_embd": "gpt2",
    "num_hidden_groups": "albert",
    "d_kv": "t5",
    "use_relative_position": "nezha",
    "max_relative_position": "nezha",
}


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
    key = ALIASES.get(key, key).replace("t5_1_", "t5.1.")
    if key in PRESETS:
        key, implied = PRESETS[key]
    if key not in FAMILIES:
        known = sorted([*FAMILIES, *ALIASES, *PRESETS])
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ValueError(f"Unknown model {name!r}{hint} Known are: {', '.join(known)}")
    return key, dict(implied)


def guess_family(file: dict[str, Any]) -> str | None:
    """Return the name of the family that a configuration says or gives away, None if it does neither.

    Raises:
        ValueError: if it names one that cannot be built.
    """
    if file.get("bert4keras2_family"):
        return family_of(file["bert4keras2_family"])[0]  # noted by ours, where `model_type` does not tell
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
    # The port of RoFormerV2 calls itself by the name of the first, with "norm_type": "rms_norm".
    if key == "roformer" and file.get("norm_type") not in (None, "layer_norm"):
        key = "roformer_v2"
    if key == "t5" and str(file.get("feed_forward_proj", "")).startswith("gated"):
        key = "t5.1.1"
    return family_of(key)[0]
