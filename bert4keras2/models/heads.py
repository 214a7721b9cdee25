"""The heads of pre-training: pooler, next-sentence prediction, masked language model."""

from __future__ import annotations

import warnings
from typing import Any

from keras.layers import Activation, Dense

from bert4keras2.backend import get_activation
from bert4keras2.layers import Embedding, FirstToken, ScaleOffset

__all__ = ["outputs"]


def outputs(transformer: Any, x: Any) -> Any:
    """Return the outputs of a model's heads for its last hidden states x (B, T, C).

    In this order: the pooled vector (B, C), or with_nsp its probabilities (B, 2) instead; token scores (B, T, V). One
    output comes alone, several as a list; without heads it is x.
    """
    config = transformer.config
    found = []
    if config.with_pool or config.with_nsp:
        if not config.pretrained_heads:
            warnings.warn(
                f"Released {config.family} checkpoints hold no pooler or NSP head: its weights start at random values",
                stacklevel=2,
            )
        found.append(pooled(transformer, x))
    if config.with_mlm or config.application in ("lm", "unilm"):
        found.append(token_scores(transformer, x))
    return x if not found else found[0] if len(found) == 1 else found


def pooled(transformer: Any, x: Any) -> Any:
    """Return the pooled vector (B, C), or the NSP probabilities (B, 2)."""
    config = transformer.config
    activation = "tanh" if config.with_pool in (True, False) else config.with_pool
    x = transformer.apply(x, FirstToken, name="Pooler")
    x = transformer.project(x, config.hidden_size, "Pooler-Dense", activation=get_activation(activation), use_bias=True)
    if config.with_nsp:
        init = transformer.initializer
        # Probabilities stay in float32 under mixed precision.
        x = transformer.apply(
            x, Dense, units=2, activation="softmax", kernel_initializer=init, dtype="float32", name="NSP-Proba"
        )
    return x


def token_scores(transformer: Any, x: Any) -> Any:
    """Return (B, T, V) scores of all tokens, after the activation that `with_mlm` names (softmax if True)."""
    config = transformer.config
    activation = "softmax" if config.with_mlm in (True, False) else config.with_mlm
    if config.mlm_transform:
        act = get_activation(config.hidden_act)
        x = transformer.project(x, config.embedding_width, "MLM-Dense", activation=act, use_bias=True)
        x = transformer.normalize(x, "MLM-Norm")
    elif config.embedding_width != config.hidden_size:
        x = transformer.project(x, config.embedding_width, f"{config.output_prefix}Mapping")
    x = transformer.apply(x, Embedding, {"mode": "dense"}, name="Embedding-Token")
    if config.mlm_transform:
        x = transformer.apply(x, ScaleOffset, scale=False, name="MLM-Bias")
    name = f"{config.output_prefix}MLM-Activation"
    return transformer.apply(x, Activation, activation=get_activation(activation), dtype="float32", name=name)
