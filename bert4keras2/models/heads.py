"""The heads of pre-training: pooler, next-sentence prediction, language models, ELECTRA's discriminator."""

from __future__ import annotations

from typing import Any

from keras import ops
from keras.layers import Activation, Dense

from bert4keras2.functional.activations import get_activation
from bert4keras2.layers import Embedding, FirstToken, ScaleOffset

__all__ = ["outputs"]


def outputs(transformer: Any, x: Any) -> Any:
    """Return the outputs of a model's heads for its last hidden states x (B, T, C).

    In this order: the pooled vector (B, C), or with_nsp its probabilities (B, 2) instead; the probability (B, T, 1)
    that a token was replaced; token scores (B, T, V). One output comes alone, several as a list; without heads it is x.
    """
    config = transformer.config
    found = []
    if (config.with_pool or config.with_nsp) and not transformer.context.logits:
        found.append(pooled(transformer, x))
    if config.with_discriminator:
        found.append(replaced(transformer, x))
    if config.stack in ("seq2seq", "decoder"):
        found.append(decoder_scores(transformer, x))
    elif config.with_mlm or config.application in ("lm", "unilm"):
        found.append(token_scores(transformer, x))
    return x if not found else found[0] if len(found) == 1 else found


def pooled(transformer: Any, x: Any) -> Any:
    """Return the pooled vector (B, C), or the NSP probabilities (B, 2)."""
    config = transformer.config
    activation = "tanh" if config.with_pool in (True, False) else config.with_pool
    x = transformer.apply(x, FirstToken, name="Pooler")
    x = transformer.project(x, config.hidden_size, "Pooler-Dense", activation=get_activation(activation), use_bias=True)
    if config.with_nsp:
        x = probabilities(transformer, x, 2, "softmax", "NSP-Proba", use_bias=True)
    return x


def replaced(transformer: Any, x: Any) -> Any:
    """Return ELECTRA's (B, T, 1) probabilities that a token was replaced, or scores after the activation given."""
    config = transformer.config
    activation = "sigmoid" if config.with_discriminator is True else config.with_discriminator
    act = get_activation(config.hidden_act)
    x = transformer.project(x, config.hidden_size, "Discriminator-Dense", activation=act, use_bias=True)
    return probabilities(transformer, x, 1, activation, "Discriminator-Prediction", use_bias=True)


def token_scores(transformer: Any, x: Any) -> Any:
    """Return (B, T, V) scores of all tokens, after the activation that the options name (softmax if they are True)."""
    config = transformer.config
    if config.mlm_transform:
        act = get_activation(config.hidden_act)
        x = transformer.project(x, config.embedding_width, "MLM-Dense", activation=act, use_bias=True)
        x = transformer.normalize(x, "MLM-Norm")
    elif config.embedding_width != config.hidden_size:
        x = transformer.project(x, config.embedding_width, "Output-Mapping")
    return by_embeddings(transformer, x, config.final_activation or config.with_mlm, bias=config.mlm_transform)


def decoder_scores(transformer: Any, x: Any) -> Any:
    """Return (B, T, V) scores of all tokens by a T5 decoder; with_lm=False: the (B, T, C) that they are made from."""
    config = transformer.config
    scale = config.hidden_size**-0.5 if config.output_scale else 1.0
    x = transformer.apply(x, ScaleOffset, scale=scale, offset=False, name="Output-Scale")
    if not config.with_lm:
        return x
    if config.embedding_width != config.hidden_size:
        x = transformer.project(x, config.embedding_width, "Output-Mapping")
    activation = config.final_activation or config.with_lm
    if config.tied_output:
        return by_embeddings(transformer, x, activation, bias=False)
    activation = "softmax" if activation is True else activation
    if transformer.context.logits:
        return ops.matmul(ops.cast(x, "float32"), transformer.apply(None, name=config.scores_name).kernel)
    return probabilities(transformer, x, config.rows, activation, config.scores_name, use_bias=False)


def by_embeddings(transformer: Any, x: Any, activation: Any, bias: bool) -> Any:
    """Return (B, T, V): the products of x (B, T, D) and the token embeddings, with a bias if asked for."""
    activation = "softmax" if activation in (True, False) else activation
    x = transformer.apply(x, Embedding, {"mode": "dense"}, name="Embedding-Token")
    if bias:
        x = transformer.apply(x, ScaleOffset, scale=False, name="MLM-Bias")
    if transformer.context.logits:
        return ops.cast(x, "float32")
    name = transformer.config.scores_name
    return transformer.apply(x, Activation, activation=get_activation(activation), dtype="float32", name=name)


def probabilities(transformer: Any, x: Any, units: int, activation: Any, name: str, use_bias: bool) -> Any:
    """Return x through a Dense layer that ends a head; it stays in float32 under mixed precision."""
    act, init = get_activation(activation), transformer.initializer
    return transformer.apply(
        x,
        Dense,
        units=units,
        activation=act,
        use_bias=use_bias,
        kernel_initializer=init,
        dtype="float32",
        name=name,
    )
