"""data_parallel: the same training on two devices as on one, on JAX; clear errors elsewhere."""

import os
import subprocess
import sys

import keras
import pytest

from bert4keras2.models.parallel import data_parallel

pytestmark = pytest.mark.backend

TRAINING = """
import sys, keras, numpy as np
from bert4keras2.backend import Model
from bert4keras2.callbacks import EMA
from bert4keras2.models.parallel import data_parallel
from bert4keras2.optimizers import Adam
from bert4keras2.training import adversarial_training, layerwise_decay
keras.utils.set_random_seed(0)
ids = keras.Input((3,), dtype="int32")
x = keras.layers.Embedding(9, 4, name="Embedding-Token")(ids)
x = keras.layers.Dense(4, activation="tanh", name="Transformer-0-Dense")(x)
model = Model(ids, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(x)))
if sys.argv[1] == "two":
    assert data_parallel(model, devices=["cpu:0", "cpu:1"]) is model
model.compile(Adam(0.01), "mse")
adversarial_training(model, "Embedding-Token", 0.3)
layerwise_decay(model, 0.5)
data = np.random.RandomState(0).randint(0, 9, (8, 3))
settings = {"batch_size": 4, "epochs": 3, "shuffle": False, "callbacks": [EMA(0.5)], "verbose": 0}
losses = model.fit(data, data[:, :1] / 9.0, **settings).history["loss"]
devices = len(model.trainable_variables[0].value.sharding.device_set)
print(devices, *losses, *model.predict(data, verbose=0, batch_size=4)[:, 0])
"""


def test_two_devices_on_jax():
    """With techniques that change steps, rates and what is evaluated."""
    if keras.backend.backend() != "jax":
        pytest.skip("the way of JAX")
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    results = []
    for mode in ("one", "two"):
        run = subprocess.run(
            [sys.executable, "-c", TRAINING, mode], env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        results.append([float(number) for number in run.stdout.split()])
    one, two = results
    assert (one[0], two[0]) == (1, 2) and two[1:] == pytest.approx(one[1:], abs=1e-5)


def test_errors():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert data_parallel(model, devices=["gpu:0"]) is model
    with pytest.raises(ValueError, match="evenly"):
        data_parallel(model, devices=["gpu:0", "gpu:1"], parts=[1, 2])
    if keras.backend.backend() == "jax":
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match="before model.compile"):
            data_parallel(model, devices=["cpu:0", "cpu:1"])
    else:
        word = {"tensorflow": "MirroredStrategy", "torch": "DistributedDataParallel"}[keras.backend.backend()]
        with pytest.raises(NotImplementedError, match=word):
            data_parallel(model, devices=["gpu:0", "gpu:1"])
