"""What single scripts need besides: arguments, settings that each user edits, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["RECIPES", "Recipe", "recipe_for"]


@dataclass(frozen=True)
class Recipe:
    """How a script is started.

    Attributes:
        arguments: of its command line.
        settings: {name: value} of assignments in it, and in modules beside it, that its users edit: how much is
            computed, on which machine.
        steps: how many to train.
        first: scripts beside it that its own instructions run before it.
    """

    arguments: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    steps: int = 2
    first: tuple[str, ...] = ()


# What these predict is cut out of the text by the offsets of tokens, and [CLS] has none: they have to learn a little.
LEARNT = Recipe(settings={"learning_rate": 0.1}, steps=60)
# By the end of the script's path.
RECIPES: dict[str, Recipe] = {
    "src/cluener.py": LEARNT,
    "clue/cluener.py": LEARNT,
    "examples/basic_gibbs_sampling_via_mlm.py": Recipe(settings={"steps": 6, "converged_steps": 2}),
    "examples/task_sentiment_integrated_gradients.py": Recipe(first=("task_sentiment_albert.py",)),
    "pretraining/data_utils.py": Recipe(settings={"workers": 2, "max_queue_size": 20}),
    "pretraining/pretraining.py": Recipe(
        settings={
            "tpu_address": None,
            "batch_size": 8,
            "grad_accum_steps": 2,
            "num_warmup_steps": 1,
            "num_train_steps": 4,
        }
    ),
    "BERT-whitening/chn/eval.py": Recipe(("BERT", "first-last-avg", "STS-B", "8")),
    "BERT-whitening/eng/eval.py": Recipe(("base", "STS-B", "8", "target")),
    "BERT-whitening/eng/nli_train.py": Recipe(("base",)),
    "SimCSE/eval.py": Recipe(("BERT", "cls", "STS-B", "0.3")),
}


def recipe_for(path: Path) -> Recipe:
    """Return what a script needs; a recipe that changes nothing if it is not in the table."""
    return next((recipe for end, recipe in RECIPES.items() if path.as_posix().endswith(f"/{end}")), Recipe())
