"""The work that `run.py` times, the same for all libraries: sizes, texts, operations and bytes of each row."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["SCALES", "Scale", "ids_of", "operations", "texts_of", "weights_of"]

CHARACTERS = (
    "今天气很好我们去公园玩吧这家店的火锅汤底太咸了小明在北京上学老师说他感冒发烧要看医生新闻股票上涨下跌球队赢比赛"
)


class Scale(NamedTuple):
    """Sizes of a model and of the work."""

    layers: int
    width: int
    heads: int
    inner: int
    vocabulary: int
    texts: int  # of an epoch, and of those that become vectors
    tokens: int  # generated


SCALES = {
    "base": Scale(12, 768, 12, 3072, 21128, 512, 64),
    "tiny": Scale(2, 32, 2, 64, 200, 12, 4),  # to see that everything runs
}
FORWARDS = {"forward 1x32": (1, 32), "forward 8x128": (8, 128), "forward 4x512": (4, 512)}
TRAINING = {"training step 16x128": (16, 128)}


def operations(scale: Scale, batch: int, length: int) -> float:
    """Return the multiplications and additions of an encoder's products: projections, feed-forward, attention."""
    projections = 2 * batch * length * (4 * scale.width**2 + 2 * scale.width * scale.inner)
    attention = 4 * batch * length**2 * scale.width
    return float(scale.layers * (projections + attention))


def weights_of(scale: Scale) -> float:
    """Return the bytes that a step of generation reads in float32: blocks, and the table that scores the tokens."""
    blocks = scale.layers * (4 * scale.width**2 + 2 * scale.width * scale.inner)
    return 4.0 * (blocks + scale.vocabulary * scale.width)


def limit(scale: Scale, row: str, machine: dict[str, float]) -> float | None:
    """Return the least seconds that a row could take on a machine, None where nothing simple limits it."""
    if row in FORWARDS:
        return operations(scale, *FORWARDS[row]) / machine["gemm"]
    if row in TRAINING:
        return 3 * operations(scale, *TRAINING[row]) / machine["gemm"]
    if row == "generation, one prompt":
        return scale.tokens * weights_of(scale) / machine["memory"]
    return None


def ids_of(scale: Scale, batch: int, length: int) -> np.ndarray:
    """Return (batch, length) int32 ids without padding."""
    return np.random.RandomState(0).randint(110, scale.vocabulary, (batch, length)).astype("int32")


def texts_of(scale: Scale, path: str | None) -> list[tuple[str, int]]:
    """Return (text, label) rows: of a file, or made of characters with lengths as those of reviews."""
    if path:
        return _read(path)[: scale.texts]
    random = np.random.RandomState(0)
    lengths = np.clip(random.lognormal(3.6, 0.7, scale.texts), 4, 126).astype(int)
    return [("".join(random.choice(list(CHARACTERS), size)), int(k % 2)) for k, size in enumerate(lengths)]


def _read(path: str) -> list[tuple[str, int]]:
    import json

    rows: list[tuple[str, Any]] = []
    with open(path, encoding="utf-8", newline="") as file:
        if Path(path).suffix in (".json", ".jsonl"):
            for line in file:
                row = json.loads(line)
                rows.append((row.get("sentence") or row.get("text"), row.get("label")))
        else:
            rows = [
                (row[0], row[-1]) for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if len(row) > 1
            ]
    numbers = {label: k for k, label in enumerate(sorted({str(label) for _, label in rows}))}
    return [(text, numbers[str(label)]) for text, label in rows]


def vocabulary_of(scale: Scale) -> list[str]:
    """Return a vocabulary with the characters of made texts among its tokens."""
    special = ["[PAD]", *(f"[unused{k}]" for k in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    found = [*special, *dict.fromkeys(CHARACTERS)]
    return [*found, *(f"##x{k}" for k in range(scale.vocabulary - len(found)))]
