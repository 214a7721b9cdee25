"""`distribute`: training on several devices and processes, each with its share of a batch."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

__all__ = ["Distribution", "distribute"]


@dataclass(frozen=True)
class Distribution:
    """What `distribute` found.

    Attributes:
        replicas: how many devices share a batch.
        index, processes: which process this is, and of how many.
        batch_factor: a batch that is handed to `fit` here holds so many times the rows of one device.
        share: (index, count): which part of a batch of all devices this process has to supply; (0, 1) for the whole.
        description: in words.
    """

    replicas: int = 1
    index: int = 0
    processes: int = 1
    batch_factor: int = 1
    share: tuple[int, int] = (0, 1)
    description: str = "one device"
    strategy: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows bars."""
        return self.index == 0

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """A context in which models are built and compiled."""
        with contextlib.nullcontext() if self.strategy is None else self.strategy.scope():
            yield

    def attach(self, model: keras.Model) -> None:
        """On PyTorch, let a compiled model start with the first process' weights, and average gradients over all."""
        if self.processes > 1 and keras.backend.backend() == "torch":
            _average_gradients(model, self.processes)


def distribute() -> Distribution:
    """Find the devices and processes to train with, and get the backend ready; call it before a model is built.

    On TensorFlow, TF_CONFIG tells of other processes (MultiWorkerMirroredStrategy), otherwise several GPUs of this
    machine are used (MirroredStrategy). On JAX, JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID tell of
    other processes, and all devices share batches (keras.distribution.DataParallel). On PyTorch, torchrun tells of
    other processes (WORLD_SIZE, RANK, MASTER_ADDR, MASTER_PORT), of which each has one device.

    Returns:
        What was found; one device is fine.

    Raises:
        ValueError: if the environment tells of other processes and is incomplete.
    """
    return {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]()


def _tensorflow() -> Distribution:
    import tensorflow as tf

    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}")
    workers = [*cluster.get("cluster", {}).get("chief", []), *cluster.get("cluster", {}).get("worker", [])]
    if len(workers) > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        resolver = strategy.cluster_resolver
        index = resolver.task_id + (1 if resolver.task_type == "worker" and "chief" in cluster["cluster"] else 0)
        count = strategy.num_replicas_in_sync
        # fit hands each process its part of a batch of all.
        words = f"{len(workers)} processes, {count} devices (MultiWorkerMirroredStrategy)"
        return Distribution(count, index, len(workers), count, (0, 1), words, strategy)
    devices = tf.config.list_logical_devices("GPU")
    if len(devices) < 2:
        return Distribution(description=f"one device ({'GPU' if devices else 'CPU'})")
    strategy = tf.distribute.MirroredStrategy()
    count = strategy.num_replicas_in_sync
    return Distribution(count, 0, 1, count, (0, 1), f"{count} GPUs (MirroredStrategy)", strategy)


def _jax() -> Distribution:
    import jax

    processes = _number("JAX_NUM_PROCESSES")
    if processes > 1:
        if "JAX_COORDINATOR_ADDRESS" not in os.environ or "JAX_PROCESS_ID" not in os.environ:
            raise ValueError("JAX_NUM_PROCESSES is set; JAX_COORDINATOR_ADDRESS and JAX_PROCESS_ID have to be set, too")
        if not jax.distributed.is_initialized():
            with contextlib.suppress(AttributeError, ValueError):  # what CPUs talk by; others have their own
                jax.config.update("jax_cpu_collectives_implementation", "gloo")
            jax.distributed.initialize(os.environ["JAX_COORDINATOR_ADDRESS"], processes, _number("JAX_PROCESS_ID", 0))
    devices = keras.distribution.list_devices()
    if len(devices) < 2:
        return Distribution(description=f"one device ({devices[0]})")
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    index, count, own = jax.process_index(), jax.process_count(), jax.local_device_count()
    words = f"{count} processes, {len(devices)} devices (DataParallel)"
    return Distribution(len(devices), index, count, own, (index, count), words)


def _torch() -> Distribution:
    import torch

    processes = _number("WORLD_SIZE")
    if processes < 2:
        return Distribution(description=f"one device ({'GPU' if torch.cuda.is_available() else 'CPU'})")
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ValueError(f"WORLD_SIZE is set; {', '.join(missing)} have to be set, too: start the script by torchrun")
    index = _number("RANK", 0)
    if not torch.distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(_number("LOCAL_RANK", 0))
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    words = f"{processes} processes (torch.distributed, {torch.distributed.get_backend()})"
    return Distribution(processes, index, processes, 1, (index, processes), words)


def _number(name: str, default: int = 1) -> int:
    value = os.environ.get(name, "")
    if value and not value.isdigit():
        raise ValueError(f"{name} is a number, not {value!r}")
    return int(value) if value else default


def _average_gradients(model: keras.Model, processes: int) -> None:
    import torch

    for variable in model.variables:
        torch.distributed.broadcast(variable.value.data, 0)
    optimizer = model.optimizer
    apply = optimizer.apply

    def averaged(grads: Any, trainable_variables: Any = None) -> Any:
        # One message for all of them: latency is what small models wait for.
        dense = [g for g in grads if g is not None]
        flat = torch.cat([g.reshape(-1).float() for g in dense])
        torch.distributed.all_reduce(flat)
        flat /= processes
        for g, part in zip(dense, flat.split([g.numel() for g in dense]), strict=True):
            g.copy_(part.reshape(g.shape))
        return apply(grads, trainable_variables)

    optimizer.apply = averaged
