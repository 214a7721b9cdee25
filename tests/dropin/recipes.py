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
        data: {beginning of paths in the script: folder of the benchmarks that is meant}.
        folders: that it expects to be there, relative to its own.
        wide: whether it has the width of the checkpoint in numbers.
    """

    arguments: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    steps: int = 2
    first: tuple[str, ...] = ()
    data: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    wide: bool = False


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


# By a part of the path: repositories whose scripts need the same. Scores that start at 0 are passed by no model that
# answers all alike: they start below, so that weights are saved. `num_per_val_file` is the length of FewCLUE's files.
_BELOW = {
    "num_per_val_file": 12,
    "best_val_mcc": -2,
    "best_val_pearson_corr": -2,
    "best_val_acc": -1,
    "best_val_f1": -1,
}
_PLACES = (
    "../../../datasets/",
    "../data/FewCLUEDatasets-master/ready_data/",
    "./ready_data/",
    "ready_data/",
    "datasets/",
)
_FEWCLUE = dict.fromkeys(_PLACES, "fewclue/")
_OUTPUT = (
    "output",
    "../output",
    "../output/ocnli",
    "baseline/models_keras/ptuning/output",
    "baselines/models_keras/ptuning/output",
)
FOLDERS: dict[str, Recipe] = {
    "+SuperGLUE-bert4keras/src/AX.py": Recipe(
        data={"../Datasets/SuperGLUE/": "superglue/"}, settings=_BELOW, first=("RTE.py",)
    ),
    "+SuperGLUE-bert4keras/src/": Recipe(data={"../Datasets/SuperGLUE/": "superglue/"}, settings=_BELOW),
    "+GLUE-bert4keras/": Recipe(data={"./datasets/": "glue/"}, folders=("results",), settings=_BELOW),
    # Its files are as long as an argument says.
    **{
        f"FewCLUE/baselines/models_keras/pet/pet_{task}.py": Recipe(
            ("--num_per_val_file", "12"),
            data=_FEWCLUE,
            settings=_BELOW,
            folders=_OUTPUT,
            wide=True,
        )
        for task in ("bustm", "chid", "csl", "csldcp", "eprstmt", "iflytek", "ocnli", "tnews", "wsc")
    },
    "FewCLUE/baselines/models_keras/ptuning_origin/": Recipe(("0",), data=_FEWCLUE, settings=_BELOW, wide=True),
    "FewCLUE/baselines/models_keras/": Recipe(data=_FEWCLUE, settings=_BELOW, folders=_OUTPUT, wide=True),
}


def recipe_for(path: Path) -> Recipe:
    """Return what a script needs; a recipe that changes nothing if it is not in the table."""
    name = path.as_posix()
    by_end = (recipe for end, recipe in RECIPES.items() if name.endswith((f"/{end}", f"+{end}")))
    by_folder = (recipe for folder, recipe in FOLDERS.items() if folder in name)
    return next(by_end, None) or next(by_folder, Recipe())
