"""The model card of a pre-training run, in Markdown."""

from __future__ import annotations

import os
from typing import Any

from bert4keras2.pretraining.config import PretrainingConfig
from bert4keras2.pretraining.objectives import Objective
from bert4keras2.pretraining.progress import Progress
from bert4keras2.pretraining.shards import Shards

__all__ = ["model_card"]


def model_card(
    config: PretrainingConfig,
    objective: Objective,
    shards: Shards,
    transformer: Any,
    history: dict[str, list[float]],
    progress: Progress,
    drawn: bool,
) -> str:
    """Return what a model was made from, how, and what it came to.

    Args:
        config: of the run.
        objective: what was learnt.
        shards: the tokenized texts.
        transformer: the model.
        history: values by their names in the logs.
        progress: what was noted along the way.
        drawn: whether the folder has a picture of the curve.
    """
    recipe, manifest, own = config.published, shards.manifest, transformer.config
    parameters = transformer.model.count_params()
    rows = [
        f"# {os.path.basename(os.path.normpath(config.output))}",
        "",
        f"A {own.family} model of {own.num_hidden_layers} blocks x {own.hidden_size}, {own.num_attention_heads} heads, "
        f"{own.vocab_size:,} tokens, {parameters:,} parameters; pre-trained with bert4keras2.",
        "",
        "```python",
        "from bert4keras2 import build_transformer_model, load_tokenizer",
        "",
        f'tokenizer = load_tokenizer("{config.output}")',
        f'model = build_transformer_model("{config.output}")',
        "```",
        "",
        "## Made from",
        "",
        *_table(
            {
                "texts": f"{manifest['passages']:,} passages, {manifest['tokens']:,} tokens, of "
                + ", ".join(os.path.basename(path) for path in manifest["files"][:8])
                + (", ..." if len(manifest["files"]) > 8 else ""),
                "kept for evaluation": f"{config.held_out:.2%} of the texts",
                "began with": config.start or "random weights",
            }
        ),
        "",
        "## How",
        "",
        *_table(
            {
                "objective": f"{objective.name}: {objective.summary}",
                "rows": f"{config.row_length} positions, {'several texts each' if objective.pieces_of_rows else 'one text each'}",
                "hidden": f"{config.mask_rate:.0%} of the tokens, whole words, decided by {recipe.mask_decision}",
                "updates": f"{config.steps:,} of {config.batch_size * config.accumulation} rows",
                "optimizer": f"{recipe.optimizer}, rate {recipe.learning_rate:g}, decay {recipe.weight_decay:g}",
                "schedule": ", ".join(f"{share:.1%} of the steps: {f:g}" for share, f in recipe.schedule.items()),
                "precision": config.precision,
                "seed": config.seed,
                "recipe": f"{config.recipe}, after {recipe.source}",
            }
        ),
        "",
        "## Came to",
        "",
        *_table({name: f"{values[-1]:.4f}" for name, values in history.items() if values}),
        "",
    ]
    if progress.rate:
        rows += [f"{progress.rate:,.0f} tokens per second, evaluation and saving included.", ""]
    if drawn:
        rows += ["![loss and accuracy](curve.png)", ""]
    rows.append("All values of the run and its whole history are in `pretraining.json`.")
    return "\n".join(rows)


def _table(rows: dict[str, Any]) -> list[str]:
    return ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())]
