"""`Model`: keras.Model with the habits of training scripts (classic weight files, no surprise compilation)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import keras

from bert4keras2.checkpoints.formats.keras3 import check_hdf5
from bert4keras2.files import write_beside
from bert4keras2.functional import keras_private
from bert4keras2.functional.registry import register
from bert4keras2.layers.running_means import refresh_logs
from bert4keras2.training.display import with_display
from bert4keras2.training.input_checks import IdLimits
from bert4keras2.training.keras2_methods import ClassicMethods
from bert4keras2.training.label_checks import LabelLimits
from bert4keras2.training.layer_methods import bind_methods, name_methods
from bert4keras2.training.recompute import recompute_layers
from bert4keras2.training.step import LossTransform, train_with_transforms, with_followers

__all__ = ["Model"]

KERAS_SUFFIX = ".weights.h5"


def _streamed(x: Any) -> Any:
    """Return an iterator of batches as a stream that Keras takes whatever their lengths; anything else as it is."""
    if not isinstance(x, Iterator) or hasattr(x, "set_checks"):
        return x
    from bert4keras2.snippets.streams import batch_stream

    return batch_stream(lambda: x, can_restart=False)


@register
class Model(ClassicMethods, keras.Model):
    """A keras.Model that also reads and writes classic weight files and checks ids before it trains on them.

    Differences from keras.Model: weight files may have any name ("best_model.weights") and may come from Keras 2;
    `fit_generator` and the like are there; token ids beyond the vocabulary raise a clear error; on TensorFlow, XLA is
    used only where `jit_compile` asks for it or all shapes are fixed, since otherwise each new length would compile for
    many seconds.
    """

    _id_limits: IdLimits | None = None
    _label_limits: LabelLimits | None = None
    _loss_transforms: tuple[LossTransform, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        recompute_layers(self)

    def compile(self, *args: Any, jit_compile: bool | str = "auto", **kwargs: Any) -> None:
        """Compile as keras.Model does; "auto" keeps XLA off on TensorFlow while input lengths vary.

        Losses and metrics may be methods of the model's layers (`crf.sparse_loss`); a saved model finds them again.
        """
        args, kwargs = name_methods(self, args), name_methods(self, kwargs)
        self._label_limits = None
        if jit_compile == "auto" and self._would_recompile():
            jit_compile = False
        super().compile(*args, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as a saved model was; keras.Model leaves it to those who change `compile`."""
        self.compile(**bind_methods(self, keras.saving.deserialize_keras_object(config)))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def _would_recompile(self) -> bool:
        """Whether XLA on TensorFlow would meet a new shape with each new length, which costs seconds to minutes."""
        shapes = [tensor.shape for tensor in keras.tree.flatten(getattr(self, "inputs", None) or [])]
        fixed = bool(shapes) and all(None not in shape[1:] for shape in shapes)
        return keras.backend.backend() == "tensorflow" and not fixed

    # -- data ------------------------------------------------------------------------------------------------

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any):
        """Train as keras.Model.fit does, on arrays, datasets or generators whose batches differ in length."""
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self._guarded_pair(kwargs["validation_data"])
        args, kwargs = with_display(2, args, kwargs, callbacks=True)
        args, kwargs = with_followers(self.loss_transforms, args, kwargs)
        return self._guarded(super().fit, x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any):
        """Evaluate as keras.Model.evaluate does."""
        args, kwargs = with_display(1, args, kwargs)
        return self._guarded(super().evaluate, x, y, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any):
        """Predict as keras.Model.predict does."""
        args, kwargs = with_display(1, args, kwargs)
        return self._guarded(super().predict, x, *args, targets=False, **kwargs)

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any):
        """Train on one batch as keras.Model.train_on_batch does, and return the losses and metrics of this batch."""
        self.reset_metrics()  # Keras before 3.15 returns means since the last reset
        result = self._guarded(super().train_on_batch, x, *args, **kwargs)
        for transform in self.loss_transforms:
            transform.after_step()
        return result

    def test_on_batch(self, x: Any, *args: Any, **kwargs: Any):
        """Evaluate one batch as keras.Model.test_on_batch does, and return the losses and metrics of this batch."""
        self.reset_metrics()
        return self._guarded(super().test_on_batch, x, *args, **kwargs)

    def predict_on_batch(self, x: Any):
        """Predict one batch as keras.Model.predict_on_batch does."""
        return self._guarded(super().predict_on_batch, x, targets=False)

    def _limits(self) -> IdLimits:
        if self._id_limits is None:
            self._id_limits = IdLimits(self)
        return self._id_limits

    def _labels(self) -> LabelLimits:
        if self._label_limits is None:
            self._label_limits = LabelLimits(self)
        return self._label_limits

    def _guarded(self, method: Callable[..., Any], x: Any, *args: Any, targets: bool = True, **kwargs: Any) -> Any:
        """Call a method of Keras with data whose ids, lengths and, if it takes targets, labels are checked."""
        limits, labels = self._limits(), self._labels()
        limits.error = labels.error = None
        if not self.compiled and keras_private.xla_is_undecided(self) and self._would_recompile():
            self.jit_compile = False  # else Keras decides by the device alone in a predict without compile
        values = self._values()
        try:
            x = self._checked(x, targets, args[0] if args else kwargs.get("y"), kwargs.get("sample_weight"))
            return method(x, *args, **kwargs)
        except BaseException as error:
            self._recover(values)
            known = limits.error or labels.error
            if known is None or error is known:
                raise
            # TensorFlow's own error around it repeats the message between lines about threads.
            raise known from error

    def _values(self) -> list[tuple[Any, Any]]:
        """Return, on JAX, the variables and their values: Keras takes them away while its loops run."""
        if keras.backend.backend() != "jax":
            return []
        optimizer = getattr(self, "optimizer", None)
        variables = [*self.variables, *self.metrics_variables, *(optimizer.variables if optimizer else [])]
        return [(variable, keras_private.raw_value(variable)) for variable in variables]

    def _recover(self, values: list[tuple[Any, Any]]) -> None:
        """Give the variables back what an interrupted loop on JAX took: the last step's values, or those before it."""
        if values:
            keras_private.give_back_values(self)
        for variable, value in values:
            if keras_private.raw_value(variable) is None and value is not None and not value.is_deleted():
                keras_private.set_raw_value(variable, value)

    def _checked(self, x: Any, targets: bool, *rest: Any) -> Any:
        """Return data as Keras takes it, with its ids and, of targets and sample weights in `rest`, labels checked."""
        limits, labels = self._limits(), self._labels()
        x = limits.guard(_streamed(x))
        if hasattr(x, "set_checks"):
            x.set_checks([limits.check, labels.check] if targets else [limits.check])
        elif targets:
            labels.check(x, *rest)
        return x

    def _guarded_pair(self, data: Any) -> Any:
        if isinstance(data, tuple | list) and data:
            return type(data)([self._checked(data[0], True, *data[1:]), *data[1:]])
        return self._checked(data, True)

    # -- steps -----------------------------------------------------------------------------------------------

    def train_step(self, *args: Any) -> Any:
        """Train as keras.Model.train_step does; on JAX the logs also show what layers report by `add_metric`."""
        if self.loss_transforms:
            return self._reported(train_with_transforms(self, self.loss_transforms, *args))
        return self._reported(super().train_step(*args))

    @property
    def loss_transforms(self) -> list[LossTransform]:
        """What `bert4keras2.training` changes about training steps, in this order; saved files do not hold it."""
        return list(self._loss_transforms)

    @loss_transforms.setter
    def loss_transforms(self, transforms: list[LossTransform]) -> None:
        self._loss_transforms = tuple(transforms)
        self.train_function = None  # the compiled one follows the old transforms

    def test_step(self, *args: Any) -> Any:
        """Evaluate as keras.Model.test_step does; on JAX the logs also show what layers report by `add_metric`."""
        return self._reported(super().test_step(*args))

    def _reported(self, result: Any) -> Any:
        if keras.backend.backend() != "jax":
            return result
        logs, state = result
        return refresh_logs(self, logs, state[1]), state

    # -- weight files ----------------------------------------------------------------------------------------

    def save_weights(self, filepath: str | os.PathLike, overwrite: bool = True, **kwargs: Any) -> None:
        """Write the weights to a file of any name, in Keras 3's HDF5 layout.

        The file is written beside its place and then renamed, so an interrupted run leaves the old one whole.

        Args:
            filepath: where to write; "best_model.weights" and "model.weights.h5" are both fine.
            overwrite: replace an existing file; otherwise it is an error.
        """
        keras_save = super().save_weights
        write_beside(
            os.fspath(filepath),
            "weights",
            KERAS_SUFFIX,
            lambda partial: keras_save(partial, overwrite=True, **kwargs),
            overwrite,
            check_hdf5,
        )

    def load_weights(self, filepath: str | os.PathLike, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Read weights written by `save_weights`, by Keras 3, or by Keras 2 and tf.keras scripts.

        Args:
            filepath: a weight file of any name, or the prefix of a tf.keras checkpoint.
            skip_mismatch: leave layers whose shapes differ as they are.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file does not fit the model.
        """
        from bert4keras2.checkpoints import keras_weights as legacy

        legacy.load_weights(self, os.fspath(filepath), skip_mismatch, super().load_weights, **kwargs)
