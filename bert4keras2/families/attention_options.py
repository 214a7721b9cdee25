"""The options of docs/attention.md: which values they take, what each of these may say, and which go together."""

from __future__ import annotations

import difflib
from typing import Any

__all__ = ["ATTENTIONS", "BLOCKS", "SAVED", "chosen", "saved_options", "validate_attention"]

REQUIRED = object()
# option -> {type: {what it may say: value if it does not}}
TYPES: dict[str, dict[str, dict[str, Any]]] = {
    # Frequencies of rotary positions, changed for texts `factor` times as long as those of training.
    "rope_scaling": {
        "linear": {"factor": REQUIRED},
        "ntk": {"factor": REQUIRED},
        "ntk_fixed": {"factor": REQUIRED},
        "ntk_mixed": {"factor": REQUIRED, "power": 0.625},
        "yarn": {"factor": REQUIRED, "length": 512, "fast": 32.0, "slow": 1.0},
        "rerope": {"window": REQUIRED},
        "leaky_rerope": {"window": REQUIRED, "factor": REQUIRED},
    },
}
BLOCKS = ("attention", "gau", "flash")
ATTENTIONS = ("softmax",)
# What config.json says of a model where it is not as the family has it.
SAVED = ("block", "chunk_size", "chunk_bias")


def chosen(option: str, value: Any) -> dict[str, Any]:
    """Return what an option says, with the values that it does not name.

    Args:
        option: a key of `TYPES`.
        value: the name of a type, or a dictionary whose "type" is one.

    Raises:
        ValueError: for another type, a key that the type does not have, or one that it lacks.
    """
    types = TYPES[option]
    said = {"type": value} if isinstance(value, str) else dict(value) if isinstance(value, dict) else {}
    kind = said.pop("type", None)
    if kind not in types:
        raise ValueError(
            f'{option} is {_listed(types)}, or a dictionary with one of them as "type", not {value!r}'
            + _close(kind, types)
        )
    known = types[kind]
    for name in said:
        if name not in known:
            takes = f"takes {_listed(known)}" if known else "takes no further values"
            raise ValueError(f"{option} of type {kind!r} has no {name!r}{_close(name, known)}: it {takes}")
    for name, default in known.items():
        if default is REQUIRED and name not in said:
            raise ValueError(f"{option} of type {kind!r} needs {name!r}, as in {{'type': {kind!r}, {name!r}: 8}}")
    return {"type": kind, **known, **said}


def validate_attention(config: Any) -> None:
    """Raise a ValueError that says what to change if the options of docs/attention.md do not fit a configuration."""
    if config.block not in BLOCKS:
        raise ValueError(f"block is {_listed(BLOCKS)}, not {config.block!r}{_close(config.block, BLOCKS)}")
    if config.block != "attention" and config.stack != "single":
        raise ValueError(f"block={config.block!r} is for models of one stack, and {config.family} has two")
    if config.block == "flash" and config.position in ("relative", "bucketed"):
        raise ValueError(
            f"block='flash' takes rotary, learnt or no positions, and {config.family} has {config.position} ones, "
            "which belong to pairs of tokens: chunk_bias=True is what it has of that kind"
        )


def saved_options(config: Any, structure: dict[str, Any]) -> dict[str, Any]:
    """Return the options that config.json has to name, as they can be read back.

    Args:
        config: the model's `Config`.
        structure: the fields in which its family differs from BERT.
    """
    fields = type(config).__dataclass_fields__
    return {
        name: getattr(config, name)
        for name in SAVED
        if getattr(config, name) != structure.get(name, fields[name].default)
    }


def _listed(names: Any) -> str:
    names = [repr(name) for name in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _close(name: Any, names: Any) -> str:
    close = difflib.get_close_matches(str(name), [str(known) for known in names], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
