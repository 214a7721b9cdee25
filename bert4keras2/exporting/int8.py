"""ONNX models with weights of eight bits, by onnxruntime."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence

import numpy as np

from bert4keras2.exporting.packages import load_package
from bert4keras2.exporting.runtime import OnnxModel

__all__ = ["likeness", "write_int8"]


def write_int8(source: str, target: str) -> None:
    """Write a model whose matrices are int8, each column with a scale of its own; inputs are quantized as they come.

    That is dynamic quantization: matrices take a quarter of the memory, and CPUs with instructions for int8 products
    are faster. Sums, normalizations and softmax stay in float32.

    Args:
        source: an ONNX file in float32.
        target: the file to write.
    """
    quantization = load_package("onnxruntime.quantization", "Exporting with int8=True")
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)  # it advises a preparation that these graphs have behind them
    try:
        with tempfile.TemporaryDirectory() as folder:
            partial = os.path.join(folder, "int8.onnx")
            quantization.quantize_dynamic(
                source, partial, weight_type=quantization.QuantType.QInt8, per_channel=True, reduce_range=_narrow()
            )
            with open(partial, "rb") as read, open(target, "wb") as written:
                written.write(read.read())
    finally:
        logger.setLevel(before)


def _narrow() -> bool:
    """Whether weights have to keep to seven bits: products of int8 overflow on x86 CPUs without VNNI."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return "avx2" in flags and "vnni" not in flags


def likeness(exact: OnnxModel, coarse: OnnxModel, examples: Sequence[Sequence[np.ndarray]]) -> float:
    """Return the mean cosine between the first outputs of two models, over the last axis of all finite entries.

    Args:
        exact: the model as it was.
        coarse: the model with coarser weights.
        examples: inputs of both.
    """
    cosines = []
    for arrays in examples:
        a, b = (np.where(np.isfinite(x) & (np.abs(x) < 1e20), x, 0) for x in (exact(arrays), coarse(arrays)))
        a, b = (x.reshape(-1, x.shape[-1]).astype("float64") for x in (a, b))
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        kept = norms > 0
        cosines += ((a * b).sum(1)[kept] / norms[kept]).tolist()
    return float(np.mean(cosines)) if cosines else 1.0
