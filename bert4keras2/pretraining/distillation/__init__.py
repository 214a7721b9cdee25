"""Distillation: a small model learns from what a large one makes of texts (`run.distill`, `config`)."""
