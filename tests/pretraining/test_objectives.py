"""Objectives: what a batch asks for, that no text sees another, and that a step learns."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from bert4keras2.pretraining import CorpusError, PretrainingConfig
from bert4keras2.pretraining.data import Batches, Part, split_texts
from bert4keras2.pretraining.objectives import OBJECTIVES, Setup
from bert4keras2.pretraining.objectives.scores import TokenLoss
from bert4keras2.pretraining.objectives.t5_pegasus import common_length, pseudo_summary
from bert4keras2.pretraining.recipes import RECIPES
from bert4keras2.pretraining.run import build

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
RECIPE = {"mlm": "roformer_v2", "nsp": "bert", "sop": "bert", "lm": "gpt", "unilm": "unilm", "simbert": "simbert"}
RECIPE |= {"t5_pegasus": "t5_pegasus", "electra": "electra"}
LENGTH = 48


class Trial:
    """An objective on a tiny model, and its batches."""

    def __init__(self, name, shards, tokenizer, **more):
        values = {"corpus": ["x"], "output": "x", "objective": name, "recipe": RECIPE[name], "learning_rate": 0.01}
        values |= {"schedule": {0: 1}, "row_length": LENGTH, "dropout": 0.0, **SIZES, **more}
        self.config = PretrainingConfig.make(values)
        self.objective = OBJECTIVES[name](Setup(tokenizer, LENGTH, self.config.packing))
        self.transformer, self.model = build(self.config, self.objective)
        self.names = [tensor.name for tensor in self.model.inputs]
        self.batches = Batches(Part(shards, np.arange(len(shards))), self.objective, self.names, 4, 0)

    def batch(self, number=0):
        return next(self.batches.from_number(number))

    def crowded(self):
        """The inputs of a batch with several texts in a row, and that row."""
        for number in range(20):
            inputs, _ = self.batch(number)
            texts = self.named(inputs)["Text"].max(1)
            if texts.max() > 1:
                return inputs, int(np.argmax(texts))
        raise AssertionError("no row has several texts")

    def named(self, inputs):
        return {name.split("Input-")[-1]: array for name, array in zip(self.names, inputs, strict=True)}

    def scores(self, inputs):
        found = self.model([keras.ops.convert_to_tensor(array) for array in inputs], training=False)
        return {name: keras.ops.convert_to_numpy(keras.ops.stop_gradient(array)) for name, array in found.items()}


@pytest.fixture(scope="module")
def trial(shards, group_shards, tokenizer):
    made = {}

    def get(name):
        if name not in made:
            made[name] = Trial(name, group_shards if name == "simbert" else shards, tokenizer)
        return made[name]

    return get


@pytest.mark.backend
@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_few_steps_learn(trial, name):
    one = trial(name)
    inputs, targets = one.batch()
    logs = [one.model.train_on_batch(inputs, targets, return_dict=True) for _ in range(4)]
    assert all(np.isfinite(float(value)) for log in logs for value in log.values())
    assert float(logs[-1]["loss"]) < float(logs[0]["loss"])
    assert set(logs[0]) >= {"loss", "accuracy" if len(targets) == 1 else "tokens_accuracy"}
    # Some losses take scores: to probabilities in their place TensorFlow alone would find the way back.
    scores = one.scores(inputs)
    assert all(scores[of].min() < 0 for of, (loss, _) in one.objective.losses().items() if isinstance(loss, TokenLoss))


@pytest.mark.backend
@pytest.mark.parametrize("name", ["mlm", "lm", "unilm"])
def test_no_text_sees_another(trial, tokenizer, name):
    one = trial(name)
    inputs, row = one.crowded()
    arrays = one.named(inputs)
    second = (arrays["Text"] == 2) & (np.arange(4)[:, None] == row)
    changed = [array.copy() for array in inputs]
    token = one.names.index(next(n for n in one.names if n.endswith("Token")))
    changed[token][second] = np.where(inputs[token][second] > 4, 5, inputs[token][second])
    before, after = one.scores(inputs)["tokens"], one.scores(changed)["tokens"]
    own = np.take_along_axis(arrays["Text"], arrays["Hidden"], 1) if "Hidden" in arrays else arrays["Text"]
    same, other = own[row] == 1, own[row] == 2
    np.testing.assert_allclose(after[row, same], before[row, same], atol=2e-5)
    assert other.any() and np.abs(after[row, other] - before[row, other]).max() > 1e-3


@pytest.mark.backend
@pytest.mark.parametrize("name", ["mlm", "lm"])
def test_a_text_among_others_is_as_alone(trial, tokenizer, name):
    """Positions begin anew: what a row holds besides changes nothing."""
    one = trial(name)
    inputs, row = one.crowded()
    arrays = one.named(inputs)
    part = arrays["Text"][row] == 2
    size, start = int(part.sum()), int(np.argmax(part))
    alone = [np.zeros_like(array) for array in inputs]
    for name_, array, source in zip(one.names, alone, inputs, strict=True):
        if name_.endswith("Hidden"):
            array[0] = np.clip(source[row] - start, 0, size - 1)
        else:
            array[0, :size] = source[row, part] if not name_.endswith("Text") else 1
    before, after = one.scores(inputs)["tokens"][row], one.scores(alone)["tokens"][0]
    if "Hidden" in arrays:
        own = np.take_along_axis(part, arrays["Hidden"][row], 0)
        before, after = before[own], after[own]
    else:
        before, after = before[part], after[:size]
    assert len(before)
    np.testing.assert_allclose(after, before, atol=2e-5)


def test_what_is_asked_for(trial, tokenizer):
    one = trial("lm")
    inputs, targets = one.batch()
    arrays, labels = one.named(inputs), targets["tokens"]
    inner = labels >= 0
    assert (labels[:, :-1][inner[:, :-1]] == arrays["Token"][:, 1:][inner[:, :-1]]).all()
    assert (inner == ((arrays["Token"] != tokenizer.end_id) & (arrays["Text"] > 0))).all()

    one = trial("unilm")
    inputs, targets = one.batch()
    arrays, labels = one.named(inputs), targets["tokens"]
    following = np.roll(arrays["Segment"], -1, 1) > 0
    following[:, -1] = False
    assert ((labels >= 0) == following).all()
    assert (labels[following] == np.roll(arrays["Token"], -1, 1)[following]).all()
    assert (np.diff(arrays["Segment"], axis=1) == 1).sum() == arrays["Text"].max(1).sum()

    one = trial("mlm")
    inputs, targets = one.batch()
    arrays, labels = one.named(inputs), targets["tokens"]
    real = labels >= 0
    tokens = np.take_along_axis(arrays["Token"], arrays["Hidden"], 1)
    assert 0.5 < (tokens[real] == tokenizer.mask_id).mean() <= 1 and (labels[real] > 4).all()


@pytest.mark.parametrize("name", ["nsp", "sop"])
def test_pairs(trial, shards, tokenizer, name):
    one = trial(name)
    texts = ["".join(tokenizer.ids_to_tokens(shards[text][0])) for text in range(len(shards))]
    labels = []
    for number in range(8):
        inputs, targets = one.batch(number)
        arrays = one.named(inputs)
        hidden, places = targets["tokens"], arrays["Hidden"]
        ids = arrays["Token"].copy()
        for row in range(4):
            real = hidden[row] >= 0
            ids[row, places[row, real]] = hidden[row, real]
            parts = [ids[row, (arrays["Segment"][row] == segment) & (ids[row] > 4)] for segment in (0, 1)]
            first, second = ("".join(tokenizer.ids_to_tokens(part)) for part in parts)
            assert first and second
            label = int(targets["order"][row, 0])
            labels.append(label)
            if name == "sop":
                assert any((second + first if label else first + second) in text for text in texts)
            elif not label:
                assert any(first + second in text for text in texts)
    assert 8 <= sum(labels) <= 24


def test_simbert_rows(trial, group_shards, tokenizer, shards):
    inputs, targets = trial("simbert").batch()
    arrays = trial("simbert").named(inputs)
    for even in (0, 2):
        parts = []
        for row in (even, even + 1):
            first, second = (
                arrays["Token"][row, (arrays["Segment"][row] == s) & (arrays["Token"][row] > 4)] for s in (0, 1)
            )
            parts.append((first.tolist(), second.tolist()))
            told = targets["tokens"][row] >= 0
            assert (targets["tokens"][row][told][:-1] == second).all()
            assert (arrays["Token"][row, arrays["Asked"][row, told] + 1] == targets["tokens"][row][told]).all()
        assert parts[0] == parts[1][::-1]
    with pytest.raises(CorpusError, match="group_field"):
        Batches(Part(shards, np.arange(9)), trial("simbert").objective, [], 2, 0)
    with pytest.raises(ValueError, match="multiple of 2"):
        Batches(Part(group_shards, np.arange(9)), trial("simbert").objective, [], 3, 0)


# -- pseudo-summaries --------------------------------------------------------------------------------------------


def plain_common_length(first, second):
    table = np.zeros((len(first) + 1, len(second) + 1), int)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    return int(table[-1, -1])


def test_common_length():
    random = np.random.default_rng(0)
    for _ in range(200):
        first, second = (random.integers(0, 5, random.integers(0, 90)).tolist() for _ in range(2))
        assert common_length(first, second) == plain_common_length(first, second)


def test_pseudo_summary_by_hand():
    document = [[1, 2], [3, 4, 5], [6, 7], [3, 9, 5, 7]]
    assert pseudo_summary(document) == [3]  # shares 3, 5 and 7 with the others
    assert pseudo_summary([[1], [2]]) == [0]  # of equal ones the earlier
    assert pseudo_summary([[1, 2], [1, 2], [1, 2]]) == [0]
    found = pseudo_summary([[i, i + 1] for i in range(12)])
    assert len(found) == 3 == len(set(found))


def test_summaries_and_rests_divide_a_document(trial, shards, tokenizer):
    one = trial("t5_pegasus")
    rows = list(one.batches.first_pass[:6])
    inputs, targets = one.objective.batch(one.batches.texts, rows, None)
    for row, ((text, start, size),) in enumerate(rows):
        source, labels = inputs["Encoder-Input-Token"][row], targets["tokens"][row]
        summary, rest = labels[labels > 4], source[source > 4]
        whole = shards[text][0][start : start + size]
        if len(rest) < LENGTH - 2 and len(summary) < one.objective.target_length - 1:
            assert sorted([*summary, *rest]) == sorted(whole)
        assert len(summary) and len(rest)
        kept = inputs["Decoder-Input-Token"][row]
        assert kept[0] == tokenizer.start_id and (kept[1 : len(summary) + 1] == summary).all()


# -- order and chance --------------------------------------------------------------------------------------------


def test_a_run_may_begin_anywhere(trial):
    """Batch number n is the same whatever came before it, also in later passes over the texts."""
    batches = trial("mlm").batches
    count = len(batches.first_pass) // 4 + 3
    whole = list(itertools.islice(batches.from_number(0), count))
    for number in (1, count // 2, count - 1):
        inputs, targets = next(batches.from_number(number))
        assert all((a == b).all() for a, b in zip(inputs, whole[number][0], strict=True))
        assert (targets["tokens"] == whole[number][1]["tokens"]).all()
    assert (whole[0][0][0] != whole[1][0][0]).any()


def test_replicas_share_a_batch(trial, shards):
    one = trial("mlm")
    texts = Part(shards, np.arange(len(shards)))
    whole = next(Batches(texts, one.objective, one.names, 8, 0).from_number(3))
    halves = [next(Batches(texts, one.objective, one.names, 4, 0, (index, 2)).from_number(3)) for index in (0, 1)]
    for place, array in enumerate(whole[0]):
        assert (np.concatenate([half[0][place] for half in halves]) == array).all()


def test_held_out_texts_are_others(shards, group_shards):
    for all_texts in (shards, group_shards):
        learn, evaluate = split_texts(all_texts, 0.2, 0)
        own = {
            id(part): {all_texts[n][0].tobytes() + bytes(str(n), "ascii") for n in part._numbers}
            for part in (learn, evaluate)
        }
        assert not own[id(learn)] & own[id(evaluate)] and len(learn) + len(evaluate) == len(all_texts)
        assert 0.1 < len(evaluate) / len(all_texts) < 0.3
    assert not (np.add.reduceat(np.isin(np.arange(180), evaluate._numbers), np.arange(0, 180, 3)) % 3).any()


def test_too_few_texts(trial, shards):
    with pytest.raises(CorpusError, match="fills .* rows, and a batch takes 64"):
        Batches(Part(shards, np.arange(3)), trial("mlm").objective, [], 64, 0)


def test_recipes_name_what_there_is():
    for recipe in RECIPES.values():
        assert recipe.objective in OBJECTIVES and recipe.source and list(recipe.schedule) == sorted(recipe.schedule)
