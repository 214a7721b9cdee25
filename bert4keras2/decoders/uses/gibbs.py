"""Texts from a masked language model by Gibbs sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from bert4keras2.arguments import whole_number
from bert4keras2.embeddings.compiled import Compiled

__all__ = ["gibbs_sample"]

SPECIAL = ("pad", "unk", "mask", "start", "end")


def gibbs_sample(
    model: Any,
    tokenizer: Any,
    text: str | int | Sequence[int],
    steps: int = 1000,
    positions: Sequence[int] | None = None,
    temperature: float = 1.0,
    seed: int | None = None,
    burn_in: int = 0,
    every: int | None = None,
) -> list[str]:
    """Return texts drawn from a masked language model: mask a position, draw its token anew, and so on.

    A model's conditionals need not belong to one distribution, so what the chain settles in is the model's own
    (arXiv:1902.04094).

    Args:
        model: of build_transformer_model(..., with_mlm=True) or with_mlm="linear".
        tokenizer: of the model.
        text: what to start from: a text, ids with the special tokens around them, or a number of [MASK] tokens.
        steps: how many tokens to draw.
        positions: places in the ids to draw at (0 is [CLS]); None: all except special tokens at both ends.
        temperature: divides log-probabilities before drawing.
        seed: of positions and tokens; the same on each backend up to rounding.
        burn_in: steps before the first text that is kept.
        every: keep a text after every so many steps; None keeps the last one alone.

    Returns:
        The texts that were kept. Special tokens are never drawn; [MASK] shows where nothing was drawn yet.

    Raises:
        TypeError: if model or text has the wrong type.
        ValueError: if a number or a position is out of range, or the model has no scores of tokens.
    """
    for name, value, least in (("steps", steps, 1), ("burn_in", burn_in, 0), ("every", every, 1)):
        if not (value is None and name == "every"):
            whole_number(name, value, least)
    if burn_in >= steps:
        raise ValueError(f"burn_in={burn_in} leaves nothing of {steps} steps")
    if not temperature > 0:
        raise ValueError(f"temperature is above 0, not {temperature!r}")
    ids = np.asarray(_start(tokenizer, text), "int32")
    chosen = _positions(tokenizer, ids, positions)
    forward, inputs = _forward(model, tokenizer, len(ids))
    special = [getattr(tokenizer, f"_token_{name}_id") for name in SPECIAL if _has(tokenizer, name)]
    mask, random, kept = tokenizer._token_mask_id, np.random.default_rng(seed), []
    for step in range(1, steps + 1):
        position = random.choice(chosen)
        ids[position] = mask
        row = np.asarray(forward(inputs(ids)))[0, position].astype("float64")
        # Probabilities or scores before the softmax, whichever the model was built with.
        if row.min() >= 0 and abs(row.sum() - 1) < 0.01:
            row = np.log(np.maximum(row, 1e-30))
        row[special] = -np.inf
        share = np.exp((row - row.max()) / temperature)
        ids[position] = random.choice(len(row), p=share / share.sum())
        if step == steps if every is None else step > burn_in and (step - burn_in) % every == 0:
            kept.append(_text(tokenizer, ids))
    return kept


def _has(tokenizer: Any, name: str) -> bool:
    """Whether a tokenizer has a special token that its vocabulary knows."""
    token = getattr(tokenizer, f"_token_{name}", None)
    try:
        return token is not None and getattr(tokenizer, f"_token_{name}_id") is not None
    except (AttributeError, KeyError, ValueError):
        return False


def _start(tokenizer: Any, text: Any) -> list[int]:
    """Return the ids to start from."""
    if not _has(tokenizer, "mask"):
        raise ValueError("Gibbs sampling needs [MASK], which the vocabulary lacks (simplified vocabularies often do)")
    if isinstance(text, str):
        return tokenizer.encode(text)[0]
    if isinstance(text, int) and not isinstance(text, bool):
        if text < 1:
            raise ValueError(f"The number of [MASK] tokens is at least 1, not {text}")
        return [tokenizer._token_start_id, *[tokenizer._token_mask_id] * text, tokenizer._token_end_id]
    if isinstance(text, Sequence | np.ndarray) and len(text) and all(isinstance(i, int | np.integer) for i in text):
        return [int(i) for i in text]
    raise TypeError(f"text is a str, a list of ids, or a number of [MASK] tokens, not {text!r:.60}")


def _positions(tokenizer: Any, ids: np.ndarray, positions: Sequence[int] | None) -> np.ndarray:
    """Return the positions to draw at."""
    if positions is None:
        ends = [getattr(tokenizer, f"_token_{name}_id") for name in ("pad", "start", "end") if _has(tokenizer, name)]
        found = np.flatnonzero(~np.isin(ids, ends))
    else:
        found = np.asarray(list(positions), "int64")
        if found.size and (found.min() < 0 or found.max() >= len(ids)):
            raise ValueError(f"positions are from 0 to {len(ids) - 1}, not {found.tolist()}")
    if not found.size:
        raise ValueError(f"There is no position to draw at in ids {ids.tolist()}")
    return found


def _forward(model: Any, tokenizer: Any, length: int) -> tuple[Any, Any]:
    """Return a function from arrays to scores (1, T, V), and one from ids to the model's arrays."""
    model = getattr(model, "model", model) if hasattr(model, "make_context") else model
    if not isinstance(model, keras.Model):
        raise TypeError(f"model is a Keras model of build_transformer_model, not {type(model).__name__}")
    found = [x for x in model.outputs if len(x.shape) == 3 and x.shape[-1] == tokenizer.vocab_size]
    if not found:
        shapes = ", ".join(str(tuple(x.shape)) for x in model.outputs)
        raise ValueError(
            f"The model's outputs {shapes} are no scores of the tokenizer's {tokenizer.vocab_size} tokens: build it "
            "with with_mlm=True, and with the tokenizer's own vocabulary"
        )
    names = [tensor.name for tensor in model.inputs]
    forward = Compiled(model if len(model.outputs) == 1 else keras.Model(model.inputs, found[-1]))

    def inputs(ids: np.ndarray) -> list[np.ndarray]:
        positions = np.arange(length, dtype="int32")
        return [(ids if "Token" in name else positions if "Position" in name else 0 * ids)[None] for name in names]

    return forward, inputs


def _text(tokenizer: Any, ids: np.ndarray) -> str:
    """Return the text of ids, with [MASK] where one is left."""
    mask = tokenizer._token_mask_id
    if mask not in ids:
        return tokenizer.decode(ids.tolist())
    ends = [getattr(tokenizer, f"_token_{name}_id") for name in ("pad", "start", "end") if _has(tokenizer, name)]
    return "".join(tokenizer.id_to_token(int(i)).removeprefix("##") for i in ids if i not in ends)
