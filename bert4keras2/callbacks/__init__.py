"""Callbacks for `fit`."""

from bert4keras2.callbacks.resume import Resume

__all__ = ["Resume"]
