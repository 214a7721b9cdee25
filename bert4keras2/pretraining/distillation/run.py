"""`distill`: from a teacher, a student and texts to a folder that `build_transformer_model` loads."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from bert4keras2.functional.precision import dtype_policy
from bert4keras2.functional.seeds import set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.pretraining.distillation.config import DistillationConfig
from bert4keras2.pretraining.distillation.objectives import TextVectors
from bert4keras2.pretraining.distillation.relations import TokenStates, even_layers
from bert4keras2.pretraining.distillation.teacher import principal_axes, teacher_vectors
from bert4keras2.pretraining.distillation.texts import prepare_lines, read_lines
from bert4keras2.pretraining.objectives import Objective, Setup
from bert4keras2.pretraining.optimizing import make_optimizer
from bert4keras2.pretraining.output import Result, save_model
from bert4keras2.pretraining.run import compile_objective, train
from bert4keras2.pretraining.tokenize import pieces_of, tokenize_corpus
from bert4keras2.tokenizers import load_tokenizer

__all__ = ["distill"]


def distill(config: DistillationConfig) -> Result:
    """Let a student learn from a teacher, or go on with a run that was interrupted.

    Args:
        config: what to do.

    Returns:
        What it came to; the folder has the student with its vocabulary and a card.

    Raises:
        CorpusError: if texts are missing, damaged or have changed.
        ValueError: if teacher, student and kind do not fit together.
    """
    path = prepare_lines(config)
    tokenizer = load_tokenizer(config.student)
    shards = tokenize_corpus(
        path, tokenizer, os.path.join(config.output, "shards"), workers=config.workers, progress=config.progress
    )
    set_seed(config.seed)
    with dtype_policy(config.precision):
        student = build_transformer_model(config.student, with_mlm=True, return_keras_model=False, progress=False)
        objective = _objective(config, tokenizer, shards, path, student)
        model = compile_objective(objective, student, make_optimizer(config, config.recipe))
    history, progress = train(config, objective, shards, model)
    made = {
        "teacher": os.path.basename(os.path.normpath(config.teacher)),
        "student, before": os.path.basename(os.path.normpath(config.student)),
        "texts": f"{len(shards):,}, of {', '.join(os.path.basename(path) for path in config.corpus)}",
        "learnt": objective.summary + (", and hidden words" if config.mlm else ""),
        "updates": f"{config.steps:,} of {config.batch_size * config.accumulation} texts",
        "rate, decay": f"{config.learning_rate:g}, {config.weight_decay:g}",
        "precision, seed": f"{config.precision}, {config.seed}",
    }
    return save_model(config, student, made, history, progress)


def _objective(config: DistillationConfig, tokenizer: Any, shards: Any, path: str, student: Any) -> Objective:
    setup = Setup(tokenizer, config.row_length, mask_rate=config.mask_rate, packing=config.kind != "vectors")
    if config.kind == "vectors":
        lines = read_lines(path)
        if len(lines) != len(shards):
            raise ValueError(
                f"{len(lines) - len(shards)} of the texts have no token in the student's vocabulary; raise shortest="
            )
        vectors = teacher_vectors(config, lines)
        mean, axes = principal_axes(vectors, student.config.hidden_size)
        targets = np.concatenate(
            [
                ((part.astype("float32") - config.centring * mean) @ axes).astype("float16")
                for part in np.array_split(vectors, 64)
            ]
        )
        return TextVectors(setup, targets, config.similarities, config.mlm, config.masked_rows)
    teacher = build_transformer_model(config.teacher, return_keras_model=False, progress=False, prefix="Teacher-")
    theirs, ours = load_tokenizer(config.teacher), tokenizer
    if pieces_of(theirs) != pieces_of(ours):
        raise ValueError(
            f"kind={config.kind!r} compares the states of each token, and the vocabularies of {config.teacher} and"
            f" {config.student} differ: take kind='vectors'"
        )
    teacher.model.trainable = False
    counts = (student.config.num_hidden_layers, teacher.config.num_hidden_layers)
    layers = {int(own): int(other) for own, other in (config.layers or even_layers(*counts)).items()}
    wrong = {own: other for own, other in layers.items() if not (0 <= own < counts[0] and 0 <= other < counts[1])}
    if wrong:
        raise ValueError(
            f"layers={wrong}: the student's blocks are 0 to {counts[0] - 1}, the teacher's 0 to {counts[1] - 1}"
        )
    return TokenStates(setup, teacher, config.kind, layers, config.mlm)
