"""Scores of given texts, and what the generator refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import BASE, CONDITION, build
from test_generator import deterministic, generator, log_probability, tokenizer

from bert4keras2.decoders import Generator
from bert4keras2.models import build_transformer_model

# -- scores ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [pytest.param("bert-unilm", marks=pytest.mark.backend), "bert-lm", "t5.1.1", "gpt2-conditional"]
)
def test_score(name):
    transformer = build(name, **({"final_activation": "softmax"} if name == "gpt2-conditional" else {}))
    linear = "linear" in (transformer.config.final_activation, transformer.config.with_lm)
    assert not linear
    prompts = [[5, 0, 7], [8], [9, 10, 11, 12, 13, 14, 15], [3, 4]]
    candidates = [[[4, 5], [6], [7, 0, 9, 1]], [], [[8]], [[2, 1]]]
    extra = np.random.RandomState(0).standard_normal((4, CONDITION)).astype("float32")
    extra = [extra] if transformer.additional_input_layers else []
    found = Generator(transformer, end_id=3).score(prompts, candidates, end=True, extra=extra)
    assert [len(group) for group in found] == [3, 0, 1, 1]
    for row, (prompt, group) in enumerate(zip(prompts, candidates, strict=True)):
        for ids, score in zip(group, found[row], strict=True):
            own = [array[row : row + 1] for array in extra]
            assert abs(score - log_probability(transformer, prompt, [*ids, 3], int(name == "bert-unilm"), own)) < 1e-4


def test_score_up_to_the_last_position():
    found = Generator(deterministic()).score([[5] * 38, [6, 7]], [[[4, 9]], [[8] * 20, [9]]])
    for prompt, ids, score in (([5] * 38, [4, 9], found[0][0]), ([6, 7], [8] * 20, found[1][0])):
        assert abs(score - log_probability(deterministic(), prompt, ids)) < 1e-4
    with pytest.raises(ValueError, match="41 tokens together"):
        Generator(deterministic()).score([[5] * 38], [[[4, 9, 1]]])


def test_score_of_texts():
    (found,) = generator().score(["今天"], [["很好", "it is good"]])
    prompt = tokenizer().encode("今天")[0][:-1]
    for score, tokens in zip(found, (["很", "好"], ["it", "is", "good"]), strict=True):
        ids = tokenizer().tokens_to_ids(tokens)
        assert abs(score - log_probability(deterministic(), prompt, ids)) < 1e-4


# -- errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ValueError, "40 tokens, but the model knows 40 positions", lambda g: g.generate([5] * 40)),
        (ValueError, "has no tokens", lambda g: g.generate([[5], []])),
        (ValueError, "id 99, but the model's vocabulary has", lambda g: g.generate([5, 99])),
        (ValueError, "raise num_beams", lambda g: g.generate([5], strategy="beam", num_beams=2, num_return=3)),
        (ValueError, "Greedy decoding has one result", lambda g: g.generate([5], num_return=2)),
        (ValueError, "top_p is a share", lambda g: g.generate([5], strategy="sample", top_p=0.0)),
        (ValueError, "top_p is a share", lambda g: g.generate([5], strategy="sample", top_p=1.5)),
        (ValueError, "top_k is a whole number", lambda g: g.generate([5], strategy="sample", top_k=0)),
        (ValueError, "temperature is above 0", lambda g: g.generate([5], strategy="sample", temperature=0)),
        (ValueError, "top_k is for strategy='sample'", lambda g: g.generate([5], top_k=3)),
        (ValueError, "num_beams is for strategy='beam'", lambda g: g.generate([5], num_beams=3)),
        (ValueError, "length_penalty is for", lambda g: g.generate([5], length_penalty=1.0)),
        (ValueError, "greedy, sample, beam, not 'nucleus'", lambda g: g.generate([5], strategy="nucleus")),
        (TypeError, "no option 'topp'. Did you mean 'top_p'", lambda g: g.generate([5], topp=0.9)),
        (TypeError, "Did you mean 'temperature'", lambda g: g.stream([5], temprature=0.9)),
        (ValueError, "max_new_tokens is at least 1", lambda g: g.generate([5], max_new_tokens=0)),
        (TypeError, "needs a tokenizer", lambda g: g.generate("今天")),
        (TypeError, "bad_words as texts need", lambda g: g.generate([5], bad_words=["今"])),
        (ValueError, "stop holds texts, so", lambda g: g.generate([5], stop="今")),
        (ValueError, "needs a tokenizer", lambda g: g.stream([5])),
        (TypeError, "A prompt is a text", lambda g: g.generate([{"text": 1}])),
        (ValueError, "2 ids and 1 segment ids", lambda g: g.generate(([5, 6], [0]))),
        (ValueError, "0 additional inputs", lambda g: g.generate([5], extra=[np.zeros((1, 5))])),
        (ValueError, "with an end_id", lambda g: g.generate([5], constraint=lambda ids: [])),
        (ValueError, "leave no text", lambda g: g.generate([5], bad_words=[[i] for i in range(40)], strategy="beam")),
        (ValueError, "counts an end token", lambda g: g.score([[5]], [[[5]]], end=True)),
        (ValueError, "takes a list of prompts", lambda g: g.score([5, 6], [[7], [8]])),
        (ValueError, "candidate has id 77", lambda g: g.score([[5]], [[[77]]])),
    ],
)
def test_errors(error, words, call):
    with pytest.raises(error, match=words):
        call(Generator(deterministic()))


def test_models_that_do_not_generate():
    with pytest.raises(ValueError, match="application='encoder'"):
        Generator(build("bert-encoder"))
    with pytest.raises(ValueError, match="half of an encoder-decoder"):
        Generator(build("t5.1.0-decoder"))
    with pytest.raises(ValueError, match="with_lm=False"):
        Generator(build("mt5-states"))
    with pytest.raises(TypeError, match="build_transformer_model"):
        Generator(keras.Sequential([keras.layers.Dense(2)]))
    own = Generator(build("gpt2-conditional"))
    with pytest.raises(ValueError, match="1 additional inputs"):
        own.generate([5, 6])
    with pytest.raises(ValueError, match="1 additional inputs"):
        own.score([[5, 6]], [[[7]]])


def test_maxlen():
    own = generator(maxlen=4)
    assert own.generate([5] * 60, 3) == generator().generate([5] * 4, 3)
    cut = generator().generate(tokenizer().encode("今天气", maxlen=4)[0][:-1], 3)
    assert own.generate("今天气很好我们去公园", 3) == cut


def test_model_and_transformer():
    """A Keras model of build_transformer_model generates as its transformer does."""
    model = build_transformer_model(**BASE, application="lm")
    assert Generator(model).generate([5], 4) == Generator(model.transformer).generate([5], 4)
