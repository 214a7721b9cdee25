"""Recipes: how models of this line of work were pre-trained, as rows that a configuration names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["RECIPES", "Recipe"]

# What BERT's own training leaves without decay (bert4keras too).
PLAIN = ("Norm", "bias")


@dataclass(frozen=True)
class Recipe:
    """One way to pre-train.

    Attributes:
        model: the family, as `build_transformer_model` takes it.
        objective: what is learnt, if the configuration does not say.
        optimizer: a key of `optimizers`.
        learning_rate: the rate that factor 1 of the schedule stands for.
        weight_decay: of the optimizer.
        exclude: parts of the names of variables that have no decay (and no layer adaptation with LAMB).
        schedule: {share of all steps: factor}, linear in between.
        mask_decision: "token" or "word", see `WholeWordMasking`.
        dropout: of hidden states and attention.
        options: of build_transformer_model: what released configurations of the family say beside their sizes.
        source: where the numbers are from.
    """

    model: str
    objective: str = "mlm"
    optimizer: str = "adamw"
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    exclude: tuple[str, ...] = PLAIN
    schedule: dict[float, float] = field(default_factory=lambda: {0.0: 0.0, 0.01: 1.0, 1.0: 0.0})
    mask_decision: str = "token"
    dropout: float = 0.1
    options: dict[str, Any] = field(default_factory=dict)
    source: str = ""


RECIPES: dict[str, Recipe] = {
    "bert": Recipe("bert", source="arXiv:1810.04805; without NSP as arXiv:1907.11692"),
    "roberta_lamb": Recipe(
        "bert",
        optimizer="lamb",
        learning_rate=1.76e-3,
        schedule={0.0: 0.0, 0.025: 1.0, 1.0: 0.0},
        source="bert4keras' pre-training folder: LAMB, effective batch 4096, 3,125 of 125,000 steps of warm-up",
    ),
    "roformer": Recipe("roformer", learning_rate=1e-5, source="arXiv:2104.09864, kexue.fm/archives/8265"),
    # Drawn by depth (order 2 and 3), no biases, no dropout; LAMB without exceptions.
    "roformer_v2": Recipe(
        "roformer_v2",
        optimizer="lamb",
        learning_rate=1.76e-3,
        exclude=(),
        schedule={0.0: 0.0, 0.0125: 1.0, 0.125: 0.5, 0.5: 0.1, 1.0: 0.01},
        mask_decision="word",
        dropout=0.0,
        source="github.com/ZhuiyiTechnology/roformer-v2, kexue.fm/archives/8998",
    ),
    "gau_alpha": Recipe(
        "gau_alpha",
        optimizer="lamb",
        learning_rate=1.76e-3,
        exclude=(),
        schedule={0.0: 1.0, 0.125: 0.5, 0.5: 0.1, 1.0: 0.01},
        mask_decision="word",
        dropout=0.0,
        source="github.com/ZhuiyiTechnology/GAU-alpha, kexue.fm/archives/9052",
    ),
    "gpt": Recipe("gpt", objective="lm", learning_rate=2.5e-4, source="GPT (Radford et al., 2018)"),
    "unilm": Recipe("bert", objective="unilm", learning_rate=1e-4, source="arXiv:1905.03197"),
    "simbert": Recipe("bert", objective="simbert", learning_rate=2e-6, source="kexue.fm/archives/7427"),
    "t5_pegasus": Recipe(
        "t5.1.1",
        objective="t5_pegasus",
        learning_rate=1e-4,
        options={"hidden_act": ["gelu", "linear"]},  # gated, as mT5, from whose weights it went on
        source="kexue.fm/archives/8209",
    ),
    "electra": Recipe("electra", objective="electra", learning_rate=5e-4, source="arXiv:2003.10555"),
}
