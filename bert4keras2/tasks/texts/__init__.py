"""Texts and their tokens: places, pieces, tags."""
