"""Data parallelism by the name that old scripts know: `data_parallel`."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional import keras_private

__all__ = ["data_parallel", "multi_gpu_model"]


def data_parallel(model: Any, devices: list[str] | None = None, parts: list[int] | None = None) -> Any:
    """Let a model train and predict on several devices of one machine, each with its share of a batch.

    On JAX the model's variables are copied to all devices, and batches are split evenly from then on; a batch size must
    be a multiple of the number of devices. The distribution stays in force for models that are built later.

    Args:
        model: a keras.Model; on JAX call this before `compile`.
        devices: names such as ["gpu:0", "gpu:1"]; all GPUs if None.
        parts: not supported: shares are equal.

    Returns:
        The same model. With a single device, or none, nothing is done.

    Raises:
        ValueError: if `parts` are not equal.
        NotImplementedError: on TensorFlow and PyTorch, with what to write instead.
    """
    from bert4keras2.functional.devices import get_available_gpus

    if parts is not None and len(set(parts)) > 1:
        raise ValueError(f"data_parallel() splits batches evenly; parts={parts!r} cannot be had")
    devices = list(get_available_gpus() if devices is None else devices)
    if len(devices) < 2:
        return model
    backend = keras.backend.backend()
    if backend == "tensorflow":
        raise NotImplementedError(
            "On TensorFlow a model has to be built for several devices from the start: put the lines that build and"
            f" compile it under `with tf.distribute.MirroredStrategy({devices!r}).scope():`, without data_parallel"
        )
    if backend != "jax":
        raise NotImplementedError(
            "On PyTorch several devices are several processes: wrap the model in"
            " torch.nn.parallel.DistributedDataParallel in a script that torchrun starts, or run this one on JAX"
        )
    if getattr(model, "optimizer", None) is not None:
        raise ValueError("On JAX call data_parallel(model) before model.compile(...): optimizers hold variables too")
    distribution = keras.distribution.DataParallel(devices=devices)
    keras.distribution.set_distribution(distribution)
    import jax

    for variable in model.variables:
        layout = distribution.get_variable_layout(variable).backend_layout
        keras_private.set_raw_values([variable], [jax.device_put(keras_private.raw_value(variable), layout)])
    return model


def multi_gpu_model(model: Any, gpus: int | list[int] | None = None, **kwargs: Any) -> Any:
    """Let a model run on several GPUs: `data_parallel` by its name of Keras 2.

    Args:
        model: a keras.Model.
        gpus: how many, or their numbers; all if None.
        **kwargs: cpu_merge, cpu_relocation: of no effect.

    Returns:
        The same model.
    """
    from bert4keras2.functional.devices import get_available_gpus

    found = get_available_gpus()
    numbers = range(len(found) if gpus is None else gpus) if gpus is None or isinstance(gpus, int) else gpus
    if gpus is not None and len(list(numbers)) > max(len(found), 1):
        raise ValueError(f"multi_gpu_model(gpus={gpus!r}): this machine has {len(found)} GPUs")
    return data_parallel(model, [found[number] for number in numbers if number < len(found)])
