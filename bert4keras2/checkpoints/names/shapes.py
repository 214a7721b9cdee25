"""Sizes, heads and gaps of a model, told from the shapes of its variables in a checkpoint."""

from __future__ import annotations

import re
from typing import Any

from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.names.matching import Matches
from bert4keras2.families.table import FAMILIES

__all__ = ["Shapes", "heads", "missing", "sizes", "structure"]

BLOCK = r"(?:Encoder-|Decoder-)?Transformer-(?:\d+-)?"
GROUPS = {
    "pooler": ("Pooler-Dense/kernel", "Pooler-Dense/bias"),
    "next-sentence prediction": ("NSP-Proba/kernel", "NSP-Proba/bias", "Pooler-Dense/kernel", "Pooler-Dense/bias"),
    "masked language model": (
        "MLM-Dense/kernel", "MLM-Dense/bias", "MLM-Norm/gamma", "MLM-Norm/beta", "MLM-Bias/beta"
    ),
    "discriminator": (
        "Discriminator-Dense/kernel", "Discriminator-Dense/bias", "Discriminator-Prediction/kernel",
        "Discriminator-Prediction/bias",
    ),
}  # fmt: skip


class Shapes:
    """The shapes that a model's variables have, by their paths in the model."""

    def __init__(self, reader: Reader, matches: Matches) -> None:
        self.by_path: dict[str, tuple[int, ...]] = {}
        for path, stored in matches.found.items():
            shape = tuple(reader.shape(stored.name))
            self.by_path[path] = stored.model_shape(shape) or shape

    def first(self, pattern: str) -> tuple[int, ...] | None:
        """Return the shape of the first variable whose whole path matches a regular expression."""
        return next((shape for path, shape in self.by_path.items() if re.fullmatch(pattern, path)), None)

    def numbers(self) -> list[int]:
        """Return the numbers of the blocks of which there is anything."""
        found = {int(m[1]) for path in self.by_path if (m := re.search(r"Transformer-(\d+)-", path))}
        return sorted(found)


def sizes(shapes: Shapes, family: str) -> tuple[dict[str, int], dict[str, Any]]:
    """Return what shapes tell.

    Args:
        shapes: of the model's variables.
        family: of the model.

    Returns:
        The sizes, by the names that JSON files use, and the options of build_transformer_model that follow.
    """
    preset = FAMILIES[family]
    found: dict[str, int] = {}
    options: dict[str, Any] = {}
    tokens, query = shapes.first("Embedding-Token/embeddings"), shapes.first(f"{BLOCK}.*Attention/q_dense/kernel")
    inner = shapes.first(f"{BLOCK}FeedForward/i0_dense/kernel")
    unit, key = shapes.first(f"{BLOCK}GatedAttentionUnit/o_dense/kernel"), shapes.first(f"{BLOCK}.*q_scaleoffset/gamma")
    mapping, bias = shapes.first("Embedding-Mapping/kernel"), shapes.first(".*Embedding-Relative-Position/embeddings")
    if tokens:
        found["vocab_size"] = tokens[0]
    width = query[0] if query else unit[1] if unit else mapping[1] if mapping else tokens[1] if tokens else None
    if width:
        found["hidden_size"] = width
    if tokens:
        found["embedding_size"] = tokens[1]
    if shapes.numbers():
        found["num_hidden_layers"] = len(shapes.numbers())
    if inner or unit:
        found["intermediate_size"] = inner[1] if inner else unit[0]
    if bias and query:
        found["num_attention_heads"] = bias[1]
        found["attention_head_size"] = query[1] // bias[1]
    if unit and key:
        found["num_attention_heads"], found["attention_key_size"] = 1, key[0]
    if position := shapes.first("Embedding-Position/embeddings"):
        found["max_position_embeddings"] = position[0]
    if preset.get("segments", True):
        segment = shapes.first("Embedding-Segment/embeddings")
        found["type_vocab_size"] = segment[0] if segment else 0
        if segment is None:
            options["segment_vocab_size"] = 0
    options |= _head_options(shapes)
    return found, options


def _head_options(shapes: Shapes) -> dict[str, Any]:
    have = {title for title, paths in GROUPS.items() if all(path in shapes.by_path for path in paths)}
    options: dict[str, Any] = {}
    if "next-sentence prediction" in have:
        options["with_nsp"] = True
    elif "pooler" in have:
        options["with_pool"] = True
    if "masked language model" in have:
        options["with_mlm"] = True
    if "discriminator" in have:
        options["with_discriminator"] = True
    return options


def heads(shapes: Shapes, family: str) -> list[str]:
    """Return the titles of what a checkpoint holds besides its blocks."""
    found = [title for title, paths in GROUPS.items() if _begun(shapes, paths)]
    preset = FAMILIES[family]
    if preset.get("stack") == "seq2seq":
        found += [s for s in ("encoder", "decoder") if any(p.startswith(s.capitalize()) for p in shapes.by_path)]
        if "Decoder-Output-LM/kernel" in shapes.by_path:
            found.append("language model")
    elif not preset.get("mlm_transform", True):
        found.append("language model (the token embeddings score)")
    return found


def _begun(shapes: Shapes, paths: tuple[str, ...]) -> bool:
    """Whether there is anything of a head; the first path names the layer that is its own."""
    own = paths[0].split("-")[0]
    return any(path in shapes.by_path for path in paths if path.startswith(own))


def structure(shapes: Shapes) -> list[str]:
    """Return what is special about the blocks."""
    found = []
    if shapes.first(r"(Encoder-|Decoder-)?Transformer-\w*(Attention|FeedForward)/.*"):
        found.append("all blocks share their weights")
    if shapes.first(f"{BLOCK}FeedForward/i1_dense/kernel"):
        found.append("gated feed-forward")
    if shapes.first(f"{BLOCK}GatedAttentionUnit/.*"):
        found.append("gated attention units")
    if not shapes.first(f"{BLOCK}.*/q_dense/bias"):
        found.append("no biases")
    return found


def missing(shapes: Shapes, family: str, layers: int) -> list[str]:
    """Return lines about variables that a model of a family needs and the checkpoint lacks.

    Args:
        shapes: of the variables that it has.
        family: of the model.
        layers: number of blocks that should be complete.
    """
    preset = FAMILIES[family]
    plain_norm = preset.get("norm", {}).get("scale", True)
    wanted = ["Embedding-Token/embeddings"]
    if preset.get("position", "absolute") == "absolute":
        wanted.append("Embedding-Position/embeddings")
    if preset.get("embedding_norm", True) and plain_norm:
        wanted.append("Embedding-Norm/gamma")
    if preset.get("stack", "single") == "single":
        wanted += _inner(shapes, preset, layers)
    else:
        wanted += _inner_of_stacks(shapes, layers)
    for paths in GROUPS.values():
        if _begun(shapes, paths):
            wanted += paths
    lacking = [path for path in dict.fromkeys(wanted) if path not in shapes.by_path]
    if not lacking:
        return []
    shown = ", ".join(lacking[:6]) + (f" and {len(lacking) - 6} more" if len(lacking) > 6 else "")
    return [f"the file lacks {len(lacking)} variable{'s' if len(lacking) > 1 else ''} of the model: {shown}"]


def _inner(shapes: Shapes, preset: dict[str, Any], layers: int) -> list[str]:
    """Return the paths of the variables of all blocks: what one of them has, all must have."""
    shared = bool(preset.get("share_blocks"))
    pattern = re.compile(r"Transformer-(.*)" if shared else r"Transformer-\d+-(.*)")
    inner = {m[1] for path in shapes.by_path if (m := pattern.fullmatch(path))}
    if preset.get("block") == "gau":
        inner |= {f"GatedAttentionUnit/{x}_dense/kernel" for x in "io"}
    else:
        inner |= {f"MultiHeadSelfAttention/{x}_dense/kernel" for x in "qkvo"}
        inner |= {f"FeedForward/{x}_dense/kernel" for x in ("i0", "o")}
    places = ["Transformer-"] if shared else [f"Transformer-{i}-" for i in range(layers)]
    return [place + path for place in places for path in sorted(inner)]


def _inner_of_stacks(shapes: Shapes, layers: int) -> list[str]:
    found = []
    for stack in ("Encoder", "Decoder"):
        inner = {m[1] for path in shapes.by_path if (m := re.fullmatch(rf"{stack}-Transformer-\d+-(.*)", path))}
        found += [f"{stack}-Transformer-{i}-{path}" for i in range(layers) for path in sorted(inner)]
    return found
