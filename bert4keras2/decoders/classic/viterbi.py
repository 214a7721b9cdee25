"""The best path through scores of labels and transitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["ViterbiDecoder"]


class ViterbiDecoder:
    """Find the sequence of labels with the highest sum of label and transition scores.

    Scripts may assign new values to `trans` between calls, as CRF callbacks do after each epoch.

    Args:
        trans: (N, N) scores, `trans[i, j]` for label j right after label i.
        starts: ids of the labels that a path may start with; None for any.
        ends: ids of the labels that a path may end with; None for any.

    Raises:
        ValueError: if trans is not square, or starts or ends are empty or hold an id that is no label.

    Source: Viterbi, "Error bounds for convolutional codes", 1967
    """

    def __init__(self, trans: Any, starts: Sequence[int] | None = None, ends: Sequence[int] | None = None):
        self.trans = np.asarray(trans)
        if self.trans.ndim != 2 or len(self.trans) != self.trans.shape[1] or not len(self.trans):
            raise ValueError(f"trans must have the shape (labels, labels), not {self.trans.shape}")
        self.num_labels = len(self.trans)
        self.non_starts = self._others("starts", starts)
        self.non_ends = self._others("ends", ends)

    def decode(self, nodes: Any) -> np.ndarray:
        """Return the best path.

        Args:
            nodes: (T, N) scores of each label at each step; left as they are.

        Returns:
            (T,) label ids. Of equally good paths, the one with the lowest ids, compared from the end.

        Raises:
            ValueError: if nodes is not (T, N) with T >= 1.
        """
        nodes = np.asarray(nodes)
        if nodes.ndim != 2 or not len(nodes) or nodes.shape[1] != self.num_labels:
            raise ValueError(f"nodes must have the shape (steps >= 1, labels = {self.num_labels}), not {nodes.shape}")
        nodes = nodes.astype(np.result_type(nodes, np.float32))  # a copy, which can hold -inf
        nodes[0, self.non_starts] = -np.inf
        nodes[-1, self.non_ends] = -np.inf
        trans = np.asarray(self.trans)
        totals = nodes[0]
        previous = np.zeros(nodes.shape, dtype=int)
        for step in range(1, len(nodes)):
            candidates = totals[:, None] + trans + nodes[step]  # (from, to)
            previous[step] = candidates.argmax(axis=0)
            totals = candidates.max(axis=0)
        path = [int(totals.argmax())]
        for step in range(len(nodes) - 1, 0, -1):
            path.append(previous[step, path[-1]])
        return np.array(path[::-1])

    def _others(self, name: str, allowed: Sequence[int] | None) -> list[int]:
        """Return the labels that are not allowed."""
        if allowed is None:
            return []
        allowed = {int(label) for label in allowed}
        wrong = sorted(label for label in allowed if not 0 <= label < self.num_labels)
        if wrong or not allowed:
            raise ValueError(f"{name} must be ids from 0 to {self.num_labels - 1}, at least one, not {wrong or '[]'}")
        return [label for label in range(self.num_labels) if label not in allowed]
