"""The model that the benchmarks of generation write with: random weights, of BERT-base's size unless told otherwise."""

from __future__ import annotations

import argparse
from typing import Any

from bert4keras2.models import build_transformer_model

__all__ = ["build", "sizes"]


def sizes(doc: str, rounds: int) -> argparse.ArgumentParser:
    """Return a parser of sizes and rounds, to which further options may be added."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--vocabulary", type=int, default=21128)
    return parser


def build(arguments: argparse.Namespace) -> Any:
    """Return a `Transformer` of these sizes for application="unilm"."""
    return build_transformer_model(
        vocab_size=arguments.vocabulary,
        hidden_size=arguments.width,
        num_hidden_layers=arguments.layers,
        num_attention_heads=12,
        intermediate_size=4 * arguments.width,
        application="unilm",
        return_keras_model=False,
    )
