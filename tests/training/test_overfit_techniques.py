"""Each technique learns 64 rows by heart, or as near to it as few weights can."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.backend import keras, set_seed
from bert4keras2.callbacks import EMA, SWA
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam, Lion, Tiger, extend_with_lora
from bert4keras2.training import (
    adapters,
    adversarial_training,
    bert_of_theseus,
    bitfit,
    child_tuning,
    distill,
    find_child,
    free_lb,
    gradient_penalty,
    ladder_side_tuning,
    layerwise_decay,
    lora,
    mixup,
    p_tuning,
    pgd,
    prefix_tuning,
    r_drop,
    virtual_adversarial_training,
)

pytestmark = [pytest.mark.backend, pytest.mark.long]
SIZES = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
RANDOM = np.random.RandomState(0)
TOKENS = RANDOM.randint(9, 40, (64, 8))
# Every row begins with the places of a template.
TOKENS[:, :3] = [2, 5, 6]
X, Y = [TOKENS, np.zeros_like(TOKENS)], RANDOM.randint(0, 2, 64)


def encoder(depth=2, **options):
    set_seed(3)
    sizes = {**SIZES, "num_hidden_layers": depth, "initializer_range": 0.2}
    return build_transformer_model(sizes, return_keras_model=False, **options)


def classifier(bert, rate=3e-3, optimizer=None):
    pooled = keras.layers.GlobalAveragePooling1D()(bert.outputs[0])
    model = keras.models.Model(bert.inputs, keras.layers.Dense(2, activation="softmax")(pooled))
    model.compile(optimizer or Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def with_teacher(model):
    teacher = classifier(encoder())
    teacher.fit(X, Y, epochs=60, batch_size=16, verbose=0)
    distill(model, teacher, 0.9)


def with_child(mode, share):
    """A part of the weights learns: by chance in each step (F), or the most important ones (D)."""

    def technique(model):
        model.optimizer = child_tuning(model.optimizer, mode, share)
        if mode == "D":
            find_child(model, [(X, Y)])

    return technique


EMBEDDING = "Embedding-Token"
CASES = {
    "FGM": (lambda model: adversarial_training(model, EMBEDDING, 0.3), 0.95),
    "gradient penalty": (lambda model: gradient_penalty(model, EMBEDDING, 0.1), 0.95),
    "VAT": (lambda model: virtual_adversarial_training(model, EMBEDDING, 0.1), 0.95),
    "PGD": (lambda model: pgd(model, EMBEDDING, 0.3, 0.1), 0.95),
    "FreeLB": (lambda model: free_lb(model, EMBEDDING, 0.3, 0.1), 0.95),
    "R-Drop": (lambda model: r_drop(model, 1.0), 0.95),
    "ChildTuning-F": (with_child("F", 0.3), 0.95),
    "ChildTuning-D": (with_child("D", 0.5), 0.95),
    "layer-wise decay": (lambda model: layerwise_decay(model, 0.9), 0.95),
    "lora": (lambda model: lora(model, 4), 0.9),
    "adapters": (lambda model: adapters(model, 8), 0.95),
    "bitfit": (bitfit, 0.8),
    "prefix": (lambda model: prefix_tuning(model, 8, stddev=0.5), 0.75),
    "p_tuning": (lambda model: p_tuning(model, [5, 6], train=["Norm", "bias"]), 0.8),
    "mixup": (lambda model: mixup(model, alpha=0.1), 0.9),
    "distill": (with_teacher, 0.95),
    "EMA": (lambda model: [EMA(0.9)], 0.95),
    "SWA": (lambda model: [SWA(50)], 0.95),
}


@pytest.mark.parametrize("name", CASES)
def test_rows_are_learnt(name):
    technique, wanted = CASES[name]
    few = name in ("lora", "adapters", "bitfit", "prefix", "p_tuning")
    model = classifier(encoder(), 2e-2 if few else 3e-3)
    found = technique(model)
    callbacks = found if isinstance(found, list) else []
    model.fit(X, Y, epochs=80, batch_size=16, callbacks=callbacks, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[1] >= wanted


@pytest.mark.parametrize("optimizer, rate", [(Lion, 1e-3), (Tiger, 1e-3)])
def test_optimizers_of_signs(optimizer, rate):
    model = classifier(encoder(), optimizer=optimizer(rate))
    model.fit(X, Y, epochs=80, batch_size=16, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[1] >= 0.95


def test_ladder():
    model = classifier(ladder_side_tuning(encoder(), 2), 1e-2)
    model.fit(X, Y, epochs=80, batch_size=16, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[1] >= 0.9


def test_lora_in_the_optimizer():
    model = classifier(
        encoder(), optimizer=extend_with_lora(Adam)(3e-3, lora_rank=4, include_in_lora=["dense/kernel$"])
    )
    model.fit(X, Y, epochs=80, batch_size=16, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[1] >= 0.95


def test_theseus():
    """The small model alone knows the rows, though it never saw a loss of its own."""
    big, small = encoder(), encoder(1, prefix="Small-")
    pool, head = keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(2, activation="softmax")
    for bert, frozen in ((big, False), (bert_of_theseus(small, big), True)):
        head.trainable = not frozen
        model = keras.models.Model(bert.inputs, head(pool(bert.outputs[0])))
        model.compile(Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(X, Y, epochs=60, batch_size=16, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[1] >= 0.9
