"""What a pre-training run is told: a small TOML or JSON file, each value also as a flag."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bert4keras2.arguments import fraction, positive, whole_number
from bert4keras2.pretraining.recipes import RECIPES, Recipe

__all__ = ["PretrainingConfig", "read_file"]

OPTIMIZERS = ("adamw", "lamb", "lion", "tiger")
OBJECTIVE_NAMES = ("mlm", "nsp", "sop", "lm", "unilm", "simbert", "t5_pegasus", "electra")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def _about(text: str, default: Any = dataclasses.MISSING, factory: Any = dataclasses.MISSING) -> Any:
    return field(default=default, default_factory=factory, metadata={"help": text})


@dataclass(frozen=True)
class PretrainingConfig:
    """A pre-training run; `python -m bert4keras2 pretrain --help` tells the meaning of each value."""

    corpus: list[str] = _about("text or JSON Lines files, also gzipped, patterns, folders")
    output: str = _about("folder of the finished model; what the run needs to go on is kept in it, too")
    # The model.
    start: str | None = _about("folder of a checkpoint to go on from; its vocabulary is used", None)
    recipe: str = _about(f"family, optimizer and schedule as published: {', '.join(RECIPES)}", "roformer_v2")
    hidden_size: int = _about("width of the model", 256)
    num_hidden_layers: int = _about("number of blocks", 4)
    num_attention_heads: int = _about("heads of a block", 4)
    intermediate_size: int = _about("width within feed-forward networks", 1024)
    max_position: int = _about("positions that a model with a table of positions knows", 512)
    options: dict[str, Any] = _about("further options of build_transformer_model (JSON)", factory=dict)
    # The texts.
    vocabulary: str | None = _about("vocab.txt; otherwise one is made of the corpus' counts", None)
    vocab_size: int = _about("tokens of a vocabulary that is made", 8000)
    words: str = _about("where words begin: jieba, or tokens", "jieba")
    field: str = _about("the key of texts in JSON Lines", "text")
    group_field: str | None = _about("the key of texts that say the same, in JSON Lines (simbert)", None)
    encoding: str = _about("encoding of the files", "utf-8")
    workers: int = _about("processes that tokenize", 1)
    shards: str | None = _about("folder of tokenized texts; <output>/shards if not given", None)
    held_out: float = _about("share of the texts that are kept for evaluation", 0.01)
    # What is learnt.
    objective: str | None = _about(f"{', '.join(OBJECTIVE_NAMES)}; the recipe's if not given", None)
    row_length: int = _about("positions of a row", 128)
    packing: bool = _about("fill rows with several texts", True)
    mask_rate: float = _about("share of hidden tokens", 0.15)
    mask_decision: str | None = _about("token or word: what is masked, replaced or kept alike", None)
    shortest: int = _about("texts with fewer tokens are left out", 2)
    # How.
    steps: int = _about("updates of the weights", 1000)
    batch_size: int = _about("rows of a step on each device", 32)
    accumulation: int = _about("steps whose gradients make one update", 1)
    optimizer: str | None = _about(f"{', '.join(OPTIMIZERS)}; the recipe's if not given", None)
    learning_rate: float | None = _about("the rate that factor 1 of the schedule stands for", None)
    weight_decay: float | None = _about("decay of the weights", None)
    schedule: dict[str, float] | None = _about("{share of all steps: factor}, linear in between (JSON)", None)
    dropout: float | None = _about("dropout of hidden states and attention", None)
    precision: str = _about(", ".join(PRECISIONS), "float32")
    seed: int = _about("all chance follows from it", 0)
    distribute: bool = _about("train on all devices, and with all processes that the environment names", False)
    # Along the way.
    save_every: int = _about("updates between two states on the disk, from which an interrupted run goes on", 200)
    evaluate_rows: int = _about("rows of held-out texts that are evaluated at each state", 256)
    tensorboard: str | None = _about("folder for TensorBoard", None)
    progress: bool = _about("show progress bars", True)

    def __post_init__(self) -> None:
        set_value = object.__setattr__
        for name in ("corpus", "output"):
            if not getattr(self, name):
                raise ValueError(f"{name} is missing: {_FIELDS[name].metadata['help']}")
        if isinstance(self.corpus, str):
            set_value(self, "corpus", [self.corpus])
        _choice("recipe", self.recipe, RECIPES)
        for name, known in (("objective", OBJECTIVE_NAMES), ("optimizer", OPTIMIZERS), ("mask_decision", _DECISIONS)):
            if getattr(self, name) is not None:
                _choice(name, getattr(self, name), known)
        _choice("precision", self.precision, PRECISIONS)
        _choice("words", self.words, ("jieba", "tokens"))
        for name in _WHOLE:
            whole_number(name, getattr(self, name), 0 if name in ("seed", "evaluate_rows") else 1)
        for name in ("learning_rate", "weight_decay"):
            if getattr(self, name) is not None and not (name == "weight_decay" and self.weight_decay == 0):
                positive(name, getattr(self, name))
        for name in ("held_out", "mask_rate"):
            fraction(name, getattr(self, name))
        if self.schedule is not None:
            set_value(self, "schedule", _schedule(self.schedule))

    @classmethod
    def make(cls, values: Mapping[str, Any]) -> PretrainingConfig:
        """Return the configuration of values by name.

        Raises:
            ValueError: for a name that there is not, with the nearest one, and for a value that cannot be.
        """
        for name in values:
            if name not in _FIELDS:
                close = difflib.get_close_matches(name, _FIELDS, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(_FIELDS)}"
                raise ValueError(f"the configuration has an unknown key {name!r}: {hint}")
        missing = [name for name in ("corpus", "output") if name not in values]
        if missing:
            raise ValueError(f"{missing[0]} is missing: {_FIELDS[missing[0]].metadata['help']}")
        return cls(**values)

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

    def values(self) -> dict[str, Any]:
        """Return all values by name."""
        return dataclasses.asdict(self)


_FIELDS = {one.name: one for one in dataclasses.fields(PretrainingConfig)}
_DECISIONS = ("token", "word")
_WHOLE = tuple(name for name, one in _FIELDS.items() if one.type == "int")


def _choice(name: str, value: Any, known: Any) -> None:
    if value not in known:
        close = difflib.get_close_matches(str(value), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}{hint}")


def _schedule(given: Any) -> dict[float, float]:
    try:
        points = {float(share): float(factor) for share, factor in given.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"schedule is {{share of all steps: factor}}, not {given!r}") from error
    if not points or list(points) != sorted(points) or not all(0 <= share <= 1 for share in points):
        raise ValueError(f"the shares of a schedule go from 0 to 1 and increase; found {given!r}")
    return points


def read_file(path: str | os.PathLike) -> dict[str, Any]:
    """Return the values of a TOML or JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is neither, with the place of the fault.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no configuration file {path!r}")
    with open(path, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
        found = json.loads(text) if path.endswith(".json") else _toml().loads(text)
    except ValueError as error:  # UnicodeDecodeError, JSONDecodeError and TOMLDecodeError among them
        kind = "JSON" if path.endswith(".json") else "TOML"
        raise ValueError(f"{path} is not {kind} in UTF-8: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} should hold an object, but holds a {type(found).__name__}")
    return found


def _toml() -> Any:
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib
    return tomllib
