"""A small model whose losses and gradients NumPy computes too, for the tests of techniques."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.models import build_transformer_model

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


class Alternating(plain_keras.layers.Layer):
    """Stands for dropout, but known: each pass multiplies by another number."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, x):
        factor = 1 + 0.5 * self.count
        self.count.assign(self.count + 1)
        return x * factor


def said(model, arrays):
    """Return a model's outputs as an array, op by op: nothing is compiled, which takes longer than tiny models do."""
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    return np.array(ops.convert_to_numpy(model(tensors if len(tensors) > 1 else tensors[0], training=False)))
