"""RoFormer and RoFormerV2: rotary positions (Su et al., arXiv:2104.09864; Su Jianlin, kexue.fm/archives/8998)."""

from __future__ import annotations

from bert4keras2.families import bert
from bert4keras2.families.bert import JIEBA, SIMILAR_SENTENCES, ZHUIYI
from bert4keras2.families.family import Family, Released

ROOTS = ("roformer.", "", "bert.")
ROFORMER = Family(
    name="roformer",
    structure={"norm": {"epsilon": 1e-12}, "position": "rotary"},
    tensorflow=bert.TENSORFLOW,
    huggingface=bert.HUGGINGFACE.variant(roots=ROOTS, tasks=bert.DEEP_TASK_HEADS),
    model_type="roformer",
    class_name="RoFormer",
    causal_class="ForCausalLM",
    names_embedding_size=True,
    classifier_act="gelu",
    other_names={"roformer_sim": SIMILAR_SENTENCES},
    # NEZHA's files hold the same names, and are taken for RoFormer's where the configuration is silent.
    hints=(r"query[/.]bias",),
    keys=lambda config: {"rotary_value": False},
    released=(
        Released("chinese_roformer_L-{12_H-768_A-12,6_H-384_A-6}", "roformer", f"{ZHUIYI}/roformer", tokenizer=JIEBA),
        Released("chinese_roformer-char_L-{12_H-768_A-12,6_H-384_A-6}", "roformer", f"{ZHUIYI}/roformer"),
        Released(
            "chinese_roformer-gpt-char_L-12_H-768_A-12", "roformer", f"{ZHUIYI}/roformer", {"application": "lm"}
        ),
        Released(
            "chinese_roformer-sim-char{,-ft}_L-{12_H-768_A-12,6_H-384_A-6}", "roformer_sim", f"{ZHUIYI}/roformer-sim",
            note="sentence vector and generator",
        ),
    ),
)  # fmt: skip

# Root mean square normalization without weights.
PLAIN_RMS = {"epsilon": 1e-12, "zero_mean": False, "scale": False, "offset": False}
ROFORMER_V2 = Family(
    name="roformer_v2",
    structure={
        "position": "rotary",
        "use_bias": False,
        "norm": PLAIN_RMS,
        "mlm_transform": False,
        "scores_name": "Output-MLM-Activation",
        "pretrained_heads": False,
        "depth_init": 2,
    },
    # No biases, no normalization weights, no transform before its output: what is not in the model is not asked for,
    # so BERT's rows serve.
    tensorflow=bert.TENSORFLOW,
    huggingface=bert.HUGGINGFACE.variant(drop=("MLM-*",), roots=ROOTS, tasks=()),
    model_type="roformer",
    class_name="RoFormer",
    causal_class="ForCausalLM",
    names_embedding_size=True,
    # The port calls itself by the name of the first, with "norm_type": "rms_norm".
    claims=lambda kind, file: kind == "roformer" and file.get("norm_type") not in (None, "layer_norm"),
    hints=(r"query[/.](kernel|weight)",),
    keys=lambda config: {"rotary_value": False, "norm_type": "rms_norm", "use_bias": False},
    released=(
        Released(
            "chinese_roformer-v2-char_L-{6_H-384_A-6,12_H-768_A-12,24_H-1024_A-16}", "roformer_v2",
            f"{ZHUIYI}/roformer-v2",
        ),
    ),
)  # fmt: skip
