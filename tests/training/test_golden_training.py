"""Twenty steps of fine-tuning follow the recorded losses of the reference."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import Model
from bert4keras2.layers import Loss
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam, PiecewiseLinear

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:.*does not use.*")]
FOLDER = Path(__file__).parent.parent / "golden" / "training"


def read(path):
    with np.load(path) as data:
        return {name: data[name] for name in data}


@keras.saving.register_keras_serializable("tests")
class Seq2SeqLoss(Loss):
    """Cross entropy of token t + 1 given the probabilities at t, over positions of segment 1."""

    def compute_loss(self, inputs, mask=None):
        tokens, segments, probabilities = inputs
        weights = ops.cast(segments[:, 1:], "float32")
        losses = keras.losses.sparse_categorical_crossentropy(tokens[:, 1:], probabilities[:, :-1])
        return ops.sum(losses * weights) / ops.sum(weights)


def optimizer(info):
    options = info["optimizer"]
    rate = PiecewiseLinear(options["learning_rate"], options["lr_schedule"])
    names = ("weight_decay_rate", "exclude_from_weight_decay")
    return Adam(rate, **{name: options[name] for name in names})


def start(case):
    info = json.loads((FOLDER / case / "case.json").read_text())
    model = build_transformer_model(
        FOLDER / case / info["config"],
        FOLDER / case / info["checkpoint"],
        model=info["model"],
        application=info["application"],
        **info["kwargs"],
    )
    return info, model, read(FOLDER / case / "batches.npz"), read(FOLDER / case / "result.npz")


def test_classifier():
    info, encoder, batches, result = start("bert_classifier")
    head = keras.layers.Dense(3, activation="softmax", name="Classifier")
    model = Model(encoder.inputs, head(encoder.output[:, 0]))
    head.kernel.assign(result["start/kernel"])
    head.bias.assign(result["start/bias"])
    model.compile(optimizer(info), "sparse_categorical_crossentropy")
    losses = [step(model, batches, i, batches["labels"][i]) for i in range(info["steps"])]
    np.testing.assert_allclose(losses, result["losses"], atol=1e-4, rtol=0)


def step(model, batches, i, labels=None):
    """Train on batch i and return its loss alone, not the running mean."""
    model.reset_metrics()
    x = [batches["Input-Token"][i], batches["Input-Segment"][i]]
    return model.train_on_batch(x, labels, return_dict=True)["loss"]


def test_unilm():
    info, transformer, batches, result = start("roformer_unilm_seq2seq")
    tokens, segments = transformer.inputs
    outputs = Seq2SeqLoss(2)([tokens, segments, transformer.output])
    model = Model(transformer.inputs, outputs)
    model.compile(optimizer(info))
    losses = [step(model, batches, i) for i in range(info["steps"])]
    np.testing.assert_allclose(losses, result["losses"], atol=1e-4, rtol=0)
