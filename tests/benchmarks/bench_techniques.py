"""What a training step costs with each technique, beside a plain one: time, and memory where the runtime counts it.

    KERAS_BACKEND=torch python tests/benchmarks/bench_techniques.py [--rounds 10] [--only LST,plain] [--json FILE]

Each round times all of them, one after the other, and ratios to the plain step are taken round by round. Memory is the
peak of a step beyond what is there before it (weights, slots): by torch.cuda's and JAX' own counters on an accelerator,
on PyTorch's CPU by the bytes that autograd keeps for the backward pass, on JAX' CPU by what XLA says of its temporary
buffers. TensorFlow's CPU counts nothing.

Wanted: R-Drop up to 2.1 x plain, ChildTuning, layer-wise decay and EMA up to 1.05 x, LoRA up to 0.8 x, LST up to 0.6 x
and half the memory.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from bert4keras2.backend import keras, set_seed
from bert4keras2.callbacks import EMA
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.training import (
    adapters,
    bitfit,
    child_tuning,
    find_child,
    ladder_side_tuning,
    layerwise_decay,
    lora,
    prefix_tuning,
    r_drop,
)

LOSS = "sparse_categorical_crossentropy"
WANTED = {"R-Drop": 2.1, "ChildTuning-F": 1.05, "ChildTuning-D": 1.05, "layer-wise decay": 1.05, "EMA": 1.05}
WANTED |= {"LoRA": 0.8, "LST": 0.6}


class Case:
    """A model with a technique, and its step.

    Args:
        name: of the technique.
        arguments: sizes.
        data: a batch.
    """

    def __init__(self, name: str, arguments: argparse.Namespace, data: tuple[Any, Any]):
        set_seed(1)
        self.data, self.averages = data, None
        bert = build_transformer_model(
            vocab_size=arguments.vocabulary,
            hidden_size=arguments.width,
            num_hidden_layers=arguments.layers,
            num_attention_heads=arguments.width // 64,
            intermediate_size=4 * arguments.width,
            dropout_rate=0.1,
            attention_dropout_rate=0.1,
            return_keras_model=False,
        )
        encoder = ladder_side_tuning(bert, 8) if name == "LST" else bert
        head = keras.layers.Dense(2, activation="softmax", dtype="float32")
        self.model = model = keras.models.Model(encoder.inputs, head(encoder.outputs[0][:, 0]))
        small: dict[str, Callable[[Any], Any]] = {
            "LoRA": lambda model: lora(model, 8),
            "adapters": adapters,
            "BitFit": bitfit,
            "prefix": prefix_tuning,
        }
        if name in small:
            small[name](model)
        optimizer: Any = Adam(1e-4)
        if name.startswith("ChildTuning"):
            optimizer = child_tuning(optimizer, name[-1], 0.3)
        model.compile(optimizer, LOSS)
        if name == "R-Drop":
            r_drop(model)
        elif name == "layer-wise decay":
            layerwise_decay(model, 0.9)
        elif name == "ChildTuning-D":
            find_child(model, [data])
        elif name == "EMA":
            self.averages = EMA(0.999)
            self.averages.set_model(model)
            self.averages.on_train_begin()

    def step(self) -> None:
        """Make a step, and wait for it."""
        self.model.train_on_batch(*self.data)
        if self.averages is not None:
            self.averages.on_train_batch_end(0)
            np.asarray(keras.ops.convert_to_numpy(self.averages.state_variables()[-1]))

    def memory(self) -> float | None:
        """Return the megabytes of a step beyond what was there before, None where nobody counts."""
        backend = keras.backend.backend()
        gc.collect()
        if backend == "torch":
            import torch

            if torch.cuda.is_available():
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
                self.step()
                return (torch.cuda.max_memory_allocated() - before) / 1e6
            kept: dict[int, int] = {}
            weights = {variable.value.data_ptr() for variable in self.model.variables}

            def pack(tensor: Any) -> Any:
                if tensor.data_ptr() not in weights:  # one storage counts once, however often it is kept
                    kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                self.step()
            return sum(kept.values()) / 1e6
        if backend == "jax":
            import jax

            statistics_now = jax.devices()[0].memory_stats() or {}
            if "peak_bytes_in_use" in statistics_now:  # the peak of the process: run one case at a time (--only)
                before = statistics_now["bytes_in_use"]
                self.step()
                return (jax.devices()[0].memory_stats()["peak_bytes_in_use"] - before) / 1e6
            return self._temporary_buffers() / 1e6
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            tf.config.experimental.reset_memory_stats("GPU:0")
            before = tf.config.experimental.get_memory_info("GPU:0")["current"]
            self.step()
            return (tf.config.experimental.get_memory_info("GPU:0")["peak"] - before) / 1e6
        return None

    def _temporary_buffers(self) -> int:
        """Return the bytes that XLA sets aside while a step's gradients are computed."""
        import jax

        model, (x, y) = self.model, self.data
        trainable = [variable.value for variable in model.trainable_variables]
        rest = [variable.value for variable in model.non_trainable_variables]

        def loss(learning: Any, fixed: Any, x: Any) -> Any:
            outputs, _ = model.stateless_call(learning, fixed, x, training=True)
            return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, outputs))

        compiled = jax.jit(jax.grad(loss)).lower(trainable, rest, x).compile()
        return compiled.memory_analysis().temp_size_in_bytes


NAMES = (
    "plain", "R-Drop", "ChildTuning-F", "ChildTuning-D", "layer-wise decay", "EMA", "LoRA", "adapters", "BitFit",
    "prefix", "LST",
)  # fmt: skip


def main() -> None:
    """Time the steps and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rounds", 10), ("steps", 2), ("layers", 6), ("width", 384), ("batch", 16), ("length", 128)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--vocabulary", type=int, default=21128)
    parser.add_argument("--only", help="names, with commas between them", default=",".join(NAMES))
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args()
    chosen = list(dict.fromkeys(["plain", *arguments.only.split(",")]))
    if unknown := set(chosen) - set(NAMES):
        parser.error(f"no technique is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    random = np.random.default_rng(0)
    tokens = random.integers(5, arguments.vocabulary, (arguments.batch, arguments.length))
    data = [tokens, np.zeros_like(tokens)], random.integers(0, 2, arguments.batch)
    cases = {name: Case(name, arguments, data) for name in chosen}
    for case in cases.values():  # compile
        case.step()
        case.step()
    memory = {name: case.memory() for name, case in cases.items()}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(arguments.rounds):
        for name, case in cases.items():
            start = time.perf_counter()
            for _ in range(arguments.steps):
                case.step()
            times[name].append((time.perf_counter() - start) / arguments.steps * 1000)
    print(f"{keras.config.backend()} {keras.__version__}: {arguments}")
    found = {}
    for name, values in times.items():
        ratios = sorted(a / b for a, b in zip(values, times["plain"], strict=True))
        middle = statistics.median(ratios)
        found[name] = {"milliseconds": values, "ratio": middle, "megabytes": memory[name]}
        wanted = f", wanted {WANTED[name]}" if name in WANTED else ""
        line = f"{name:17} {statistics.median(values):8.1f} ms a step, {middle:.2f} x plain"
        line += f" ({ratios[0]:.2f} to {ratios[-1]:.2f}{wanted})"
        if memory[name] is not None and memory["plain"]:
            line += f"; {memory[name]:.1f} MB, {memory[name] / memory['plain']:.2f} x plain"
        print(line)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"arguments": vars(arguments), "backend": keras.config.backend(), "found": found}, file, indent=1)


if __name__ == "__main__":
    main()
