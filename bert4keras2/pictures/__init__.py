"""Pictures of training, predictions and models: each is one call, shows itself in a notebook, and goes into a file."""

from bert4keras2.pictures.attention import attention_map
from bert4keras2.pictures.attribution import Attribution, token_attribution
from bert4keras2.pictures.figures import confusion_matrix, training_curve, vector_map
from bert4keras2.pictures.markup import Markup, entities_html

__all__ = [
    "Attribution",
    "Markup",
    "attention_map",
    "confusion_matrix",
    "entities_html",
    "token_attribution",
    "training_curve",
    "vector_map",
]
