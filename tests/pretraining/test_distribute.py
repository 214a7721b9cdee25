"""Two processes on this machine train as one with the double batch; what the environment lacks is named."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from bert4keras2.checkpoints.readers import open_checkpoint
from bert4keras2.training import distribute

SIZES = "--hidden-size 16 --num-hidden-layers 1 --num-attention-heads 2 --intermediate-size 16 --row-length 32"
RUN = f"{SIZES} --steps 6 --save-every 3 --vocab-size 200 --held-out 0.1 --evaluate-rows 16 --no-progress"


def environments(backend, ports):
    """Return what two processes are told, by backend."""
    if backend == "tensorflow":
        workers = [f"127.0.0.1:{port}" for port in ports]
        tasks = ({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in (0, 1))
        return [{"TF_CONFIG": json.dumps(task)} for task in tasks]
    if backend == "jax":
        shared = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{ports[0]}", "JAX_NUM_PROCESSES": "2"}
        return [{**shared, "JAX_PROCESS_ID": str(index)} for index in (0, 1)]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(ports[0])}
    return [{**shared, "RANK": str(index)} for index in (0, 1)]


def free_ports():
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(corpus, folder, batch_size, environment, *more):
    command = [sys.executable, "-m", "bert4keras2", "pretrain", "--corpus", str(corpus), "--output", str(folder)]
    command += [*RUN.split(), "--optimizer", "adamw", "--batch-size", str(batch_size), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env={**os.environ, **environment}, **pipes)


@pytest.mark.slow
@pytest.mark.backend
def test_two_processes_are_one_with_the_double_batch(corpus, tmp_path):
    alone = start(corpus, tmp_path / "alone", 8, {})
    assert alone.wait(300) == 0, alone.stdout.read()
    both = environments(keras.backend.backend(), free_ports())
    processes = [start(corpus, tmp_path / "both", 4, one, "--distribute") for one in both]
    said = [process.communicate(timeout=400)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    one, two = (json.loads((tmp_path / name / "pretraining.json").read_text())["history"] for name in ("alone", "both"))
    np.testing.assert_allclose(one["val_loss"], two["val_loss"], atol=1e-4)
    readers = [open_checkpoint(str(tmp_path / name / "model.safetensors")) for name in ("alone", "both")]
    for name in readers[0].names():
        np.testing.assert_allclose(readers[0].read(name), readers[1].read(name), atol=1e-4)


@pytest.mark.backend
def test_one_device_is_fine_and_half_an_environment_is_not(monkeypatch):
    for name in ("TF_CONFIG", "JAX_NUM_PROCESSES", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    found = distribute()
    assert found.is_first and found.share[0] == 0 and found.description
    with found.scope():
        pass
    if keras.backend.backend() == "tensorflow":
        return
    name = {"jax": "JAX_NUM_PROCESSES", "torch": "WORLD_SIZE"}[keras.backend.backend()]
    monkeypatch.setenv(name, "2")
    with pytest.raises(ValueError, match=f"{name} is set"):
        distribute()
    monkeypatch.setenv(name, "two")
    with pytest.raises(ValueError, match="is a number"):
        distribute()
