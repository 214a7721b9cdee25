"""NEZHA (Wei et al., arXiv:1909.00204): BERT with fixed vectors per distance between two tokens."""

from __future__ import annotations

from bert4keras2.families import bert
from bert4keras2.families.family import Family, Released

NEZHA = Family(
    name="nezha",
    structure={"norm": {"epsilon": 1e-12}, "position": "relative"},
    # Positions are computed, so no row speaks of them.
    tensorflow=bert.TENSORFLOW,
    huggingface=bert.HUGGINGFACE.variant(roots=("nezha.", "", "bert.")),
    model_type="nezha",
    class_name="Nezha",
    # A dialogue model (Su Jianlin, kexue.fm/archives/7718).
    other_names={"nezha_gpt": {"application": "lm"}},
    telling_keys=("use_relative_position", "max_relative_position"),
    stored_as="roformer",
    keys=lambda config: {"use_relative_position": True, "max_relative_position": config.max_relative_position},
    released=(
        Released("nezha_{base,base_wwm,large,large_wwm}", "nezha", "huawei-noah/Pretrained-Language-Model"),
        Released("NEZHA-{Base,Large}{,-WWM}", "nezha", "huawei-noah/Pretrained-Language-Model"),
        Released("nezha_gpt_dialog", "nezha_gpt", "bojone/nezha_gpt_dialog"),
    ),
)
