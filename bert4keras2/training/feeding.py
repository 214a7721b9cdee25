"""What `fit`, `evaluate` and `predict` are given, made into what Keras takes, and looked at before it is learnt."""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from bert4keras2.training.arrays import input_places, inputs_as_arrays, targets_as_arrays
from bert4keras2.training.class_weights import ClassWeights
from bert4keras2.training.going_on import begin_where_it_stopped
from bert4keras2.training.input_checks import IdLimits
from bert4keras2.training.label_checks import LabelLimits
from bert4keras2.training.sources import is_dataset, stream_of

__all__ = ["Feeding", "by_name"]

RAN_OUT = "Your input ran out of data"


def by_name(method: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the arguments of a method of keras.Model by their names."""
    return _signature(method).bind(*args, **kwargs).arguments


@functools.cache
def _signature(method: str) -> inspect.Signature:
    parameters = list(inspect.signature(getattr(keras.Model, method)).parameters.values())[1:]
    return inspect.Signature([each for each in parameters if each.kind is not each.VAR_KEYWORD])


class Feeding:
    """The data of one model on their way to Keras: arrays of lists, streams of batches, checks of ids and labels.

    Args:
        model: the model.

    Attributes:
        labels: what the model can learn, None before it is asked for and after `compile`.
    """

    def __init__(self, model: Any):
        self._model = model
        self._limits = IdLimits(model)
        self._inputs = input_places(model, self._limits.pads)
        # What is filled up learns nothing, but it would be predicted, and taken for more.
        self._whole_inputs = [place._replace(pad=None) for place in self._inputs]
        self.labels: LabelLimits | None = None
        self._ranks: dict[str, list[int]] = {}

    def _labels(self) -> LabelLimits:
        if self.labels is None:
            self.labels = LabelLimits(self._model)
        return self.labels

    # -- calls -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def call(
        self, given: dict[str, Any], use: str, function: str, steps: str = "", keeper: Any = None
    ) -> Iterator[None]:
        """Replace what a method of Keras is given, and raise errors about data as they were raised.

        Args:
            given: {argument: value}, changed in place.
            use: "fit", "evaluate" or "predict".
            function: the attribute of the model that holds what Keras runs for a step.
            steps: the argument that says how many batches to take; "" for methods that take one batch.
            keeper: the callback that keeps the run, which begins with its epoch and has its order; None without one.
        """
        streams: list[Any] = []
        weights = given.pop("class_weight", None)
        if given.get("validation_data") is not None:
            given["validation_data"] = self._validation(given, streams)
        elif given.get("validation_split") and (weights is not None or keeper is not None):
            self._split(given)
        self._replace(given, use, function, steps, weights, streams)
        if keeper is not None:
            begin_where_it_stopped(given, streams, keeper, steps)
        unknown = any(stream.num_batches is None and stream.one_pass for stream in streams)
        try:
            with _without_warning() if unknown else contextlib.nullcontext():
                yield
            for stream in streams:
                if stream.num_batches is not None and stream.goes_on():
                    warnings.warn(
                        f"A pass over the data has more batches than the {stream.steps} that len() says, and the rest"
                        f" was not looked at: give the number of batches as {steps}",
                        stacklevel=4,
                    )
        except BaseException as error:
            known = next((stream.error for stream in streams if stream.error is not None), None)
            if known is None or error is known:
                raise
            # TensorFlow's own error around it repeats the message between lines about threads.
            raise known from error
        finally:
            for stream in streams:
                stream.prepare_by(None)

    def _replace(
        self, given: dict[str, Any], use: str, function: str, steps: str, weights: Any, streams: list[Any]
    ) -> None:
        x, shuffle = given.get("x"), use == "fit" and given.get("shuffle", True)
        stream = stream_of(x, use, shuffle) if steps else None
        if stream is not None or is_dataset(x):
            self._refuse_vanishing(given, x)
        if stream is not None:
            self._watch(stream, use, function, given.get(steps) is None, weights)
            streams.append(stream)
            given["x"] = stream
            return
        if is_dataset(x):
            if weights is not None:
                given["class_weight"] = self._class_weights(weights).table()
            return
        x, y, sample_weight = self._parts(use, weights, x, given.get("y"), given.get("sample_weight"))
        if steps and use == "fit":
            self._labels().check_order(bool(shuffle), given.get("batch_size") or 32)
        self._renew(function, (x, y, sample_weight))
        given["x"] = x
        given |= {name: part for name, part in (("y", y), ("sample_weight", sample_weight)) if part is not None}

    def _validation(self, given: dict[str, Any], streams: list[Any]) -> Any:
        data = given["validation_data"]
        parts = tuple(data) if isinstance(data, list | tuple) else (data,)
        names = ("x", "y", "sample_weight")
        if len(parts) > len(names):
            raise ValueError(
                f"validation_data is (inputs, targets) or (inputs, targets, sample weights), not {len(parts)} parts:"
                " put several inputs into a list of their own"
            )
        own = dict(zip(names, parts, strict=False))
        if "validation_steps" in given:
            own["validation_steps"] = given["validation_steps"]
        self._replace(own, "evaluate", "test_function", "validation_steps", None, streams)
        if streams or is_dataset(own["x"]):
            return own["x"]
        return tuple(own.get(name) for name in names[: 3 if own.get("sample_weight") is not None else 2])

    def _split(self, given: dict[str, Any]) -> None:
        """Take the last rows for validation, as Keras does, before the others are weighed by their classes."""
        parts = given.get("x"), given.get("y"), given.get("sample_weight")
        arrays = self._parts("fit", None, *parts) if stream_of(parts[0], "fit") is None else ()
        flat = [array for array in keras.tree.flatten(arrays) if array is not None]
        if not flat or not all(hasattr(array, "shape") for array in flat):
            return  # Keras says why these cannot be split
        rows = flat[0].shape[0]
        at = int(rows * (1 - given["validation_split"]))
        if not 0 < at < rows:
            return
        del given["validation_split"]

        def rows_of(part: slice) -> tuple:
            return keras.tree.map_structure(lambda array: None if array is None else array[part], arrays)

        given["validation_data"] = tuple(rows_of(slice(at, None)))
        given["x"], given["y"], given["sample_weight"] = rows_of(slice(at))

    # -- data --------------------------------------------------------------------------------------------------

    def _parts(self, use: str, weights: Any, x: Any, y: Any = None, sample_weight: Any = None) -> tuple:
        """Return (inputs, targets, sample weights) as arrays, after looking at them."""
        x = inputs_as_arrays(x, self._whole_inputs if use == "predict" else self._inputs)
        self._limits.check(x)
        if use == "predict":
            return x, None, None
        labels = self._labels()
        y, sample_weight = (targets_as_arrays(part, labels.places) for part in (y, sample_weight))
        y = labels.checked(x, y, sample_weight)
        if weights is not None:
            sample_weight = self._class_weights(weights)(y, sample_weight)
        return x, y, labels.with_token_axes(sample_weight, y)

    def _class_weights(self, weights: Any) -> ClassWeights:
        return weights if isinstance(weights, ClassWeights) else ClassWeights(weights, self._labels().heads)

    def _watch(self, stream: Any, use: str, function: str, one_pass: bool, weights: Any) -> None:
        """Have the batches of a stream made into arrays and looked at."""
        if weights is not None:
            weights = self._class_weights(weights)
        first = True

        def prepare(*parts: Any) -> tuple:
            nonlocal first
            found = self._parts(use, weights, *parts)
            if first:
                self._renew(function, found)
            first = False
            return found

        stream.prepare_by(prepare, one_pass, [place.shape for place in self._inputs])

    def _renew(self, function: str, data: Any) -> None:
        """On TensorFlow, drop a step that was traced with arrays of other ranks: it would be generalised to no rank."""
        if keras.backend.backend() != "tensorflow":
            return
        ranks = [len(getattr(array, "shape", ())) for array in keras.tree.flatten(data)]
        if self._ranks.setdefault(function, ranks) != ranks:
            self._ranks[function] = ranks
            setattr(self._model, function, None)

    @staticmethod
    def _refuse_vanishing(given: dict[str, Any], x: Any) -> None:
        for name in ("y", "sample_weight"):
            if given.get(name) is not None:
                raise ValueError(
                    f"{name} was given beside a {type(x).__name__}, whose batches hold all there is: have it yield"
                    " (inputs, targets, sample weights)"
                )
        if given.get("batch_size") is not None:
            warnings.warn(
                f"batch_size={given['batch_size']} says nothing beside a {type(x).__name__}: it makes batches itself",
                stacklevel=6,
            )
            del given["batch_size"]


@contextlib.contextmanager
def _without_warning() -> Iterator[None]:
    """Where one pass is asked for whose length is not known, its end is none that Keras has to warn of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=RAN_OUT)
        yield
