"""What a distillation is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bert4keras2.arguments import fraction
from bert4keras2.pretraining.config import PRECISIONS
from bert4keras2.pretraining.recipes import Recipe
from bert4keras2.settings import Settings, about, check_choice, checked_shares

__all__ = ["DistillationConfig"]

KINDS = ("vectors", "hidden", "attention")
POOLINGS = ("mean", "cls", "pooler", "first-last")
SCHEDULE = {0.0: 0.0, 0.05: 1.0, 1.0: 0.0}


@dataclass(frozen=True)
class DistillationConfig(Settings):
    """A distillation; `python -m bert4keras2 distill --help` tells the meaning of each value."""

    teacher: str = about("folder of the model to learn from")
    student: str = about("folder of the model that learns (made by `pretrain` or `shrink`)")
    corpus: list[str] = about("text or JSON Lines files, also gzipped, patterns, folders")
    output: str = about("folder of the finished model; what the run needs to go on is kept in it, too")
    kind: str = about(
        "vectors: of whole texts, between any vocabularies; hidden states, or attention (relations of keys and of"
        " values, arXiv:2012.15828): of one vocabulary",
        "vectors",
    )
    # The texts.
    sentences: bool = about("cut passages into sentences", True)
    shortest: int = about("characters of a text at least", 4)
    texts: int | None = about("how many texts, drawn evenly; all if not given", None)
    field: str = about("the key of texts in JSON Lines", "text")
    encoding: str = about("encoding of the files", "utf-8")
    workers: int = about("processes that tokenize", 1)
    held_out: float = about("share of the texts that are kept for evaluation", 0.01)
    row_length: int = about("tokens of a text; longer ones are cut", 64)
    # The teacher.
    pooling: str = about("how its vectors are made: " + ", ".join(POOLINGS), "mean")
    prefix: str = about("what stands before each text for the teacher ('query: ')", "")
    teacher_length: int = about("tokens of a text for the teacher", 96)
    centring: float = about("share of the mean of the teacher's vectors that is taken away from each, 0 to 1", 1.0)
    # What is learnt.
    layers: dict[str, int] | None = about(
        "{block of the student: block of the teacher} (JSON); evenly if not given", None
    )
    similarities: float = about("weight of the similarities within a batch, beside the vectors themselves", 1.0)
    mlm: float = about("weight of masked language modelling, which keeps the head for it; 0: without", 1.0)
    mask_rate: float = about("share of hidden tokens", 0.15)
    masked_rows: float = about("share of the texts in which words are hidden, if vectors are learnt", 0.25)
    # How.
    steps: int = about("updates of the weights", 1000)
    batch_size: int = about("texts of a step", 64)
    accumulation: int = about("steps whose gradients make one update", 1)
    learning_rate: float = about("the rate that factor 1 of the schedule stands for", 5e-4)
    weight_decay: float = about("decay of the weights", 0.01)
    schedule: dict[str, float] | None = about("{share of all steps: factor}, linear in between (JSON)", None)
    precision: str = about(", ".join(PRECISIONS), "float32")
    seed: int = about("all chance follows from it", 0)
    save_every: int = about("updates between two states on the disk", 200)
    evaluate_rows: int = about("held-out texts that are evaluated at each state", 256)
    tensorboard: str | None = about("folder for TensorBoard", None)
    progress: bool = about("show progress bars", True)

    def __post_init__(self) -> None:
        if isinstance(self.corpus, str):
            object.__setattr__(self, "corpus", [self.corpus])
        check_choice("kind", self.kind, KINDS)
        check_choice("pooling", self.pooling, POOLINGS)
        check_choice("precision", self.precision, PRECISIONS)
        self.check_numbers(("seed", "evaluate_rows"), ("learning_rate",))
        for name in ("held_out", "mask_rate", "masked_rows"):
            fraction(name, getattr(self, name))
        if not isinstance(self.centring, int | float) or not 0 <= self.centring <= 1:
            raise ValueError(f"centring is a number from 0 to 1, not {self.centring!r}")
        for name in ("similarities", "mlm", "weight_decay"):
            if not isinstance(getattr(self, name), int | float) or getattr(self, name) < 0:
                raise ValueError(f"{name} is a number from 0 on, not {getattr(self, name)!r}")
        if self.schedule is not None:
            object.__setattr__(self, "schedule", checked_shares(self.schedule))

    @property
    def recipe(self) -> Recipe:
        """Optimizer and schedule as `make_optimizer` takes them."""
        rates: dict[str, Any] = {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}
        return Recipe("", schedule=self.schedule or SCHEDULE, **rates)
