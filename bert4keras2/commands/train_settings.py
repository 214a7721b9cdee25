"""What `bert4keras2 train` is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bert4keras2.arguments import positive
from bert4keras2.settings import Settings, about, check_choice

__all__ = ["TASKS", "TrainSettings"]

# What the command calls a task, and its class.
TASKS = {"classify": "TextClassifier", "tag": "EntityTagger", "read": "SpanReader", "choose": "MultipleChoice"}
# Options of a task that the command has, and the tasks that know them.
OWN = {
    "kind": ("classify",),
    "pooling": ("classify", "choose"),
    "head": ("tag", "read"),
    "nested": ("tag",),
    "stride": ("read",),
}


@dataclass(frozen=True)
class TrainSettings(Settings):
    """Training of a task; `bert4keras2 train --help` tells the meaning of each value."""

    checkpoint: str = about("folder of a pre-trained model, or its name on the Hugging Face hub; or a saved task")
    train: str = about("rows to learn from: a CSV, TSV, JSON Lines or JSON file")
    output: str = about("folder of the finished task")
    task: str = about(f"{', '.join(TASKS)}: {', '.join(TASKS.values())}", "classify")
    valid: str | None = about("rows on which each epoch is evaluated: the best one is kept", None)
    test: str | None = about("rows on which the finished task is evaluated", None)
    columns: dict[str, Any] | None = about(
        '{"text": name or number of the column, ...} where the usual do (JSON)', None
    )
    labels: list[str] | None = about("the labels; those that occur if not given", None)
    # The task.
    kind: str | None = about("classify: single, multi or number; found in the rows if not given", None)
    pooling: str | None = about("classify, choose: cls, mean, first-last or pooler", None)
    head: str | None = about("tag: efficient_global_pointer, global_pointer, crf, softmax; read: start_end, ...", None)
    nested: bool = about("tag: entities may overlap", False)
    stride: int | None = about("read: tokens from one window to the next", None)
    maxlen: int | None = about("longest sequence of tokens", None)
    prefix: str = about('put before each text, such as "query: " for E5 models', "")
    options: dict[str, Any] = about("further options of build_transformer_model (JSON)", factory=dict)
    # The training.
    epochs: int = about("passes over the rows", 3)
    batch_size: int = about("rows of a batch", 32)
    learning_rate: float | None = about("the highest one; a usual one for the model's width if not given", None)
    warmup: float = about("share of the steps in which the rate rises", 0.1)
    weight_decay: float = about("of all weights but biases and normalizations", 0.01)
    adversarial: float | None = about("train at embeddings that are moved by so much (FGM)", None)
    seed: int = about("all chance follows from it", 42)

    def __post_init__(self) -> None:
        check_choice("task", self.task, TASKS)
        for name, tasks in OWN.items():
            if getattr(self, name) not in (None, False) and self.task not in tasks:
                raise ValueError(f"{name} is an option of {' and '.join(tasks)}, and the task is {self.task}")
        if self.labels is not None and self.task not in ("classify", "tag"):
            raise ValueError(f"labels are an option of classify and tag, and the task is {self.task}")
        self.check_numbers(("seed",), ("learning_rate", "adversarial"))
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of all steps, from 0 to below 1, not {self.warmup!r}")
        if self.weight_decay:
            positive("weight_decay", self.weight_decay)

    def task_options(self) -> dict[str, Any]:
        """Return the arguments of `from_checkpoint`."""
        names = ("maxlen", "labels", *OWN)
        found = {name: value for name in names if (value := getattr(self, name)) not in (None, False)}
        return {**self.options, **found, **({"prefix": self.prefix} if self.prefix else {})}
