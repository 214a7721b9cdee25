"""Mixup: the vectors of two rows are mixed, and so are the losses of their labels."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from bert4keras2.arguments import positive
from bert4keras2.functional import keras_private
from bert4keras2.training.model import Model
from bert4keras2.training.step import LossFunction, LossTransform, TrainingStep
from bert4keras2.training.techniques import add_loss_transform, checked_model
from bert4keras2.training.transforms import StepSeed
from bert4keras2.training.variables import find_embedding

__all__ = ["mixup"]


def mixup(model: Model, embedding_name: str = "Embedding-Token", alpha: float = 0.2) -> None:
    """Train on mixtures of two rows' embeddings, with the losses of both labels (arXiv:1710.09412, 1905.08941).

    Each step draws one number m from Beta(alpha, alpha). Row i is looked up as m e_i + (1 - m) e_j, with j the row
    before it in the batch, and the loss is m L(y_i) + (1 - m) L(y_j). Where row i has ended and row j goes on, e_j
    stands alone; segments are row i's. It costs next to nothing. Metrics are those of the rows' own labels.

    Args:
        model: a model of `bert4keras2.backend.keras`, before or after `compile`, whose labels come as y. Compiling
            again keeps the transform; saved files do not hold it. A second call replaces the first.
        embedding_name: the name of an embedding layer, or a pattern that is searched for in the names of layers.
        alpha: small numbers leave most rows nearly as they are; 1 draws m evenly.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if the name means no embedding or several, or `alpha` is not above 0; in the first step, if batches
            have no labels of their own.
    """
    layer, _ = find_embedding(checked_model(model), embedding_name)
    if not isinstance(layer, keras.layers.Embedding):
        raise ValueError(f"{layer.name} looks up no vectors: mixup is for an embedding")
    add_loss_transform(model, Mixing(model, layer, positive("alpha", alpha)))


class Mixing(LossTransform):
    """The loss of mixed rows."""

    kind = "mixup"

    def __init__(self, model: Any, layer: Any, alpha: float):
        super().__init__()
        self._layers, self.alpha = (model, layer), alpha
        self.seed = random.randint(1, 2**31 - 1)

    def share(self, step: TrainingStep) -> Any:
        """Return the share of a row itself."""
        return keras.random.beta((), self.alpha, self.alpha, dtype="float32", seed=StepSeed(self.seed, step.number))

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss."""
        if step.y is None:
            raise ValueError(
                "mixup mixes the losses of two rows' labels, and this batch has none: labels have to come as y, not as"
                " inputs of a Loss layer, and unlabelled batches cannot be mixed"
            )
        share, x = self.share(step), self._longer(step.x)

        def mixed(values: list[Any]) -> tuple[Any, Any]:
            with self._mixing(share), step.with_batch(x, [(share, _same), (1 - share, _before)]):
                return loss(values)

        return mixed

    def _longer(self, x: Any) -> Any:
        """Return the inputs with the ids of the row before where a row is padding: masks are computed of them."""
        model, layer = self._layers
        pad = getattr(layer, "pad_id", 0)
        own = {id(call.inputs[0]) for call in keras_private.calls_of(layer, model) if call.inputs}
        leaves = keras.tree.flatten(x)
        for place, tensor in enumerate(keras.tree.flatten(keras_private.input_structure(model))):
            if id(tensor) in own and layer.mask_zero and place < len(leaves):
                ids = leaves[place]
                first = ops.arange(ops.shape(ids)[1]) == 0  # never padding, whatever its id
                leaves[place] = ops.where(ops.logical_or(ids != pad, first), ids, _before(ids))
        return keras.tree.pack_sequence_as(x, leaves)

    @contextlib.contextmanager
    def _mixing(self, share: Any) -> Iterator[None]:
        """A context in which the embedding's vectors are mixed."""
        layer = self._layers[1]
        call = layer.call

        def look_up(*args: Any, **kwargs: Any) -> Any:
            x = call(*args, **kwargs)
            if kwargs.get("mode", "embedding") != "embedding":
                return x
            part = ops.cast(share, x.dtype)
            return part * x + (1 - part) * _before(x)

        object.__setattr__(layer, "call", look_up)
        try:
            yield
        finally:
            object.__delattr__(layer, "call")


def _same(x: Any) -> Any:
    return x


def _before(x: Any) -> Any:
    """Return a tensor in which each row is the one before it."""
    return ops.roll(x, 1, axis=0)
