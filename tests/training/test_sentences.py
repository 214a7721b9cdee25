"""Losses of sentence vectors against loops in NumPy, and that each learns its rows by plain compile and fit."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import keras as own_keras
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import Tokenizer
from bert4keras2.training import (
    cosent,
    esimcse,
    group_crossentropy,
    hide_tokens,
    in_batch_contrastive,
    matryoshka,
    pair_classifier,
    repeat_tokens,
    seq2seq_rows,
    simbert,
    simcse,
    similarity_distillation,
    triplet,
)

pytestmark = pytest.mark.backend
CASES = np.random.RandomState(0)
V = CASES.randn(12, 6).astype("float32")
TINY = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "initializer_range": 0.2,
}


def value(loss, labels, vectors):
    """Return what a loss says, as `fit` shows it."""
    return float(ops.convert_to_numpy(loss(ops.convert_to_tensor(labels), ops.convert_to_tensor(vectors))))


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def ranked(anchor, right, others, scale):
    """Return -log of the softmax of one among others."""
    scores = [scale * cosine(anchor, right)] + [scale * cosine(anchor, other) for other in others]
    return np.log(np.sum(np.exp(scores))) - scores[0]


def test_losses_are_those_of_loops():
    numbers = np.repeat(np.arange(6.0), 2).astype("float32")
    partners = [i + 1 - 2 * (i % 2) for i in range(12)]
    rest = [[V[j] for j in range(12) if j not in (i, partners[i])] for i in range(12)]
    expected = np.mean([ranked(V[i], V[partners[i]], rest[i], 20) for i in range(12)])
    assert value(simcse(), numbers, V) == pytest.approx(expected, abs=1e-4)
    expected = np.mean(
        [ranked(V[2 * i], V[2 * i + 1], [V[2 * j + 1] for j in range(6) if j != i], 5) for i in range(6)]
    )
    assert value(simcse(5.0, "other"), numbers, V) == pytest.approx(expected, abs=1e-5)
    assert value(in_batch_contrastive(5.0), numbers, V) == pytest.approx(expected, abs=1e-5)
    back = np.mean([ranked(V[2 * i + 1], V[2 * i], [V[2 * j] for j in range(6) if j != i], 5) for i in range(6)])
    assert value(in_batch_contrastive(5.0, symmetric=True), numbers, V) == pytest.approx(
        (expected + back) / 2, abs=1e-5
    )

    threes, others = V.reshape(4, 3, 6), [V[k] for k in range(12) if k % 3]
    three = np.repeat(np.arange(4.0), 3).astype("float32")
    expected = np.mean(
        [ranked(a, b, [x for x in others if x is not b and not np.array_equal(x, b)], 20) for a, b, _ in threes]
    )
    assert value(in_batch_contrastive(negatives=1), three, V) == pytest.approx(expected, abs=1e-4)
    expected = np.mean([max(0, cosine(a, n) - cosine(a, p) + 0.2) for a, p, n in threes])
    assert value(triplet(), three, V) == pytest.approx(expected, abs=1e-5)
    length = np.linalg.norm
    expected = np.mean([max(0, length(a - p) - length(a - n) + 1) for a, p, n in threes])
    assert value(triplet(1.0, "euclidean"), three, V) == pytest.approx(expected, abs=1e-5)


def test_cosent_knows_the_order_alone():
    grades = np.array([3, 1, 1, 0, 5, 2], "float32")
    cosines = [cosine(V[2 * i], V[2 * i + 1]) for i in range(6)]
    total = sum(
        np.exp(20 * (cosines[j] - cosines[i])) for i in range(6) for j in range(6) if grades[i] > grades[j]
    )  # fmt: skip
    assert value(cosent(), grades.repeat(2), V) == pytest.approx(np.log1p(total), rel=1e-5)
    assert value(cosent(), (grades**3 + 7).repeat(2)[:, None], V) == pytest.approx(np.log1p(total), rel=1e-5)
    assert value(cosent(), np.ones(12, "float32"), V) == 0
    assert np.isfinite(value(cosent(1e5), grades.repeat(2), V))


def test_matryoshka_adds_up_widths():
    numbers = np.repeat(np.arange(6.0), 2).astype("float32")
    both = 0.5 * value(simcse(), numbers, V[:, :2]) + 2 * value(simcse(), numbers, V)
    loss = matryoshka(simcse(), [2, 6], [0.5, 2.0])
    assert value(loss, numbers, V) == pytest.approx(both, rel=1e-5)
    if keras.backend.backend() == "tensorflow":  # which Keras imports to write configurations
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
        assert value(again, numbers, V) == pytest.approx(both, rel=1e-5)
    with pytest.raises(ValueError, match="widths go up to 7, but the vectors have 6"):
        value(matryoshka(cosent(), [7]), numbers, V)
    with pytest.raises(ValueError, match="2 widths need as many weights, not 1"):
        matryoshka(cosent(), [2, 6], [1.0])


def test_objectives_of_roformer_sim():
    teacher = np.random.RandomState(1).randn(12, 9).astype("float32")
    apart = [[cosine(V[i], V[j]) - cosine(teacher[i], teacher[j]) for j in range(12)] for i in range(12)]
    assert value(similarity_distillation(), teacher, V) == pytest.approx(100 * np.mean(np.square(apart)), rel=1e-4)
    loss = group_crossentropy([[0, 1], [2, 3, 4]])
    scores = V[:2, :5]
    expected = [-np.log(np.exp(scores[0, 1]) / np.exp(scores[0, :2]).sum())]
    expected += [-np.log(np.exp(scores[1, 3]) / np.exp(scores[1, 2:5]).sum())]
    assert value(loss, np.array([1, 3]), scores) == pytest.approx(np.mean(expected), abs=1e-5)
    with pytest.raises(ValueError, match="each class from 0 on stands in one group"):
        group_crossentropy([[0, 1], [1, 2]])


def test_views():
    ids = [2, *range(10, 30), 3]
    chance = random.Random(0)
    lengths = set()
    for _ in range(200):
        found = repeat_tokens(ids, 0.32, chance)
        lengths.add(len(found) - len(ids))
        assert found[0] == 2 and found[-1] == 3 and found.count(2) == found.count(3) == 1
        assert [x for i, x in enumerate(found) if i == 0 or found[i - 1] != x] == ids, "the order stays"
    assert lengths == set(range(7)), "0 to int(0.32 * 22) - 1 tokens stand twice"
    assert repeat_tokens(ids, 0.0) == ids
    hidden = [hide_tokens(ids, 4, 100, 0.5, chance, spared=[1]) for _ in range(200)]
    places = [place for _, found in hidden for place in found]
    assert min(places) == 2 and max(places) == 20 and 0.45 < len(places) / 200 / 19 < 0.55
    masked = np.mean([row[place] == 4 for row, found in hidden for place in found])
    assert 0.75 < masked < 0.85


def encoder_model(**options):
    bert = build_transformer_model(TINY, **options)
    return own_keras.models.Model(bert.inputs, bert.output[:, 0])


@pytest.fixture(scope="module")
def rows():
    """64 pairs of rows: a pair shares its first tokens."""
    chance = np.random.RandomState(0)
    first = chance.randint(5, 40, (64, 8))
    second = np.hstack([first[:, :5], chance.randint(5, 40, (64, 3))])
    ids = np.stack([first, second], 1).reshape(128, 8)
    return [ids, np.zeros_like(ids)]


@pytest.mark.parametrize("name", ["contrastive", "cosent"])
def test_rows_are_learnt(name, rows):
    """Plain compile and fit; shuffled rows are refused."""
    keras.utils.set_random_seed(0)
    model = encoder_model()
    if name == "contrastive":
        labels, loss = np.repeat(np.arange(64), 2), in_batch_contrastive(symmetric=True)
    else:
        labels, loss = np.repeat(np.arange(64) % 2, 2), cosent()
    model.compile("adam", loss)
    model.optimizer.learning_rate = 0.01
    history = model.fit(rows, labels, 128, epochs=20, shuffle=False, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    with pytest.raises(ValueError, match="groups of 2 rows that follow one another: pass shuffle=False"):
        model.fit(rows, labels, verbose=0)
    order = np.random.RandomState(0).permutation(128)
    with pytest.raises(ValueError, match=r"rows \d+ to \d+ have the labels .*were rows shuffled one by one"):
        model.train_on_batch([x[order] for x in rows], labels[order])
    with pytest.raises(ValueError, match="but got 127 rows"):
        model.train_on_batch([x[:127] for x in rows], labels[:127])


def test_esimcse(rows):
    """The queue holds the newest first views by weights that follow; without one it is SimCSE."""
    keras.utils.set_random_seed(0)
    encoder = encoder_model()
    small = [x[:8] for x in rows]
    plain = esimcse(encoder, queue=0)
    plain.compile(own_keras.optimizers.SGD(0.0))
    vectors = ops.convert_to_numpy(encoder(small))
    same = value(simcse(denominator="other"), np.zeros(8, "float32"), vectors)
    assert plain.train_on_batch(small) == pytest.approx(same, abs=1e-4)

    model = esimcse(encoder, queue=6, momentum=0.5)
    layer = model.get_layer("Momentum-Queue")
    model.compile(own_keras.optimizers.SGD(0.5))
    assert model.train_on_batch(small) == pytest.approx(same, abs=1e-4), "there is nothing in the queue yet"
    queue = ops.convert_to_numpy(layer.queue)
    # The weights that follow are still equal to the first ones, and the vectors of first views are those of above.
    np.testing.assert_allclose(queue[2:], vectors[::2], atol=1e-5)
    assert float(ops.convert_to_numpy(layer.filled)) == 4 and not queue[:2].any()
    before = [ops.convert_to_numpy(own) for own in layer.followers]
    now = [ops.convert_to_numpy(weight) for weight in encoder.trainable_variables]
    vectors = ops.convert_to_numpy(encoder(small))
    firsts, seconds = vectors[::2], vectors[1::2]
    expected = np.mean([
        ranked(firsts[i], seconds[i], [*(seconds[j] for j in range(4) if j != i), *queue[2:]], 20) for i in range(4)
    ])  # fmt: skip
    assert model.train_on_batch(small) == pytest.approx(expected, abs=1e-4)
    for old, weight, own in zip(before, now, layer.followers, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(own), (old + weight) / 2, atol=1e-6)
    assert float(ops.convert_to_numpy(layer.filled)) == 6
    np.testing.assert_allclose(ops.convert_to_numpy(layer.queue)[:2], queue[4:], atol=1e-6)
    with pytest.raises(ValueError, match="momentum is from 0 to below 1, not 1"):
        esimcse(encoder, momentum=1)


def test_simbert_and_the_pair_classifier():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"今天气很好我们去公园玩吧真错外面"]
    tokenizer = Tokenizer({token: i for i, token in enumerate(tokens)})
    x, y = seq2seq_rows(tokenizer, [("今天天气好", "天气真不错"), ("去公园", "去外面玩吧")])
    ids, segments = (part[0].tolist() for part in x)
    assert ids[:7] == tokenizer.encode("今天天气好")[0] and segments[:7] == [0] * 7
    assert [token for token in y[1][0] if token >= 0] == tokenizer.encode("天气真不错")[0][1:]
    assert all(y[1][row, t] == x[0][row, t + 1] for row, t in np.argwhere(y[1] >= 0)), "the token that follows"
    np.testing.assert_array_equal(y[0][:, 0], [0, 0, 1, 1])

    keras.utils.set_random_seed(0)
    model = build_transformer_model(TINY, application="unilm", with_pool="linear")
    other = [x[0].copy(), x[1]]
    other[0][(x[1] > 0) & (x[0] > 0)] = 7
    np.testing.assert_allclose(*(ops.convert_to_numpy(model(part)[0]) for part in (x, other)), atol=1e-5)
    model.compile(own_keras.optimizers.Adam(0.01), simbert())
    history = model.fit(x, y, 4, epochs=20, shuffle=False, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]

    encoder = encoder_model()
    pairs = pair_classifier(encoder, 5)
    pairs.compile(own_keras.optimizers.Adam(0.01), group_crossentropy([[0, 1], [2, 3, 4]]))
    chance = np.random.RandomState(0)
    sides = [chance.randint(5, 40, (64, 6)) if i % 2 == 0 else np.zeros((64, 6), int) for i in range(4)]
    history = pairs.fit(sides, chance.randint(0, 5, 64), 64, epochs=40, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0], "64 rows are learnt by heart"
