"""What Keras 2's models had besides: `fit_generator` and the like, and errors for what belonged to its graphs."""

from __future__ import annotations

import os
from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.graph import current_layer_name, losing
from bert4keras2.functional.torch_tensors import forgiving, plain
from bert4keras2.layers.loss import AddedLoss
from bert4keras2.training.saving import HDF5_SUFFIXES, describe_in_hdf5, save_under_any_name
from bert4keras2.training.train_functions import Fed, Replaced, TotalLoss, TrainFunction

__all__ = ["GONE_FROM_MODELS", "GONE_FROM_OPTIMIZERS", "ClassicMethods"]

_STEP = (
    "for adversarial training and gradient penalties call adversarial_training, gradient_penalty or"
    " virtual_adversarial_training of bert4keras2.training; for other ways to train, override train_step in a subclass"
    " of keras.models.Model"
)
_LOSS = "compute it in compute_loss of a bert4keras2.layers.Loss layer, which adds it to what `fit` minimises"
_METRIC = "report it with add_metric inside compute_loss of a bert4keras2.layers.Loss layer, or compile(metrics=[...])"
_DATA = "models take arrays, datasets or generators: override train_step(data) to see what they are fed"

# Attributes of Keras 2's models that have no counterpart, and what to do in their place.
GONE_FROM_MODELS = {
    "_make_test_function": "override test_step in a subclass of keras.models.Model",
    "_make_predict_function": "nothing has to be prepared: call predict",
    "_feed_input_names": "use [tensor.name for tensor in model.inputs]",
    "_standardize_user_data": _DATA,
    "targets": _DATA,
    "sample_weights": _DATA,
    "_collected_trainable_weights": "use model.trainable_weights",
    "metrics_tensors": _METRIC,
    "metrics_updates": _METRIC,
    "updates": "layers assign to their variables when they are called; nothing is collected",
    "state_updates": "layers assign to their variables when they are called; nothing is collected",
    "uses_learning_phase": "pass training=True or training=False when you call the model",
    "_uses_learning_phase": "pass training=True or training=False when you call the model",
}
# What scripts take steps apart with; see train_functions.py.
_OF_STEPS = ("total_loss", "_feed_inputs", "_feed_targets", "_feed_sample_weights")
# The same as above for optimizers.
GONE_FROM_OPTIMIZERS = {
    "get_updates": "subclass bert4keras2.optimizers or keras.optimizers.Optimizer and define update_step(gradient,"
    " variable, learning_rate); to apply gradients call apply(gradients, variables)",
    "get_gradients": f"gradients are taken where the loss is computed; {_STEP}",
}


def targets_in_order(model: Any, targets: Any, outputs: Any) -> Any:
    """Return targets, or sample weights, that are given by the names of output layers in the order of the outputs.

    Args:
        model: a functional model.
        targets: what it is trained on; anything but such a dict is returned as it is.
        outputs: what it returned.
    """
    names = list(getattr(model, "output_names", None) or [])
    if not isinstance(targets, dict) or isinstance(outputs, dict) or not set(targets) <= set(names):
        return targets
    ordered = [targets.get(name) for name in names]
    return ordered if isinstance(outputs, list | tuple) else ordered[0]


def _with_axis(output: Any) -> Any:
    """Return a scalar tensor as one of shape (1,): Keras compares the last axes of targets and outputs."""
    return keras.ops.reshape(output, (1,)) if len(output.shape) == 0 else output


class ClassicMethods:
    """Methods and messages of Keras 2's models, to be mixed into a keras.Model."""

    _makes_function = False
    _made_function: tuple[Any, ...] = (None,)

    # -- generators ------------------------------------------------------------------------------------------

    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        class_weight: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> Any:
        """Train on a generator of batches: `fit` by its name of Keras 2.

        Args:
            generator: an iterator of (inputs, targets[, sample weights]), or a keras.utils.PyDataset.
            max_queue_size, workers, use_multiprocessing: accepted for old scripts, and of no effect.
            steps_per_epoch, epochs, verbose, callbacks, validation_data, validation_steps, validation_freq,
                class_weight, shuffle, initial_epoch: as for `fit`.

        Returns:
            The history.
        """
        return self.fit(
            generator,
            steps_per_epoch=steps_per_epoch,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
            class_weight=class_weight,
            shuffle=shuffle,
            initial_epoch=initial_epoch,
        )

    def evaluate_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: Any = 0,
    ) -> Any:
        """Evaluate on a generator of batches: `evaluate` by its name of Keras 2; arguments as for `fit_generator`."""
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: Any = 0,
    ) -> Any:
        """Predict for a generator of batches: `predict` by its name of Keras 2; arguments as for `fit_generator`."""
        return self.predict(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    # -- targets by name -------------------------------------------------------------------------------------

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Return the loss as keras.Model.compute_loss does.

        Dicts of targets and sample weights may name the layers of the outputs. An output may be one number, such as a
        loss that a Lambda layer computed and that the loss function hands on.
        """
        y, sample_weight = (targets_in_order(self, part, y_pred) for part in (y, sample_weight))
        outputs = forgiving(keras.tree.map_structure(_with_axis, y_pred))
        with losing(self):
            return plain(super().compute_loss(x, forgiving(y), outputs, sample_weight, *args, **kwargs))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Update metrics as keras.Model.compute_metrics does, with targets as for `compute_loss`."""
        y, sample_weight = (targets_in_order(self, part, y_pred) for part in (y, sample_weight))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    # -- files -----------------------------------------------------------------------------------------------

    def save(self, filepath: str | os.PathLike, overwrite: bool = True, **kwargs: Any) -> None:
        """Save the whole model as keras.Model.save does, to a file of any name ("my.model" too)."""
        keras_save = super().save

        def save(path: str, **kwargs: Any) -> None:
            with keras_private.compile_arguments_kept(self):
                keras_save(path, **kwargs)
            if os.fspath(path).endswith(HDF5_SUFFIXES):
                describe_in_hdf5(os.fspath(path), self)

        save_under_any_name(filepath, save, overwrite, **kwargs)

    def save_weights(
        self, filepath: str | os.PathLike, overwrite: bool = True, save_format: str | None = None, **kwargs: Any
    ) -> None:
        """Write the weights as keras.Model.save_weights does; `save_format` of Keras 2 says nothing any more."""
        super().save_weights(filepath, overwrite=overwrite, **kwargs)

    # -- graphs ----------------------------------------------------------------------------------------------

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """Return a layer by its name, that of an earlier release too, or by its place."""
        if isinstance(name, int) and index is None:
            name, index = None, name
        known = [layer.name for layer in self.layers]
        if name is not None and name not in known:
            name = current_layer_name(name, known) or name
        return super().get_layer(name, index)

    def add_loss(self, loss: Any, inputs: Any = None) -> None:
        """Add to the loss, as keras.Model.add_loss does, a scalar of the step that runs; or a tensor of the graph.

        Args:
            loss: a tensor, or a list of them. Symbolic ones, computed from the model's inputs, count in each step from
                then on; call this before `compile`.
            inputs: of no effect.
        """
        tensors = keras.tree.flatten(loss)
        if not any(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
            super().add_loss(loss)
            return
        for tensor in tensors:
            self._lead_through(tensor, AddedLoss())

    def add_metric(self, value: Any, name: str | None = None, aggregation: Any = None) -> None:
        """Show the running mean of a symbolic tensor that is computed from the model's inputs; before `compile`.

        Args:
            value: the tensor.
            name: what to call it in logs.
            aggregation: accepted for old scripts; a mean is what is shown.
        """
        if not name or not isinstance(value, keras.KerasTensor):
            raise ValueError(f"model.add_metric(value, name=...) takes a symbolic tensor and a name: {_METRIC}")
        self._lead_through(value, AddedLoss(name))

    def _lead_through(self, value: Any, layer: Any) -> None:
        """Let the first output pass a layer that also sees a tensor of the graph."""
        if not getattr(self, "outputs", None):
            raise ValueError(f"only a functional model takes symbolic tensors: {_LOSS}")
        outputs = [layer([self.outputs[0], value]), *self.outputs[1:]]
        inputs, name = keras_private.input_structure(self), self.name
        super().__init__(inputs, outputs if outputs[1:] else outputs[0], name=name)

    # -- steps -----------------------------------------------------------------------------------------------

    def make_train_function(self, *args: Any, **kwargs: Any) -> Any:
        """Make what `fit` runs for a step; it takes one flat list of arrays too, as a step of Keras 2 did."""
        before = self.train_function
        self.__dict__["_makes_function"] = True
        try:
            result = super().make_train_function(*args, **kwargs)
            if self.train_function is not before:
                self.train_function = TrainFunction(self, self.train_function)
            return result
        finally:
            self.__dict__["_makes_function"] = False
            # In a tuple, where TensorFlow does not look for functions to save.
            self.__dict__["_made_function"] = (self.train_function,)

    def _make_train_function(self) -> None:
        self.make_train_function()

    def __setattr__(self, name: str, value: Any) -> None:
        # tf.saved_model.save takes the function away and puts it back.
        if name == "train_function" and not (
            value is None or self._makes_function or value is self._made_function[0] or isinstance(value, Replaced)
        ):
            value = Replaced(self, value)
        super().__setattr__(name, value)

    def _classic(self, name: str) -> Any:
        """Return what stands for a part of Keras 2's training graph, None if it is none of them."""
        if name == "_feed_inputs":
            return list(self.inputs)
        if name == "total_loss":
            return TotalLoss(self)
        kind = {"_feed_targets": "target", "_feed_sample_weights": "sample weight"}.get(name)
        return kind and [Fed(kind, index) for index in range(len(self.outputs))]

    def __getattr__(self, name: str) -> Any:
        if name in GONE_FROM_MODELS:
            raise AttributeError(f"model.{name} does not exist in Keras 3: {GONE_FROM_MODELS[name]}")
        if name in _OF_STEPS and self.__dict__.get("_compile_loss") is not None and self.optimizer is not None:
            return self._classic(name)
        if name in _OF_STEPS:
            raise AttributeError(
                f"model.{name} is there once the model is compiled: call compile(optimizer, loss) before"
            )
        above = getattr(super(), "__getattr__", None)  # PyTorch's modules have one
        if above is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return above(name)
