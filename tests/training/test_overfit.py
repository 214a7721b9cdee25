"""Models with losses of their own learn 200 fixed samples by heart: it is not enough that scripts run.

The reference trained CasRel without an error and without learning anything on TensorFlow 2.
"""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.backend import K, Model, batch_gather, keras, multilabel_categorical_crossentropy
from bert4keras2.layers import GlobalPointer, LayerNormalization, Loss
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam, PiecewiseLinear
from bert4keras2.snippets import DataGenerator, sequence_padding

pytestmark = [pytest.mark.backend, pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*destroy the mask.*")]
SAMPLES, BATCH, LENGTH, VOCABULARY = 200, 50, 16, 100
CLS, SEP = 1, 2
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "segment_vocab_size": 0,
    "initializer_range": 0.1,  # narrow models start slowly from 0.02
}


@pytest.fixture(autouse=True)
def one_thread():
    """PyTorch's threads spin while they wait for one another: on a busy machine small models take ten times as long."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def phrase(random, first: int, then: int) -> list[int]:
    """One of 20 words of a kind, every other time with one of 10 that go on from such words."""
    return [first + random.randint(20)] + [then + random.randint(10)] * random.randint(2)


def f1(found: set, expected: set) -> float:
    return 2 * len(found & expected) / (len(found) + len(expected))


# -- CasRel: subjects, then the objects of each ------------------------------------------------------------------

RELATIONS = 3


def facts():
    """Sentences of one or two facts: subject, relation, object, with some words between."""
    random = np.random.RandomState(0)
    samples = []
    for _ in range(SAMPLES):
        tokens, triples = [CLS], set()
        for _ in range(1 + random.randint(2)):
            tokens += [3 + random.randint(5)] * random.randint(2)
            subject, relation, item = phrase(random, 10, 30), random.randint(RELATIONS), phrase(random, 50, 70)
            start = len(tokens)
            tokens += subject + [40 + relation] + item
            end = len(tokens)
            triples.add((start, start + len(subject) - 1, relation, end - len(item), end - 1))
        samples.append((tokens + [SEP], triples))
    return samples


class Facts(DataGenerator):
    """For each sentence one of its subjects at random and the objects of that, as scripts for CasRel do."""

    def __iter__(self, random=False):
        batch = []
        for is_end, (tokens, triples) in self.sample(random):
            subject_labels, object_labels = np.zeros((LENGTH, 2)), np.zeros((LENGTH, RELATIONS, 2))
            subjects = sorted({triple[:2] for triple in triples})
            chosen = subjects[np.random.randint(len(subjects))]
            for start, end, relation, first, last in triples:
                subject_labels[start, 0] = subject_labels[end, 1] = 1
                if (start, end) == chosen:
                    object_labels[first, relation, 0] = object_labels[last, relation, 1] = 1
            batch.append((tokens, subject_labels, chosen, object_labels))
            if len(batch) == self.batch_size or is_end:
                tokens, *others = zip(*batch, strict=True)
                yield [sequence_padding(tokens, length=LENGTH), *(np.array(x, "float32") for x in others)], None
                batch = []


class TotalLoss(Loss):
    """Cross entropies of both pairs of pointers over what is no padding."""

    def compute_loss(self, inputs, mask=None):
        subject_labels, object_labels, subject_scores, object_scores = inputs
        mask = K.cast(mask[2], K.floatx())
        losses = []
        for labels, scores in ((subject_labels, subject_scores), (object_labels, object_scores)):
            loss = K.binary_crossentropy(labels, scores)
            loss = K.mean(loss, list(range(2, K.ndim(loss))))
            losses.append(K.sum(loss * mask) / K.sum(mask))
        self.add_metric(losses[1], name="object_loss")
        return losses[0] + 10 * losses[1]


def vector_of(inputs):
    """The hidden states at both ends of the subject."""
    states, ends = inputs
    return K.concatenate([batch_gather(states, ends[:, :1]), batch_gather(states, ends[:, 1:])], axis=2)[:, 0]


def casrel():
    encoder = build_transformer_model(SIZES, model="bert", sequence_length=LENGTH, return_keras_model=False)
    states, dense = encoder.model.output, keras.layers.Dense
    subject_ids = keras.Input((2,), name="Subject-Ends")
    subject_labels = keras.Input((LENGTH, 2), name="Subject-Labels")
    object_labels = keras.Input((LENGTH, RELATIONS, 2), name="Object-Labels")
    subjects = dense(2, activation="sigmoid", kernel_initializer=encoder.initializer)(states)
    condition = keras.layers.Lambda(vector_of, output_shape=(2 * SIZES["hidden_size"],))([states, subject_ids])
    x = LayerNormalization(conditional=True)([states, condition])
    x = dense(2 * RELATIONS, activation="sigmoid", kernel_initializer=encoder.initializer)(x)
    objects = keras.layers.Reshape((LENGTH, RELATIONS, 2))(x)
    tokens = encoder.model.input
    outputs = TotalLoss([2, 3])([subject_labels, object_labels, subjects, objects])
    training = Model([tokens, subject_labels, subject_ids, object_labels], outputs)
    return training, Model(tokens, subjects), Model([tokens, subject_ids], objects)


def extract(samples, subject_model, object_model) -> set:
    """Return (sentence, subject start, end, relation, object start, end) as the pointers say."""
    tokens = sequence_padding([tokens for tokens, _ in samples], length=LENGTH)
    found = []
    for row, scores in enumerate(subject_model.predict(tokens, batch_size=BATCH, verbose=0)):
        scores = scores[: len(samples[row][0])]  # nothing is learnt of padding
        for start in np.flatnonzero(scores[:, 0] > 0.5):
            ends = np.flatnonzero(scores[start:, 1] > 0.5)
            found += [(row, start, start + ends[0])] if len(ends) else []
    subjects = np.zeros((-(-max(len(found), 1) // BATCH) * BATCH, 3), "int32")  # whole batches
    subjects[: len(found)] = np.reshape(found, (-1, 3))
    objects = object_model.predict([tokens[subjects[:, 0]], subjects[:, 1:]], batch_size=BATCH, verbose=0)
    triples = set()
    for subject, scores in zip(subjects[: len(found)].tolist(), objects, strict=False):
        scores = scores[: len(samples[subject[0]][0])]
        for start, relation in np.argwhere(scores[..., 0] > 0.5):
            ends = np.flatnonzero(scores[start:, relation, 1] > 0.5)
            if len(ends):
                triples.add((*subject, int(relation), int(start), int(start + ends[0])))
    return triples


@pytest.mark.eager
def test_casrel_learns():
    keras.utils.set_random_seed(1)
    samples = facts()
    expected = {(row, *triple) for row, (_, triples) in enumerate(samples) for triple in triples}
    training, *models = casrel()
    training.compile(Adam(PiecewiseLinear(4e-3, {20: 1, 320: 0.05})))
    data = Facts(samples, BATCH)
    assert f1(extract(samples, *models), expected) < 0.2
    history = training.fit(data.forfit(), steps_per_epoch=len(data), epochs=65, verbose=0).history
    assert history["object_loss"][-1] < 0.2 * history["object_loss"][0]
    score = f1(extract(samples, *models), expected)
    print("CasRel", score)
    assert score >= 0.95


# -- GlobalPointer: named entities ---------------------------------------------------------------------------------

TYPES = 3


def entities():
    """Sentences with up to three entities of one to three tokens; the word before an entity tells its type."""
    random = np.random.RandomState(0)
    samples = []
    for _ in range(SAMPLES):
        tokens, spans = [CLS], set()
        for _ in range(1 + random.randint(3)):
            kind, size = random.randint(TYPES), 1 + random.randint(3)
            tokens += [40 + kind]
            spans.add((kind, len(tokens), len(tokens) + size - 1))
            tokens += list(10 + random.randint(20, size=size))
        samples.append((tokens + [SEP], spans))
    return samples


class Spans(DataGenerator):
    def collate(self, batch):
        labels = np.zeros((len(batch), TYPES, LENGTH, LENGTH))
        for row, (_, spans) in enumerate(batch):
            for kind, start, end in spans:
                labels[row, kind, start, end] = 1
        return sequence_padding([tokens for tokens, _ in batch], length=LENGTH), labels


def span_loss(y_true, y_pred):
    """As scripts write it: each type of a sentence is one set of spans."""
    shape = (-1, LENGTH * LENGTH)
    return K.mean(multilabel_categorical_crossentropy(K.reshape(y_true, shape), K.reshape(y_pred, shape)))


@pytest.mark.eager
def test_global_pointer_learns():
    keras.utils.set_random_seed(1)
    samples = entities()
    expected = {(row, *span) for row, (_, spans) in enumerate(samples) for span in spans}
    encoder = build_transformer_model(SIZES, model="bert", sequence_length=LENGTH)
    model = Model(encoder.input, GlobalPointer(TYPES, 16)(encoder.output))
    model.compile(Adam(2e-3), loss=span_loss)
    data = Spans(samples, BATCH)

    def score():
        scores = model.predict(data.fortest(), steps=len(data), verbose=0)
        return f1({tuple(span) for span in np.argwhere(scores > 0).tolist()}, expected)

    assert score() < 0.2
    model.fit(data.forfit(), steps_per_epoch=len(data), epochs=25, verbose=0)
    print("GlobalPointer", score())
    assert score() >= 0.95
