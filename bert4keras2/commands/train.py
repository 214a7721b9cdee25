"""The command `bert4keras2 train`: from files of rows to the folder of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["main"]

EPILOG = """A configuration is a TOML or JSON file with the names of the options below; options win over it:

    checkpoint = "chinese_roberta_wwm_ext_L-12_H-768_A-12"
    train = "train.tsv"
    valid = "valid.tsv"
    output = "my-task"

Then: bert4keras2 predict my-task texts.txt
"""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.commands.train") -> int:
    """Train a task from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.
    """
    from bert4keras2.commands.train_settings import TrainSettings
    from bert4keras2.settings import run_command

    return run_command(TrainSettings, train, arguments, prog, "Train a task on rows of files.", EPILOG)


def train(settings: Any) -> str:
    """Train and save a task, and return what it came to, in words."""
    from bert4keras2 import tasks
    from bert4keras2.commands.train_settings import TASKS
    from bert4keras2.functional.seeds import set_seed
    from bert4keras2.training import adversarial_training

    set_seed(settings.seed)
    rows, valid, test = (
        None if path is None else tasks.read_rows(path, settings.columns)
        for path in (settings.train, settings.valid, settings.test)
    )
    task = getattr(tasks, TASKS[settings.task]).from_checkpoint(settings.checkpoint, **settings.task_options())
    techniques = []
    if settings.adversarial is not None:
        techniques.append(lambda model: adversarial_training(model, "Embedding-Token$", settings.adversarial))
    task.fit(
        rows,
        valid,
        settings.epochs,
        settings.batch_size,
        settings.learning_rate,
        techniques=techniques,
        warmup=settings.warmup,
        weight_decay=settings.weight_decay,
    )
    task.save(settings.output)
    lines = []
    for name, data in (("valid", valid), ("test", test)):
        if data is not None:
            lines.append(f"{name}: {task.evaluate(data).text.splitlines()[0]}")
    return "\n".join([*lines, f"saved {settings.output}; load it with load_task({settings.output!r})"])


if __name__ == "__main__":
    raise SystemExit(main())
