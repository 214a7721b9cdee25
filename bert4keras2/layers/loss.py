"""A layer that holds a model's loss, for losses that need more than (y_true, y_pred)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.torch_tensors import forgiving, plain
from bert4keras2.layers.base import Layer, register
from bert4keras2.layers.running_means import LayerMeans

__all__ = ["AddedLoss", "Loss"]


@register
class Loss(Layer):
    """Base of layers that compute a loss from several tensors and pass some of them on.

    Subclass it with `compute_loss(self, inputs, mask=None)` and compile the model without a loss. Ids and other whole
    numbers reach `compute_loss` as floats, as all inputs of Keras 2's models were: scripts multiply by segment ids.

    Args:
        output_axis: which of the inputs to return: an index, a list of indices, or None for all.
    """

    def __init__(self, output_axis: int | list[int] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.output_axis = output_axis
        self._means = LayerMeans()

    def call(self, inputs, mask=None):
        """Add the loss and return the chosen inputs."""
        loss = self.compute_loss(forgiving(keras.tree.map_structure(_as_float, inputs)), forgiving(mask))
        self.add_loss(plain(loss))
        return self._select(inputs)

    def compute_loss(self, inputs, mask=None):
        """Return the scalar loss of the inputs; subclasses define it.

        Args:
            inputs: the tensors that the layer was called with, as floats.
            mask: their Keras masks.
        """
        raise NotImplementedError(f"{type(self).__name__} must define compute_loss(self, inputs, mask=None)")

    def add_metric(self, value: Any, aggregation: str | None = None, name: str | None = None) -> None:
        """Show the running mean of a scalar under `name` in the progress bar and the history.

        On JAX a plain keras.Model knows the mean at the end of an epoch only, bert4keras2's Model after each step too.

        Args:
            value: a scalar tensor, the batch's value.
            aggregation: accepted for old scripts; a mean is what is shown.
            name: its name in the logs.
        """
        if not name:
            raise ValueError(f"{self.name}.add_metric() needs a name, such as name='accuracy'")
        self._means.update(name, plain(value))

    @property
    def metrics(self) -> list[Any]:
        """The layer's means, which `fit` shows and resets."""
        return [*super().metrics, *self._means.metrics]

    @property
    def variables(self) -> list[Any]:
        """The layer's variables and the state of its means, which weight files do not hold."""
        return [*super().variables, *self._means.variables]

    def _select(self, inputs):
        if self.output_axis is None:
            return inputs
        if isinstance(self.output_axis, list | tuple):
            return [inputs[axis] for axis in self.output_axis]
        return inputs[self.output_axis]

    def compute_output_spec(self, inputs, mask=None):
        if keras.backend.backend() != "tensorflow":
            # Keras tries out an odd number of rows, which losses of pairs and triplets cannot be computed of.
            super().compute_output_spec(*keras.tree.map_structure(_with_rows, (inputs, mask)))
        else:
            super().compute_output_spec(inputs, mask)
        return keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, dtype=x.dtype), self._select(inputs))

    def compute_mask(self, inputs, previous_mask=None):
        if previous_mask is None or self.output_axis is None:
            return previous_mask
        return self._select(previous_mask)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_axis": self.output_axis}


@register
class AddedLoss(Loss):
    """Add a tensor of the graph to what `fit` minimises, or show it: how `model.add_loss(tensor)` of Keras 2 goes on.

    Args:
        metric: show the tensor's running mean under this name, and leave the loss as it is.
    """

    def __init__(self, metric: str | None = None, **kwargs: Any):
        super().__init__(output_axis=kwargs.pop("output_axis", 0), **kwargs)
        self.metric = metric

    def compute_loss(self, inputs, mask=None):
        """Return the mean of the second input; the first one is handed on."""
        value = ops.mean(inputs[1])
        if self.metric is None:
            return value
        self.add_metric(value, name=self.metric)
        return ops.zeros_like(value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "metric": self.metric}


def _with_rows(tensor: Any) -> Any:
    """Return a symbolic tensor of twelve rows in the place of one of any number."""
    if not isinstance(tensor, keras.KerasTensor) or not tensor.shape or tensor.shape[0] is not None:
        return tensor
    return keras.KerasTensor((12, *tensor.shape[1:]), dtype=tensor.dtype)


def _as_float(tensor: Any) -> Any:
    """Return whole numbers in Keras' float type, which holds ids up to 16 million, and other tensors as they are."""
    whole = "int" in keras.backend.standardize_dtype(tensor.dtype)
    return ops.cast(tensor, keras.config.floatx()) if whole else tensor
