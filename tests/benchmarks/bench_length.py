"""Time and memory by the length of the text, one row for each way to mix tokens.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_length.py --out FOLDER
    python tests/benchmarks/bench_length.py --only softmax flash linear --lengths 1024 2048 4096

A model of two blocks (four of one branch), hidden size 256, one text a batch; forward pass and training step, each
compiled, median of the rounds. Each length of each mechanism runs in a process of its own, whose peak of memory minus
that before the first pass is the third figure. Prints tables in Markdown and what has to hold: time at 4096 at most 2.2
times that at 2048 for the linear forms, which are faster than softmax attention from 2048 on and than the gated unit
from 1024 on. --out gets figures as JSON and pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

UNIT = {"num_hidden_layers": 4, "intermediate_size": 512, "attention_key_size": 128}
MECHANISMS: dict[str, dict[str, Any]] = {
    "softmax": {"model": "roformer"},
    "window 128": {"model": "roformer", "attention_window": {"type": "all", "window": 128}},
    "rerope": {"model": "roformer", "rope_scaling": {"type": "rerope", "window": 128}},
    "gau": {"model": "gau_alpha", **UNIT},
    "flash": {"model": "flash", **UNIT},
    "flash, causal": {"model": "flash", "application": "lm", **UNIT},
    "linear": {"model": "roformer", "attention": "linear"},
    "linear, causal": {"model": "roformer", "attention": "linear", "application": "lm"},
    "performer": {"model": "roformer", "attention": {"type": "performer", "features": 256}},
    "nystrom": {"model": "roformer", "attention": "nystrom"},
    "efficient": {"model": "roformer", "attention": "efficient"},
    "synthesizer": {"model": "bert", "attention": {"type": "synthesizer", "kinds": ["dense"]}},
    "external": {"model": "bert", "attention": "external"},
    "gmlp": {"model": "gmlp", "num_hidden_layers": 4},
    "mlp_mixer": {"model": "mlp_mixer"},
    "fnet": {"model": "fnet", "attention": {"type": "fourier", "length": 8192}},
}
LENGTHS = [256, 512, 1024, 2048, 4096, 8192]
FAST = ("flash", "flash, causal", "linear", "linear, causal")


def measure(name: str, length: int, rounds: int) -> dict[str, float]:
    """Return milliseconds of a forward pass and a training step, and megabytes that they took at most."""
    import resource

    import numpy as np

    from bert4keras2.models import build_transformer_model

    options = dict(MECHANISMS[name])
    if name == "fnet":  # the transform has the length at hand
        options["attention"] = {"type": "fourier", "length": length}
    sizes = {"vocab_size": 100, "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 1024, "segment_vocab_size": 0, "max_position": length, "sequence_length": length}
    # A language model without its scores: the head of a vocabulary is none of the mechanism.
    model = build_transformer_model(**{**sizes, **options}, return_keras_model=False)
    import keras

    body = keras.Model(model.inputs, model.hidden_states[-1])
    ids = np.random.RandomState(0).randint(1, 100, (1, length)).astype("int32")
    target = np.zeros((1, length, 256), "float32")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {}
    body.compile("sgd", "mse", jit_compile=True if keras.backend.backend() != "torch" else "auto")
    steps = {
        "forward": lambda: body.predict_on_batch(ids),
        "training": lambda: body.train_on_batch(ids, target),
    }
    for kind, step in steps.items():
        step()
        step()
        times = []
        for _ in range(rounds):
            before = time.perf_counter()
            step()
            times.append(time.perf_counter() - before)
        found[kind] = 1000 * statistics.median(times)
    found["memory"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    return found


def table(figures: dict[str, dict[int, dict[str, float]]], kind: str, lengths: list[int]) -> str:
    """Return a table in Markdown of one kind of figure."""
    lines = [["mechanism", *map(str, lengths)], ["---"] * (len(lengths) + 1)]
    for name, found in figures.items():
        lines.append([name, *(f"{found[n][kind]:.0f}" if n in found else "" for n in lengths)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdicts(figures: dict[str, dict[int, dict[str, float]]], kind: str) -> list[str]:
    """Return one line for each of what has to hold, as far as it was measured."""
    lines = []
    for name in FAST:
        mine = figures.get(name, {})
        if {2048, 4096} <= mine.keys():
            ratio = mine[4096][kind] / mine[2048][kind]
            lines.append(f"{kind}, {name}: 4096 takes {ratio:.2f} times 2048 (at most 2.2): {ratio <= 2.2}")
        for other, start in (("softmax", 2048), ("gau", 1024)):
            both = [n for n in sorted(mine) if n >= start and n in figures.get(other, {})]
            if both:
                faster = [n for n in both if mine[n][kind] < figures[other][n][kind]]
                lines.append(f"{kind}, {name}: faster than {other} at {faster} of {both}: {faster == both}")
    return lines


def draw(out: Path, figures: dict[str, dict[int, dict[str, float]]], kind: str) -> None:
    """Write a picture of one kind of figure, both axes logarithmic."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: pip install matplotlib")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for name, found in figures.items():
        axes.plot(list(found), [value[kind] for value in found.values()], marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ticker.ScalarFormatter())
    axes.set_xlabel("tokens")
    axes.set_ylabel("MB" if kind == "memory" else "ms")
    axes.set_title(kind)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(out / f"length_{kind}.png", dpi=120)
    pyplot.close(figure)


def main() -> None:
    """Measure everything in processes of their own, print the tables and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(MECHANISMS), default=list(MECHANISMS))
    parser.add_argument("--lengths", nargs="*", type=int, default=LENGTHS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=600, help="seconds that one length of one mechanism may take")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--one", nargs=2, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]), options.rounds)))
        return
    figures: dict[str, dict[int, dict[str, float]]] = {}
    for name in options.only:
        for length in options.lengths:
            command = [sys.executable, __file__, "--rounds", str(options.rounds), "--one", name, str(length)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=options.limit)
            except subprocess.TimeoutExpired:
                print(f"{name}, {length}: over {options.limit:.0f} s, left out", flush=True)
                break
            if done.returncode:
                print(f"{name}, {length}: {done.stderr.strip().splitlines()[-1:]}", flush=True)
                break
            figures.setdefault(name, {})[length] = json.loads(done.stdout.strip().splitlines()[-1])
            print(f"{name}, {length}: {figures[name][length]}", flush=True)
    for kind, unit in (("forward", "ms"), ("training", "ms"), ("memory", "MB")):
        print(f"\n{kind}, {unit}\n\n{table(figures, kind, options.lengths)}")
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            draw(options.out, figures, kind)
    print("\n" + "\n".join(line for kind in ("forward", "training") for line in verdicts(figures, kind)))
    if options.out is not None:
        (options.out / "length.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
