"""GAU-alpha (Su Jianlin, kexue.fm/archives/9052): blocks are gated attention units (Hua et al., arXiv:2202.10447)."""

from __future__ import annotations

from bert4keras2.families import bert
from bert4keras2.families.bert import ZHUIYI, hf_dense, hf_norm
from bert4keras2.families.family import Family, Released, Row
from bert4keras2.families.roformer import PLAIN_RMS

UNIT = "Transformer-{i}-GatedAttentionUnit"
TF_LAYER, HF_LAYER = "GAU_alpha/encoder/layer_{i}/gau", f"{bert.LAYER}.gau"

GAU_ALPHA = Family(
    name="gau_alpha",
    structure={
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
    # Normalization without weights leaves no rows, and tokens are scored by their embeddings alone.
    tensorflow=bert.TENSORFLOW.variant(
        drop=("Transformer-*",),
        plus=(
            *(Row(f"{UNIT}/{x}_dense/{{dense}}", f"{TF_LAYER}/{x}_dense/{{dense}}") for x in "io"),
            *(Row(f"{UNIT}/{x}_scaleoffset/{{norm}}", f"{TF_LAYER}/{x}_scaleoffset/{{norm}}") for x in "qk"),
        ),
    ),
    huggingface=bert.HUGGINGFACE.variant(
        drop=("Transformer-*", "MLM-*"),
        plus=(
            *(hf_dense(f"{UNIT}/{x}_dense", f"{HF_LAYER}.{x}_dense") for x in "io"),
            *(row for x in "qk" for row in hf_norm(f"{UNIT}/{x}_scaleoffset", f"{HF_LAYER}.{x}_scaleoffset")),
        ),
        roots=("gau_alpha.", ""),
        tasks=(),
    ),
    model_type="gau_alpha",
    class_name="GAUAlpha",
    names_embedding_size=True,
    other_names={"gau": {}},
    signs=(r"GAU_alpha/|\.gau\.",),
    read=lambda file: {"num_attention_heads": 1, **file},  # the port names none
    keys=lambda config: {
        "use_bias": False,
        "normalization": config.normalization,
        "attention_scale": config.attention_scale,
    },
    released=(Released("chinese_GAU-alpha-char_L-24_H-768", "gau_alpha", f"{ZHUIYI}/GAU-alpha"),),
)
