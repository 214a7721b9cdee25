"""LoRA as a rule of the optimizer: matrices move along products of thin ones, whose moments alone are kept."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.arguments import whole_number
from bert4keras2.optimizers.patterns import Patterns, path_of
from bert4keras2.optimizers.rules import UpdateRule

__all__ = ["LowRank"]


class LowRank(UpdateRule):
    """Lets chosen matrices W change as W + A'B' - AB, where the optimizer moves A and B (kexue.fm/archives/9590).

    With the gradient G of W, those of A (N, rank) and B (rank, M) are G B^T and A^T G. That is the training of LoRA
    (arXiv:2106.09685) on W - AB, without a change of the model: W itself is there at all times, and nothing is to be
    merged. It saves the slots of W, not its gradient. Other rules, such as weight decay, act on A and B.

    Args:
        lora_rank: columns of A.
        include_in_lora: patterns of the matrices, searched for in their paths.

    Raises:
        ValueError: if a value is out of range; in the first step, if a matrix has fewer rows or columns than the rank,
            or a pattern means something that is no matrix.
    """

    keywords = {"lora_rank": 8, "include_in_lora": ("q_dense/kernel", "v_dense/kernel")}

    def __init__(self, lora_rank: int = 8, include_in_lora: Any = ("q_dense/kernel", "v_dense/kernel")):
        self.lora_rank = whole_number("lora_rank", lora_rank, 1)
        self._patterns = Patterns("include_in_lora", include_in_lora)
        self.include_in_lora = self._patterns.patterns
        self._found: list[tuple[Any, Any]] = []
        self._factors: dict[int, tuple[Any, Any]] = {}

    def attach(self, optimizer: Any) -> None:
        """See that nothing of Keras' own wants slots of the matrices."""
        if optimizer.use_ema:
            raise ValueError("use_ema is Keras' own average: leave it out, the callback EMA has one")

    def besides(self, optimizer: Any, variables: list[Any]) -> list[tuple[Any, list[Any]]]:
        """Return the matrices that are meant, each with its A and B."""
        found = []
        for variable, meant in zip(variables, self._patterns.of(variables), strict=True):
            if not meant:
                continue
            path, shape = path_of(variable), tuple(variable.shape)
            if len(shape) != 2 or min(shape) < self.lora_rank:
                raise ValueError(
                    f"include_in_lora means {path} of shape {shape}, which has no part of rank {self.lora_rank}"
                )
            name = path.replace("/", "_")
            pair = []
            for letter, size in (("a", (shape[0], self.lora_rank)), ("b", (self.lora_rank, shape[1]))):
                start = keras.initializers.RandomNormal(stddev=max(size) ** -0.5)
                pair.append(optimizer.add_variable(size, start, variable.dtype, name=f"{name}_lora_{letter}"))
            found.append((variable, pair))
        self._found = [(variable, tuple(pair)) for variable, pair in found]
        return found

    def build(self, optimizer: Any, variables: list[Any]) -> None:
        """Note the places of the matrices."""
        places = {id(variable): index for index, variable in enumerate(variables)}
        self._factors = {places[id(variable)]: pair for variable, pair in self._found}

    def takes(self, index: int) -> bool:
        """Whether the rule moves a variable itself."""
        return index in self._factors

    def move(self, optimizer: Any, index: int, variable: Any, gradient: Any, rate: Any) -> None:
        """Move a matrix by a step of its A and B."""
        a, b = self._factors[index]
        old_a, old_b = ops.convert_to_tensor(a) + 0, ops.convert_to_tensor(b) + 0  # values, which the steps leave alone
        optimizer.update_step(ops.matmul(gradient, ops.transpose(old_b)), a, rate)
        optimizer.update_step(ops.matmul(ops.transpose(old_a), gradient), b, rate)
        new = ops.matmul(ops.convert_to_tensor(a), ops.convert_to_tensor(b))
        optimizer.assign_add(variable, new - ops.matmul(old_a, old_b))
