"""Cached generation against `generate` of transformers on PyTorch, with the same weights.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_generation_hf.py [--rounds 3] [--rows 1 4]

A GPT-2 and a T5 1.1 of base size with random weights are saved by transformers and loaded here; both continue the same
prompts greedily by 64 tokens, in turn. The tokens are compared too. First calls, which compile here, are printed apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import torch
import transformers

from bert4keras2.decoders import Generator
from bert4keras2.models import build_transformer_model

NEW = 64


def models(kind: str):
    """Return a random model of transformers."""
    torch.manual_seed(0)
    if kind == "gpt2":
        return transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    config = transformers.T5Config(
        d_model=768, d_ff=2048, num_layers=12, num_heads=12, feed_forward_proj="gated-gelu", tie_word_embeddings=False
    )
    config.decoder_start_token_id = 0
    return transformers.T5ForConditionalGeneration(config).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4])
    arguments = parser.parse_args()
    for kind in ("gpt2", "t5"):
        theirs = models(kind)
        with tempfile.TemporaryDirectory() as folder:
            theirs.save_pretrained(folder)
            ours = build_transformer_model(folder, return_keras_model=False)
        generator = Generator(ours, start_id=0 if kind == "t5" else None)
        for rows in arguments.rows:
            compare(kind, theirs, generator, rows, arguments.rounds)


def compare(kind: str, theirs, generator: Generator, rows: int, rounds: int) -> None:
    """Print medians and the ratio for a number of prompts."""
    prompts = np.random.RandomState(1).randint(100, 20000, (rows, 32 if kind == "t5" else 20))
    ids = torch.from_numpy(prompts)
    options = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "use_cache": True, "pad_token_id": 0}
    found = {}

    def run_theirs():
        start = time.perf_counter()
        with torch.inference_mode():
            found["theirs"] = theirs.generate(ids, attention_mask=torch.ones_like(ids), **options)[:, -NEW:].tolist()
        return time.perf_counter() - start

    def run_ours():
        start = time.perf_counter()
        found["ours"] = [result.ids for result in generator.generate(prompts.tolist(), NEW)]
        return time.perf_counter() - start

    first = run_ours(), run_theirs()
    pairs = [(run_theirs(), run_ours()) for _ in range(rounds)]
    slow, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = sorted(a / b for a, b in pairs)
    same = np.mean(np.asarray(found["ours"]) == np.asarray(found["theirs"]))
    print(
        f"{kind}, {rows} prompts, {NEW} tokens: transformers {slow:.2f} s, here {fast:.2f} s, "
        f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
        f"first call here {first[0]:.1f} s; {same:.0%} of the tokens agree",
        flush=True,
    )


if __name__ == "__main__":
    main()
