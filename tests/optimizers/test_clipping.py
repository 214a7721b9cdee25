"""Keras' clipping of gradients goes through the package's optimizers and their rules."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.optimizers import Adam, extend_with_layerwise_decay, extend_with_weight_decay

pytestmark = pytest.mark.backend
GRADIENTS = [np.array([3.0, 4.0], "float32"), np.array([0.3, 0.4], "float32")]


def stepped(make, **options):
    """Return what one step has made of the variables, which began at zero."""
    variables = [keras.Variable(np.zeros(2, "float32"), name=f"Transformer-{i}-x") for i in range(2)]
    optimizer = make(learning_rate=1.0, **options)
    optimizer.build(variables)
    optimizer.apply([ops.convert_to_tensor(gradient) for gradient in GRADIENTS], variables)
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables], optimizer


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"clipnorm": 1.0}, [[0.6, 0.8], [0.3, 0.4]]),
        ({"global_clipnorm": 1.0}, [np.array(g) / np.hypot(5.0, 0.5) for g in GRADIENTS]),
        ({"clipvalue": 0.35}, [[0.35, 0.35], [0.3, 0.35]]),
    ],
)
def test_each_kind(option, expected):
    """By each variable's own norm, by that of all, or number by number."""
    for gradient, change in zip(
        expected, stepped(extend_with_weight_decay(keras.optimizers.SGD), **option)[0], strict=True
    ):
        np.testing.assert_allclose(change, -np.asarray(gradient), rtol=1e-5)
    # Adam's first step is of one length whatever the gradient: its first moment tells.
    _, optimizer = stepped(extend_with_layerwise_decay(Adam), beta_1=0.9, **option)
    moments = [v for v in optimizer.variables if tuple(v.shape) == (2,)]
    for gradient in expected:
        wanted = 0.1 * np.asarray(gradient)
        assert any(np.allclose(ops.convert_to_numpy(moment), wanted, rtol=1e-5) for moment in moments)
