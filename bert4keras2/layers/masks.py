"""Which position may attend to which."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.functional.functions import is_torch_tensor
from bert4keras2.layers.base import Layer, register

__all__ = ["AttentionMask", "causal_mask", "padding_mask", "unilm_mask"]


def padding_mask(token_ids, pad_id: int = 0):
    """Return (B, S) booleans that are true at real positions: `pad_id` is padding, except at position 0."""
    first = ops.ones_like(token_ids[:, :1], dtype="bool")
    rest = token_ids[:, 1:]
    # Keras makes a tensor of the number, for which a GPU is waited for.
    real = rest != pad_id if is_torch_tensor(rest) else ops.not_equal(rest, pad_id)
    return ops.concatenate([first, real], axis=1)


def causal_mask(query_positions, key_positions):
    """Return booleans (..., T, S) that are true where a key is not after the query.

    Args:
        query_positions: (..., T) integers.
        key_positions: (..., S) integers.
    """
    return ops.expand_dims(key_positions, -2) <= ops.expand_dims(query_positions, -1)


def unilm_mask(segment_ids):
    """Return (B, T, T) booleans: segment 0 sees itself both ways, each later position sees what came before it.

    Position i sees j where cumsum(segment)[j] <= cumsum(segment)[i] (UniLM, Dong et al., arXiv:1905.03197).

    Args:
        segment_ids: (B, T) integers, 0 for the source and 1 for the target.
    """
    order = ops.cumsum(ops.cast(segment_ids, "int32"), axis=1)
    return ops.expand_dims(order, 1) <= ops.expand_dims(order, 2)


@register
class AttentionMask(Layer):
    """The boolean mask that all attention layers of a model share: padding, and what the application hides.

    Args:
        application: "encoder" (both ways), "lm" (causal) or "unilm" (source both ways, target causal).
        pad_id: the id that is padding.
    """

    def __init__(self, application: str = "encoder", pad_id: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        if application not in ("encoder", "lm", "unilm"):
            raise ValueError(f"application is 'encoder', 'lm' or 'unilm', not {application!r}")
        self.application, self.pad_id = application, pad_id

    def call(self, token_ids, segment_ids=None):
        """Return (B, 1, 1, T) booleans for an encoder and (B, 1, T, T) otherwise, true where attention may look.

        Args:
            token_ids: (B, T) integers, `pad_id` being padding.
            segment_ids: (B, T) integers, needed for "unilm".
        """
        visible = ops.expand_dims(padding_mask(token_ids, self.pad_id), 1)
        if self.application == "lm":
            positions = ops.arange(ops.shape(token_ids)[1])
            visible = ops.logical_and(visible, ops.expand_dims(causal_mask(positions, positions), 0))
        elif self.application == "unilm":
            if segment_ids is None:
                raise ValueError("A UniLM mask needs segment ids: 0 for the source, 1 for the target")
            visible = ops.logical_and(visible, unilm_mask(segment_ids))
        return ops.expand_dims(visible, 1)

    def compute_mask(self, token_ids, previous_mask=None):
        return None

    def compute_output_spec(self, token_ids, segment_ids=None):
        from keras import KerasTensor

        batch, length = token_ids.shape
        return KerasTensor((batch, 1, 1 if self.application == "encoder" else length, length), dtype="bool")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "application": self.application, "pad_id": self.pad_id}
