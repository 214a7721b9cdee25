"""Classes that scripts subclass and extend."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import BASE, batch, randomize, run

from bert4keras2 import models
from bert4keras2.models import BERT, build_transformer_model

pytestmark = pytest.mark.backend
EXTENDED = {"lm": models.extend_with_language_model, "unilm": models.extend_with_unified_language_model}


class Halved(BERT):
    """A script's own graph."""

    def apply_main_layers(self, inputs, index):
        return (inputs + super().apply_main_layers(inputs, index)) / 2


def built(model, **options):
    transformer = build_transformer_model(**BASE, model=model, return_keras_model=False, **options)
    randomize(transformer.model)
    return transformer


@pytest.mark.parametrize("application", EXTENDED)
def test_extended_classes_are_the_applications(application):
    """Such classes have the masks and the token scores of `application`, which golden cases compare."""
    options = {"with_pool": True}
    made = EXTENDED[application](Halved)
    assert issubclass(made, Halved)
    extended, named = built(made, **options), built(Halved, application=application, **options)
    named.model.set_weights([keras.ops.convert_to_numpy(w) for w in extended.model.weights])
    assert [tensor.shape for tensor in extended.outputs] == [(None, 16), (None, None, 40)]
    arrays = batch(extended)
    for found, expected in zip(run(extended.model, arrays), run(named.model, arrays), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(run(extended.model, arrays)[1] - run(built(Halved, with_mlm=True).model, arrays)[0]).max() > 1e-3


def test_what_the_call_says_wins():
    lm, unilm = EXTENDED["lm"](BERT), EXTENDED["unilm"](BERT)
    assert built(lm).config.application == "lm"
    assert built(lm, application="unilm").config.application == "unilm"
    assert built(EXTENDED["lm"](unilm)).config.application == "lm"
    assert built(EXTENDED["lm"](models.RoFormer)).config.position == "rotary"


def test_what_cannot_be_extended():
    for wrong in ("bert", keras.Model, None):
        with pytest.raises(TypeError, match="the model to extend is BERT"):
            EXTENDED["lm"](wrong)


def test_attention_caches():
    with pytest.raises(TypeError, match="does not take 'attention_caches': generation keeps keys .*Generator"):
        build_transformer_model(**BASE, attention_caches={})
    with pytest.raises(TypeError, match="does not take 'dtype': what a model computes in is Keras' policy"):
        build_transformer_model(BASE, dtype="mixed_bfloat16")


class Patterned(BERT):
    """A script's own graph, with options of its own."""

    def __init__(self, pattern_len=3, hidden_size=None, unused_length=None, **kwargs):
        super().__init__(**kwargs)
        self.pattern_len, self.seen, self.unused_length = pattern_len, hidden_size, unused_length

    def apply_final_layers(self, inputs):
        return self.apply(inputs, keras.layers.Lambda, {"scale": self.pattern_len}, function=lambda x, scale: x * scale)


class Deeper(Patterned):
    """A subclass of a subclass: both constructors' options."""

    def __init__(self, expert_model="none", **kwargs):
        super().__init__(pattern_len=7, **kwargs)
        self.expert_model = expert_model


def test_options_of_a_subclass_reach_its_constructor():
    made = built(Patterned, pattern_len=9)
    assert (made.pattern_len, made.seen, made.unused_length) == (9, BASE["hidden_size"], None)
    arrays = batch(made)
    np.testing.assert_allclose(
        run(made.model, arrays)[0], 9 * run(keras.Model(made.inputs, made.hidden_states[-1]), arrays)[0], rtol=1e-5
    )
    deeper = built(Deeper, expert_model="b", unused_length=2)
    assert (deeper.pattern_len, deeper.expert_model, deeper.unused_length) == (7, "b", 2)
    from_file = build_transformer_model({**BASE, "pattern_len": 4}, model=Patterned, return_keras_model=False)
    assert from_file.pattern_len == 4


def test_options_that_no_constructor_takes():
    with pytest.raises(TypeError, match="pattern_length"):
        built(Patterned, pattern_length=9)
    with pytest.raises(TypeError, match="pattern_len"):
        built(BERT, pattern_len=9)

    class Positional(BERT):
        """Hands on by position, as no script for bert4keras did."""

        def __init__(self, size=1, **kwargs):
            super().__init__(size, **kwargs)

    with pytest.raises(TypeError, match=r"config|by name"):
        built(Positional)
