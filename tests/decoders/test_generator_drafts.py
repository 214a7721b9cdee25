"""Drafts: the text of greedy decoding in fewer steps of the model."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from cases import build
from keras import ops

from bert4keras2.decoders import Generator
from bert4keras2.decoders.faster.drafting import ngram_draft
from bert4keras2.decoders.options import Options

PROMPTS = [[7, 5, 9, 31, 7, 5, 9, 31, 7, 5], [12, 4, 8], [6, 0, 6, 0, 6]]


@functools.cache
def generating(name: str, **options: Any) -> Any:
    return build(name, max_position_embeddings=24, **options)


def steps(generator: Generator, prompt: list[int], count: int, **options: Any) -> tuple[list[int], int]:
    """Return the ids of a text, and how many steps of the model it took."""
    request = generator._request([generator._prompt(prompt)], count, Options.of(options), [], [0])
    ((found,),) = request.finish()
    return found.ids, int(ops.convert_to_numpy(request.state.calls))


def test_ngrams():
    """What followed the longest run of last tokens, of equally long ones the latest, again and again from its end."""
    line = [1, 2, 3, 4, 9, 2, 3, 5, 2, 3, 0, 0]
    cases = [([1, 2, 3], 3, None), (line, 10, [5, 2, 3, 5]), (line, 7, [4, 9, 2, 3]), ([8, 8, 8, 0], 3, [8] * 4)]
    cases.append(([1, 2, 3, 7, 0, 2, 3, 8, 1, 2, 3], 11, [7, 0, 2, 3]))  # three tokens are more than two
    for ids, end, wanted in cases:
        guesses, found = ngram_draft(ops.convert_to_tensor(np.array(ids, "int32")), np.int32(end), 4)
        assert bool(found) == (wanted is not None)
        assert wanted is None or ops.convert_to_numpy(guesses).tolist() == wanted


@pytest.mark.backend
@pytest.mark.parametrize("name", ["bert-unilm", pytest.param("t5.1.1", marks=pytest.mark.long)])
def test_drafts_write_the_greedy_text(name):
    # The table of 24 positions ends some texts, whose last drafts would leave it.
    plain = Generator(generating(name), end_id=() if name == "bert-unilm" else 3)
    rules = {"repetition_penalty": 1.3, "bad_words": [[7, 5], [9]], "min_length": 3} if name == "bert-unilm" else {}
    expected = plain.generate(PROMPTS, 16, **rules)
    found = plain.generate(PROMPTS, 16, draft="ngram", draft_tokens=3, **rules)
    assert [(one.ids, one.finish_reason) for one in found] == [(one.ids, one.finish_reason) for one in expected]
    np.testing.assert_allclose([one.score for one in found], [one.score for one in expected], atol=2e-4)
    assert name != "bert-unilm" or [one.finish_reason for one in found] == ["positions", "length", "length"]


@pytest.mark.backend
def test_fewer_steps():
    """A text that repeats itself takes a step for each draft, and a draft model that is the model itself errs never."""
    model = generating("bert-lm")
    plain = Generator(model, end_id=())
    expected = plain.generate(PROMPTS[0], 12).ids
    ids, calls = steps(plain, PROMPTS[0], 12, draft=plain, draft_tokens=3)
    assert ids == expected and calls == 3
    bias = next(variable for variable in model.model.weights if "MLM-Bias" in variable.path)
    old = np.array(ops.convert_to_numpy(bias))
    bias.assign(old + 40 * (np.arange(len(old)) == 17))
    ids, calls = steps(plain, PROMPTS[1], 20, draft="ngram", draft_tokens=5)
    bias.assign(old)
    # Three tokens come one by one, since nothing stood before; then six at a time at most.
    assert ids == [17] * 20 and calls <= 6


@pytest.mark.backend
@pytest.mark.breadth
def test_a_smaller_model_drafts():
    plain = Generator(generating("bert-unilm"), end_id=3)
    helper = Generator(generating("bert-unilm", num_hidden_layers=1), end_id=3)
    expected = plain.generate(PROMPTS[0], 10).ids
    ids, calls = steps(plain, PROMPTS[0], 10, draft=helper, draft_tokens=2)
    assert ids == expected and calls <= len(ids) + 1


def test_streams_and_stops():
    from test_generator import generator

    own, options = generator(end_id=()), {"max_new_tokens": 20, "no_repeat_ngram": 2}
    expected = own.generate("今天很好今天很好", **options)
    assert "".join(own.stream("今天很好今天很好", draft="ngram", **options)) == expected.text
    stop = expected.text[3:5]
    first = own.generate("今天很好今天很好", stop=stop, **options)
    assert first.finish_reason == "stop"
    assert own.generate("今天很好今天很好", stop=stop, draft="ngram", **options).ids == first.ids


def test_errors():
    plain = Generator(generating("bert-lm"), end_id=3)
    cases = [
        ({"draft": "ngrams"}, "draft is 'ngram'"),
        ({"draft": "ngram", "strategy": "sample"}, "strategy='greedy'"),
        ({"draft": "ngram", "strategy": "beam"}, "strategy='greedy'"),
        ({"draft": "ngram", "constraint": lambda ids: None}, "constraint"),
        ({"draft": "ngram", "draft_tokens": 0}, "draft_tokens"),
        ({"draft_tokens": 3}, "no draft"),
        ({"draft": Generator(generating("bert-unilm"))}, "application is 'unilm'"),
        ({"draft": Generator(generating("bert-lm", vocab_size=30))}, "vocabulary is 30"),
    ]
    for options, words in cases:
        with pytest.raises(ValueError, match=words):
            plain.generate([5, 6], 4, **options)
    linear = build("bert-lm", attention="linear")
    with pytest.raises(ValueError, match="linear cost"):
        Generator(linear).generate([5, 6], 4, draft="ngram")
