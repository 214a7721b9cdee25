"""Learning rates that fall from the head down to the embeddings."""

from __future__ import annotations

import re

from bert4keras2.arguments import fraction
from bert4keras2.optimizers.patterns import path_of
from bert4keras2.optimizers.scaling import Factors

__all__ = ["LayerwiseDecay", "depths"]

_BLOCK = re.compile(r"Transformer-(\d+)-")
_EMBEDDING = re.compile(r"(^|/)([A-Za-z]+-)*Embedding-")


class LayerwiseDecay(Factors):
    """Multiplies the steps of each block by a power of a factor (Howard & Ruder, arXiv:1801.06146; ELECTRA's 0.8).

    What comes after the blocks keeps its steps, the last block's are multiplied by the factor, those of the block
    before by its square, and those of the embeddings by one power more than the first block's. Weight decay and layer
    adaptation, which are parts of a step, are multiplied too where they stand further inside.

    Args:
        layer_decay: the factor, up to 1.

    Raises:
        ValueError: if it is out of range, or no variable is of a block.
    """

    keywords = {"layer_decay": 0.9}

    def __init__(self, layer_decay: float = 0.9):
        self.layer_decay = fraction("layer_decay", layer_decay)

    def build(self, optimizer, variables):
        found = depths([path_of(variable) for variable in variables])
        self._factors = [self.layer_decay ** (max(found) - depth) for depth in found]


def depths(paths: list[str]) -> list[int]:
    """Return how deep variables lie: 0 for embeddings, 1 for the first block, ..., one more than the last for the rest.

    Args:
        paths: their paths; blocks are those whose names have "Transformer-0-" and so on.

    Raises:
        ValueError: if none is of a block.
    """
    blocks = [_BLOCK.search(path) for path in paths]
    numbers = [int(match[1]) for match in blocks if match]
    if not numbers:
        raise ValueError(
            "layer_decay: no variable is of a block, as 'Transformer-0-FeedForward/...' is; the first are "
            + ", ".join(map(repr, paths[:4]))
        )
    top = max(numbers) + 2
    return [
        int(match[1]) + 1 if match else 0 if _EMBEDDING.search(path) else top
        for path, match in zip(paths, blocks, strict=True)
    ]
