"""Rotary positions of two axes, their layouts for texts with images, and patches as input."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import run
from generating import tiny
from keras import ops

from bert4keras2.decoders import Generator
from bert4keras2.functional.functions import rotate
from bert4keras2.layers import RotaryPosition
from bert4keras2.snippets import mixed_positions, to_patches

IDS = np.array([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]])


@pytest.mark.backend
def test_scores_depend_on_differences_alone_and_text_is_text():
    q, k = np.random.RandomState(0).standard_normal((2, 1, 1, 8)).astype("float32")
    layer = RotaryPosition(8, axes=2)

    def score(a, b):
        turned = []
        for x, place in ((q, a), (k, b)):
            sin, cos = layer(ops.zeros((1, 1)), position_ids=ops.convert_to_tensor([[place]], dtype="float32"))
            turned.append(ops.convert_to_numpy(rotate(ops.convert_to_tensor(x), sin, cos)))
        return float((turned[0] * turned[1]).sum())

    assert score((3, 1.5), (1, 4)) == pytest.approx(score((5, 0.5), (3, 3)), abs=1e-5)
    assert abs(score((3, 1), (1, 4)) - score((1, 3), (4, 1))) > 1e-3  # the axes are told apart
    assert abs(score((2, 0), (0, 0)) - score((1, 1), (0, 0))) > 1e-3  # and not only their sum counts
    plain = RotaryPosition(8)(ops.zeros((1, 6)))
    places = ops.convert_to_tensor(np.repeat(np.arange(6.0)[None, :, None], 2, -1).astype("float32"))
    for a, b in zip(plain, layer(ops.zeros((1, 6)), position_ids=places), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-6)


@pytest.mark.parametrize(("h", "w", "before"), [(1, 1, 3), (2, 5, 1), (4, 3, 7)])
def test_layouts_keep_their_promises(h, w, before):
    for rule in ("tie", "tie_equivalent", "tie_v2"):
        places = mixed_positions([before, (h, w), 2], rule)
        assert places.shape == (before + h * w + 2, 2)
        left, image, right = places[before - 1], places[before : before + h * w], places[-2]
        assert right[0] == right[1] and left[0] == before - 1
        np.testing.assert_allclose(image[0] - left, right - image[-1], rtol=1e-5)  # equal gaps in both axes
        if rule == "tie_v2":
            gaps = (h * w - h) / 2 + 1, (h * w - w) / 2 + 1
            np.testing.assert_allclose(image[0] - left, gaps)
            grid = image.reshape(h, w, 2)
            assert (np.diff(grid[..., 0], axis=0) == 1).all() and (np.diff(grid[..., 1], axis=1) == 1).all()
        if rule == "tie":
            assert right[0] - left[0] == (h + 1) * (w + 1)
        else:
            assert right[0] - left[0] == pytest.approx(h * w + 1)  # as many tokens as patches
    np.testing.assert_array_equal(mixed_positions([before, (h, w)], "flat"), mixed_positions([before + h * w]))


@pytest.mark.backend
def test_a_text_model_takes_images():
    text = tiny(model="roformer")
    mixed = tiny(model="roformer", position_axes=2, patch_size=4)
    values = {w.path.split("/", 1)[-1] + w.path: w for w in text.model.weights}
    for variable in mixed.model.weights:
        source = values.get(variable.path.split("/", 1)[-1] + variable.path)
        if source is not None:
            variable.assign(source)
    assert len(mixed.model.weights) == len(text.model.weights) + 1
    places = np.repeat(mixed_positions([5])[None], 2, 0)
    patches = np.zeros((2, 5, 4), "float32")
    expected = run(text.model, [IDS, 0 * IDS])[0]
    np.testing.assert_allclose(run(mixed.model, [IDS, 0 * IDS, places, patches])[0], expected, atol=1e-5)
    patches[:, 1] = 1
    assert np.abs(run(mixed.model, [IDS, 0 * IDS, places, patches])[0] - expected).max() > 1e-3
    mixed.model.compile("sgd", "mse", run_eagerly=keras.backend.backend() == "tensorflow")
    assert np.isfinite(mixed.model.train_on_batch([IDS, 0 * IDS, places, patches], expected))


def test_patches_and_what_cannot_be():
    image = np.arange(24).reshape(4, 6)
    assert to_patches(image, 2).tolist()[1] == [2, 3, 8, 9]
    assert to_patches(image[..., None].repeat(3, -1), 2).shape == (6, 12)
    with pytest.raises(ValueError, match="4 x 6 has no whole number of patches of 4 x 4"):
        to_patches(image, 4)
    with pytest.raises(ValueError, match="rule is one of tie"):
        mixed_positions([1], "ties")
    with pytest.raises(ValueError, match="position_axes=2 is for rotary positions, and bert has absolute"):
        tiny(position_axes=2)
    with pytest.raises(ValueError, match="predict the next token by the model itself"):
        Generator(tiny(model="roformer", application="lm", position_axes=2).model, end_id=3)
