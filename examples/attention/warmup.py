"""Does a deep stack learn without warm-up? 24 gated attention units against 12 blocks of BERT, the rate full at once.

    python examples/attention/warmup.py --texts CORPUS.txt.gz --out FOLDER

Masked language models of as many layers (a block of BERT has two) and about as many weights learn the same characters
in the same order, with a warm-up of a hundred steps and without one (Su Jianlin, kexue.fm/archives/8934). A table of
the loss of a hidden character in the course of training, and its picture.
"""

from __future__ import annotations

import numpy as np
from common import Characters, arguments, build, picture, read_characters, spread, table, train, write

from bert4keras2.backend import keras

MODELS = {
    "24 GAU": {"model": "gau_alpha", "num_hidden_layers": 24, "attention_key_size": 64, "intermediate_size": 256},
    "12 blocks of BERT": {"num_hidden_layers": 12},
}
WINDOW = 10  # steps over which losses are averaged


def smooth(losses: list[float], step: int) -> float:
    """Return the mean loss of the steps that end with one."""
    return float(np.mean(losses[max(step - WINDOW, 0) : step]))


def main() -> None:
    """Train each model both ways, print the table, draw the losses."""
    options = arguments(__doc__, length=64, steps=400, seeds=[0, 1, 2], rate=1e-3)
    data = Characters(read_characters(options.texts))
    seen = np.bincount(data.train, minlength=data.size) / len(data.train)
    luck = float(-(seen[seen > 0] * np.log(seen[seen > 0])).sum())
    marks = sorted({max(options.steps * part // 8, 1) for part in (1, 2, 4, 8)})
    figures, lines, curves = {}, [], {}
    for name, extra in MODELS.items():
        for warmup in (100, 0):
            label, runs = f"{name}, {f'{warmup} steps of' if warmup else 'no'} warm-up", []
            for seed in options.seeds:
                keras.utils.set_random_seed(seed)
                model, losses = build(data.size, **extra, max_position=options.length), []
                train(
                    model, data, options.steps, options.length, seed, False, options.batch, options.rate, warmup, losses
                )
                runs.append(losses)
                print(f"{label}, seed {seed}: {smooth(losses, options.steps):.3f}", flush=True)
            figures[label] = runs
            lines.append(
                [label, f"{model.count_params():,}", *(spread([smooth(run, mark) for run in runs]) for mark in marks)]
            )
            steps = range(WINDOW, options.steps + 1, WINDOW)
            curves[label] = {step: float(np.mean([smooth(run, step) for run in runs])) for step in steps}
    print(f"\n{table(['model', 'weights', *(f'loss at step {mark}' for mark in marks)], lines)}")
    print(f"\nBy how often characters are, whatever stands around: {luck:.2f}")
    write(options.out, "warmup", figures)
    picture(options.out, "warmup", curves, "step", "loss of a hidden character", logarithmic=False)


if __name__ == "__main__":
    main()
