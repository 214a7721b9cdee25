"""What a checkpoint looks like, for errors that say which model would have fitted."""

from __future__ import annotations

import re
from typing import Any

from bert4keras2.checkpoints.readers import Reader

__all__ = ["looks_like", "suggestion"]

# Signs of a family in the names of a checkpoint, the most telling first.
SIGNS = (
    ("electra", r"(^|/|\.)electra[/.]|discriminator_predictions"),
    ("gau_alpha", r"GAU_alpha/|\.gau\."),
    ("albert", r"transformer/group_0|albert_layer_groups"),
    ("t5", r"^(shared/embedding|(encoder|decoder)/block_\d+)|^(encoder|decoder)\.block\."),
    ("gpt2_ml", r"^newslm/"),
    ("gpt2", r"(^|/)h\d+/attn|(^|\.)h\.\d+\.attn"),
    ("gpt", r"^gpt/"),
)


def looks_like(names: list[str]) -> str | None:
    """Return the family that a checkpoint's variable names point to, or None if they point to none."""
    for family, pattern in SIGNS:
        if any(re.search(pattern, name) for name in names):
            return family
    layers = [
        name for name in names if re.search(r"(layer_0/|layer\.0\.)attention", name.replace("/attention", "/attention"))
    ]
    if not layers and not any("word_embeddings" in name for name in names):
        return None
    if any("position_embeddings" in name for name in names):
        return "bert"
    if any(re.search(r"query[/.]bias", name) for name in names):
        return "roformer"  # NEZHA has the same variables
    return "roformer_v2" if any(re.search(r"query[/.](kernel|weight)", name) for name in names) else None


def suggestion(reader: Reader, config: Any) -> str:
    """Return a sentence about what the checkpoint looks like, if that is not what the model is; "" otherwise."""
    names = reader.names()
    family = looks_like(names)
    if family is None:
        return "None of its variables has a name that transformer checkpoints use."
    if family != config.family and not {family, config.family} <= {"roformer", "nezha"}:
        return f"Its variables look like model={family!r}, but the model is {config.family!r}."
    count = 1 + max([int(m) for name in names for m in re.findall(r"layer[_.](\d+)[/.]", name)], default=-1)
    if count and count != config.num_hidden_layers:
        return f"It has {count} layers, the model {config.num_hidden_layers} (num_hidden_layers)."
    return "Is this the checkpoint that belongs to the configuration file?"
