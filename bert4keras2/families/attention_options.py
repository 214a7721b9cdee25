"""The options of docs/attention.md: which values they take, what each of these may say, and which go together."""

from __future__ import annotations

import difflib
import math
from typing import Any

__all__ = ["LINEAR", "PLACED", "SAVED", "chosen", "is_pairwise", "kind", "saved_options", "validate_attention"]

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
    # What mixes the tokens in a block of attention and feed-forward network.
    "attention": {
        "softmax": {},
        "linear": {},
        "cosine": {},
        "performer": {"features": None, "redraw": False, "seed": 0},
        "taylor": {"order": 2},
        "limit": {"order": 2},
        "nystrom": {"landmarks": 64, "iterations": 6, "convolution": None},
        "efficient": {},
        "synthesizer": {"kinds": ("dense",), "rank": 8},
        "external": {"memories": 64},
        "mlp": {"units": 256},
        "resmlp": {},
        "fourier": {"length": None},
    },
    # Scores times log n / log length, n being how many keys a query sees.
    "log_n": {"train": {"length": 512}, "inference": {"length": REQUIRED}},
    # Attention to near tokens. full_layers: how many of the last blocks see all, or the numbers of those that do;
    # positions: whether those have rotary positions.
    "attention_window": {
        "all": {"window": REQUIRED},
        "hwfa": {"window": REQUIRED, "full_layers": 1, "positions": False},
    },
    # How residual sums start.
    "residual": {"deepnorm": {"rule": "paper"}, "ramp": {"steps": REQUIRED}},
}
BLOCKS = ("attention", "gau", "flash", "gmlp")
# Those with a kernel, whose sums over keys are a state of generation.
LINEAR = ("linear", "cosine", "performer", "taylor", "limit")
# Those that look both ways, whatever the mask.
BOTH_WAYS = ("nystrom", "efficient", "external", "mlp", "fourier")
# Those whose layers have weights for each place, so that a text can have no more tokens than `max_position`.
PLACED = ("gmlp", "synthesizer", "mlp", "resmlp")
# What config.json says of a model where it is not as the family has it.
SAVED = (
    "block",
    "attention",
    "tiny_attention",
    "chunk_size",
    "chunk_bias",
    "rope_scaling",
    "log_n",
    "key_norm",
    "position_axes",
    "patch_size",
    "attention_window",
    "residual",
    "layer_scale",
)


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


def kind(config: Any) -> str:
    """Return what mixes the tokens of a configuration: the block, or where that is "attention" the type of that."""
    if config.block != "attention":
        return config.block
    said = config.attention
    return said["type"] if isinstance(said, dict) else said


def is_pairwise(config: Any) -> bool:
    """Whether blocks look at pairs of tokens, and so need a mask that tells of each; others count tokens alone."""
    return kind(config) not in ("flash", *LINEAR, *BOTH_WAYS)


def validate_attention(config: Any) -> None:
    """Raise a ValueError that says what to change if the options of docs/attention.md do not fit a configuration."""
    if config.block not in BLOCKS:
        raise ValueError(f"block is {_listed(BLOCKS)}, not {config.block!r}{_close(config.block, BLOCKS)}")
    chosen("attention", config.attention)
    mixer = kind(config)
    if mixer != "softmax":
        _validate_mixer(config, mixer)
    _validate_length(config)
    if config.position_axes not in (1, 2):
        raise ValueError(f"position_axes is 1 for texts or 2 for texts with images, not {config.position_axes!r}")
    if config.position_axes == 2 and config.position != "rotary":
        raise ValueError(f"position_axes=2 is for rotary positions, and {config.family} has {config.position} ones")
    if config.patch_size and config.stack != "single":
        raise ValueError(f"patch_size is for models of one stack, and {config.family} has two")
    _validate_residual(config)


def _validate_mixer(config: Any, mixer: str) -> None:
    option = f"block={mixer!r}" if config.block != "attention" else f"attention={mixer!r}"
    if config.stack != "single":
        raise ValueError(f"{option} is for models of one stack, and {config.family} has two")
    if mixer == "gau":
        return
    if config.position in ("relative", "bucketed"):
        has = ": chunk_bias=True is what it has of that kind" if mixer == "flash" else ""
        raise ValueError(
            f"{option} takes rotary, learnt or no positions, and {config.family} has {config.position} ones, which "
            f"belong to pairs of tokens{has}"
        )
    if config.residual_attention_scores:
        raise ValueError(f"residual_attention_scores adds scores of softmax attention, and {option} has none")
    if mixer in BOTH_WAYS and config.application != "encoder":
        raise ValueError(
            f"{option} looks both ways, so a model of it cannot be application={config.application!r}: take 'linear', "
            "'performer', 'synthesizer' or 'resmlp', or block='flash' or 'gmlp'"
        )
    rotary = mixer in ("flash", "nystrom", "efficient", *LINEAR) or (mixer == "synthesizer" and _has_dot(config))
    if config.position == "rotary" and not rotary:
        raise ValueError(
            f"{option} has no queries and keys that rotary positions could turn, and {config.family} has no others: "
            "take another family, such as 'bert'"
        )


def _has_dot(config: Any) -> bool:
    kinds = chosen("attention", config.attention)["kinds"]
    return "dot" in ([kinds] if isinstance(kinds, str) else kinds)


def _validate_length(config: Any) -> None:
    pairs = kind(config) in ("softmax", "gau")
    if config.rope_scaling is not None:
        said = chosen("rope_scaling", config.rope_scaling)
        if config.position != "rotary":
            raise ValueError(f"rope_scaling is for rotary positions, and {config.family} has {config.position} ones")
        for name in ("factor", "length", "power", "slow", "fast"):
            if name in said and not _is_number(said[name], 1 if name == "factor" else 1e-6):
                raise ValueError(
                    f"rope_scaling: {name} is a number from {int(name == 'factor')} on, not {said[name]!r}"
                )
        if "window" in said:
            if not _is_whole(said["window"]):
                raise ValueError(f"rope_scaling: window is a number of tokens, at least 1, not {said['window']!r}")
            if not pairs:
                raise ValueError(
                    f"rope_scaling of type {said['type']!r} chooses between scores pair by pair, which only softmax "
                    "attention and the gated unit have: take 'ntk', 'ntk_mixed' or 'yarn'"
                )
            if config.custom_position_ids:
                raise ValueError(
                    f"rope_scaling of type {said['type']!r} counts positions itself: no custom_position_ids"
                )
    for name in ("log_n", "attention_window", "key_norm"):
        if getattr(config, name) and (not pairs or config.stack != "single"):
            raise ValueError(
                f"{name} is for models of one stack whose blocks are softmax attention or gated units, not for "
                f"{config.family} with block={config.block!r}, attention={config.attention!r}"
            )
    if config.log_n is not None:
        said = chosen("log_n", config.log_n)
        if not _is_whole(said["length"], 2):
            raise ValueError(f"log_n: length is a number of tokens, at least 2, not {said['length']!r}")
        if config.normalization == "softmax_plus":
            raise ValueError(
                f"normalization='softmax_plus', which {config.family} has, is softmax with log n already: leave log_n "
                "out, or set normalization='softmax'"
            )
    if config.attention_window is not None:
        said = chosen("attention_window", config.attention_window)
        if not _is_whole(said["window"]):
            raise ValueError(f"attention_window: window is a number of tokens, at least 1, not {said['window']!r}")
        full, blocks = said.get("full_layers", 0), range(config.num_hidden_layers)
        listed = isinstance(full, list | tuple)
        if not (_is_whole(full, 0) and full <= len(blocks) or listed and all(number in blocks for number in full)):
            raise ValueError(
                f"attention_window: full_layers is how many of the {len(blocks)} last blocks see all, or a list of "
                f"their numbers from 0, not {full!r}"
            )


def _validate_residual(config: Any) -> None:
    if config.residual is None:
        return
    said = chosen("residual", config.residual)
    if said["type"] == "ramp" and not _is_whole(said["steps"]):
        raise ValueError(f"residual: steps is a number of training steps, at least 1, not {said['steps']!r}")
    rules = ("paper", "sgd", "adam", "lamb")
    if said["type"] == "deepnorm" and said["rule"] not in rules:
        raise ValueError(f"residual: rule is {_listed(rules)}, not {said['rule']!r}{_close(said['rule'], rules)}")
    if said["type"] == "deepnorm" and (config.attention_norm != "post" or config.feed_forward_norm != "post"):
        raise ValueError(
            f"residual='deepnorm' is for blocks that normalise after the residual sum, and those of {config.family} "
            f"have attention_norm={config.attention_norm!r}, feed_forward_norm={config.feed_forward_norm!r}"
        )


def _is_whole(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any, least: float = 0) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value < math.inf


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
