"""ESimCSE: SimCSE with a queue of earlier vectors as further negatives (arXiv:2109.04380)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.arguments import positive, whole_number
from bert4keras2.layers.base import Layer
from bert4keras2.training.model import Model
from bert4keras2.training.sentences.groups import cosines, crossentropy

__all__ = ["MomentumQueue", "esimcse"]


def esimcse(encoder: Model, queue: int = 160, momentum: float = 0.995, scale: float = 20.0) -> Model:
    """Return a model that trains an encoder by ESimCSE: compile it with an optimizer alone, fit it on rows in pairs.

    Rows 2i and 2i + 1 are views of one text, the second one with repeated words (`repeat_tokens`). With the first views
    a(i), the second ones b(i), and the queue q(k) of first views of earlier batches, whose vectors come from weights
    that follow the encoder's, m <- momentum * m + (1 - momentum) * w in each step,

        loss = mean of -log(exp(s cos(a(i), b(i))) / (sum of exp(s cos(a(i), b(j))) + sum of exp(s cos(a(i), q(k))))).

    Args:
        encoder: from ids to vectors (B, D), such as `SentenceEncoder.model`, with dropout; its weights are what learns.
        queue: vectors that are kept, 2.5 batches of pairs in the paper; 0 for SimCSE.
        momentum: how slowly m follows.
        scale: s, one over the temperature.

    Returns:
        A model of the same inputs. Its output is the vectors; the loss is part of it.

    Raises:
        TypeError: if `encoder` is no functional model.
        ValueError: if its output is no vector, or a number is out of range.
    """
    if not getattr(encoder, "inputs", None) or isinstance(encoder.output, list):
        raise TypeError("esimcse() takes a functional model from ids to vectors, such as SentenceEncoder(...).model")
    if len(encoder.output.shape) != 2 or encoder.output.shape[-1] is None:
        raise ValueError(f"the encoder's output is a vector (B, D), not {tuple(encoder.output.shape)}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is from 0 to below 1, not {momentum!r}")
    layer = MomentumQueue(encoder, whole_number("queue", queue, 0), momentum, positive("scale", scale))
    return Model(encoder.inputs, layer([encoder.output, *encoder.inputs]), name=f"{encoder.name}_esimcse")


class MomentumQueue(Layer):
    """The loss of ESimCSE, with its queue and the weights that follow the encoder's.

    Args:
        encoder, size, momentum, scale: see `esimcse`.
    """

    def __init__(self, encoder: Model, size: int, momentum: float, scale: float, **kwargs: Any):
        super().__init__(name="Momentum-Queue", dtype="float32", **kwargs)
        self.size, self.momentum, self.scale = size, momentum, scale
        self._encoder = lambda: encoder  # not a part of this layer: its weights are in the model anyway
        if size:
            make = {"initializer": "zeros", "trainable": False}
            self.queue = self.add_weight(shape=(size, encoder.output.shape[-1]), name="queue", **make)
            self.filled = self.add_weight(shape=(), name="filled", **make)
            self.followers = []
            for number, variable in enumerate(encoder.trainable_variables):
                own = self.add_weight(shape=variable.shape, dtype=variable.dtype, name=f"follower_{number}", **make)
                # A copy: JAX, which hands the values of both over to a step, refuses to give one buffer twice.
                own.assign(np.array(ops.convert_to_numpy(variable)))
                self.followers.append(own)

    def call(self, inputs, training=False):
        """Return the vectors (B, D) of a list [vectors, ids, ...], and add the loss."""
        vectors, *inputs = inputs
        first, second = vectors[0::2], vectors[1::2]
        scores = cosines(first, second) * self.scale
        if self.size:
            # The last `filled` rows of the queue are vectors.
            known = ops.cast(ops.arange(self.size), "float32") >= self.size - ops.convert_to_tensor(self.filled)
            earlier = cosines(first, ops.convert_to_tensor(self.queue)) * self.scale
            scores = ops.concatenate([scores, ops.where(known, earlier, -1e30)], axis=1)
        self.add_loss(ops.mean(crossentropy(scores, ops.arange(ops.shape(first)[0]))))
        if training and self.size:
            self._follow([x[0::2] for x in inputs])
        return vectors

    def _follow(self, inputs: list[Any]) -> None:
        """Let the weights follow, and put the vectors of inputs (N, T) into the queue."""
        encoder, share = self._encoder(), 1 - self.momentum
        pairs = list(zip(encoder.trainable_variables, self.followers, strict=True))
        # follower + (1 - momentum) * (weight - follower)
        new = [
            own + share * (ops.stop_gradient(ops.convert_to_tensor(weight)) - ops.convert_to_tensor(own))
            for weight, own in pairs
        ]
        values = [(variable, variable.value) for variable in encoder.non_trainable_variables]
        values += [(weight, value) for (weight, _), value in zip(pairs, new, strict=True)]
        with keras.StatelessScope(values):
            vectors = encoder(inputs if len(inputs) > 1 else inputs[0], training=False)
        vectors = ops.stop_gradient(ops.cast(vectors, "float32"))
        for (_, own), value in zip(pairs, new, strict=True):
            own.assign(value)
        count = ops.cast(ops.shape(vectors)[0], "float32")
        queue = ops.concatenate([ops.convert_to_tensor(self.queue), vectors])[-self.size :]
        self.queue.assign(ops.reshape(queue, self.queue.shape))
        self.filled.assign(ops.minimum(ops.convert_to_tensor(self.filled) + count, float(self.size)))

    def compute_output_spec(self, inputs, training=False):
        return keras.KerasTensor(inputs[0].shape, inputs[0].dtype)

    def compute_mask(self, inputs, previous_mask=None):
        return None
