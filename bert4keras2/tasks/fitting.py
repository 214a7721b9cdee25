"""How tasks are trained: batches of similar length, AdamW with warm-up and linear decay, the best epoch kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bert4keras2.arguments import at_least, positive
from bert4keras2.callbacks import Evaluator
from bert4keras2.optimizers import Adam, PiecewiseLinear
from bert4keras2.optimizers.on_models import parameter_rates
from bert4keras2.snippets import DataGenerator
from bert4keras2.training import plain_training

__all__ = ["Samples", "suggested_rate", "train"]

# Batches that are cut from one shuffled window, sorted by length.
BUCKETS = 20


class Samples(DataGenerator):
    """Batches of a task's encoded rows.

    Args:
        samples: the rows; the first item of each is its token ids.
        batch_size: rows of a batch.
        collate: makes (inputs, targets) of a list of rows.
    """

    bucket_window = BUCKETS

    def __init__(self, samples: Sequence[Any], batch_size: int, collate: Callable[[list[Any]], Any]):
        super().__init__(samples, batch_size, length_of=lambda sample: len(sample[0]))
        self.collate = collate


def suggested_rate(width: int) -> float:
    """Return the learning rate that models of a width are usually fine-tuned with: narrow ones need a larger one."""
    return 2e-5 if width >= 1024 else 3e-5 if width >= 768 else 1e-4 if width >= 384 else 3e-4


def train(
    task: Any,
    samples: Sequence[Any],
    score: Callable[[Any], dict[str, float]] | None,
    epochs: int,
    batch_size: int,
    learning_rate: float | None,
    callbacks: Iterable[Any],
    techniques: Iterable[Callable[[Any], Any]],
    warmup: float,
    weight_decay: float,
    best_path: str | os.PathLike | None,
    verbose: Any,
    optimizer: Any = None,
    head_rate: float | None = None,
) -> Any:
    """Train a task's model and return Keras' History; `Task.fit` documents the arguments.

    Args:
        task: whose `model` is trained.
        samples: encoded rows.
        score: called with the model after each epoch, for the best one; None without rows to validate on.
        epochs, batch_size, learning_rate, callbacks, techniques, warmup, weight_decay, best_path, verbose,
            optimizer, head_rate: see there.

    Raises:
        ValueError: for a number out of range, or for an optimizer together with a learning rate.
        TypeError: for a technique that is no function.
    """
    epochs, batch_size = at_least("epochs", epochs, 1), at_least("batch_size", batch_size, 1)
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup is a share of all steps, from 0 to below 1, not {warmup!r}")
    data = Samples(samples, batch_size, task.collate)
    if head_rate is None:
        head_rate = task.usual_head_rate if optimizer is None else 1.0
    if optimizer is None:
        rate = suggested_rate(task.transformer.config.hidden_size) if learning_rate is None else learning_rate
        if not callable(rate):
            steps = epochs * len(data)
            rising = max(round(warmup * steps), 1) if warmup else 0
            rate = PiecewiseLinear(positive("learning_rate", rate), {rising: 1, max(steps, rising + 1): 0})
        # What a model does not have (RMS normalization without weights) is not named: the optimizer would warn of it.
        paths = [variable.path for variable in task.model.trainable_variables]
        spared = [name for name in ("Norm", "bias") if any(name in path for path in paths)]
        # As one pattern, of which a technique that freezes normalizations leaves a part.
        spared = ["|".join(spared)] if spared else []
        optimizer = Adam(rate, weight_decay_rate=weight_decay, exclude_from_weight_decay=spared)
    elif learning_rate is not None:
        raise ValueError("an optimizer brings its own learning rate: pass either optimizer= or learning_rate=")
    model = task.model
    plain_training(model)  # what an earlier call was given
    model.compile(optimizer, task.loss(), metrics=task.keras_metrics())
    if head_rate != 1:
        parameter_rates(model, dict.fromkeys(task.head_paths(), positive("head_rate", head_rate)))
    for technique in techniques:
        if not callable(technique):
            raise TypeError(
                f"a technique is a function of the model, such as lambda model: adversarial_training(model,"
                f" 'Embedding-Token', 0.5), not {technique!r:.80}"
            )
        technique(model)
    callbacks = list(callbacks)
    if score is not None:
        callbacks.insert(0, Evaluator(score, best_path))
    return model.fit(data, epochs=epochs, callbacks=callbacks, verbose=verbose)
