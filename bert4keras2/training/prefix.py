"""Learning by additions to a text: keys and values before those of every layer, or rows of the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bert4keras2.arguments import positive, whole_number
from bert4keras2.layers import Embedding, GatedAttentionUnit, MultiHeadAttention
from bert4keras2.training.freezing import (
    LearningShare,
    encoder_layers,
    freeze_encoder,
    layers_meant,
    untrained,
)
from bert4keras2.training.variables import find_embedding

__all__ = ["p_tuning", "prefix_tuning"]

NETWORKS = (None, "mlp", "lstm")


def prefix_tuning(
    model: Any,
    length: int = 20,
    hidden: int | None = None,
    layers: str | Sequence[str] = ("SelfAttention|GatedAttention",),
    train: Sequence[str] = (),
    stddev: float = 0.02,
) -> LearningShare:
    """Freeze a model's encoder, and let keys and values learn that stand before each text's (P-tuning v2).

    Every attention layer gets `length` keys and values per head of its own (arXiv:2110.07602). Texts keep their length
    and positions: a prefix is not rotated, and has neither a bias nor a vector of a distance. With `hidden`, each
    layer's are made by a network of its own (a tanh layer between two of the layer's width), which the authors share
    between layers. Layers that are not the encoder's, such as the head of a task, learn too; blocks that share their
    layers share prefixes. Rates of 5e-3 to 2e-2 are usual. `save` keeps prefixes in the file; `save_trainable` saves
    what learns alone.

    Args:
        model: a model of `bert4keras2.backend.keras`, before its first step; compile it before or after.
        length: keys and values of a layer.
        hidden: units of the network; none if None.
        layers: patterns that are searched for in the paths of attention layers.
        train: patterns of variables of the encoder that learn besides.
        stddev: standard deviation of the start.

    Returns:
        How many weights learn.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if a pattern fits nothing, a layer has a prefix already, or the model has trained.
    """
    untrained(model)
    options = {"length": whole_number("length", length, 1), "stddev": positive("stddev", stddev)}
    options["hidden"] = None if hidden is None else whole_number("hidden", hidden, 1)
    kinds = MultiHeadAttention, GatedAttentionUnit
    found = layers_meant(model, encoder_layers(model, kinds), layers, "attention layer")
    freeze_encoder(model, train)
    for layer in found:
        layer.add_part("prefix", **options)
    return freeze_encoder(model, train)


def p_tuning(
    model: Any,
    rows: Sequence[int],
    network: str | None = None,
    embedding_name: str = "Embedding-Token",
    train: Sequence[str] = (),
) -> LearningShare:
    """Freeze a model's encoder but for some rows of its embedding: those of a template's tokens (P-tuning).

    The texts hold the ids, such as those of [unused1] to [unused8], where the template has its places
    (kexue.fm/archives/8295). All other rows stay bit for bit, under any optimizer. Where the model scores tokens by the
    same table, the rows count there too. By default a row starts at its value and nothing changes at first; with a
    network, the rows are what it makes of vectors that start at their values, as the authors have it
    (arXiv:2103.10385): "mlp" is two layers, "lstm" an LSTM in both directions before them. Saved files hold the rows in
    their places; `save_trainable` saves what learns alone.

    Args:
        model: a model of `bert4keras2.backend.keras`, before its first step; compile it before or after.
        rows: ids of the template's tokens, in the order in which they stand there.
        network: None, "mlp" or "lstm".
        embedding_name: the name of the embedding, or a pattern that is searched for in the names of layers.
        train: patterns of variables of the encoder that learn besides; (".",) for large data, where all learn.

    Returns:
        How many weights learn.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if the rows are none of the embedding's, repeated, or learn by themselves already; for another
            network; or if the model has trained.
    """
    untrained(model)
    layer, _ = find_embedding(model, embedding_name)
    if not isinstance(layer, Embedding):
        raise ValueError(f"p_tuning is for embeddings of bert4keras2.layers, not for {layer.name}, {type(layer)}")
    if network not in NETWORKS:
        raise ValueError(f"network is one of {', '.join(map(repr, NETWORKS))}, not {network!r}")
    ids = [whole_number("rows", row, 0) for row in rows]
    if not ids or len(set(ids)) < len(ids) or max(ids) >= layer.input_dim:
        raise ValueError(
            f"rows are different ids of {layer.name}, from 0 to {layer.input_dim - 1}; got {ids[:8]}"
            f"{', ...' * (len(ids) > 8)}"
        )
    if network == "lstm" and layer.output_dim % 2:
        raise ValueError(f"network='lstm' needs an even width, and {layer.name} has {layer.output_dim}: use 'mlp'")
    freeze_encoder(model, train)
    layer.add_prompt(ids, network)
    return freeze_encoder(model, train)
