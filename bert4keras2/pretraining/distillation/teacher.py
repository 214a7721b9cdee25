"""What a teacher says of texts, computed once and kept on the disk."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.files import atomic_path
from bert4keras2.functional.precision import dtype_policy
from bert4keras2.pretraining.distillation.config import DistillationConfig
from bert4keras2.progress import progress_bar

__all__ = ["principal_axes", "teacher_vectors"]

FOLDER = "vectors"
CHUNK = 4096
SAMPLE = 50_000  # vectors that the axes are computed from


def teacher_vectors(config: DistillationConfig, lines: list[str]) -> np.ndarray:
    """Return the teacher's vectors of texts, (N, D) float16; those that are on the disk are not computed again.

    Args:
        config: of the run; an interrupted one keeps the vectors of finished chunks.
        lines: the texts.
    """
    folder = os.path.join(config.output, FOLDER)
    os.makedirs(folder, exist_ok=True)
    encoder: SentenceEncoder | None = None
    parts = []
    with progress_bar("teacher", len(lines), " texts", config.progress) as advance:
        for start in range(0, len(lines), CHUNK):
            path = os.path.join(folder, f"{start // CHUNK:06d}.npy")
            texts = lines[start : start + CHUNK]
            if not os.path.exists(path):
                encoder = encoder or _encoder(config)
                vectors = encoder.encode([config.prefix + text for text in texts], progress=False)
                with atomic_path(path, ".npy") as partial:
                    np.save(partial, vectors.astype("float16"))
            part = np.load(path, allow_pickle=False)
            if len(part) != len(texts):
                raise ValueError(
                    f"{path} has {len(part)} vectors for {len(texts)} texts: remove {folder} and run again"
                )
            parts.append(part)
            advance(len(texts))
    return np.concatenate(parts)


def _encoder(config: DistillationConfig) -> SentenceEncoder:
    options: dict[str, Any] = {"pooling": config.pooling, "maxlen": config.teacher_length, "batch_size": 64}
    with dtype_policy(config.precision):
        return SentenceEncoder.load(config.teacher, progress=False, **options)


def principal_axes(vectors: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (D,) of vectors (N, D), and (D, W) their principal axes, most important first.

    Vectors of a teacher without their mean, along as many axes as a narrower student is wide, are what it learns: of
    all linear maps to that width, this one keeps the most of their inner products.

    Args:
        vectors: those of the teacher.
        width: of the student. A wider student than the teacher gets zeros behind.
    """
    sample = vectors[:: max(1, len(vectors) // SAMPLE)].astype("float64")
    mean = sample.mean(0)
    centred = sample - mean
    _, axes = np.linalg.eigh(centred.T @ centred / len(sample))
    axes = axes[:, ::-1][:, :width]
    return mean.astype("float32"), np.pad(axes, ((0, 0), (0, width - axes.shape[1]))).astype("float32")
