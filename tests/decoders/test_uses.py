"""What is done with generators on tiny models: synonyms, dialogues, Gibbs sampling, constraints, choices."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pytest

from bert4keras2.backend import set_seed
from bert4keras2.decoders import (
    Dialogue,
    Generator,
    choose_candidate,
    dialogue_prompt,
    gen_synonyms,
    gibbs_sample,
    substring_constraint,
)
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import Tokenizer

pytestmark = pytest.mark.backend
CHARACTERS = "我们今天去吃饭好吗气不错"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[speaker1]", "[speaker2]", *CHARACTERS]
TOKENIZER = Tokenizer({token: i for i, token in enumerate(TOKENS)})
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


@functools.cache
def model_of(name: str, **options):
    """Return a model whose untrained scores differ from token to token, and its generator if it generates."""
    set_seed(1)
    model = build_transformer_model({**SIZES, "initializer_range": 0.3}, vocab_size=len(TOKENS), model=name, **options)
    return model, None if options.get("with_mlm") else Generator(model, TOKENIZER)


def test_synonyms_of_one_model():
    from bert4keras2.embeddings import SentenceEncoder, similarity

    model, generator = model_of("simbert")
    encoder = SentenceEncoder(model, TOKENIZER, pooling="pooler", maxlen=16)
    text = "今天去吃饭"
    found = gen_synonyms(generator, encoder, text, n=12, k=5, max_new_tokens=4, top_k=8, seed=1)
    assert found == gen_synonyms(generator, encoder, text, n=12, k=5, max_new_tokens=4, top_k=8, seed=1)
    texts, scores = [text for text, _ in found], [score for _, score in found]
    assert len(found) == 5 == len(set(texts)) and text not in texts
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, similarity(encoder.encode(text), encoder.encode(texts))[0], atol=1e-5)
    drawn = generator.generate([text], 4, strategy="sample", num_return=12, top_k=8, seed=1)[0]
    assert set(texts) <= {one.text for one in drawn}
    every = gen_synonyms(generator, encoder, text, n=12, max_new_tokens=4, top_k=8, seed=1)
    assert {one for one, _ in every} == {one.text for one in drawn} - {"", text} and every[:5] == found


@pytest.mark.parametrize(
    ("name", "style"), [pytest.param("nezha_gpt", "segments", marks=pytest.mark.breadth), ("cdial_gpt", "speakers")]
)
def test_dialogue(name, style):
    model, generator = model_of(name, max_position=48)
    before = generator.prompter.segment, generator.end_ids
    dialogue = Dialogue(generator, maxlen=40, max_new_tokens=4, top_k=1)
    assert dialogue.style == style
    history = []
    for number, text in enumerate(["今天好吗", "去吃饭", "天气不错"]):
        history.append(text)
        ids, segments = dialogue_prompt(TOKENIZER, history, style, 36)
        # By hand: the likeliest tokens of the model itself over ids and segments one longer at each step.
        after = segments[-1] if style == "speakers" else 1
        expected = []
        while len(expected) < 4:
            arrays = [np.asarray([ids + expected]), np.asarray([segments + [after] * len(expected)])]
            token = int(model.predict(arrays, verbose=0)[0, -1].argmax())
            if token == TOKENIZER._token_end_id or (style == "speakers" and token in (5, 6)):
                break
            expected.append(token)
        assert dialogue.say(text) == TOKENIZER.decode(expected), number
        history.append(TOKENIZER.decode(expected))
        assert dialogue.history == history
        if number == 0:
            expected_first = history[1]
    assert (generator.prompter.segment, generator.end_ids) == before, "the generator itself is as it was"
    dialogue.reset()
    assert dialogue.history == [] and dialogue.say("今天好吗") == expected_first


@pytest.mark.parametrize(("name", "expected"), [("nezha_gpt", [1, 1, 0]), ("cdial_gpt", [6, 6, 5])])
def test_segment_of_a_reply(name, expected, monkeypatch):
    """It is the next speaker's, also where an odd number of turns was said before yours."""
    _, generator = model_of(name, max_position=48)
    seen, real = [], Generator.generate

    def generate(self, *args, **kwargs):
        seen.append(self.prompter.segment)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Generator, "generate", generate)
    dialogue = Dialogue(generator, max_new_tokens=4, seed=1)
    dialogue.say("今天")
    dialogue.say("今天")
    dialogue.history = ["今天"]
    dialogue.say("天气")
    assert seen == expected


def test_a_speaker_ends_a_reply():
    _, generator = model_of("cdial_gpt", max_position=48)
    says = {"max_new_tokens": 8, "strategy": "greedy"}
    for speaker in (5, 6):
        dialogue = Dialogue(generator, constraint=lambda ids, s=speaker: [7] if len(ids) != 2 else [s], **says)
        assert dialogue.say("今天") == "我我"
    free = Dialogue(generator, constraint=lambda ids: [7], **says)
    assert free.say("今天") == "我" * 8


def test_dialogue_forgets_in_time():
    _, generator = model_of("cdial_gpt", max_position=48)
    dialogue = Dialogue(generator, max_new_tokens=6, seed=3)
    assert dialogue.maxlen == 48, "the model's positions"
    for _ in range(8):
        dialogue.say("今天天气好吗")
    assert len(dialogue.history) == 16
    again = Dialogue(generator, max_new_tokens=6, seed=3)
    assert [again.say("今天天气好吗") for _ in range(8)] == dialogue.history[1::2]


def test_gibbs():
    model, _ = model_of("bert", with_mlm=True)
    text = "今天去吃饭"
    found = gibbs_sample(model, TOKENIZER, text, steps=30, seed=1, burn_in=10, every=5)
    assert len(found) == 4 and len(set(found)) > 1
    assert found == gibbs_sample(model, TOKENIZER, text, steps=30, seed=1, burn_in=10, every=5)
    assert [found[-1]] == gibbs_sample(model, TOKENIZER, text, steps=30, seed=1)
    # Speakers' tokens may be drawn, but decoding leaves them out.
    assert all(0 < len(one) <= len(text) and set(one) <= set(CHARACTERS) for one in found)
    # Only the second character is drawn; [MASK]s that nothing was drawn for show.
    (one,) = gibbs_sample(model, TOKENIZER, text, steps=5, positions=[2], seed=2)
    assert one.startswith("今") and one.endswith("去吃饭")
    (one,) = gibbs_sample(model, TOKENIZER, 3, steps=3, positions=[1], seed=2)
    assert one.endswith("[MASK][MASK]") and not one.startswith("[MASK]")
    (one,) = gibbs_sample(model, TOKENIZER, TOKENIZER.encode(text)[0], steps=30, seed=1)
    assert one == found[-1]


def test_gibbs_draws_from_the_model():
    """Scores and probabilities are the same thing, and a cold chain takes the likeliest token."""
    model, _ = model_of("bert", with_mlm=True)
    ids = TOKENIZER.encode("今天去吃饭")[0]
    masked = np.asarray([[*ids[:3], TOKENIZER._token_mask_id, *ids[4:]]])
    row = model.predict([masked, 0 * masked], verbose=0)[0, 3].copy()
    row[:5] = 0  # special tokens are not drawn
    cold = gibbs_sample(model, TOKENIZER, ids, steps=1, positions=[3], temperature=1e-4, seed=0)
    assert cold == [TOKENIZER.decode([*ids[:3], int(row.argmax()), *ids[4:]])]
    linear = build_transformer_model(
        {**SIZES, "initializer_range": 0.3}, vocab_size=len(TOKENS), with_mlm="linear", return_keras_model=False
    )
    linear.model.set_weights(model.get_weights())
    for seed in range(3):
        options = {"steps": 8, "seed": seed, "temperature": 1.5}
        assert gibbs_sample(linear, TOKENIZER, ids, **options) == gibbs_sample(model, TOKENIZER, ids, **options)
    # Many draws at one place follow its distribution.
    drawn = gibbs_sample(model, TOKENIZER, ids, steps=400, positions=[3], seed=5, every=1)
    share = np.mean([one == cold[0] for one in drawn])
    assert abs(share - row.max() / row.sum()) < 0.1


def test_gibbs_errors():
    model, _ = model_of("bert", with_mlm=True)
    for arguments, says in [
        ({"steps": 0}, "steps is a whole number"),
        ({"steps": 5, "burn_in": 5}, "burn_in=5 leaves nothing"),
        ({"every": 0}, "every is a whole number"),
        ({"temperature": 0}, "temperature is above 0"),
        ({"positions": [9]}, "positions are from 0 to 3"),
        ({"positions": []}, "no position to draw at"),
    ]:
        with pytest.raises(ValueError, match=says):
            gibbs_sample(model, TOKENIZER, "今天", **arguments)
    with pytest.raises(TypeError, match="text is a str"):
        gibbs_sample(model, TOKENIZER, ["今", "天"])
    with pytest.raises(ValueError, match="at least 1"):
        gibbs_sample(model, TOKENIZER, 0)
    encoder = build_transformer_model(SIZES, vocab_size=len(TOKENS))
    with pytest.raises(ValueError, match="with_mlm=True"):
        gibbs_sample(encoder, TOKENIZER, "今天")
    bare = Tokenizer({token: i for i, token in enumerate(TOKENS) if token != "[MASK]"} | {"饱": 4})
    with pytest.raises(ValueError, match=r"needs \[MASK\]"):
        gibbs_sample(model, bare, "今天")


@pytest.mark.parametrize("strategy", ["greedy", "sample", "beam"])
def test_answers_stand_in_the_passage(strategy):
    _, generator = model_of("bert", application="unilm")
    passage = TOKENIZER.encode("我们今天去吃饭今天天气不错")[0][1:-1]
    constraint = substring_constraint(passage, TOKENIZER._token_end_id)
    options = {"sample": {"num_return": 6, "seed": 1}, "beam": {"num_beams": 3, "num_return": 3}}.get(strategy, {})
    found = generator.generate(["好吗"], 20, strategy=strategy, constraint=constraint, **options)[0]
    places = ["".join(map(chr, passage))]
    for one in found if isinstance(found, list) else [found]:
        assert one.ids and "".join(map(chr, one.ids)) in places[0]
        assert one.finish_reason == "end"
    free = generator.generate("好吗", 20)
    assert "".join(map(chr, free.ids)) not in places[0], "the constraint has something to do"


def test_choice_of_a_model():
    model, generator = model_of("bert", application="unilm")
    candidates = ["天气", "不", "去吃饭"]
    choice = choose_candidate(generator, "今天", candidates, end=True)
    ids, segments = TOKENIZER.encode("今天")
    sums = []
    for one in candidates:
        own = [*TOKENIZER.encode(one)[0][1:]]
        arrays = [np.asarray([ids + own]), np.asarray([segments + [1] * len(own)])]
        rows = model.predict(arrays, verbose=0)[0, len(ids) - 1 : -1]
        sums.append(np.log(rows[np.arange(len(own)), own]).sum())
    np.testing.assert_allclose(choice.scores, sums, atol=2e-4)
    assert choice.candidate == candidates[int(np.argmax(sums))]
    np.testing.assert_allclose(choice.probabilities, np.exp(sums) / np.exp(sums).sum(), atol=1e-4)
    mean = choose_candidate(generator, "今天", candidates, end=True, per_token=True)
    assert mean.index == int(np.argmax(np.asarray(sums) / [3, 2, 4]))


@pytest.mark.breadth
def test_page():
    """The snippets of the page run, one after another."""
    text = (Path(__file__).parents[2] / "docs" / "generation_uses.md").read_text(encoding="utf-8")
    namespace = {"__name__": "docs"}
    found = re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    assert len(found) == 10
    for block in found:
        exec(compile(block, "docs/generation_uses.md", "exec"), namespace)
    assert len(namespace["both"]) == 2 and len(namespace["dialogue"].history) == 2
    assert namespace["answer"].text in namespace["passage"]
    assert namespace["ids"] == namespace["tokenizer"].encode(namespace["passage"], namespace["question"])[0]
