"""Gradient accumulation under MirroredStrategy makes the steps that it makes without."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import pytest

from bert4keras2.optimizers import Adam, extend_with_gradient_accumulation, mirrored

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's")

# In a process of its own: devices are split before TensorFlow starts.
SCRIPT = """\
import contextlib
import keras
import numpy as np
import tensorflow as tf
from bert4keras2 import optimizers
from bert4keras2.backend import Model

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
random = np.random.default_rng(0)
x, y = random.normal(size=(28, 3)).astype("float32"), random.normal(size=(28, 2)).astype("float32")


def train(strategy):
    with strategy.scope() if strategy else contextlib.nullcontext():
        keras.utils.set_random_seed(0)
        hidden = keras.layers.Dense(4, "tanh")(inputs := keras.Input((3,)))
        model = Model(inputs, keras.layers.Dense(2, bias_initializer="ones")(hidden))
        cls = optimizers.extend_with_layer_adaptation(optimizers.extend_with_weight_decay(optimizers.Adam))
        cls = optimizers.extend_with_gradient_accumulation(optimizers.extend_with_piecewise_linear_lr(cls))
        model.compile(cls(0.1, grad_accum_steps=3, weight_decay_rate=0.01, lr_schedule={2: 1.0}), "mse")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    model.fit(data, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 7
    return [variable.numpy() for variable in model.trainable_variables]


alone = train(None)
for count in (1, 2):
    together = train(tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)]))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
print("equal")
"""


def test_accumulated_steps_are_the_same():
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, timeout=300)
    assert done.stdout.strip().endswith("equal"), done.stderr[-3000:]


def test_what_cannot_be_done_is_said():
    optimizer = extend_with_gradient_accumulation(Adam)(0.1, grad_accum_steps=2, clipnorm=1.0)
    with pytest.raises(ValueError, match="clipnorm.*without the strategy"):
        mirrored.accumulate(optimizer, [], [], [])
    assert not mirrored.must_merge()
