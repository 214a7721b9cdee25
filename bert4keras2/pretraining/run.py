"""`pretrain`: from raw text to a folder that `build_transformer_model` loads."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import keras

from bert4keras2.callbacks import Resume
from bert4keras2.errors import CheckpointMismatchError
from bert4keras2.functional.precision import dtype_policy
from bert4keras2.functional.seeds import set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.pretraining.config import PretrainingConfig
from bert4keras2.pretraining.corpus import CorpusError
from bert4keras2.pretraining.data import Batches, Part, split_texts
from bert4keras2.pretraining.objectives import OBJECTIVES, Objective, Setup
from bert4keras2.pretraining.objectives.mlm import Hiding
from bert4keras2.pretraining.optimizing import make_optimizer
from bert4keras2.pretraining.output import Result, keep_vocabulary, save_model
from bert4keras2.pretraining.progress import Progress
from bert4keras2.pretraining.shards import Shards
from bert4keras2.pretraining.texts import VOCABULARY, prepare_texts
from bert4keras2.training.distribute import Distribution, distribute
from bert4keras2.training.model import Model

__all__ = ["pretrain"]

ALONE = Distribution()


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
    distribution = distribute() if config.distribute else ALONE
    if config.progress and config.distribute and distribution.is_first:
        print(f"training on {distribution.description}")
    tokenizer, shards = prepare_texts(config, wait=not distribution.is_first)
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
    with dtype_policy(config.precision), distribution.scope():
        trainee = build(config, objective)
    distribution.attach(trainee.model)
    history, progress = train(config, objective, shards, trainee.model, distribution)
    if not distribution.is_first:
        return Result(config.output, history, progress.rate)
    if config.start is None:
        keep_vocabulary(config.vocabulary or os.path.join(config.output, VOCABULARY), config.output)
    made = _made(config, objective, shards)
    return save_model(config, trainee.transformer, made, history, progress)


def _made(config: PretrainingConfig, objective: Objective, shards: Shards) -> dict[str, Any]:
    """Return what the card says of how a model was made."""
    recipe, manifest = config.published, shards.manifest
    names = [os.path.basename(path) for path in manifest["files"]]
    rows = "several texts each" if objective.pieces_of_rows else "one text each"
    hidden = f"{config.mask_rate:.0%} of the tokens, whole words, decided by {recipe.mask_decision}"
    return {
        "texts": f"{manifest['passages']:,} passages, {manifest['tokens']:,} tokens, of {', '.join(names[:8])}"
        + (", ..." if len(names) > 8 else ""),
        "kept for evaluation": f"{config.held_out:.2%} of the texts",
        "began with": "random weights" if config.start is None else os.path.basename(os.path.normpath(config.start)),
        "objective": f"{objective.name}: {objective.summary}",
        "rows": f"{config.row_length} positions, {rows}",
        **({"hidden": hidden} if isinstance(objective, Hiding) else {}),
        "updates": f"{config.steps:,} of {config.batch_size * config.accumulation} rows",
        "optimizer": f"{recipe.optimizer}, rate {recipe.learning_rate:g}, decay {recipe.weight_decay:g}",
        "schedule": ", ".join(f"{share:.1%} of the steps: {factor:g}" for share, factor in recipe.schedule.items()),
        "precision, seed": f"{config.precision}, {config.seed}",
        "recipe": f"{config.recipe}, after {recipe.source}",
    }


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

    if config.start is not None and config.new_head:
        # The model without the head takes all of its weights from the checkpoint, or it is an error as always.
        plain = {name: False for name in objective.options if name.startswith("with_")}
        construct(**plain, application="encoder")
        options["ignore_invalid_weights"] = True
    try:
        transformer = construct()
    except CheckpointMismatchError as error:
        raise CheckpointMismatchError(
            f"{error}\nIf it is the objective's head that the checkpoint lacks, --new-head (new_head = true) begins it"
            " with new weights"
        ) from error
    if objective.pieces_of_rows and transformer.config.position == "absolute":
        transformer = construct(custom_position_ids=True)  # each text counts its own
    return Trainee(transformer, compile_objective(objective, transformer, make_optimizer(config)))


def compile_objective(objective: Objective, transformer: Any, optimizer: Any) -> Model:
    """Return the model that `fit` trains: an objective's graph around a model proper, with its losses."""
    inputs, outputs = objective.graph(transformer)
    # Keras before 3.13 calls outputs by their layers.
    named = {name: keras.layers.Identity(dtype="float32", name=name)(x) for name, x in outputs.items()}
    model = Model(inputs, named)
    parts = objective.losses()
    model.compile(
        optimizer,
        loss={name: loss for name, (loss, _) in parts.items()},
        metrics={name: [metric] for name, (_, metric) in parts.items() if metric is not None},
        loss_weights=dict(objective.weights) or None,
    )
    return model


def train(
    config: Any, objective: Objective, shards: Shards, model: Model, distribution: Distribution = ALONE
) -> tuple[dict[str, list[float]], Progress]:
    """Train, from where an interrupted run stopped, and return the history, and what was noted.

    Args:
        config: with `steps`, `accumulation`, `save_every`, `batch_size`, `row_length`, `held_out`, `evaluate_rows`,
            `seed`, `output`, `progress` and `tensorboard`.
        objective: what is learnt.
        shards: the tokenized texts, of which a part is held out.
        model: that of `compile_objective`.
        distribution: which processes share the work.
    """
    names = [tensor.name for tensor in model.inputs]
    texts, held_out = split_texts(shards, config.held_out, config.seed)
    rows = config.batch_size * distribution.batch_factor
    batches = Batches(texts, objective, names, rows, config.seed, distribution.share)
    validation = evaluation_data(config, objective, held_out, names)
    resume = Resume(os.path.join(config.output, "run"), reads_only=not distribution.is_first)
    resume.restore(model)
    per_epoch = config.save_every * config.accumulation
    total = config.steps * config.accumulation
    done = min(resume.epoch * per_epoch, total)
    tokens = config.batch_size * config.row_length * distribution.replicas
    progress = Progress(total, done, tokens, config.progress and distribution.is_first)
    callbacks = [progress, resume]
    if config.tensorboard:
        callbacks.insert(0, keras.callbacks.TensorBoard(config.tensorboard, write_graph=False))
    # Epochs between two states on the disk, and the rest of the steps as one more.
    whole = total // per_epoch
    try:
        for first, last, steps in ((resume.epoch, whole, per_epoch), (whole, whole + 1, total % per_epoch)):
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


def evaluation_data(config: Any, objective: Objective, held_out: Part, names: list[str]) -> Any:
    """Return (inputs, targets) of rows of held-out texts, always the same; None if there are too few texts."""
    if not config.evaluate_rows or not len(held_out):
        return None
    try:
        batches = Batches(held_out, objective, names, objective.multiple, config.seed)
    except CorpusError:  # nothing in so few texts that this objective learns from
        return None
    rows = min(config.evaluate_rows, len(batches.first_pass))
    # Batches of one size are compiled once.
    batches.batch_size = rows - rows % (config.batch_size if rows > config.batch_size else objective.multiple)
    return next(batches.from_number(0)) if batches.batch_size else None
