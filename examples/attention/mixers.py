"""BERT's block against what takes the place of its attention: masked language models of as many weights, as many steps.

    python examples/attention/mixers.py --texts CORPUS.txt.gz --out FOLDER

Each model is made as large as BERT's by the width of its feed-forward network or gated unit, trained on the same
characters in the same order, and measured on held-out ones. A table of weights, steps in a second and percent of hidden
characters that are found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import Characters, arguments, build, masked, read_characters, right, spread, table, train, write

from bert4keras2.backend import keras

ROTARY = {"model": "roformer"}
MODELS: dict[str, dict[str, Any]] = {
    "BERT": {},
    "RoFormer": ROTARY,
    "linear (elu + 1)": {**ROTARY, "attention": "linear"},
    "Performer": {**ROTARY, "attention": {"type": "performer", "features": 64}},
    "Nystrom": {**ROTARY, "attention": {"type": "nystrom", "landmarks": 16}},
    "two softmaxes": {**ROTARY, "attention": "efficient"},
    "Synthesizer, dense": {"attention": {"type": "synthesizer", "kinds": ["dense"]}},
    "Synthesizer, random + dot": {"attention": {"type": "synthesizer", "kinds": ["random", "dot"]}},
    "external attention": {"attention": "external"},
    "GAU": {"model": "gau_alpha", "num_hidden_layers": 8, "attention_key_size": 64},
    "FLASH": {"model": "flash", "num_hidden_layers": 8, "attention_key_size": 64, "chunk_size": 32},
    "gMLP": {"model": "gmlp", "num_hidden_layers": 8},
    "aMLP": {"model": "amlp", "num_hidden_layers": 8, "tiny_attention": 32},
    "MLP-Mixer": {"model": "mlp_mixer"},
    "ResMLP": {"model": "resmlp", "layer_scale": 0.1},
    "FNet": {"model": "fnet"},
}


def as_large(vocabulary: int, wanted: int, options: dict[str, Any]) -> Any:
    """Return a model of about `wanted` weights: the width inside its blocks is found by bisection."""
    low, high = 8, 4096
    while high - low > 8:
        middle = (low + high) // 16 * 8
        keras.utils.clear_session(free_memory=False)
        model = build(vocabulary, **options, intermediate_size=middle)
        low, high = (middle, high) if model.count_params() < wanted else (low, middle)
    return build(vocabulary, **options, intermediate_size=low)


def main() -> None:
    """Train each model, print the table and write the figures."""
    options = arguments(__doc__, length=128, steps=2000, seeds=[0, 1, 2], count=128, models=[""])
    data = Characters(read_characters(options.texts))
    sizes = {"max_position": options.length}
    wanted = build(data.size, **sizes).count_params()
    rows = data.rows(np.random.default_rng(0), options.count, options.length, held_out=True)
    ids, chosen = masked(rows, np.random.default_rng(1))
    commonest = np.bincount(data.train, minlength=data.size)[3:].argmax() + 3
    luck = 100 * float((rows == commonest)[chosen].mean())
    figures, lines = {}, []
    for name, extra in MODELS.items():
        if options.models not in ([""], []) and name not in options.models:
            continue
        found = []
        for seed in options.seeds:
            keras.utils.set_random_seed(seed)
            model = as_large(data.size, wanted, {**extra, **sizes})
            seconds = train(model, data, options.steps, options.length, seed, False, options.batch)
            found.append(
                {"right": right(model, ids, rows, chosen), "seconds": seconds, "weights": model.count_params()}
            )
            print(f"{name}, seed {seed}: {found[-1]}", flush=True)
        figures[name] = found
        speed = 1 / float(np.mean([one["seconds"] for one in found]))
        lines.append([name, f"{found[0]['weights']:,}", f"{speed:.1f}", spread([one["right"] for one in found])])
    print(f"\n{table(['block', 'weights', 'steps / s', 'masked accuracy, %'], lines)}")
    print(f"\nAlways the commonest character: {luck:.2f} %")
    write(options.out, "mixers", figures)


if __name__ == "__main__":
    main()
