"""Combinations of options that no model can have."""

from __future__ import annotations

from typing import Any

from bert4keras2.families.attention_options import validate_attention

__all__ = ["validate"]


def validate(config: Any) -> None:
    """Raise a ValueError that says what to change if a configuration cannot be built."""
    if config.application not in ("encoder", "lm", "unilm"):
        raise ValueError(f"application is 'encoder', 'lm' or 'unilm', not {config.application!r}")
    if config.attention_head_size is None and config.hidden_size % config.num_attention_heads:
        raise ValueError(
            f"hidden_size {config.hidden_size} is not a multiple of num_attention_heads {config.num_attention_heads}; "
            "set attention_head_size"
        )
    if config.stack != "single" and config.application != "encoder":
        raise ValueError(
            f"application={config.application!r} is for models of one stack; {config.family} has an encoder and a "
            "decoder (model='..._encoder' and '..._decoder' build one of them)"
        )
    if config.stack in ("encoder", "seq2seq", "decoder"):
        for option in ("with_pool", "with_nsp", "with_mlm", "hierarchical_position", "custom_position_ids"):
            if getattr(config, option):
                raise ValueError(f"{config.family} has no {option}; its decoder's head is with_lm")
    if config.position == "relative" and config.custom_position_ids:
        raise ValueError(f"{config.family} knows distances, not positions, so it takes no custom_position_ids")
    if config.with_discriminator and config.application != "encoder":
        raise ValueError("with_discriminator judges each token of a whole text, so application is 'encoder'")
    if config.application == "unilm" and not config.segment_vocab_size:
        raise ValueError(
            "application='unilm' reads source and target from the segment ids, so segment_vocab_size=0 cannot work"
        )
    if config.hierarchical_position and config.position != "absolute":
        raise ValueError(
            f"hierarchical_position extends learnt absolute positions, but {config.family} has {config.position} ones"
        )
    validate_attention(config)
    for token in config.keep_tokens or ():
        if not 0 <= token < config.vocab_size:
            raise ValueError(
                f"keep_tokens holds id {token}, but the model's vocabulary has {config.vocab_size} ids "
                f"(0 to {config.vocab_size - 1})"
            )
    kept = config.vocab_size if config.keep_tokens is None else len(config.keep_tokens)
    for compound in config.compound_tokens or ():
        ids = compound[0] if isinstance(compound, tuple) and compound else compound
        if not hasattr(ids, "__len__"):
            raise ValueError(f"compound_tokens holds lists of ids, or tuples (ids, weights), not {compound!r}")
        for token in ids:
            if not 0 <= token < kept:
                raise ValueError(
                    f"compound_tokens holds id {token}, but after keep_tokens there are {kept} ids (0 to {kept - 1})"
                )
        if not len(ids):
            raise ValueError(
                "compound_tokens holds an empty list: each new token needs the ids whose vectors it averages"
            )
        if isinstance(compound, tuple) and len(compound[1]) != len(ids):
            raise ValueError(f"compound_tokens gives {len(compound[1])} weights for {len(ids)} ids: {compound!r}")
