"""FLASH (Hua et al., arXiv:2202.10447): gated units with attention in chunks and a linear form between them."""

from __future__ import annotations

from bert4keras2.families.family import Family
from bert4keras2.families.gau_alpha import GAU_ALPHA

FLASH = Family(
    name="flash",
    structure={**GAU_ALPHA.structure, "block": "flash", "normalization": "squared_relu", "use_bias": True},
    tensorflow=GAU_ALPHA.tensorflow,
    huggingface=GAU_ALPHA.huggingface,
    model_type="flash",
    class_name="Flash",
    names_embedding_size=True,
    own=True,
    keys=lambda config: {"normalization": config.normalization, "attention_scale": config.attention_scale},
)
