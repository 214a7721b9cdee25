"""Distillation: a small model learns from what a large one makes of texts."""

from bert4keras2.pretraining.distillation.config import DistillationConfig
from bert4keras2.pretraining.distillation.run import distill

__all__ = ["DistillationConfig", "distill"]
