"""What the heads of tasks ask of the model below them."""

from __future__ import annotations

import os
from typing import Any

from bert4keras2.checkpoints.folder import find_checkpoint
from bert4keras2.embeddings.pooling import vector_model
from bert4keras2.families.config import read_config
from bert4keras2.families.table import family_of, guess_family, page
from bert4keras2.layers import Dropout, FirstToken

__all__ = ["implied_pooler", "pooled", "pooled_parts"]


def implied_pooler(pooling: str, folder: str, options: dict[str, Any], own_layer: bool = True) -> dict[str, Any]:
    """Return the options of `build_transformer_model` for a pooling.

    Args:
        pooling: of the task.
        folder: of the checkpoint.
        options: those that the call gives.
        own_layer: whether the head is one for which some families have a hidden layer of their own.

    Returns:
        with_pool where the pooler of pre-training is asked for; families whose classifiers have a hidden layer of their
        own in its place need none.
    """
    if pooling != "pooler" or "with_pool" in options:
        return {}
    if not own_layer:
        return {"with_pool": True}
    family = options.get("model")
    if not isinstance(family, str) or family.lower() in ("bert", "roberta"):
        file = read_config(find_checkpoint(folder).config_path) if os.path.isdir(folder) else {}
        family = guess_family(file) or "bert"
    return {} if page(family_of(family)[0]).classifier_act else {"with_pool": True}


def pooled(transformer: Any, pooling: str, dropout: float | None, name: str, own_layer: bool = True) -> Any:
    """Return the symbolic (B, C) vectors of texts that a dense layer then scores.

    Args:
        transformer: the model.
        pooling: as of `SentenceEncoder`.
        dropout: of the vectors; the model's own if None.
        name: what the names of new layers begin with.
        own_layer: as for `implied_pooler`.
    """
    config = transformer.config
    rate = config.dropout_rate if dropout is None else dropout
    act = page(config.family).classifier_act if own_layer else ""
    if pooling == "pooler" and act:
        x = transformer.apply(transformer.hidden_states[-1], FirstToken, name=f"{name}-First")
        x = transformer.apply(x, Dropout, rate=rate, name=f"{name}-Input-Dropout")
        x = transformer.project(x, config.hidden_size, f"{name}-Dense", activation=act, use_bias=True)
    else:
        x = vector_model(transformer, pooling).output
    return transformer.apply(x, Dropout, rate=rate, name=f"{name}-Dropout")


def pooled_parts(transformer: Any, pooling: str, name: str) -> tuple[str, list[Any]]:
    """Return what `pooled` made: the pooling of the hidden states, and the layers that its vectors then go through."""
    own = transformer.layers.get(transformer.prefixed(f"{name}-Dense"))
    return (pooling, []) if own is None else ("cls", [own])
