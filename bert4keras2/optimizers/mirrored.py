"""Gradient accumulation under tf.distribute strategies, where Keras' own cannot run.

Keras decides by a condition whether a micro-batch makes a step, and makes it inside of that condition. There TensorFlow
forbids what MirroredStrategy (unless compiled by XLA for GPUs) has to do for a step: bring its replicas together. Here
they come together first, and the condition is asked per variable.
"""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional import keras_private

__all__ = ["accumulate", "must_merge"]

UNKNOWN = ("clipnorm", "global_clipnorm", "clipvalue", "weight_decay")  # settings of Keras that this path leaves out


def must_merge() -> bool:
    """Tell whether the step that runs belongs to a tf.distribute strategy that has to bring its replicas together."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    # Private, but it is what Keras' own optimizers ask.
    return tf.distribute.has_strategy() and not tf.__internal__.distribute.strategy_supports_no_merge_call()


def accumulate(optimizer: Any, gradients: list[Any], accumulators: list[Any], variables: list[Any]) -> None:
    """Add gradients to their accumulators and, at the last micro-batch of a step, make it.

    Args:
        optimizer: a Keras optimizer with `gradient_accumulation_steps`.
        gradients: of this replica, one for each variable.
        accumulators: variables that hold the sums, in the order of the gradients.
        variables: what is trained.

    Raises:
        ValueError: if the optimizer clips gradients or has Keras' own weight_decay, which this path does not know.
    """
    import tensorflow as tf

    if any(getattr(optimizer, name) is not None for name in UNKNOWN):
        raise ValueError(
            "grad_accum_steps under tf.distribute takes no clipnorm, global_clipnorm, clipvalue or Keras' weight_decay:"
            " use extend_with_weight_decay, or train without the strategy"
        )
    steps = optimizer.gradient_accumulation_steps
    targets = [variable.value if isinstance(variable, keras.Variable) else variable for variable in variables]
    sums = [accumulator.value for accumulator in accumulators]
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    reduced = keras_private.summed_over_replicas(optimizer, list(zip(dense, targets, strict=True)))

    def together(strategy: Any, reduced: list[Any], rate: Any) -> None:
        complete = tf.equal((keras_private.step_counter(optimizer).value + 1) % steps, 0)

        def add(accumulator: Any, gradient: Any) -> None:
            accumulator.assign_add(tf.cast(gradient, accumulator.dtype))

        def step(target: Any, accumulator: Any, rate: Any) -> None:
            def make() -> Any:
                optimizer.update_step(accumulator / steps, target, rate)
                return tf.constant(True)

            tf.cond(complete, make, lambda: tf.constant(False))

        def reset(accumulator: Any) -> None:
            accumulator.assign(tf.where(complete, tf.zeros_like(accumulator), accumulator))

        for gradient, accumulator, target in zip(reduced, sums, targets, strict=True):
            strategy.extended.update(accumulator, add, args=(gradient,), group=False)
            strategy.extended.update(target, step, args=(accumulator, rate), group=False)
            strategy.extended.update(accumulator, reset, group=False)

    rate = tf.convert_to_tensor(optimizer.learning_rate)
    tf.distribute.get_replica_context().merge_call(together, args=(reduced, rate))
