"""What a pre-training run is told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from bert4keras2.arguments import fraction
from bert4keras2.pretraining.recipes import RECIPES, Recipe
from bert4keras2.settings import Settings, about, check_choice, checked_shares

__all__ = ["PRECISIONS", "PretrainingConfig"]

OPTIMIZERS = ("adamw", "lamb", "lion", "tiger")
OBJECTIVE_NAMES = ("mlm", "nsp", "sop", "lm", "unilm", "simbert", "t5_pegasus", "electra")
DECISIONS = ("token", "word")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class PretrainingConfig(Settings):
    """A pre-training run; `python -m bert4keras2 pretrain --help` tells the meaning of each value."""

    corpus: list[str] = about("text or JSON Lines files, also gzipped, patterns, folders")
    output: str = about("folder of the finished model; what the run needs to go on is kept in it, too")
    # The model.
    start: str | None = about("checkpoint, by folder or name, to go on from; its vocabulary is used", None)
    new_head: bool = about("begin the objective's head with new weights where the checkpoint has none", False)
    mask_token: str | None = about("piece that hides others where the vocabulary has no mask, such as <unk>", None)
    recipe: str = about(f"family, optimizer and schedule as published: {', '.join(RECIPES)}", "roformer_v2")
    hidden_size: int = about("width of the model", 256)
    num_hidden_layers: int = about("number of blocks", 4)
    num_attention_heads: int = about("heads of a block", 4)
    intermediate_size: int = about("width within feed-forward networks", 1024)
    max_position: int = about("positions that a model with a table of positions knows", 512)
    options: dict[str, Any] = about("further options of build_transformer_model (JSON)", factory=dict)
    # The texts.
    vocabulary: str | None = about("vocab.txt; otherwise one is made of the corpus' counts", None)
    vocab_size: int = about("tokens of a vocabulary that is made", 8000)
    words: str = about("where words begin: jieba, or tokens", "jieba")
    field: str = about("the key of texts in JSON Lines", "text")
    group_field: str | None = about("the key of texts that say the same, in JSON Lines (simbert)", None)
    encoding: str = about("encoding of the files", "utf-8")
    workers: int = about("processes that tokenize", 1)
    shards: str | None = about("folder of tokenized texts; <output>/shards if not given", None)
    held_out: float = about("share of the texts that are kept for evaluation", 0.01)
    # What is learnt.
    objective: str | None = about(f"{', '.join(OBJECTIVE_NAMES)}; the recipe's if not given", None)
    row_length: int = about("positions of a row", 128)
    packing: bool = about("fill rows with several texts", True)
    mask_rate: float = about("share of hidden tokens", 0.15)
    mask_decision: str | None = about("token or word: what is masked, replaced or kept alike", None)
    shortest: int = about("texts with fewer tokens are left out", 2)
    # How.
    steps: int = about("updates of the weights", 1000)
    batch_size: int = about("rows of a step on each device", 32)
    accumulation: int = about("steps whose gradients make one update", 1)
    optimizer: str | None = about(f"{', '.join(OPTIMIZERS)}; the recipe's if not given", None)
    learning_rate: float | None = about("the rate that factor 1 of the schedule stands for", None)
    weight_decay: float | None = about("decay of the weights", None)
    schedule: dict[str, float] | None = about("{share of all steps: factor}, linear in between (JSON)", None)
    dropout: float | None = about("dropout of hidden states and attention", None)
    precision: str = about(", ".join(PRECISIONS), "float32")
    seed: int = about("all chance follows from it", 0)
    distribute: bool = about("train on all devices, and with all processes that the environment names", False)
    # Along the way.
    save_every: int = about("updates between two states on the disk, from which an interrupted run goes on", 200)
    evaluate_rows: int = about("rows of held-out texts that are evaluated at each state", 256)
    tensorboard: str | None = about("folder for TensorBoard", None)
    progress: bool = about("show progress bars", True)

    def __post_init__(self) -> None:
        set_value = object.__setattr__
        if isinstance(self.corpus, str):
            set_value(self, "corpus", [self.corpus])
        check_choice("recipe", self.recipe, RECIPES)
        for name, known in (("objective", OBJECTIVE_NAMES), ("optimizer", OPTIMIZERS), ("mask_decision", DECISIONS)):
            if getattr(self, name) is not None:
                check_choice(name, getattr(self, name), known)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("words", self.words, ("jieba", "tokens"))
        self.check_numbers(("seed", "evaluate_rows"), ("learning_rate",))
        for name in ("held_out", "mask_rate"):
            fraction(name, getattr(self, name))
        if self.schedule is not None:
            set_value(self, "schedule", checked_shares(self.schedule))

    @property
    def published(self) -> Recipe:
        """The recipe, with what this configuration says instead."""
        own = {
            name: value
            for name in ("objective", "optimizer", "learning_rate", "weight_decay", "mask_decision", "dropout")
            if (value := getattr(self, name)) is not None
        }
        if self.schedule is not None:
            own["schedule"] = self.schedule
        return dataclasses.replace(RECIPES[self.recipe], **own)
