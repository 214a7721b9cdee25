"""`Model`: keras.Model with the habits of training scripts (classic weight files, no surprise compilation)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras

from bert4keras2.checkpoints.formats.keras3 import check_hdf5
from bert4keras2.files import write_beside
from bert4keras2.functional import keras_private
from bert4keras2.functional.compiled import structure_version
from bert4keras2.functional.registry import register
from bert4keras2.functional.torch_tensors import forgiving
from bert4keras2.keras_names import OLD_LOSSES
from bert4keras2.layers.running_means import refresh_logs
from bert4keras2.training import before_tracing
from bert4keras2.training.callbacks import find_keeper, help_monitors, put_averages_first
from bert4keras2.training.direct import few_batches, predict_batches
from bert4keras2.training.display import show_once
from bert4keras2.training.exporting import ExportMethod
from bert4keras2.training.feeding import Feeding, by_name
from bert4keras2.training.function_metrics import wrap_functions
from bert4keras2.training.graph_runs import PlannedRuns
from bert4keras2.training.jax_steps import LastingValues
from bert4keras2.training.keras2_methods import ClassicMethods
from bert4keras2.training.layer_methods import bind_methods, name_methods
from bert4keras2.training.rates import name_rate
from bert4keras2.training.recompute import recompute_layers
from bert4keras2.training.step import LossTransform, let_follow, train_with_transforms

__all__ = ["Model", "Sequential", "TrainingMethods"]

KERAS_SUFFIX = ".weights.h5"
# Whether a loop of Keras (fit, predict...) runs in this thread.
_IN_LOOP: ContextVar[bool] = ContextVar("in_loop", default=False)
# (a model, its trainable weights), while Keras makes a step of it.
_IN_STEP: ContextVar[tuple[Any, list[Any]]] = ContextVar("in_step", default=(None, []))  # noqa: B039 (not changed)


class TrainingMethods(ClassicMethods, LastingValues, ExportMethod, PlannedRuns):
    """What `Model` and `Sequential` have beyond Keras' classes, to be mixed into them.

    Weight files may have any name ("best_model.weights") and may come from Keras 2; `fit_generator` and the like are
    there; token ids beyond the vocabulary raise a clear error; on TensorFlow, XLA is used only where `jit_compile` asks
    for it or all shapes are fixed, since otherwise each new length would compile for many seconds.
    """

    _feeding: Feeding | None = None
    _loss_transforms: tuple[LossTransform, ...] = ()
    # For which structure a batch was seen by what `compile` was given.
    _built_for: int | None = None

    def __init__(self, *args: Any, **kwargs: Any):
        keras_private.connect_inputs(args[0] if len(args) > 1 else kwargs.get("inputs"))
        try:
            super().__init__(*args, **kwargs)
        except ValueError as error:
            if "unique" not in str(error):
                raise
            raise ValueError(
                f"{error} Models that are built by build_transformer_model and put into one model need prefixes:"
                " build_transformer_model(..., prefix='B-') for the second"
            ) from error
        recompute_layers(self)

    def compile(
        self, *args: Any, jit_compile: bool | str = "auto", sample_weight_mode: Any = None, **kwargs: Any
    ) -> None:
        """Compile as keras.Model does; "auto" keeps XLA off on TensorFlow while input lengths vary.

        On PyTorch, where "auto" compiles nothing, True has a GPU record steps of a functional model, and play them when
        the shapes of a batch come for the third time; on a CPU it changes nothing.

        Losses and metrics may be methods of the model's layers (`crf.sparse_loss`); a saved model finds them again.
        What `sample_weight_mode` of Keras 2 said, the shape of sample weights says.
        """
        given = name_methods(self, by_name("compile", *args, **kwargs))
        if "loss" in given:
            given["loss"] = keras.tree.map_structure(
                lambda loss: OLD_LOSSES.get(loss, loss) if isinstance(loss, str) else loss, given["loss"]
            )
        given |= {name: wrap_functions(given[name]) for name in ("metrics", "weighted_metrics") if name in given}
        if self._feeding is not None:
            self._feeding.labels = None
        if jit_compile == "auto" and self._would_recompile():
            jit_compile = False
        self._built_for = None
        super().compile(jit_compile=jit_compile, **given)
        self.record_what_comes_again(jit_compile is True)
        name_rate(self.optimizer)

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
        """Train as keras.Model.fit does, on arrays, lists, datasets or sources of batches that differ in length.

        A DataGenerator, or a stream of one, is read once per epoch unless `steps_per_epoch` says otherwise.
        `class_weight` acts on all of them, and may be an array.
        """
        given = by_name("fit", x, y, *args, **kwargs)
        put_averages_first(given)
        show_once(given, trains=True)
        help_monitors(given)
        let_follow(self.loss_transforms, given)
        keeper = find_keeper(given, self)
        with self._fed(given, "fit", "train_function", "steps_per_epoch", keeper):
            return super().fit(**given)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any):
        """Evaluate as keras.Model.evaluate does, on data as for `fit`."""
        if "_use_cached_eval_dataset" in kwargs:  # validation within `fit`, which has seen to the data
            return super().evaluate(x, y, *args, **kwargs)
        given = by_name("evaluate", x, y, *args, **kwargs)
        show_once(given)
        with self._fed(given, "evaluate", "test_function", "steps"):
            return super().evaluate(**given)

    def predict(self, x: Any, *args: Any, **kwargs: Any):
        """Predict as keras.Model.predict does, on data as for `fit`; few rows take no longer than the model itself."""
        given = by_name("predict", x, *args, **kwargs)
        show_once(given)
        with self._fed(given, "predict", "predict_function", "steps"):
            batches = few_batches(self, given)
            if batches is None:
                return super().predict(**given)
            return predict_batches(
                self, super().predict_on_batch, batches, given.get("callbacks"), given.get("verbose", 0)
            )

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any):
        """Train on one batch as keras.Model.train_on_batch does, and return the losses and metrics of this batch."""
        self.reset_metrics()  # Keras before 3.15 returns means since the last reset
        given = by_name("train_on_batch", x, *args, **kwargs)
        with self._fed(given, "fit", "train_function"):
            result = super().train_on_batch(**given)
        for transform in self.loss_transforms:
            transform.after_step()
        return result

    def test_on_batch(self, x: Any, *args: Any, **kwargs: Any):
        """Evaluate one batch as keras.Model.test_on_batch does, and return the losses and metrics of this batch."""
        self.reset_metrics()
        given = by_name("test_on_batch", x, *args, **kwargs)
        with self._fed(given, "evaluate", "test_function"):
            return super().test_on_batch(**given)

    def predict_on_batch(self, x: Any):
        """Predict one batch as keras.Model.predict_on_batch does."""
        given = {"x": x}
        with self._fed(given, "predict", "predict_function"):
            return super().predict_on_batch(**given)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model as keras.Model does; on PyTorch, outputs for scripts can be read by NumPy."""
        if not _IN_LOOP.get():
            return forgiving(super().__call__(*args, **kwargs))
        outputs = self.recorded_outputs(args, kwargs)
        return super().__call__(*args, **kwargs) if outputs is None else outputs

    @contextmanager
    def _fed(
        self, given: dict[str, Any], use: str, function: str, steps: str = "", keeper: Any = None
    ) -> Iterator[None]:
        """Return a context in which `given` is what Keras takes: see `Feeding.call`."""
        if not self.compiled and keras_private.xla_is_undecided(self) and self._would_recompile():
            self.jit_compile = False  # else Keras decides by the device alone in a predict without compile
        if self._feeding is None:
            self._feeding = Feeding(self)
        token = _IN_LOOP.set(True)
        try:
            with self._feeding.call(given, use, function, steps, keeper):
                yield
        finally:
            _IN_LOOP.reset(token)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if not keras_private.build_for_workers(self, iterator):
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)
            if self._is_built_before_tracing():
                before_tracing.build_metrics(self, iterator, data_batch)

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # On PyTorch Keras registers all weights anew for each batch of train_on_batch.
        known = keras.backend.backend() == "torch" and data_batch is not None
        if known and self._built_for == structure_version():
            return
        super()._symbolic_build(iterator=iterator, data_batch=data_batch)
        self._built_for = structure_version() if known else None

    def make_train_function(self, *args: Any, **kwargs: Any) -> Any:
        """Make what `fit` runs for a step, as keras.Model.make_train_function does."""
        if self._is_built_before_tracing():
            before_tracing.build_optimizer(self)
        return super().make_train_function(*args, **kwargs)

    def _is_built_before_tracing(self) -> bool:
        """Whether TensorFlow will trace a step that is Keras' or ours, so that what it creates is known beforehand."""
        steps = ("train_step", "test_step", "compute_metrics")
        usual = all(getattr(type(self), name) is getattr(TrainingMethods, name) for name in steps)
        return usual and self.built and keras.backend.backend() == "tensorflow" and before_tracing.is_known(self)

    # -- steps -----------------------------------------------------------------------------------------------

    def train_step(self, *args: Any) -> Any:
        """Train as keras.Model.train_step does; on JAX the logs also show what layers report by `add_metric`."""
        if self.loss_transforms:
            return self._reported(train_with_transforms(self, self.loss_transforms, *args))
        if keras.backend.backend() != "torch":
            return self._reported(super().train_step(*args))
        records = self._records[0]
        return self._plain_step(*args) if records is None else records.step(self._plain_step, *args)

    def _plain_step(self, data: Any) -> Any:
        """Make Keras' step on PyTorch."""
        token = _IN_STEP.set((self, super().trainable_weights))
        try:
            return super().train_step(data)
        finally:
            _IN_STEP.reset(token)

    @property
    def trainable_weights(self) -> list[Any]:
        """The variables that learn; in a step of PyTorch, where Keras asks three times, the layers are asked once."""
        model, weights = _IN_STEP.get()
        return list(weights) if model is self else super().trainable_weights

    @property
    def loss_transforms(self) -> list[LossTransform]:
        """What `bert4keras2.training` changes about training steps, in this order; saved files do not hold it."""
        return list(self._loss_transforms)

    @loss_transforms.setter
    def loss_transforms(self, transforms: list[LossTransform]) -> None:
        self._loss_transforms = tuple(transforms)
        self.train_function = None  # the compiled one follows the old transforms

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The variables that do not learn; on JAX with those of other models that the steps' loss reads (`distill`)."""
        found = super().non_trainable_variables
        others = [variable for transform in self._loss_transforms for variable in transform.reads]
        if not others or keras.backend.backend() != "jax":
            return found
        own = {id(variable) for variable in self.variables}
        return [*found, *(variable for variable in others if id(variable) not in own)]

    def test_step(self, *args: Any) -> Any:
        """Evaluate as keras.Model.test_step does; on JAX the logs also show what layers report by `add_metric`."""
        return self._reported(super().test_step(*args))

    def _reported(self, result: Any) -> Any:
        if keras.backend.backend() == "tensorflow" and keras_private.several_workers(self):
            # Keras takes the mean over processes along the first axis.
            return keras.tree.map_structure(lambda value: keras.ops.reshape(value, (1,)), result)
        if keras.backend.backend() != "jax":
            return result
        logs, state = result
        return refresh_logs(self, logs, state[1]), state

    def find_transformer(self, caller: str) -> Any:
        """Return the one model of `build_transformer_model` within this one.

        Args:
            caller: the function that needs it, for the message.

        Raises:
            ValueError: if there is none within this model, or several.
        """
        own = getattr(self, "transformer", None)
        parts = [own] if own is not None else (vars(x).get("transformer") for x in keras_private.inner_layers(self))
        found = list({id(part): part for part in parts if part is not None}.values())
        if len(found) != 1:
            raise ValueError(
                f"{self.name} holds {len(found) or 'no'} models of build_transformer_model; {caller} takes one:"
                f" build with return_keras_model=False and call {caller} of what that returns"
            )
        return found[0]

    # -- weight files ----------------------------------------------------------------------------------------

    def save_pretrained(
        self, folder: str | os.PathLike, dtype: str | None = None, vocabulary: str | os.PathLike | None = None
    ) -> None:
        """Write the model of `build_transformer_model` within this one, as it was fine-tuned, and its vocabulary.

        The folder is what `build_transformer_model`, `load_tokenizer` and Hugging Face's transformers read. What stands
        on top of that model is in no such folder: `save_weights` keeps it, or a task of `bert4keras2.tasks`.

        Args:
            folder: where to; it is made.
            dtype: type of the floating arrays, such as "float16"; float32 if None.
            vocabulary: checkpoint, by folder or name, whose vocabulary's files are copied; the one that the model was
                loaded from if None.

        Raises:
            ValueError: if there is none within this model, or several; or if Hugging Face's format has no place for it.
        """
        self.find_transformer("save_pretrained").save_pretrained(folder, dtype, vocabulary)

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

    def load_weights(
        self, filepath: str | os.PathLike, skip_mismatch: bool = False, by_name: bool = False, **kwargs: Any
    ) -> None:
        """Read weights written by `save_weights`, by Keras 3, or by Keras 2 and tf.keras scripts.

        Args:
            filepath: a weight file of any name, or the prefix of a tf.keras checkpoint.
            skip_mismatch: leave layers whose shapes differ as they are.
            by_name: load layers that have a namesake in the file, and leave all others as they are.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file does not fit the model.
        """
        from bert4keras2.checkpoints import keras_weights as legacy

        legacy.load_weights(self, os.fspath(filepath), skip_mismatch, super().load_weights, by_name, **kwargs)


@register
class Model(TrainingMethods, keras.Model):
    """keras.Model with the habits of training scripts: what it has besides is in `TrainingMethods`."""


@register
class Sequential(TrainingMethods, keras.Sequential):
    """keras.Sequential with what `Model` has besides."""
