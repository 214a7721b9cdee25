"""PGD and FreeLB against the ascent by hand."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import IDS, LABELS, compiled, forward, gradients, pooling_model, wide

from bert4keras2.training import adversarial_training, free_lb, pgd

pytestmark = pytest.mark.backend
TARGET = np.eye(3)[LABELS]


def at(weights, move):
    return [weights[0] + move, *weights[1:]]


def ascent(weights, epsilon, alpha, steps):
    """Return the moves of the table, from none on."""
    moves = [np.zeros_like(weights[0])]
    for _ in range(steps):
        gradient = gradients(at(weights, moves[-1]), TARGET)[0][0]
        move = moves[-1] + alpha * gradient / np.sqrt((gradient**2).sum())
        moves.append(move * min(1, epsilon / np.sqrt((move**2).sum())))
    return moves


def loss(weights):
    return -np.log(forward(weights)[1][np.arange(2), LABELS]).mean()


@pytest.mark.parametrize(("technique", "epsilon"), [(pgd, 0.5), (pgd, 9.0), (free_lb, 0.5)])
def test_a_step_by_hand(technique, epsilon):
    model = compiled(pooling_model())
    technique(model, "Embedding-Token", epsilon, 0.3, 3)
    weights = wide(model)
    moves = ascent(weights, epsilon, 0.3, 3)
    points = [at(weights, move) for move in (moves[-1:] if technique is pgd else moves[:-1])]
    found = model.train_on_batch(IDS, LABELS)
    np.testing.assert_allclose(found, np.mean([loss(point) for point in points]), atol=1e-5)
    slopes = [np.mean(parts, axis=0) for parts in zip(*(gradients(point, TARGET)[0] for point in points), strict=True)]
    for old, new, slope in zip(weights, wide(model), slopes, strict=True):
        np.testing.assert_allclose(old - new, slope, atol=3e-6)


def test_relatives():
    """One step of PGD is FGM, and one of FreeLB a plain step."""
    pairs = [
        (lambda m: pgd(m, "Embedding-Token", 5.0, 0.4, 1), lambda m: adversarial_training(m, "Embedding-Token", 0.4)),
        (lambda m: free_lb(m, "Embedding-Token", 5.0, 0.4, 1), lambda m: None),
    ]
    for techniques in pairs:
        found = []
        for technique in techniques:
            model = compiled(pooling_model())
            technique(model)
            model.train_on_batch(IDS, LABELS)
            found.append(wide(model))
        for left, right in zip(*found, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-6)


def test_arguments():
    model = compiled(pooling_model())
    for options in ({"epsilon": 0}, {"alpha": -1}, {"steps": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            pgd(model, "Embedding-Token", **options)
    with pytest.raises(ValueError, match="Embedding-Token"):
        free_lb(model, "Embeding-Tokens")
