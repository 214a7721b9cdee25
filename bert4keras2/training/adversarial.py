"""Adversarial training, gradient penalty and virtual adversarial training, each by one call on a model.

Each adds a transform of the loss that the model's training steps follow, in `fit`, `fit_generator` and
`train_on_batch`. Transforms of several calls follow one another: each changes the loss that those before it left.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from bert4keras2.arguments import whole_number
from bert4keras2.training.model import Model
from bert4keras2.training.techniques import add_loss_transform, checked_model, checked_output
from bert4keras2.training.transforms import Adversarial, Penalty, Virtual
from bert4keras2.training.unlabelled import UnlabelledSteps
from bert4keras2.training.variables import find_embedding

__all__ = ["adversarial_training", "gradient_penalty", "virtual_adversarial_training"]


def adversarial_training(model: Model, embedding_name: str, epsilon: float = 1.0) -> None:
    """Train at embeddings that are moved to where the loss is larger (FGM, Miyato et al., arXiv:1605.07725).

    Each step takes the gradient g of the loss by the whole matrix E, and then the gradients of all weights at
    E + epsilon * g / (|g| + 1e-8), with the L2 norm over the whole matrix. The optimizer applies them to E itself,
    which is never changed in between. Logs show loss and metrics at the moved embeddings. An embedding that is frozen
    is moved likewise, and stays as it is.

    Args:
        model: a model of `bert4keras2.backend.keras`, before or after `compile`. Compiling again keeps the transform;
            saved files do not hold it. A second call with the same name replaces the first.
        embedding_name: the name of a layer, such as "Embedding-Token", or a pattern that is searched for in the names
            of layers and the paths of variables.
        epsilon: the L2 norm of the move.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if the name means no variable, or several.
    """
    add_loss_transform(model, Adversarial(_found(model, embedding_name)[1], _positive("epsilon", epsilon)))


def gradient_penalty(model: Model, embedding_name: str, epsilon: float = 1.0, of: str = "vectors") -> None:
    """Add 0.5 * epsilon * |dL/dE|^2 to the loss L that is minimised.

    Second derivatives are needed of all that follows the embedding; on PyTorch attention leaves its fused kernels for
    that. The loss in the logs includes the penalty.

    Args:
        model: a model of `bert4keras2.backend.keras`, before or after `compile`. Compiling again keeps the transform;
            saved files do not hold it. A second call with the same name replaces the first.
        embedding_name: the name of a layer, such as "Embedding-Token", or a pattern that is searched for in the names
            of layers and the paths of variables.
        epsilon: the penalty's weight.
        of: what the gradient is taken by: "vectors", those that the layer looked up for the batch, each occurrence of
            a token by itself (a head that scores by the same table does not count); or "matrix", the table.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if the name means no variable, or several; for another `of`; or for the vectors of a layer that
            is no embedding.
    """
    if of not in ("vectors", "matrix"):
        raise ValueError(f"of is 'vectors' or 'matrix', not {of!r}")
    layer, variable = _found(model, embedding_name)
    if of == "vectors" and not isinstance(layer, keras.layers.Embedding):
        raise ValueError(f"{layer.name} looks up no vectors: pass of='matrix' for the gradient by {variable.path}")
    add_loss_transform(model, Penalty(layer, variable, _positive("epsilon", epsilon), of))


def virtual_adversarial_training(
    model: Model,
    embedding_name: str,
    epsilon: float = 1.0,
    xi: float = 10.0,
    iters: int = 1,
    unlabelled: Any = None,
    optimizer: Any = None,
    weight: float = 1.0,
    from_logits: bool = False,
    output: int | None = None,
) -> None:
    """Keep predictions where they are when embeddings move to where they change most (Miyato et al., arXiv:1704.03976).

    The loss KL(p || q) needs no labels: p are the model's current predictions, held fixed, and q those at embeddings
    moved by epsilon * d. The direction d, of L2 norm 1 over the whole matrix, begins as Gaussian noise and is `iters`
    times replaced by the gradient of KL at embeddings moved by xi * d. Dropout is the same for p and q.

    Without `unlabelled` the loss is added to that of each labelled batch, and `train_on_batch(x)` without labels
    minimises it alone. With `unlabelled`, labelled steps stay as they are, and after each of them one step follows on
    the next unlabelled batch; `fit` reports its loss as "unlabelled_loss".

    Args:
        model: a model of `bert4keras2.backend.keras`, before or after `compile`. Compiling again keeps the transform;
            saved files do not hold it. A second call with the same name replaces the first.
        embedding_name: the name of a layer, such as "Embedding-Token", or a pattern that is searched for in the names
            of layers and the paths of variables.
        epsilon: the L2 norm of the final move.
        xi: the L2 norm of the moves on the way.
        iters: number of improvements of the direction.
        unlabelled: batches x, or tuples (x, ...) of which only x is used: a generator without end, or something that
            can be iterated over again and again, such as a DataGenerator.
        optimizer: of the steps on unlabelled batches; a new one with the configuration of the model's if None.
        weight: factor of the loss.
        from_logits: whether the model's outputs are logits rather than probabilities.
        output: which of the model's outputs the loss is about; needed if there are several.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if the name means no variable, or several; if `output` is missing or wrong; or if there are
            unlabelled batches for a model without a functional graph.
    """
    variable = _found(model, embedding_name)[1]
    iters = whole_number("iters", iters, 0)
    numbers = [_positive(name, x) for name, x in (("epsilon", epsilon), ("xi", xi), ("weight", weight))]
    transform = Virtual(variable, *numbers, iters, from_logits, checked_output(model, output))
    if unlabelled is None:
        add_loss_transform(model, transform)
    else:
        add_loss_transform(model, UnlabelledSteps(model, transform, unlabelled, optimizer))


# -- what the calls have in common -----------------------------------------------------------------------------


def _found(model: Any, name: str) -> tuple[Any, Any]:
    checked_model(model)
    return find_embedding(model, name)


def _positive(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{name} is a number from 0 on, not {value!r}")
    return float(value)
