"""`pretrain`: from raw text to a folder that `build_transformer_model` loads."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import keras

from bert4keras2.callbacks import Resume
from bert4keras2.functional.seeds import set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.pretraining.config import PretrainingConfig
from bert4keras2.pretraining.corpus import CorpusError
from bert4keras2.pretraining.data import Batches, split_texts
from bert4keras2.pretraining.objectives import OBJECTIVES, Objective, Setup
from bert4keras2.pretraining.optimizing import make_optimizer
from bert4keras2.pretraining.output import Result, save_result
from bert4keras2.pretraining.progress import Progress
from bert4keras2.pretraining.shards import Shards
from bert4keras2.pretraining.texts import prepare_texts
from bert4keras2.training.model import Model

__all__ = ["pretrain"]


class Trainee(NamedTuple):
    """A model under pre-training.

    Attributes:
        transformer: the model proper, which is saved.
        model: what `fit` trains: the objective's graph around it.
    """

    transformer: Any
    model: Model


def pretrain(config: PretrainingConfig) -> Result:
    """Pre-train a model, or go on with a run that was interrupted.

    The folder gets vocabulary, configuration, weights, a model card, the curve and the history; in `run/` is what an
    interrupted run goes on from, and `shards/` has the tokenized texts: both may be removed when the run is over.

    Args:
        config: what to do.

    Returns:
        What it came to.

    Raises:
        CorpusError: if texts or shards are missing, damaged or have changed.
        StateError: if the state of an interrupted run is damaged, or of another model.
        ValueError: if the parts of the configuration do not fit together.
    """
    tokenizer, shards = prepare_texts(config)
    recipe = config.published
    objective = OBJECTIVES[recipe.objective](
        Setup(
            tokenizer,
            config.row_length,
            config.packing,
            config.mask_rate,
            recipe.mask_decision,
            config.shortest,
        )
    )
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        trainee = build(config, objective)
    finally:
        keras.config.set_dtype_policy(policy)
    history, progress = train(config, objective, shards, trainee)
    return save_result(config, objective, shards, trainee.transformer, history, progress)


def build(config: PretrainingConfig, objective: Objective) -> Trainee:
    """Return the compiled model of a configuration, from its random weights or those of a checkpoint."""
    recipe = config.published
    source: dict[str, Any] = {"config_path": config.start}
    if config.start is None:
        sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position")
        file = {name: getattr(config, name) for name in sizes}
        source = {"config_path": {**file, "vocab_size": objective.tokenizer.vocab_size}, "model": recipe.model}
    options = {**recipe.options, **objective.options, "dropout_rate": recipe.dropout}
    options |= {"attention_dropout_rate": recipe.dropout, **config.options}

    def construct(**more: Any) -> Any:
        set_seed(config.seed)
        return build_transformer_model(**source, **{**options, **more}, return_keras_model=False)

    transformer = construct()
    if objective.pieces_of_rows and transformer.config.position == "absolute":
        transformer = construct(custom_position_ids=True)  # each text counts its own
    inputs, outputs = objective.graph(transformer)
    model = Model(inputs, outputs)
    parts = objective.losses()
    model.compile(
        make_optimizer(config),
        loss={name: loss for name, (loss, _) in parts.items()},
        metrics={name: [metric] for name, (_, metric) in parts.items() if metric is not None},
        loss_weights=dict(objective.weights) or None,
    )
    return Trainee(transformer, model)


def train(
    config: PretrainingConfig, objective: Objective, shards: Shards, trainee: Trainee
) -> tuple[dict[str, list[float]], Progress]:
    """Train, from where an interrupted run stopped, and return the history, and what was noted."""
    model = trainee.model
    names = [tensor.name for tensor in model.inputs]
    texts, held_out = split_texts(shards, config.held_out, config.seed)
    batches = Batches(texts, objective, names, config.batch_size, config.seed)
    validation = evaluation_data(config, objective, held_out, names)
    resume = Resume(os.path.join(config.output, "run"))
    resume.restore(model)
    per_epoch = config.save_every * config.accumulation
    total = config.steps * config.accumulation
    done = min(resume.epoch * per_epoch, total)
    progress = Progress(total, done, config.batch_size * config.row_length, config.progress)
    callbacks = [progress, resume]
    if config.tensorboard:
        callbacks.insert(0, keras.callbacks.TensorBoard(config.tensorboard, write_graph=False))
    try:
        # Whole epochs, and the rest of the steps as one more.
        for first, last, steps in ((resume.epoch, total // per_epoch, per_epoch), (None, None, total % per_epoch)):
            first = total // per_epoch if first is None else first
            last = first + 1 if last is None else last
            if steps and first < last and done < total:
                model.fit(
                    batches.from_number(first * per_epoch),
                    steps_per_epoch=steps,
                    initial_epoch=first,
                    epochs=last,
                    validation_data=validation,
                    validation_batch_size=config.batch_size,
                    callbacks=callbacks,
                    verbose=0,
                )
    finally:
        progress.close()
    return resume.history, progress


def evaluation_data(config: PretrainingConfig, objective: Objective, held_out: Any, names: list[str]) -> Any:
    """Return (inputs, targets) of rows of held-out texts, always the same; None if there are too few texts."""
    if not config.evaluate_rows or not len(held_out):
        return None
    try:
        count = len(Batches(held_out, objective, names, objective.multiple, config.seed).first_pass)
    except CorpusError:  # nothing in so few texts that this objective learns from
        return None
    rows = min(config.evaluate_rows, count)
    # Batches of one size are compiled once.
    rows -= rows % (config.batch_size if rows > config.batch_size else objective.multiple)
    return next(Batches(held_out, objective, names, rows, config.seed).from_number(0)) if rows else None
