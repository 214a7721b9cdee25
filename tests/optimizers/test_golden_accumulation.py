"""Fine-tuning with gradient accumulation, beside the reference's recorded run that lags by one micro-step.

The reference applies nothing in micro-step 0 and the gradients of micro-steps 0 and 1 in micro-step 2, at its learning
rate and with Adam's count at 3; here they are applied in micro-step 1, with the count at 1. So the first two losses
agree, the later ones are expected to differ, and with the lag played by hand all of them agree.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import Model
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import (
    Adam,
    PiecewiseLinear,
    extend_with_gradient_accumulation,
    extend_with_piecewise_linear_lr,
    extend_with_weight_decay,
)

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:.*does not use.*")]
FOLDER = Path(__file__).parent.parent / "golden" / "training" / "bert_classifier_accumulation"
AdamWLR = extend_with_piecewise_linear_lr(extend_with_weight_decay(Adam), name="AdamWLR")
AdamWLRG = extend_with_gradient_accumulation(AdamWLR, name="AdamWLRG")


def read(path):
    with np.load(path) as data:
        return {name: data[name] for name in data}


INFO = json.loads((FOLDER / "case.json").read_text())
OPTIONS, STEPS = INFO["optimizer"], INFO["steps"]
BATCHES, RESULT = read(FOLDER / "batches.npz"), read(FOLDER / "result.npz")


def build(optimizer):
    encoder = build_transformer_model(FOLDER / INFO["config"], FOLDER / INFO["checkpoint"], **INFO["kwargs"])
    head = keras.layers.Dense(3, activation="softmax", name="Classifier")
    model = Model(encoder.inputs, head(encoder.output[:, 0]))
    head.kernel.assign(RESULT["start/kernel"])
    head.bias.assign(RESULT["start/bias"])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def batch(*numbers):
    """Return the batches of some numbers as one."""
    x = [np.concatenate([BATCHES[name][i] for i in numbers]) for name in ("Input-Token", "Input-Segment")]
    return x, np.concatenate([BATCHES["labels"][i] for i in numbers])


def train(model, *numbers):
    model.reset_metrics()
    x, y = batch(*numbers)
    return model.train_on_batch(x, y, return_dict=True)["loss"]


def test_differs_from_the_lagging_reference():
    model = build(AdamWLRG(**OPTIONS))
    losses = [float(train(model, i)) for i in range(STEPS)]
    np.testing.assert_allclose(losses[:2], RESULT["losses"][:2], atol=1e-4, rtol=0)
    assert np.abs(np.array(losses) - RESULT["losses"])[2:].max() > 1e-3
    assert int(model.optimizer.iterations) == STEPS


@keras.saving.register_keras_serializable("tests")
class SecondOfTwo(PiecewiseLinear):
    """The learning rate of a pair's second micro-step, given the number of the pair."""

    def __call__(self, step):
        return super().__call__(2 * ops.cast(step, "float32") + 1)


def test_two_batches_are_one_of_twice_the_size():
    names = ("weight_decay_rate", "exclude_from_weight_decay")
    decay = {name: OPTIONS[name] for name in names}
    small = build(AdamWLRG(**OPTIONS))
    large = build(Adam(SecondOfTwo(OPTIONS["learning_rate"], OPTIONS["lr_schedule"]), **decay))
    for i in range(0, STEPS, 2):
        first, second = float(train(small, i)), float(train(small, i + 1))
        assert float(train(large, i, i + 1)) == pytest.approx((first + second) / 2, abs=1e-4)


def test_the_lag_alone_differs():
    """Steps by hand: only in even micro-steps, with the mean of the two gradients before."""
    optimizer = AdamWLR(**{name: value for name, value in OPTIONS.items() if name != "grad_accum_steps"})
    model = build(optimizer)
    mean = build(keras.optimizers.SGD(1.0))
    optimizer.build(model.trainable_variables)
    waiting, losses = [0.0 * w for w in model.trainable_variables], []
    for i in range(STEPS):
        # The gradient is what SGD with rate 1 subtracts.
        mean.set_weights(model.get_weights())
        losses.append(float(train(mean, i)))
        pairs = zip(model.trainable_variables, mean.trainable_variables, strict=True)
        new = [ops.copy(ops.convert_to_tensor(a)) - ops.convert_to_tensor(b) for a, b in pairs]
        if i % 2 == 0:
            optimizer.iterations.assign(i)
            optimizer.apply([g / 2 for g in waiting], model.trainable_variables)
            waiting = [0.0 * g for g in waiting]
        waiting = [a + b for a, b in zip(waiting, new, strict=True)]
    np.testing.assert_allclose(losses, RESULT["losses"], atol=1e-4, rtol=0)
