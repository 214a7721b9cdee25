"""LAMB: Adam with weight decay and layer adaptation, for large batches."""

from __future__ import annotations

from bert4keras2.optimizers.adam import Adam
from bert4keras2.optimizers.factories import extend_with_layer_adaptation, extend_with_weight_decay

__all__ = ["LAMB"]

# LAMB (You et al., arXiv:1904.00962); its keywords are those of Adam, weight_decay_rate=0.01,
# exclude_from_weight_decay and exclude_from_layer_adaptation.
LAMB = extend_with_layer_adaptation(extend_with_weight_decay(Adam), name="LAMB")
