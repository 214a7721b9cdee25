"""Training and inference on a GPU: tokens per second and share of its peak, against transformers with PyTorch.

    KERAS_BACKEND=jax python tests/benchmarks/gpu.py [--batch 64] [--length 128] [--rounds 5] [--peak 989]
    KERAS_BACKEND=torch python tests/benchmarks/gpu.py --peers

BERT-base with random weights in bfloat16 (mixed precision when it trains), dropout of states and attention 0.1. Steps
are compiled on JAX and recorded on PyTorch. transformers runs with fused scaled dot-product attention, as it is and
compiled with CUDA graphs. A step by itself waits for its loss; in a loop (`fit` here) only the last does. The peak is
that of bfloat16 products in the data sheet of the device, in TFLOP/s; it is known for a few devices and is given for
others. Where there is no GPU, the script says so and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from workloads import SCALES, ids_of, operations

# Dense bfloat16 products in TFLOP/s, from the makers' data sheets.
PEAKS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "L4": 121.0, "4090": 165.0, "L40S": 362.0}
WAYS = ("ours", "ours, not recorded", "transformers", "transformers, compiled")
LOOP = 30  # steps


def device_name() -> str | None:
    """Return the name of the GPU that the backend sees, None without one."""
    if os.environ["KERAS_BACKEND"] == "jax":
        import jax

        found = [device for device in jax.devices() if device.platform == "gpu"]
        return found[0].device_kind if found else None
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def ours(scale, batch: int, length: int, compiled: bool) -> dict[str, Callable[[], object]]:
    """Return this library's forward pass, training step, and `LOOP` steps of which the last is waited for."""
    import keras as keras_itself

    from bert4keras2.backend import keras
    from bert4keras2.models import build_transformer_model
    from bert4keras2.optimizers import Adam

    keras_itself.config.set_dtype_policy("mixed_bfloat16")
    sizes = {"vocab_size": scale.vocabulary, "hidden_size": scale.width, "num_hidden_layers": scale.layers}
    sizes |= {"num_attention_heads": scale.heads, "intermediate_size": scale.inner, "max_position": 512}
    sizes |= {"hidden_act": "gelu", "dropout_rate": 0.1, "attention_dropout_rate": 0.1}
    encoder = build_transformer_model(**sizes)
    output = keras.layers.Dense(2, activation="softmax", dtype="float32")(encoder.output[:, 0])
    classifier = keras.models.Model(encoder.inputs, output)
    classifier.compile(Adam(1e-5), "sparse_categorical_crossentropy", jit_compile=compiled)
    ids, labels = ids_of(scale, batch, length), np.arange(batch) % 2
    many, answers = np.tile(ids, (LOOP, 1)), np.tile(labels, LOOP)

    def loop() -> None:
        classifier.fit([many, 0 * many], answers, batch_size=batch, verbose=0)
        classifier.train_on_batch([ids, 0 * ids], labels)

    return {
        "forward": lambda: classifier.predict_on_batch([ids, 0 * ids]),
        "training step": lambda: classifier.train_on_batch([ids, 0 * ids], labels),
        "training step in a loop": loop,
    }


def theirs(scale, batch: int, length: int, compiled: bool) -> dict[str, Callable[[], object]]:
    """Return the same of transformers on PyTorch."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=scale.vocabulary,
        hidden_size=scale.width,
        num_hidden_layers=scale.layers,
        num_attention_heads=scale.heads,
        intermediate_size=scale.inner,
        attn_implementation="sdpa",
    )
    model = BertForSequenceClassification(config).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5, fused=True)
    run = torch.compile(model, mode="reduce-overhead") if compiled else model
    ids = torch.from_numpy(ids_of(scale, batch, length)).long().cuda()
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    labels = (torch.arange(batch) % 2).cuda()

    def forward() -> object:
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
            model.eval()
            return run(**given).logits.float().cpu().numpy()

    def step(waits: bool = True) -> object:
        model.train()
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = run(**given, labels=labels).loss
        loss.backward()
        optimizer.step()
        return loss.item() if waits else None

    def loop() -> None:
        for _ in range(LOOP):
            step(waits=False)
        step()

    return {"forward": forward, "training step": step, "training step in a loop": loop}


def measure(way: str, scale, batch: int, length: int, repeats: int) -> dict[str, float]:
    """Return the median seconds of forward pass and training steps, after a few that compile or are recorded."""
    compiled = way == "ours" or way.endswith(", compiled")  # here: recorded
    made = (ours if way.startswith("ours") else theirs)(scale, batch, length, compiled)
    found = {}
    for name, run in made.items():
        steps = LOOP + 1 if name.endswith("loop") else 1
        times = []
        for _ in range(4 + max(repeats // steps, 3)):
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) / steps)
        found[name] = statistics.median(times[4 if steps == 1 else 1 :])
    return found


def in_process(way: str, given: argparse.Namespace) -> dict[str, float]:
    """Measure one way in a process of its own, which gives the device's memory back."""
    command = [sys.executable, __file__, "--way", way, "--scale", given.scale, "--repeats", str(given.repeats)]
    command += ["--batch", str(given.batch), "--length", str(given.length)]
    folders = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]
    paths = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{way}: {', '.join(f'{name} {1e3 * value:.2f} ms' for name, value in found.items())}", flush=True)
    return found


def main() -> None:
    """Measure in turns and print tokens per second, share of the peak, ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--peak", type=float, help="TFLOP/s of the device in bfloat16")
    parser.add_argument("--peers", action="store_true", help="measure transformers on PyTorch, too")
    parser.add_argument("--scale", choices=SCALES, default="base")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    scale = SCALES[given.scale]
    if given.way:
        print(json.dumps(measure(given.way, scale, given.batch, given.length, given.repeats)))
        return
    backend, name = os.environ["KERAS_BACKEND"], device_name()
    if name is None:
        print(f"{backend} sees no GPU here: nothing was measured")
        return
    peak = given.peak or next((value for part, value in PEAKS.items() if part in name), None)
    own = WAYS[: 2 if backend == "torch" else 1]
    ways = (*own, *WAYS[2:]) if given.peers else own
    rounds = []
    for number in range(given.rounds):
        rounds.append({way: in_process(way, given) for way in (ways if number % 2 else ways[::-1])})
    print(f"{name}, {backend}, {given.batch} x {given.length}, bfloat16, {given.rounds} rounds")
    print("| | way | ms | tokens/s | share of the peak | time / ours |\n| --- | --- | --- | --- | --- | --- |")
    for row, factor in (("forward", 1), ("training step", 3), ("training step in a loop", 3)):
        for way in ways:
            seconds = statistics.median(one[way][row] for one in rounds)
            rate = factor * operations(scale, given.batch, given.length) / seconds / 1e12
            share = "" if peak is None else f"{rate / peak:.0%}"
            ratio = statistics.median(one[way][row] / one["ours"][row] for one in rounds)
            tokens = given.batch * given.length / seconds
            print(f"| {row} | {way} | {1e3 * seconds:.2f} | {tokens:,.0f} | {share} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
