"""Greedy decoding with and without drafts, of a text that repeats itself and of one that does not.

    KERAS_BACKEND=torch python tests/benchmarks/bench_drafts.py [--rounds 5] [--layers 12 --width 768]

A UniLM of BERT-base's size with random weights, of which one token is by far the likeliest: its text repeats itself,
and drafts are right but for the first ones, which is the most that they can bring. With `--free`, a rule keeps it from
repeating anything, so that they are never right: what they cost. Printed are seconds, steps of the model, tokens for
each step, and the ratio of seconds round by round.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from keras import ops
from rounds import spread
from writer import build, sizes

from bert4keras2.decoders import Generator
from bert4keras2.decoders.options import Options


def timed(generator: Generator, prompt: list[int], count: int, **options) -> tuple[float, list[int], int]:
    """Return the seconds that a text takes, its ids, and the steps of the model."""
    start = time.perf_counter()
    request = generator._request([generator._prompt(prompt)], count, Options.of(options), [], [0])
    ((found,),) = request.finish()
    seconds = time.perf_counter() - start
    calls = getattr(request.state, "calls", None)
    return seconds, found.ids, len(found.ids) if calls is None else int(ops.convert_to_numpy(calls))


def main() -> None:
    parser = sizes(__doc__, 5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--free", action="store_true")
    arguments = parser.parse_args()
    size = arguments.vocabulary
    transformer = build(arguments)
    bias = next(variable for variable in transformer.model.weights if "MLM-Bias" in variable.path)
    bias.assign(100.0 * (np.arange(size) == 17))
    generator = Generator(transformer, end_id=())
    prompt = np.random.RandomState(0).randint(1, size - 1, 20).tolist()
    rules = {"no_repeat_ngram": 1} if arguments.free else {}
    plain = timed(generator, prompt, arguments.tokens, **rules)
    for count in (2, 4, 8):
        options = {"draft": "ngram", "draft_tokens": count, **rules}
        _, ids, calls = timed(generator, prompt, arguments.tokens, **options)  # compiles
        assert ids == plain[1], "drafts changed the text"
        pairs = [
            (
                timed(generator, prompt, arguments.tokens, **rules)[0],
                timed(generator, prompt, arguments.tokens, **options)[0],
            )
            for _ in range(arguments.rounds)
        ]
        slow, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"drafts of {count}: {len(ids)} tokens in {calls} steps ({len(ids) / calls:.1f} for each); plain"
            f" {slow:.2f} s, drafts {fast:.2f} s, ratio {spread(pairs)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
