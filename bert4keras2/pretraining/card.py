"""The model card of a run, in Markdown."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["model_card"]


def model_card(
    folder: str,
    transformer: Any,
    made: dict[str, Any],
    history: dict[str, list[float]],
    tokens_per_second: float,
    drawn: bool,
) -> str:
    """Return what a model was made from, how, and what it came to.

    Args:
        folder: of the model.
        transformer: the model.
        made: what to say of how it was made.
        history: values by their names in the logs.
        tokens_per_second: of the last process; 0 if it trained nothing.
        drawn: whether the folder has a picture of the curve.
    """
    own, name = transformer.config, os.path.basename(os.path.normpath(folder))
    parts = [
        f"# {name}",
        f"A {own.family} model of {own.num_hidden_layers} blocks x {own.hidden_size}, {own.num_attention_heads} heads, "
        f"{own.vocab_size:,} tokens, {transformer.model.count_params():,} parameters; made with bert4keras2.",
        "```python\nfrom bert4keras2 import build_transformer_model, load_tokenizer\n\n"
        f'tokenizer = load_tokenizer("{folder}")\nmodel = build_transformer_model("{folder}")\n```',
        "## Made from, and how",
        _table(made),
        "## Came to",
        _table({name: f"{values[-1]:.4f}" for name, values in history.items() if values}),
    ]
    if tokens_per_second:
        parts.append(f"{tokens_per_second:,.0f} tokens per second, evaluation and saving included.")
    if drawn:
        parts.append("![loss and accuracy](curve.png)")
    parts.append("All values of the run and its whole history are in `pretraining.json`.")
    return "\n\n".join(parts)


def _table(rows: dict[str, Any]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])
