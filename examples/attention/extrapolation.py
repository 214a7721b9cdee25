"""What becomes of a model on texts longer than it was trained on, by the way it knows positions and scales scores.

    python examples/attention/extrapolation.py --texts CORPUS.txt.gz --out FOLDER
    python examples/attention/extrapolation.py --task mlm --texts CORPUS.txt.gz --out FOLDER

A small language model (or with --task mlm a masked one) is trained on texts of 64 characters with each way of training,
and measured at 64, 128, 256 and 512 with each way of inference that fits:

- "plain": characters that are predicted right, of texts that go on;
- "repeat": of a text of 64 characters that is repeated: whether what is far away is used;
- "last 64": of the same last 64 characters, after more and more context: it rises only where context helps.

The first two are those of kexue.fm/archives/9706, the third that of kexue.fm/archives/9948. What its tables let expect,
at eight times the length on "repeat": linear < none < ntk < rerope, and log n helps each.

Methods and seeds that were run apart come together by their folders:

    python examples/attention/extrapolation.py --join FOLDER FOLDER --drawn "softmax / none" "log n / none" --out FOLDER
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from common import Characters, arguments, build, masked, picture, read_characters, right, spread, table, train, write

# How a model is trained, and how it may then be used: options of build_transformer_model.
GAU = {"model": "gau_alpha", "num_hidden_layers": 8, "intermediate_size": 256, "attention_key_size": 64}
TRAINED: dict[str, dict[str, Any]] = {
    "softmax": {"model": "roformer"},
    "log n": {"model": "roformer", "log_n": {"type": "train", "length": 64}},
    "KeyNorm": {"model": "roformer", "key_norm": True},
    "HWFA": {
        "model": "roformer",
        "attention_window": {"type": "hwfa", "window": 16},
        "log_n": {"type": "train", "length": 64},
    },
    "GAU, softmax": {**GAU, "normalization": "softmax"},
    "GAU, squared ReLU": {**GAU, "normalization": "squared_relu"},
}


def used(length: int, factor: int) -> dict[str, dict[str, Any]]:
    """Return the ways of inference for a model trained at `length`, used at up to `factor` times of it."""
    inference = {"log_n": {"type": "inference", "length": length}}
    scaled = {
        name: {"rope_scaling": {"type": name, "factor": factor}} for name in ("linear", "ntk", "ntk_fixed", "ntk_mixed")
    }
    scaled["yarn"] = {"rope_scaling": {"type": "yarn", "factor": factor, "length": length, "fast": 4}}
    scaled["rerope"] = {"rope_scaling": {"type": "rerope", "window": length // 4}}
    scaled["leaky_rerope"] = {"rope_scaling": {"type": "leaky_rerope", "window": length // 4, "factor": factor}}
    with_log = {f"{name} + log n": {**options, **inference} for name, options in scaled.items()}
    return {"none": {}, "log n at inference": inference, **scaled, **with_log}


def measure(model: Any, data: Characters, lengths: list[int], short: int, causal: bool, count: int) -> dict[str, Any]:
    """Return percent of characters predicted right, {measure: {length: percent}}."""
    found: dict[str, dict[int, float]] = {"plain": {}, "repeat": {}, "last": {}}
    longest = data.rows(np.random.default_rng(0), count, max(lengths) + 1, held_out=True)
    for length in lengths:
        rows = longest[:, -length - 1 :]
        repeated = np.tile(rows[:, -short:], (1, length // short + 1))[:, : length + 1]
        for name, texts in (("plain", rows), ("repeat", repeated)):
            if causal:
                found[name][length] = right(model, texts[:, :-1], texts[:, 1:])
            else:
                texts = texts[:, :length]
                ids, chosen = masked(texts, np.random.default_rng(1))
                found[name][length] = right(model, ids, texts, chosen)
        if causal:
            last = np.zeros((count, length), bool)
            last[:, -short:] = True
            found["last"][length] = right(model, rows[:, :-1], rows[:, 1:], last)
    return found


def trained(options: Any) -> dict[str, list[Any]]:
    """Train, and return what `measure` found of each way of training and inference, one for each seed."""
    data, causal = Characters(read_characters(options.texts)), options.task == "lm"
    lengths = [options.length * 2**k for k in range(options.factor.bit_length())]
    chosen = [name for name in TRAINED if options.methods in ([""], []) or name in options.methods]
    application = {"application": "lm"} if causal else {}
    figures: dict[str, list[Any]] = {}
    for name in chosen:
        for seed in options.seeds:
            import keras

            keras.utils.set_random_seed(seed)
            model = build(data.size, **TRAINED[name], **application)
            train(model, data, options.steps, options.length, seed, causal, options.batch)
            for way, extra in used(options.length, options.factor).items():
                if "rope_scaling" in extra and "attention_window" in TRAINED[name]:
                    continue  # its windows are shorter than the texts of training already
                if "log_n" in extra and ("log_n" in TRAINED[name] or "squared" in name):
                    continue  # it has log n, or a normalization that no factor of the scores changes
                other = build(data.size, **{**TRAINED[name], **application, **extra})
                other.set_weights(model.get_weights())
                found = measure(other, data, lengths, options.length, causal, options.count)
                figures.setdefault(f"{name} / {way}", []).append(found)
                print(f"seed {seed}, {name} / {way}: {found}", flush=True)
    return figures


def joined(folders: list[str], task: str) -> dict[str, list[Any]]:
    """Return the figures of folders that earlier runs wrote; those of a method are its seeds, in whichever folder."""
    found: dict[str, list[Any]] = {}
    for folder in folders:
        text = (Path(folder) / f"extrapolation_{task}.json").read_text(encoding="utf-8")
        for name, seeds in json.loads(text).items():
            # JSON makes texts of lengths.
            own = [{kind: {int(k): v for k, v in one.items()} for kind, one in seed.items()} for seed in seeds]
            found.setdefault(name, []).extend(own)
    return found


def main() -> None:
    """Train, measure, print a table for each measure and write figures and pictures."""
    options = arguments(
        __doc__,
        task="lm",
        length=64,
        factor=8,
        steps=2000,
        seeds=[0, 1, 2],
        count=32,
        methods=[""],
        join=[""],
        drawn=[""],
    )
    figures = joined(options.join, options.task) if any(options.join) else trained(options)
    write(options.out, f"extrapolation_{options.task}", figures)
    for kind in ("plain", "repeat", "last") if options.task == "lm" else ("plain", "repeat"):
        lengths = list(next(iter(figures.values()))[0][kind])
        rows = [
            [name, *(spread([found[kind][length] for found in seeds]) for length in lengths)]
            for name, seeds in figures.items()
        ]
        print(f"\n{kind}, percent right by length\n\n{table(['trained / used', *map(str, lengths)], rows)}")
        curves = {
            n: {k: float(np.mean([s[kind][k] for s in seeds])) for k in lengths}
            for n, seeds in figures.items()
            if options.drawn in ([""], []) or n in options.drawn
        }
        picture(options.out, f"extrapolation_{options.task}_{kind}", curves, "characters", "percent right")


if __name__ == "__main__":
    main()
