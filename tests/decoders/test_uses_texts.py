"""What needs no model: layouts of dialogues, constraints, choices, measures, and the errors of all."""

from __future__ import annotations

import types

import numpy as np
import pytest

from bert4keras2.decoders import Dialogue, choose_candidate, dialogue_prompt, gen_synonyms, substring_constraint
from bert4keras2.metrics import exact_match, rouge_l
from bert4keras2.tokenizers import Tokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[speaker1]", "[speaker2]", *"甲乙丙丁戊"]
TOKENIZER = Tokenizer({token: i for i, token in enumerate(TOKENS)})
CLS, SEP, ONE, TWO, A, B, C, D, E = 2, 3, 5, 6, 7, 8, 9, 10, 11


def test_prompt_with_segments():
    ids, segments = dialogue_prompt(TOKENIZER, ["甲乙", "丙", "丁戊"])
    assert ids == [CLS, A, B, SEP, C, SEP, D, E, SEP]
    assert segments == [0, 0, 0, 0, 1, 1, 0, 0, 0]
    assert (
        dialogue_prompt(TOKENIZER, ["甲"], reply=False) == dialogue_prompt(TOKENIZER, ["甲"]) == ([2, 7, 3], [0, 0, 0])
    )


def test_prompt_with_speakers():
    ids, segments = dialogue_prompt(TOKENIZER, ["甲乙", "丙", "丁"], "speakers")
    assert ids == [CLS, ONE, A, B, TWO, C, ONE, D, TWO]
    assert segments == [CLS, ONE, ONE, ONE, TWO, TWO, ONE, ONE, TWO]
    ids, segments = dialogue_prompt(TOKENIZER, ["甲", "丙"], "speakers", reply=False)
    assert ids == [CLS, ONE, A, TWO, C, SEP] and segments == [CLS, ONE, ONE, TWO, TWO, TWO]


@pytest.mark.parametrize("style", ["segments", "speakers"])
def test_prompt_drops_old_turns(style):
    turns = ["甲乙", "丙", "丁戊"]
    whole = len(dialogue_prompt(TOKENIZER, turns, style)[0])
    assert dialogue_prompt(TOKENIZER, turns, style, whole) == dialogue_prompt(TOKENIZER, turns, style)
    assert dialogue_prompt(TOKENIZER, turns, style, whole - 1) == dialogue_prompt(TOKENIZER, turns[1:], style)
    assert dialogue_prompt(TOKENIZER, turns, style, whole - 4) == dialogue_prompt(TOKENIZER, turns[2:], style)
    # A turn too long loses its beginning.
    least = 4 if style == "speakers" else 3
    assert dialogue_prompt(TOKENIZER, turns, style, least) == dialogue_prompt(TOKENIZER, ["戊"], style)
    with pytest.raises(ValueError, match="leaves no room"):
        dialogue_prompt(TOKENIZER, turns, style, least - 1)


def test_prompt_errors():
    with pytest.raises(ValueError, match="style is 'segments'"):
        dialogue_prompt(TOKENIZER, ["甲"], "roles")
    with pytest.raises(TypeError, match="list of str"):
        dialogue_prompt(TOKENIZER, "甲")
    with pytest.raises(ValueError, match="at least one turn"):
        dialogue_prompt(TOKENIZER, [])
    with pytest.raises(ValueError, match="two tokens of the vocabulary"):
        dialogue_prompt(TOKENIZER, ["甲"], "speakers", speakers=("[user]", "[system]"))


def brute(passages, ids, end, allow_empty=False):
    """Return what may follow, by looking at every place."""
    found = {one[i + len(ids)] for one in passages for i in range(len(one) - len(ids)) if one[i : i + len(ids)] == ids}
    return sorted(found | ({end} if ids or allow_empty else set()))


@pytest.mark.parametrize("count", [1, 3])
def test_substrings_are_what_brute_force_finds(count):
    random = np.random.default_rng(count)
    passages = [random.integers(5, 9, size=40).tolist() for _ in range(count)]
    constraint = substring_constraint(passages if count > 1 else passages[0], 3)
    for _ in range(300):
        # Runs of a passage, their last token changed at times, in any order.
        one = passages[random.integers(count)]
        begin = random.integers(len(one))
        ids = one[begin : begin + random.integers(0, 8)]
        if ids and random.random() < 0.3:
            ids = [*ids[:-1], int(random.integers(5, 10))]
        assert constraint(ids) == brute(passages, ids, 3)


def test_substrings_end():
    constraint = substring_constraint([7, 8, 7, 9], 3)
    assert constraint([]) == [7, 8, 9]
    assert constraint([7]) == [3, 8, 9]
    assert constraint([7, 9]) == [3]  # the passage ends here
    assert constraint([9, 7]) == [3]  # nowhere in the passage
    assert constraint([7, 3, 0, 0]) == [3]  # a row that has ended
    assert substring_constraint([7, 8], 3, allow_empty=True)([]) == [3, 7, 8]
    # No run goes from one passage into the next.
    assert substring_constraint([[7, 8], [9, 7]], 3)([8]) == [3]


def test_substrings_forget(monkeypatch):
    from bert4keras2.decoders.uses import candidates

    monkeypatch.setattr(candidates, "REMEMBERED", 5)
    passage = np.random.default_rng(0).integers(5, 30, size=200).tolist()
    constraint = substring_constraint(passage, 3)
    for begin in range(0, 150, 7):
        assert constraint(passage[begin : begin + 9]) == brute([passage], passage[begin : begin + 9], 3)


def test_substrings_errors():
    with pytest.raises(TypeError, match="token ids"):
        substring_constraint("大熊猫", 3)
    for empty in ([], [[7], []]):
        with pytest.raises(ValueError, match="no ids"):
            substring_constraint(empty, 3)
    with pytest.raises(ValueError, match="end id 3"):
        substring_constraint([2, 7, 3], 3)


class Scorer:
    """Stands for a generator: candidates of one token with the log-probabilities 0, -1, -2, ..."""

    end_ids: tuple[int, ...] = ()

    def score(self, texts, continuations, end=False):
        assert len(texts) == len(continuations) == 1
        return [np.asarray([-float(sum(one)) for one in continuations[0]])]

    def _candidate(self, one, end):
        return one


def test_choice():
    choice = choose_candidate(Scorer(), "棋", [[2], [1], [3, 0, 0, 0]])
    assert choice.candidate == [1] and choice.index == 1
    np.testing.assert_allclose(choice.scores, [-2, -1, -3])
    weights = np.exp([-2.0, -1.0, -3.0])
    np.testing.assert_allclose(choice.probabilities, weights / weights.sum())
    mean = choose_candidate(Scorer(), "棋", [[2], [1], [3, 0, 0, 0]], per_token=True)
    assert mean.index == 2 and mean.probabilities.argmax() == 2
    np.testing.assert_allclose(mean.scores, [-2, -1, -3])


def test_choice_errors():
    with pytest.raises(TypeError, match="not one str"):
        choose_candidate(Scorer(), "棋", "马")
    with pytest.raises(ValueError, match="no candidates"):
        choose_candidate(Scorer(), "棋", [])
    with pytest.raises(ValueError, match="has none"):
        choose_candidate(Scorer(), "棋", [[1]], end=True)


class Drawer:
    """Stands for a generator: the same sentences whatever is asked."""

    tokenizer = TOKENIZER
    drawn = ("乙", "甲", "", "丙", "乙", " 丁 ", "丙")

    def generate(self, texts, most, num_return, **options):
        self.asked = {"texts": texts, "most": most, "num_return": num_return, **options}
        found = [types.SimpleNamespace(text=text) for text in self.drawn][:num_return]
        return [found if num_return > 1 else found[0]]


class Encoder:
    """Stands for an encoder: the angle of a text grows with its character's id."""

    def encode(self, texts):
        angles = [0.1 * TOKENIZER.token_to_id(text) for text in texts]
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype("float32")


def test_synonyms():
    generator = Drawer()
    found = gen_synonyms(generator, Encoder(), "甲", n=7, k=2, seed=3)
    assert [text for text, _ in found] == ["乙", "丙"]
    np.testing.assert_allclose([score for _, score in found], np.cos([0.1, 0.2]), rtol=1e-5)
    assert generator.asked == {
        "texts": ["甲"], "most": 64, "num_return": 7, "seed": 3, "strategy": "sample", "top_k": 5
    }  # fmt: skip
    assert [text for text, _ in gen_synonyms(generator, Encoder(), "甲", n=7, top_p=0.9)] == ["乙", "丙", "丁"]
    assert generator.asked["top_p"] == 0.9 and "top_k" not in generator.asked
    assert [text for text, _ in gen_synonyms(generator, Encoder(), "丙", n=1)] == ["乙"]
    # The text as the tokenizer reads it is the text too.
    assert {text for text, _ in gen_synonyms(generator, Encoder(), " 甲", n=7)} == {"乙", "丙", "丁"}
    generator.drawn = ("甲", "", "甲")
    assert gen_synonyms(generator, Encoder(), "甲", n=3) == []


def test_synonyms_errors():
    with pytest.raises(TypeError, match="text is a str"):
        gen_synonyms(Drawer(), Encoder(), ["甲"])
    for arguments in ({"n": 0}, {"k": 0}, {"n": 1.5}):
        with pytest.raises(ValueError, match="whole number from 1"):
            gen_synonyms(Drawer(), Encoder(), "甲", **arguments)
    with pytest.raises(ValueError, match="strategy is 'sample'"):
        gen_synonyms(Drawer(), Encoder(), "甲", strategy="beam")
    with pytest.raises(ValueError, match="pass it as n"):
        gen_synonyms(Drawer(), Encoder(), "甲", num_return=3)
    with pytest.raises(TypeError, match="needs a tokenizer"):
        gen_synonyms(types.SimpleNamespace(tokenizer=None), Encoder(), "甲")


def test_dialogue_errors():
    config = types.SimpleNamespace(shared_segment_embeddings=False)
    engine = types.SimpleNamespace(config=config, positions=20)
    generator = types.SimpleNamespace(engine=engine, tokenizer=TOKENIZER)
    with pytest.raises(ValueError, match="20 tokens for history and reply"):
        Dialogue(generator)
    with pytest.raises(ValueError, match="two tokens of the vocabulary"):
        Dialogue(generator, "speakers", max_new_tokens=4, speakers=("甲", "甲"))
    with pytest.raises(ValueError, match="style is"):
        Dialogue(generator, "roles", max_new_tokens=4)
    dialogue = Dialogue(generator, max_new_tokens=4)
    with pytest.raises(TypeError, match="text is a str"):
        dialogue.say(["甲"])
    with pytest.raises(ValueError, match="blank"):
        dialogue.say(" ")
    generator.tokenizer = None
    with pytest.raises(TypeError, match="needs a tokenizer"):
        Dialogue(generator)


def test_measures():
    # The longest common subsequence of the first pair has 3 characters: precision 3/4, recall 3/5.
    assert rouge_l(["甲乙丁戊"], ["甲丙乙 己戊"]) == pytest.approx(2 * 3 / 9)
    assert rouge_l(["AB", "", "丙"], ["ab", "甲", "丁"]) == pytest.approx(1 / 3)
    assert exact_match(["甲", "乙"], ["甲", "丙"]) == 0.5
    for measure in (rouge_l, exact_match):
        with pytest.raises(ValueError, match="give one for each"):
            measure(["甲"], [])
        with pytest.raises(TypeError, match="lists of str"):
            measure("甲", ["甲"])
