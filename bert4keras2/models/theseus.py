"""BERT-of-Theseus: a shallow model learns in the place of parts of a deep one, module by module."""

from __future__ import annotations

from typing import Any

from bert4keras2.arguments import whole_number
from bert4keras2.layers.replacement import Replacement
from bert4keras2.models.transformer import Transformer
from bert4keras2.training.model import Model

__all__ = ["bert_of_theseus"]


def bert_of_theseus(
    small: Any, big: Any, rate: float = 0.5, steps: int | None = None, seed: int | None = None
) -> Model:
    """Return a model in which modules of a trained deep model are replaced by blocks of a shallow one, by chance.

    The embeddings, and each block of `small` beside the blocks of `big` that it stands for, are one module each; per
    batch each module's output is the small one's with the probability `rate`, otherwise the big one's
    (arXiv:2002.02925, kexue.fm/archives/7575). In prediction it is always the small one's. The big model is frozen;
    both are computed in training. Three stages:

        trained = Model(big.inputs, head(big.output[:, 0]))          # 1. fit; then head.trainable = False
        mixed = bert_of_theseus(small, big)
        theseus = Model(mixed.inputs, head(mixed.output[:, 0]))      # 2. compile and fit
        last = Model(small.inputs, head(small.output[:, 0]))         # 3. head.trainable = True, compile and fit

    Args:
        small: the successor, of `build_transformer_model(..., num_hidden_layers=3, prefix="Small-",
            return_keras_model=False)`; from the same checkpoint it starts as the first blocks of it.
        big: the predecessor, trained; it is frozen.
        rate: how often a module is the small one's, from 0 to 1.
        steps: after so many steps it always is, the rate rising in a line (the paper's curriculum); None for never.
        seed: of the draws.

    Returns:
        A model from the small one's inputs to its outputs.

    Raises:
        TypeError: if one is no model of `build_transformer_model`.
        ValueError: if widths, depths or names do not go together, or a number is out of range.
    """
    successor, predecessor = _transformer("small", small), _transformer("big", big)
    own, other = successor.config, predecessor.config
    if own.prefix == other.prefix:
        raise ValueError("small and big have layers of the same names: build one of them with prefix='Small-'")
    if own.hidden_size != other.hidden_size:
        raise ValueError(f"small is {own.hidden_size} wide and big {other.hidden_size}: modules need one width")
    if own.num_hidden_layers > other.num_hidden_layers or other.num_hidden_layers % own.num_hidden_layers:
        raise ValueError(
            f"the {other.num_hidden_layers} blocks of big are shared out among the {own.num_hidden_layers} of small"
            " evenly: its number has to be a multiple"
        )
    if len(successor.inputs) != len(predecessor.inputs):
        raise ValueError(f"small takes {len(successor.inputs)} inputs and big {len(predecessor.inputs)}")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise ValueError(f"rate is a probability from 0 to 1, not {rate!r}")
    steps = None if steps is None else whole_number("steps", steps, 1)
    predecessor.model.trainable = False
    count = other.num_hidden_layers // own.num_hidden_layers
    before = successor.context, successor.hidden_states, predecessor.context

    def replaced(number: int, mine: Any, theirs: Any) -> Any:
        # One seed for all would let all modules draw alike.
        name, mixed = f"{own.prefix}Replacement-{number}", None if seed is None else seed + number
        return Replacement(rate, steps, mixed, name=name)([mine, theirs])

    try:
        inputs = list(successor.inputs)
        x = replaced(0, successor.hidden_states[0], predecessor.apply_embeddings(inputs))
        for index in range(own.num_hidden_layers):
            theirs = x
            for number in range(index * count, (index + 1) * count):
                theirs = predecessor.apply_main_layers(theirs, number)
            x = replaced(index + 1, successor.apply_main_layers(x, index), theirs)
        outputs = successor.apply_final_layers(x)
    finally:
        successor.context, successor.hidden_states, predecessor.context = before
    return Model(successor.input, outputs, name=f"{own.prefix}theseus")


def _transformer(name: str, model: Any) -> Transformer:
    found = model if isinstance(model, Transformer) else getattr(model, "transformer", None)
    if not isinstance(found, Transformer) or found.config.stack != "single":
        raise TypeError(f"{name} is a model of build_transformer_model with one stack, not {type(model).__name__}")
    return found
