"""Every private name of Keras that the library uses, with its reason, so that a new Keras is looked at in one place.

What other files need stands behind a function here. Names are overridden where a class has to answer to them:
`_backend_apply_gradients` and `_get_variable_index` in optimizers/rules.py, `_backend_update_step` in
optimizers/adam.py, `_purge_model_variables` and
`_jax_state_synced` in training/jax_steps.py, `_maybe_symbolic_build` and `_symbolic_build` in training/model.py,
`_run_through_graph`, `_maybe_warn_inputs_struct_mismatch` and `_should_torch_compile` in training/graph_runs.py;
`SeedGenerator.next` and `DataAdapter` are public in all but export.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import repeat
from typing import Any

import keras
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.backend.common.stateless_scope import in_stateless_scope
from keras.src.backend.common.variables import get_autocast_scope

from bert4keras2.functional.keras_graphs import (
    Call,
    call_of,
    calls_in_order,
    calls_of,
    connect_inputs,
    graph_of,
    input_structure,
    is_made_by_layer,
    maker,
    output_structure,
)

__all__ = [
    "NAMES",
    "SEEN_WITH",
    "Call",
    "call_of",
    "calls_in_order",
    "calls_of",
    "connect_inputs",
    "graph_of",
    "in_stateless_scope",
    "input_structure",
    "is_made_by_layer",
    "maker",
    "output_structure",
]

# Versions with which all of these names were found and the tests passed.
SEEN_WITH = ("3.11", "3.12", "3.13", "3.14", "3.15")
# {name: why no public one does}
NAMES = {
    "_keras_history": "which layer made a symbolic tensor: search_layer, last_token and sentence vectors walk back",
    "_inbound_nodes": "the calls of a layer: Keras 2's get_output_at, checks of what a model's inputs are looked up in",
    "_outbound_nodes": "what was computed of an input: Keras before 3.14 refuses models where that is nothing",
    "_nodes_by_depth": "which calls of a shared layer belong to one model",
    "_run_through_graph": "how a functional model calls its layers, on PyTorch with fewer steps of Python",
    "_maybe_warn_inputs_struct_mismatch": "looks at how inputs are nested, which is clear for a list of tensors",
    "_should_torch_compile": "on PyTorch, whether a whole step goes to torch.compile, where ours compiles the pass",
    "_keras_mask": "the mask that flows beside a tensor: labels that it hides are not checked, nor in divergences",
    "_value": "the array in a variable: on JAX, a step's results are put there without looking at shapes again",
    "jax_state_sync": "on JAX, gives variables the values that a loop holds; ours hold them at all times",
    "_jax_state_synced": "on JAX, whether a loop goes on from its last state; ours is one of each thread",
    "_purge_model_variables": "on JAX, takes the values of variables away while a loop runs; ours stay",
    "_flatten_layers": "the layers of a model, those within layers among them",
    "_inputs_struct": "how a functional model takes its inputs: one, a list or a dict",
    "_outputs_struct": "the same of its outputs",
    "_call_has_training_arg": "whether a subclass's call takes training=",
    "_compute_loss": "compute_loss for subclasses whose own takes fewer arguments, as train_step calls it",
    "_initial_epoch": "with which epoch fit begins, as Keras' BackupAndRestore says it too",
    "_maybe_symbolic_build": "on TensorFlow, fails to look at a first batch that several processes share",
    "_distribute_strategy": "the strategy that a model was built under, None without one",
    "_symbolic_build": "what creates the variables of losses and metrics for a batch",
    "_compile_metrics": "the metrics of compile, which create their variables when they first see outputs",
    "_distributed_dataset": "on TensorFlow, what a loop goes through: what its batches look like, without taking one",
    "_loss_tracker": "the metric behind 'loss' in the logs",
    "_compile_config": "what a model was compiled with: saving to HDF5 takes the optimizer out of it",
    "_jit_compile": "whether XLA was decided upon, which the public property decides when asked",
    "_trainable_variables": "a layer's own variables, without those of layers within it",
    "_non_trainable_variables": "the same of those that are not trained",
    "_embeddings": "the table of an Embedding whose public property may be replaced for a call (P-tuning)",
    "_kernel": "the matrix of a Dense layer itself, which the public property adds LoRA's product to",
    "_tracker": "what a built layer lets nothing be added to: adapters and prefixes come later",
    "_remat_mode": "which layers RematScope asked to be computed twice",
    "rematerialized_call": "what a layer calls then; Keras' own loses random states on TensorFlow and JAX",
    "_backend_apply_gradients": "where an optimizer merges gradients of several replicas before it accumulates",
    "_backend_update_step": "where an optimizer has all gradients at once: one kernel for all weights on PyTorch",
    "_learning_rate": "the schedule itself: in a configuration it is written down, for which Keras imports TensorFlow",
    "_iterations": "the step counter of an optimizer, whose public one counts otherwise while steps accumulate",
    "_all_reduce_sum_gradients": "the sum of gradients over the replicas of tf.distribute",
    "_accumulated_gradients": "the sums of gradient_accumulation_steps",
    "_get_variable_index": "the place of a variable in an optimizer's lists",
    "_trainable_variables_indices": "the same, without those that a rule moves by itself (LoRA in the optimizer)",
    "_var_key": "by what an optimizer knows a variable",
    "keras.src...get_keras_mask": "the same of what JAX traces, which takes no attributes",
    "keras.src...in_stateless_scope": "whether a step on JAX runs, in which variables do not hold their values",
    "keras.src...get_autocast_scope": "whether Keras casts variables, which it does not in layers called directly",
    "keras.src.backend.rnn": "the loop of keras.layers.RNN for K.rnn: unknown lengths, masks, all backends",
    "keras.src...global_random_seed": "seeds Keras without TensorFlow, which set_random_seed imports on all backends",
    "keras.src...global_seed_generator": "set_random_seed leaves it as it is before Keras 3.13: no run is repeated",
    "keras.src...get_data_adapter": "reads a PyDataset with its workers, for streams whose lengths differ",
    "keras.src...DataAdapter": "the base of what fit takes for data; accepted since 3.7, not exported",
}


def mask_of(tensor: Any) -> Any:
    """Return the Keras mask that comes with a tensor, None without one."""
    mask = getattr(tensor, "_keras_mask", None)
    if mask is None and not isinstance(tensor, keras.KerasTensor):
        from keras.src.backend import get_keras_mask

        mask = get_keras_mask(tensor)  # what JAX traces cannot carry attributes: Keras keeps them elsewhere
    return mask


def with_mask_of(tensor: Any, other: Any) -> Any:
    """Return a tensor with the Keras mask of another one of the same values."""
    mask = mask_of(other)
    if mask is not None:
        tensor._keras_mask = mask
    return tensor


def torch_mask(tensor: Any) -> Any:
    """Return the Keras mask that comes with a tensor of PyTorch, None without one."""
    return getattr(tensor, "_keras_mask", None)


def with_torch_mask(tensor: Any, mask: Any) -> Any:
    """Return a tensor of PyTorch with a Keras mask, unless it has one."""
    if getattr(tensor, "_keras_mask", None) is None:
        tensor._keras_mask = mask
    return tensor


def asks_for_more(layer: Any) -> bool:
    """Whether a call of a layer has to do more than its class' `call`: recomputation, regularizers."""
    return getattr(layer, "_remat_mode", None) is not None or layer.activity_regularizer is not None


def variables_are_cast() -> bool:
    """Whether a layer is being called whose variables Keras casts to fewer bits."""
    scope = get_autocast_scope()
    return scope is not None and scope.dtype is not None


def is_functional(model: Any) -> bool:
    """Whether a model is a graph of layers."""
    return hasattr(model, "_outputs_struct")


def inner_layers(model: Any, include_self: bool = False) -> list[Any]:
    """Return all layers of a model, those of models and layers within it among them."""
    return list(model._flatten_layers(include_self=include_self))


def own_variables(layer: Any) -> list[Any]:
    """Return the variables that a layer itself made, without those of layers within it."""
    if isinstance(layer, keras.layers.Embedding):
        return [layer._embeddings]
    return [*layer._trainable_variables, *layer._non_trainable_variables]


@contextmanager
def adding_to(layer: Any) -> Iterator[None]:
    """A context in which layers can be set as attributes of a built layer, and are named as parts of it."""
    with ExitStack() as stack:
        for name in layer.path.split("/"):
            stack.enter_context(keras.name_scope(name))
        layer._tracker.unlock()
        try:
            yield
        finally:
            layer._tracker.lock()


# -- values of variables -------------------------------------------------------------------------------------------


def raw_kernel(layer: Any) -> Any:
    """Return the variable of a Dense layer's matrix, without LoRA's product."""
    return layer._kernel


def raw_value(variable: Any) -> Any:
    """Return the array in a variable; None where a loop of JAX has taken it away."""
    return variable._value


def torch_values(like: Any, *variables: Any) -> list[Any]:
    """Return variables' tensors on PyTorch as they are kept, without a cast, for use with another tensor."""
    # What stands in for variables while gradients are taken or shapes are found out.
    if in_stateless_scope() or like.is_meta:
        return [variable.value for variable in variables]
    return [variable._value for variable in variables]


def set_raw_values(variables: Iterable[Any], values: Iterable[Any]) -> None:
    """Put arrays into variables as they are, their places on devices included, all of them or, interrupted, none."""
    # One call of C: an interrupt, or another thread, comes before or after it.
    deque(map(setattr, variables, repeat("_value"), values), maxlen=0)


def several_workers(model: Any) -> bool:
    """Whether, on TensorFlow, several processes train a model together."""
    strategy = model._distribute_strategy
    if strategy is None:
        return False
    import tensorflow as tf

    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def works_in_parts(model: Any) -> bool:
    """Whether a step of a model is shared by devices, or runs several batches at once."""
    parts = model._distribute_strategy is not None if keras.backend.backend() == "tensorflow" else False
    return parts or model.steps_per_execution != 1 or keras.distribution.distribution() is not None


def build_for_workers(model: Any, iterator: Any) -> bool:
    """Create a model's metrics for this process' own part of a first batch, if several processes train it.

    Args:
        model: the model.
        iterator: what `fit` or `evaluate` on TensorFlow go through; None if there is none.

    Returns:
        Whether it was done: only under TensorFlow's strategy for several processes.
    """
    if iterator is None or keras.backend.backend() != "tensorflow" or not several_workers(model):
        return False
    strategy = model.distribute_strategy
    for _, _, batches in iterator:
        batch = keras.tree.map_structure(lambda x: strategy.experimental_local_results(x)[0], next(batches))
        with strategy.scope():
            model._symbolic_build(data_batch=batch)
        break
    return True


def begin_with_epoch(model: Any, epoch: int | None) -> None:
    """Let the `fit` that is beginning start with an epoch; None: with that of its argument."""
    model._initial_epoch = epoch


# -- training ------------------------------------------------------------------------------------------------------


def call_in_training(model: Any, x: Any) -> Any:
    """Return a model's outputs in training mode, as its own train_step calls it."""
    return model(x, training=True) if model._call_has_training_arg else model(x)


def loss_of(model: Any, x: Any, y: Any, outputs: Any, sample_weight: Any) -> Any:
    """Return the loss that a model was compiled with, as its own train_step computes it."""
    return model._compute_loss(x, y, outputs, sample_weight, training=True)


def track_loss(model: Any, loss: Any, size: Any) -> None:
    """Update the metric behind "loss" with the loss of a batch of a size."""
    model._loss_tracker.update_state(loss, sample_weight=size)


def xla_is_undecided(model: Any) -> bool:
    """Whether nothing has yet decided if a model is compiled by XLA."""
    return model._jit_compile is None


@contextmanager
def compile_arguments_kept(model: Any) -> Iterator[None]:
    """Give a model back what it was compiled with, which Keras takes apart while it writes HDF5 files."""
    known = getattr(model, "_compile_config", None)
    arguments = dict(known.config) if known is not None else {}
    try:
        yield
    finally:
        if known is not None:
            known.config.update(arguments)


def recomputed_layers(model: Any) -> Iterator[Any]:
    """Yield those layers of a model that RematScope asked to be computed twice and that have no way to it of ours."""
    for layer in inner_layers(model):
        mode = getattr(layer, "_remat_mode", None)
        if mode and layer.name in (mode.layer_names or ()) and "rematerialized_call" not in vars(layer):
            yield layer


def set_recomputation(layer: Any, function: Callable[..., Any]) -> None:
    """Let a layer ask a function (its call, arguments) for what to call in place of its `call`."""
    layer.rematerialized_call = function


# -- optimizers under tf.distribute --------------------------------------------------------------------------------


def accumulated(optimizer: Any, variables: list[Any]) -> list[Any]:
    """Return the sums of gradients that an optimizer keeps for variables."""
    return [optimizer._accumulated_gradients[optimizer._get_variable_index(variable)] for variable in variables]


def summed_over_replicas(optimizer: Any, pairs: list[tuple[Any, Any]]) -> list[Any]:
    """Return gradients of pairs (gradient, variable), each summed over the replicas of tf.distribute."""
    return [gradient for gradient, _ in optimizer._all_reduce_sum_gradients(pairs)]


def update_besides(optimizer: Any, variables: list[Any], extra: list[Any], taken: list[Any]) -> dict[int, int]:
    """Let an optimizer that has slots for some variables get gradients of others.

    Args:
        optimizer: built for all of `variables` but `taken`, then `extra`.
        variables: which it gets gradients of.
        extra: which it has slots for, and no gradients.
        taken: which it gets gradients of, and has no slots for.

    Returns:
        {id of one of `extra`: its index}.
    """
    indices = optimizer._trainable_variables_indices
    found = {id(variable): indices.pop(optimizer._var_key(variable)) for variable in extra}
    for number, variable in enumerate(taken):
        indices[optimizer._var_key(variable)] = len(variables) - len(taken) + len(extra) + number
        if optimizer.gradient_accumulation_steps:
            sums = optimizer.add_variable_from_reference(variable, name="gradient_accumulator")
            optimizer._accumulated_gradients.append(sums)
    vars(optimizer)["_trainable_variables"] = variables  # as an attribute they would become the optimizer's state
    return found


def step_counter(optimizer: Any) -> Any:
    """Return the variable that counts an optimizer's steps."""
    return optimizer._iterations


def configuration(optimizer: Any) -> dict[str, Any]:
    """Return an optimizer's configuration with a schedule as it is, which `from_config` takes as well."""
    rate = optimizer._learning_rate
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return optimizer.get_config()
    optimizer._learning_rate = None
    try:
        return {**optimizer.get_config(), "learning_rate": rate}
    finally:
        optimizer._learning_rate = rate


# -- what Keras does not export ------------------------------------------------------------------------------------


def rnn_loop() -> Callable[..., Any]:
    """Return the loop behind keras.layers.RNN."""
    from keras.src.backend import rnn

    return rnn


def seed_draws(seed: int) -> None:
    """Seed what Keras draws without a seed, initial weights too, as `keras.utils.set_random_seed` does since 3.13.

    That function imports TensorFlow on every backend where it is installed, which takes seconds.
    """
    from keras.src.backend.common.global_state import set_global_attribute

    set_global_attribute("global_random_seed", seed)
    set_global_attribute("global_seed_generator", None)


def training_now() -> Any:
    """Return what the call around this one was told of training; None if there is none, or nothing was said."""
    return getattr(get_global_attribute("current_call_ctx"), "training", None)


def data_adapter() -> type | None:
    """Return the base class of what Keras' `fit` takes for data, None if this Keras keeps it elsewhere."""
    try:
        from keras.src.trainers.data_adapters.data_adapter import DataAdapter
    except ImportError:
        return None
    return DataAdapter


def dataset_adapter(dataset: Any, shuffle: bool) -> Any:
    """Return what Keras reads a keras.utils.PyDataset with.

    Args:
        dataset: the PyDataset.
        shuffle: whether batches come in random order.
    """
    from keras.src.trainers.data_adapters import get_data_adapter

    return get_data_adapter(x=dataset, shuffle=shuffle)
