"""Cached generation against recomputing the whole sequence for each token through `predict`.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_generation.py [--rounds 3] [--layers 12 --width 768]

A UniLM of BERT-base's size with random weights; 10 samples of 32 tokens and a beam of 4 with 64 tokens, each from a
prompt of 20 tokens. The first call of each, which compiles, is printed apart; ratios are taken round by round.
Streaming is timed to its first token and compared with one prefill and one step.
"""

from __future__ import annotations

import os
import statistics

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from rounds import seconds, spread
from writer import build, sizes

from bert4keras2.decoders import AutoRegressiveDecoder, Generator

PROMPT = 20


class Recompute(AutoRegressiveDecoder):
    """What scripts write: all tokens so far go through the model at each step."""

    def __init__(self, model, vocabulary, maxlen):
        super().__init__(None, vocabulary - 1, maxlen, maxlen)  # no sequence ends early
        self.model = model

    @AutoRegressiveDecoder.wraps(default_rtype="probas")
    def predict(self, inputs, output_ids, states):
        (tokens,) = inputs
        ids = np.concatenate([tokens, output_ids], 1)
        segments = np.concatenate([np.zeros_like(tokens), np.ones_like(output_ids)], 1)
        return self.last_token(self.model).predict([ids, segments])


def compare(name, recompute, cached, rounds) -> None:
    """Print first calls, medians and the ratio of two ways."""
    first = seconds(recompute), seconds(cached)
    pairs = [(seconds(recompute), seconds(cached)) for _ in range(rounds)]
    slow, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"{name}: recompute {slow:.2f} s, cached {fast:.3f} s, ratio {spread(pairs, 1)}; "
        f"first calls {first[0]:.1f} s and {first[1]:.1f} s",
        flush=True,
    )


def main() -> None:
    parser = sizes(__doc__, 3)
    arguments = parser.parse_args()
    size, rounds = arguments.vocabulary, arguments.rounds
    transformer = build(arguments)
    prompt = np.random.RandomState(0).randint(1, size - 1, PROMPT).tolist()
    generator = Generator(transformer)
    slow = Recompute(transformer.model, size, 32)
    compare(
        "10 samples of 32 tokens",
        lambda: slow.random_sample([prompt], 10, topk=50),
        lambda: generator.generate([prompt], 32, strategy="sample", num_return=10, top_k=50, seed=1),
        rounds,
    )
    slow = Recompute(transformer.model, size, 64)
    compare(
        "beam of 4, 64 tokens",
        lambda: slow.beam_search([prompt], 4),
        lambda: generator.generate([prompt], 64, strategy="beam", num_beams=4),
        rounds,
    )
    from bert4keras2.decoders.options import Options

    options = Options().checked()

    def first_token():
        request = generator._request([generator._prompt(prompt)], 32, options, [], [0])
        request.advance(1)
        request.numpy("tokens")

    def prefill_and_step():
        ids = np.zeros((1, 32), "int32")
        ids[0, :PROMPT] = prompt
        _, cache = generator.engine.open([ids, np.zeros_like(ids)], [PROMPT], 32)
        generator.engine.step(cache, ids[:, :1], np.ones((1, 1), "int32"), 0)

    seconds(first_token), seconds(prefill_and_step)
    pairs = [(seconds(first_token), seconds(prefill_and_step)) for _ in range(max(rounds, 5))]
    print(
        f"first streamed token {1e3 * statistics.median(a for a, _ in pairs):.0f} ms, a prefill and a step "
        f"{1e3 * statistics.median(b for _, b in pairs):.0f} ms, ratio {statistics.median(a / b for a, b in pairs):.2f}"
    )


if __name__ == "__main__":
    main()
