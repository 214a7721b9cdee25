"""Adversarial training, gradient penalty and virtual adversarial training against computations of their own."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import K, keras, set_seed
from bert4keras2.layers import Embedding, Loss
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import AdaFactor, Adam, extend_with_gradient_accumulation
from bert4keras2.snippets import DataGenerator, sequence_padding
from bert4keras2.training import (
    adversarial_training,
    gradient_penalty,
    plain_training,
    virtual_adversarial_training,
)
from bert4keras2.training.transforms import StepSeed

pytestmark = pytest.mark.backend
BACKEND = plain_keras.backend.backend()
IDS = np.array([[1, 2, 2], [3, 0, 4]])
LABELS = np.array([0, 1])
SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
LOSS = "sparse_categorical_crossentropy"


def pooling_model(dropout=0.0, **options):
    """Embedding, mean, softmax: a model whose gradients are known by hand."""
    set_seed(1)
    x = inputs = keras.layers.Input((None,), dtype="int32")
    x = keras.layers.Embedding(6, 4, embeddings_initializer="normal", name="Embedding-Token", **options)(x)
    x = keras.layers.Dropout(dropout)(keras.layers.GlobalAveragePooling1D()(x))
    # Probabilities in float32, as is usual in mixed precision too.
    proba = keras.layers.Dense(3, activation="softmax", name="Proba", dtype="float32")
    return keras.models.Model(inputs, proba(x))


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def forward(weights):
    """Return pooled vectors and probabilities by NumPy."""
    table, kernel, bias = weights
    pooled = table[IDS].mean(1)
    return pooled, softmax(pooled @ kernel + bias)


def gradients(weights, target, rows=(0.5, 0.5)):
    """Return the gradients of cross entropy, or KL, against target probabilities, and those by the vectors."""
    table, kernel, bias = weights
    pooled, p = forward(weights)
    by_logits = (p - target) * np.array(rows)[:, None]
    by_vectors = np.repeat((by_logits @ kernel.T)[:, None] / IDS.shape[1], IDS.shape[1], 1)
    by_table = np.zeros_like(table)
    np.add.at(by_table, IDS, by_vectors)
    return [by_table, pooled.T @ by_logits, by_logits.sum(0)], by_vectors


def moved(weights, gradient, epsilon):
    move = epsilon * gradient / (np.sqrt((gradient**2).sum()) + 1e-8)
    return [weights[0] + move, *weights[1:]]


def compiled(model, rate=1.0, **options):
    model.compile(keras.optimizers.SGD(rate), LOSS, **options)
    return model


def wide(model):
    return [weight.astype("float64") for weight in model.get_weights()]


def bert_model(dropout=0.1, sequence_length=None, **options):
    set_seed(2)
    bert = build_transformer_model(
        {**SIZES, "vocab_size": 12, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout},
        sequence_length=sequence_length,
        **options,
    )
    return keras.models.Model(bert.inputs, keras.layers.Dense(2, activation="softmax")(bert.output[:, 0]))


TOKENS = np.array([[2, 5, 6, 7, 3], [2, 8, 5, 3, 0]])
BATCH = [TOKENS, np.zeros_like(TOKENS)]

# -- adversarial training --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "early"), [({}, True), ({"run_eagerly": True}, False), ({"jit_compile": BACKEND != "torch"}, False)]
)
def test_step_by_hand(options, early):
    """Gradients at E + delta, applied to E; before or after compile, with sample weights."""
    model = pooling_model()
    if early:
        adversarial_training(model, "Embedding-Token", 0.5)
    compiled(model, metrics=["accuracy"], **options)
    if not early:
        adversarial_training(model, "Embedding-Token", 0.5)
    weights, target = wide(model), np.eye(3)[LABELS]
    rows = np.array([1.5, 0.5]) / 2
    there = moved(weights, gradients(weights, target, rows)[0][0], 0.5)
    expected = [w - g for w, g in zip(weights, gradients(there, target, rows)[0], strict=True)]
    logs = model.train_on_batch(IDS, LABELS, sample_weight=np.array([1.5, 0.5]), return_dict=True)
    for value, right in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(value, right, atol=2e-6)
    loss = -(rows * np.log(forward(there)[1][np.arange(2), LABELS])).sum()
    assert set(logs) == {"loss", "accuracy"}
    np.testing.assert_allclose(logs["loss"], loss, atol=1e-5)


@pytest.mark.parametrize("name", ["Embedding-Token", "Embedding-Token/embeddings", "ding-Tok"])
def test_names(name):
    model = compiled(pooling_model())
    adversarial_training(model, name)
    assert [rule.variable.path for rule in model.loss_transforms] == ["Embedding-Token/embeddings"]


def test_embeddings_are_restored():
    """Without a step of the optimizer nothing changes at all; of a frozen table nothing ever does."""
    model = compiled(pooling_model(dropout=0.2), rate=0.0)
    adversarial_training(model, "Embedding-Token", 10.0)
    before = model.get_weights()
    model.fit(IDS, LABELS, epochs=3, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    embedding, dense = model.get_layer("Embedding-Token"), model.get_layer("Proba")
    embedding.trainable = False
    compiled(model, 0.1)
    before = embedding.get_weights()[0], dense.get_weights()[0]
    model.fit(IDS, LABELS, epochs=2, verbose=0)
    np.testing.assert_array_equal(before[0], embedding.get_weights()[0])
    assert np.abs(before[1] - dense.get_weights()[0]).max() > 1e-4


def test_frozen_is_moved():
    """The other weights learn at moved embeddings, even if these are frozen."""
    model = pooling_model(trainable=False)
    compiled(model)
    adversarial_training(model, "Embedding-Token", 2.0)
    layers = [model.get_layer(name) for name in ("Embedding-Token", "Proba")]
    weights, target = [w.astype("float64") for layer in layers for w in layer.get_weights()], np.eye(3)[LABELS]
    there = moved(weights, gradients(weights, target)[0][0], 2.0)
    model.train_on_batch(IDS, LABELS)
    expected = weights[1] - gradients(there, target)[0][1]
    np.testing.assert_allclose(layers[1].get_weights()[0], expected, atol=2e-6)
    np.testing.assert_array_equal(layers[0].get_weights()[0], weights[0].astype("float32"))


def test_zero_is_plain_training():
    """With epsilon 0 a step equals that of a plain model bit by bit or nearly so, dropout and all."""
    results = []
    for rule in (False, True):
        model = pooling_model(dropout=0.3)
        model.compile(Adam(0.01), LOSS, metrics=["accuracy"])
        if rule:
            adversarial_training(model, "Embedding-Token", 0.0)
        set_seed(5)
        losses = model.fit(IDS, LABELS, epochs=3, verbose=0).history["loss"]
        results.append((losses, model.get_weights()))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-5)
    for left, right in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)


def test_passes_drop_the_same():
    """The move raises the loss of the very units that were not dropped: otherwise single steps may lower it."""
    model = compiled(pooling_model(dropout=0.5), rate=0.0)
    plain = [model.train_on_batch(IDS, LABELS) for _ in range(1)]
    for epsilon in (0.0, 1e-3):
        set_seed(3)
        model = compiled(pooling_model(dropout=0.5), rate=0.0)
        adversarial_training(model, "Embedding-Token", epsilon)
        plain.append(np.array([model.train_on_batch(IDS, LABELS) for _ in range(8)]))
    assert (plain[2] >= plain[1]).all() and (plain[2] > plain[1]).any()


class Masked(Loss):
    def compute_loss(self, inputs, mask=None):
        target, scores = inputs
        self.add_metric(ops.mean(scores), name="mean_score")
        return ops.mean(plain_keras.losses.sparse_categorical_crossentropy(target, scores))


def test_loss_layer_and_tied_embeddings():
    """The masked-token head scores by the same table: moving it changes both uses."""
    set_seed(4)
    config = {**SIZES, "vocab_size": 12, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    bert = build_transformer_model(config, with_mlm=True)
    target = keras.layers.Input((None,), dtype="int32")
    model = keras.models.Model([*bert.inputs, target], Masked(1)([target, bert.output]))
    model.compile(keras.optimizers.SGD(1.0))
    table = model.get_layer("Embedding-Token").embeddings
    weights = model.get_weights()
    data = [*BATCH, TOKENS]

    def derivatives(step):  # by plain steps of the same model: SGD(1.0) subtracts the gradient
        set_weights = [w.copy() for w in weights]
        index = next(i for i, v in enumerate(model.weights) if v is table)
        set_weights[index] = set_weights[index] + step
        model.set_weights(set_weights)
        logs = model.train_on_batch(data, return_dict=True)
        return logs, [a - b for a, b in zip(set_weights, model.get_weights(), strict=True)], index

    _, at_start, index = derivatives(0.0)
    norm = np.sqrt((at_start[index].astype("float64") ** 2).sum())
    there, expected, _ = derivatives(0.7 * at_start[index] / (norm + 1e-8))
    model.set_weights(weights)
    adversarial_training(model, "Embedding-Token", 0.7)
    logs = model.train_on_batch(data, return_dict=True)
    assert set(logs) == {"loss", "mean_score"} and np.isfinite(logs["loss"])
    np.testing.assert_allclose(logs["loss"], there["loss"], atol=1e-5)
    for old, new, gradient in zip(weights, model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(new, old - gradient, atol=2e-5)
    history = model.fit(data, epochs=2, verbose=0).history
    assert set(history) == {"loss", "mean_score"} and np.isfinite(history["mean_score"]).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Adam(0.01, weight_decay_rate=0.01),
        lambda: AdaFactor(0.01),
        lambda: extend_with_gradient_accumulation(Adam)(0.01, grad_accum_steps=2),
        lambda: plain_keras.optimizers.AdamW(0.01, gradient_accumulation_steps=2),
    ],
)
def test_optimizers_and_generators(make):
    """Batches of different lengths, with each kind of optimizer."""

    class Generator(DataGenerator):
        def collate(self, batch):
            tokens = sequence_padding([row for row, _ in batch])
            return tokens, np.array([label for _, label in batch])

    data = Generator([(list(range(n)), n % 2) for n in (2, 3, 3, 2, 2, 3)], 2)
    model = pooling_model()
    model.compile(make(), LOSS, metrics=["accuracy"])
    adversarial_training(model, "Embedding-Token", 0.5)
    before = model.get_weights()
    history = model.fit_generator(data.forfit(), steps_per_epoch=3, epochs=2, verbose=0).history
    assert set(history) == {"loss", "accuracy"} and np.isfinite(history["loss"]).all()
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("rule", [adversarial_training, gradient_penalty, virtual_adversarial_training])
def test_mixed_precision(rule):
    """Half precision with a loss scale goes the way of float32."""
    losses = []
    for policy in ("float32", "mixed_float16"):
        plain_keras.config.set_dtype_policy(policy)
        try:
            model = compiled(pooling_model(), 0.1)
        finally:
            plain_keras.config.set_dtype_policy("float32")
        rule(model, "Embedding-Token", 0.3)
        for r in model.loss_transforms:
            r.seed = 11
        losses.append(model.fit(IDS, LABELS, epochs=4, verbose=0).history["loss"])
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    np.testing.assert_allclose(losses[0], losses[1], rtol=5e-3)


def test_overflow_is_skipped():
    """A loss scale that is too large makes no step and spoils nothing."""
    plain_keras.config.set_dtype_policy("mixed_float16")
    try:
        model = pooling_model()
    finally:
        plain_keras.config.set_dtype_policy("float32")
    scaled = plain_keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**40)
    model.compile(scaled, LOSS, auto_scale_loss=False)
    adversarial_training(model, "Embedding-Token", 0.3)
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(IDS, LABELS))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# -- gradient penalty ------------------------------------------------------------------------------------------


def penalised(weights, epsilon, of):
    """Return the loss with its penalty by NumPy, in float64."""
    target = np.eye(3)[LABELS]
    by_weights, by_vectors = gradients(weights, target)
    squares = ((by_vectors if of == "vectors" else by_weights[0]) ** 2).sum()
    return -np.log(forward(weights)[1][np.arange(2), LABELS]).mean() + 0.5 * epsilon * squares


@pytest.mark.parametrize(
    ("of", "jit", "trainable"),
    [("vectors", False, True), ("vectors", True, False), ("matrix", True, True), ("matrix", False, False)],
)
def test_penalty_by_finite_differences(of, jit, trainable):
    model = compiled(pooling_model(trainable=trainable), jit_compile=jit and BACKEND != "torch")
    gradient_penalty(model, "Embedding-Token", 30.0, of)
    layers = [model.get_layer(name) for name in ("Embedding-Token", "Proba")]
    weights = [w.astype("float64") for layer in layers for w in layer.get_weights()]
    loss = model.train_on_batch(IDS, LABELS)
    np.testing.assert_allclose(loss, penalised(weights, 30.0, of), rtol=1e-5)
    changed = [w for layer in layers for w in layer.get_weights()]
    for k, weight in enumerate(weights):
        expected = np.zeros_like(weight)
        for place in np.ndindex(*weight.shape):
            sides = []
            for h in (1e-5, -1e-5):
                other = [w.copy() for w in weights]
                other[k][place] += h
                sides.append(penalised(other, 30.0, of))
            expected[place] = (sides[0] - sides[1]) / 2e-5
        if k == 0 and not trainable:
            expected[:] = 0
        np.testing.assert_allclose(weight - changed[k], expected, atol=3e-6)


def test_penalty_of_tied_embeddings():
    """The vectors that were looked up count, not the scores that the same table gives."""
    set_seed(1)
    x = inputs = keras.layers.Input((None,), dtype="int32")
    embedding = Embedding(6, 4, embeddings_initializer="normal", name="Embedding-Token")
    x = keras.layers.GlobalAveragePooling1D()(embedding(x))
    model = compiled(keras.models.Model(inputs, keras.layers.Softmax()(embedding(x, mode="dense"))), 0.0)
    gradient_penalty(model, "Embedding-Token", 30.0)
    table = wide(model)[0]
    weights, target = [table, table.T, np.zeros(6)], np.eye(6)[LABELS]
    squares = (gradients(weights, target)[1] ** 2).sum()
    loss = -np.log(forward(weights)[1][np.arange(2), LABELS]).mean()
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), loss + 15 * squares, rtol=1e-5)


def test_penalty_through_attention():
    """The gradient of the whole step of a transformer is the slope of the loss that it reports."""
    model = bert_model(dropout=0.0)
    random = np.random.default_rng(0)
    model.set_weights([w + random.normal(size=w.shape) * 0.5 for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(1e-2), LOSS)
    gradient_penalty(model, "Embedding-Token", 1.0)
    before = model.get_weights()
    value = model.train_on_batch(BATCH, LABELS)
    plain_training(model)
    assert value > model.test_on_batch(BATCH, LABELS) + 1e-2
    gradient_penalty(model, "Embedding-Token", 1.0)
    step = [(old - new).astype("float64") * 1e2 for old, new in zip(before, model.get_weights(), strict=True)]
    length = np.sqrt(sum((g**2).sum() for g in step))
    sides = []
    for h in (0.003, -0.003):
        model.set_weights([w + h * g / length for w, g in zip(before, step, strict=True)])
        sides.append(model.train_on_batch(BATCH, LABELS))
    np.testing.assert_allclose((sides[0] - sides[1]) / 0.006, length, rtol=5e-3)


# -- virtual adversarial training ------------------------------------------------------------------------------


def divergence(p, q):
    return (p * np.log(p / q)).sum(-1).mean()


def expected_virtual(weights, rule, number=0, epsilon=1.0, xi=10.0, iters=1):
    """Return the moved weights and the target probabilities by NumPy, from the noise of the step."""
    noise = plain_keras.random.normal((6, 4), dtype="float32", seed=StepSeed(rule.seed, number))
    direction = plain_keras.ops.convert_to_numpy(noise).astype("float64")
    target = forward(weights)[1]
    for _ in range(iters):
        direction = gradients([weights[0] + xi * direction / np.linalg.norm(direction), *weights[1:]], target)[0][0]
    return [weights[0] + epsilon * direction / np.linalg.norm(direction), *weights[1:]], target


@pytest.mark.parametrize("options", [{}, {"epsilon": 0.5, "xi": 1.0, "iters": 2}])
def test_virtual_by_hand(options):
    """Labelled batches: the loss plus KL, and the gradients of both; without labels KL alone."""
    model = compiled(pooling_model())
    virtual_adversarial_training(model, "Embedding-Token", **options)
    weights = wide(model)
    there, p = expected_virtual(weights, model.loss_transforms[0], **options)
    kl, ce = divergence(p, forward(there)[1]), -np.log(p[np.arange(2), LABELS]).mean()
    added = gradients(there, p)[0]
    plain = gradients(weights, np.eye(3)[LABELS])[0]
    assert kl > 1e-5
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), ce + kl, atol=1e-5)
    for value, weight, left, right in zip(model.get_weights(), weights, plain, added, strict=True):
        np.testing.assert_allclose(value, weight - left - right, atol=1e-5)

    weights = wide(model)
    there, p = expected_virtual(weights, model.loss_transforms[0], number=1, **options)
    np.testing.assert_allclose(model.train_on_batch(IDS), divergence(p, forward(there)[1]), atol=1e-5)
    for value, weight, right in zip(model.get_weights(), weights, gradients(there, p)[0], strict=True):
        np.testing.assert_allclose(value, weight - right, atol=1e-5)


def test_unlabelled_batches():
    """A labelled step without any addition, then one on unlabelled data, with an optimizer of its own."""
    seen = []

    def generator():
        while True:
            for batch in ((IDS[:1], "ignored"), IDS[1:]):
                seen.append(1)
                yield batch

    model = compiled(pooling_model(), 0.1, metrics=["accuracy"])
    own = keras.optimizers.SGD(0.05)
    virtual_adversarial_training(model, "Embedding-Token", unlabelled=generator(), optimizer=own)
    history = model.fit(IDS, LABELS, epochs=3, verbose=0).history
    assert set(history) == {"loss", "accuracy", "unlabelled_loss"} and min(history["unlabelled_loss"]) > 0
    assert int(own.iterations) == 3 and int(model.optimizer.iterations) == 3
    assert model.train_on_batch(IDS, LABELS)[0] > 0 and int(own.iterations) == 4
    model.fit(IDS, LABELS, 2, 1, 0, [keras.callbacks.Callback()])  # callbacks by position
    assert int(own.iterations) == 5 and seen == [1, 1, 1, 1, 1]

    # A step of each kind, one after the other, from the same start, leads to the same weights.
    models = [compiled(pooling_model(), 0.1) for _ in range(2)]
    virtual_adversarial_training(models[0], "Embedding-Token", unlabelled=[IDS])
    rule = models[0].loss_transforms[0]._transform
    models[0].fit(IDS, LABELS, verbose=0)
    models[1].fit(IDS, LABELS, verbose=0)
    there, p = expected_virtual(wide(models[1]), rule)
    expected = [w - 0.1 * g for w, g in zip(wide(models[1]), gradients(there, p)[0], strict=True)]
    for value, right in zip(models[0].get_weights(), expected, strict=True):
        np.testing.assert_allclose(value, right, atol=1e-5)


def test_used_up():
    model = compiled(pooling_model())
    virtual_adversarial_training(model, "Embedding-Token", unlabelled=iter([IDS]))
    model.train_on_batch(IDS, LABELS)
    with pytest.raises(ValueError, match="used up"):
        model.train_on_batch(IDS, LABELS)


def test_virtual_logits():
    """Logits, and one logit or probability of two classes, mean the same as their softmax."""
    losses = []
    for units, activation, from_logits in (
        (2, "softmax", False),
        (2, None, True),
        (1, "sigmoid", False),
        (1, None, True),
    ):
        set_seed(1)
        x = inputs = keras.layers.Input((None,), dtype="int32")
        x = keras.layers.Embedding(6, 4, embeddings_initializer="normal", name="Embedding-Token")(x)
        dense = keras.layers.Dense(units, activation=activation)
        model = keras.models.Model(inputs, dense(keras.layers.GlobalAveragePooling1D()(x)))
        kernel = np.array([[1.0, -1], [0, 2], [0.5, 1], [-1, 1]])
        model.get_layer("Embedding-Token").set_weights([np.random.default_rng(0).normal(size=(6, 4))])
        dense.set_weights([kernel if units == 2 else kernel[:, 1:] - kernel[:, :1], np.zeros(units)])
        model.compile(keras.optimizers.SGD(0.0))
        virtual_adversarial_training(model, "Embedding-Token", from_logits=from_logits)
        model.loss_transforms[0].seed = 7
        losses.append(model.train_on_batch(IDS))
    np.testing.assert_allclose(losses, losses[0], rtol=1e-4)
    assert losses[0] > 1e-3


# -- all of them -----------------------------------------------------------------------------------------------


def test_rules_stay_and_go(tmp_path):
    """Compiling again keeps a rule, the same name replaces it, files do not hold it, and it can be taken back."""
    model = compiled(pooling_model(), 0.0)
    model.fit(IDS, LABELS, verbose=0)
    plain = model.train_on_batch(IDS, LABELS)
    adversarial_training(model, "Embedding-Token", 0.5)
    first = model.train_on_batch(IDS, LABELS)
    adversarial_training(model, "Token", 1.0)
    second = model.train_on_batch(IDS, LABELS)
    assert plain + 1e-4 < first < second - 1e-4 and len(model.loss_transforms) == 1
    compiled(model, 0.0)
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), second, atol=1e-6)
    np.testing.assert_allclose(model.evaluate(IDS, LABELS, verbose=0), plain, atol=1e-6)
    gradient_penalty(model, "Embedding-Token")
    assert len(model.loss_transforms) == 2 and model.train_on_batch(IDS, LABELS) > second
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "best.weights")
    loaded = plain_keras.models.load_model(tmp_path / "model.keras")
    assert not loaded.loss_transforms
    np.testing.assert_allclose(loaded.train_on_batch(IDS, LABELS), plain, atol=1e-6)
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    plain_training(model)
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), plain, atol=1e-6)


@pytest.mark.parametrize("function", [adversarial_training, gradient_penalty, virtual_adversarial_training])
def test_errors(function):
    model = bert_model()
    with pytest.raises(ValueError, match="'Embedding-Tokens'.*'Embedding-Token'"):
        function(model, "Embedding-Tokens")
    with pytest.raises(ValueError, match="several variables.*Embedding-Segment"):
        function(model, "^Embedding-[TS]")
    with pytest.raises(TypeError, match="named by a string"):
        function(model, model.get_layer("Embedding-Token"))
    with pytest.raises(ValueError, match="epsilon is a number"):
        function(model, "Embedding-Token", -1)
    foreign = plain_keras.Model(model.inputs, model.outputs)
    with pytest.raises(TypeError, match="from bert4keras2.backend import keras"):
        function(foreign, "Embedding-Token")
    assert not model.loss_transforms


def test_more_errors():
    model = pooling_model()
    with pytest.raises(ValueError, match="'vectors' or 'matrix'"):
        gradient_penalty(model, "Embedding-Token", of="rows")
    with pytest.raises(ValueError, match="looks up no vectors"):
        gradient_penalty(model, "Proba/kernel")
    with pytest.raises(ValueError, match="iters"):
        virtual_adversarial_training(model, "Embedding-Token", iters=0.5)
    two = keras.models.Model(model.inputs, [model.output, model.output])
    with pytest.raises(ValueError, match="2 outputs"):
        virtual_adversarial_training(two, "Embedding-Token")
    with pytest.raises(TypeError, match="iterate over"):
        virtual_adversarial_training(model, "Embedding-Token", unlabelled=3)


def test_what_is_gone_names_them():
    with pytest.raises(AttributeError, match="bert4keras2.training"):
        _ = K.gradients
    with pytest.raises(AttributeError, match="adversarial_training"):
        _ = pooling_model().total_loss
