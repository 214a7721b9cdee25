"""`Generator`: batches, seeds, finish reasons, stop texts, constraints, streams, scores and errors."""

from __future__ import annotations

import functools
import gzip
import json
import types
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from cases import build, run

from bert4keras2.decoders import Generator
from bert4keras2.tokenizers import SpTokenizer, Tokenizer

FOLDER = Path(__file__).parent.parent / "golden" / "tokenizers"
TOKENS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *"今天气很好我们去公园吃饭。，",
    "it",
    "is",
    "good",
    "##ly",
    "3",
    ".",
    "14",
]
TOKENS += ["'", "s", "the", "(", ")", "a", "##b", "!"]
LENGTHS = [[5, 6, 7], [8], [9, 10, 11, 12, 0, 13], [4] * 17, [30, 31]]
GREEDY, BEAM = {"strategy": "greedy"}, {"strategy": "beam", "num_beams": 3, "min_length": 4}
SAMPLE = {"strategy": "sample", "seed": 4, "top_p": 0.95, "temperature": 1.2}
# What the weights of `deterministic` give on every backend.
EXPECTED = {
    "sample": [
        [23, 31, 28, 16, 31, 32],
        [14, 32, 0, 14, 27],
        [9, 19, 26, 23, 12],
        [7, 20, 13, 8, 5],
        [12, 9, 20, 9, 32, 1],
    ],
    "beam": [[25, 25, 25, 25], [25, 25, 25, 25], [25, 25, 25, 25], [25, 25, 25, 25], [25, 25, 25, 25]],
}


@functools.cache
def deterministic(name: str = "bert-lm", **options: Any) -> Any:
    """Return a transformer whose weights come from NumPy, so that they are the same on each backend."""
    transformer = build(name, max_position_embeddings=40, vocab_size=len(TOKENS), **options)
    random = np.random.RandomState(5)
    for variable in sorted(transformer.model.trainable_weights, key=lambda variable: variable.path):
        variable.assign(random.standard_normal(variable.shape) * (0.4 if len(variable.shape) > 1 else 0.1))
    return transformer


@functools.cache
def tokenizer() -> Tokenizer:
    return Tokenizer({token: i for i, token in enumerate(TOKENS)})


def generator(**options: Any) -> Generator:
    return Generator(deterministic(), tokenizer(), **options)


def same(found: list[Any], expected: list[Any]) -> bool:
    """Whether results are equal, but for the last digits of their scores."""
    pairs = list(zip(found, expected, strict=True))
    equal = all((a.ids, a.finish_reason, a.text) == (b.ids, b.finish_reason, b.text) for a, b in pairs)
    return equal and all(abs(a.score - b.score) < 1e-4 for a, b in pairs)


def log_probability(transformer: Any, prompt: list[int], ids: list[int], segment: int = 0, extra: Any = ()) -> float:
    """Return the sum of the log-probabilities of ids after a prompt, from the model without a cache."""
    if transformer.config.stack == "seq2seq":
        inputs, start = [np.array([prompt]), np.array([[0, *ids]])], 0
    else:
        inputs, start = [np.array([prompt + ids])], len(prompt) - 1
        if transformer.config.segment_vocab_size:
            inputs.append(np.array([[0] * len(prompt) + [segment] * len(ids)]))
    # Padded, so that few shapes have to be compiled.
    inputs = [np.pad(array, [[0, 0], [0, (20 if array.shape[1] <= 20 else 40) - array.shape[1]]]) for array in inputs]
    found = np.log(run(transformer.model, [*inputs, *extra])[-1][0].astype("float64"))
    return sum(found[start + k, token] for k, token in enumerate(ids))


# -- one and many ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [GREEDY, SAMPLE, BEAM], ids=["greedy", "sample", "beam"])
def test_batch_equals_one_by_one(options):
    together = generator().generate(LENGTHS, max_new_tokens=6, **options)
    few = generator(batch_size=2).generate(LENGTHS, max_new_tokens=6, **options)
    assert same(few, together)
    if options is not SAMPLE:  # samples depend on the place in the list
        alone = [generator().generate(ids, max_new_tokens=6, **options) for ids in LENGTHS[:3]]
        assert same(alone, together[:3])
    else:
        assert same([generator().generate(LENGTHS[0], max_new_tokens=6, **options)], together[:1])
    for ids, one in zip(LENGTHS, together, strict=True):
        whole = one.ids + ([3] if one.finish_reason == "end" else [])
        assert abs(one.score - log_probability(deterministic(), ids, whole)) < 1e-4


@pytest.mark.backend
def test_all_rules_of_a_small_vocabulary_compile():
    """XLA fuses whole steps where the vocabulary is small: nothing unrolled in them may keep LLVM busy for hours."""
    model = build("bert-lm", vocab_size=14, max_position_embeddings=40)
    few = Generator(model, end_id=3)
    options = {"repetition_penalty": 1.2, "no_repeat_ngram": 3, "min_length": 2, "bad_words": [[5, 6], [7]]}
    draws = {"strategy": "sample", "top_k": 9, "top_p": 0.9, "min_p": 0.01, "num_return": 5, "seed": 1}
    assert len(few.generate([4, 5], max_new_tokens=8, **options, **draws)) == 5
    only = {"strategy": "sample", "top_p": 0.9, "num_return": 5, "seed": 1}
    assert len(few.generate([4, 5], max_new_tokens=8, **only)) == 5
    assert len(few.generate([4, 5], max_new_tokens=8, strategy="beam", num_beams=3, num_return=2, **options)) == 2


@pytest.mark.backend
def test_the_same_on_every_backend():
    found = [one.ids for one in generator().generate(LENGTHS, max_new_tokens=6, **SAMPLE)]
    assert found == EXPECTED["sample"]
    assert [one.ids for one in generator().generate(LENGTHS, max_new_tokens=6, **BEAM)] == EXPECTED["beam"]


def test_one_text_and_lists():
    one = generator().generate("今天", max_new_tokens=4)
    (many,) = generator().generate(["今天"], max_new_tokens=4)
    ids = tokenizer().encode("今天")[0][:-1]
    # All of one shape, so that the last digits are the same too.
    assert one == many == generator().generate(ids, max_new_tokens=4)
    assert one == generator().generate((ids, [0] * 3), max_new_tokens=4) == generator().generate(np.array(ids), 4)
    assert one.text == tokenizer().decode(one.ids)
    assert one == generator(prompt=lambda text: tokenizer().encode(text)[0][:-1]).generate("今天", 4)
    other = generator(prompt=lambda text: (ids, [1] * 3)).generate("今天", 4)
    assert other == generator().generate((ids, [1] * 3), 4) != one
    assert generator().generate([]) == []
    assert generator().generate(("今天", "好"), 4) == generator().generate(["今天", "好"], 4)


def test_num_return_and_seeds():
    many = generator().generate(LENGTHS[:2], max_new_tokens=5, num_return=3, **SAMPLE)
    assert [len(group) for group in many] == [3, 3] and len({tuple(one.ids) for one in many[0]}) == 3
    (one,) = generator().generate(LENGTHS[:1], max_new_tokens=5, **SAMPLE)
    assert one.ids == many[0][0].ids
    few = generator(batch_size=3).generate(LENGTHS[:2], max_new_tokens=5, num_return=3, **SAMPLE)
    assert all(same(a, b) for a, b in zip(many, few, strict=True))
    other = generator().generate(LENGTHS[:2], max_new_tokens=5, num_return=3, **{**SAMPLE, "seed": 5})
    assert other != many
    free = {**SAMPLE, "seed": None}
    assert generator().generate([5], 12, **free).ids != generator().generate([5], 12, **free).ids
    best = generator().generate([5, 6], max_new_tokens=5, num_return=3, **BEAM)
    assert best[0].score >= best[1].score >= best[2].score and len({tuple(one.ids) for one in best}) == 3


# -- how texts end ---------------------------------------------------------------------------------------------


def test_finish_reasons():
    first = Generator(deterministic(), tokenizer(), end_id=()).generate([5, 6, 7], max_new_tokens=6)
    assert (first.finish_reason, len(first.ids)) == ("length", 6)
    # The third token as the end token ends the same text there.
    where = first.ids.index(first.ids[2])
    ended = Generator(deterministic(), tokenizer(), end_id=first.ids[2]).generate([5, 6, 7], max_new_tokens=6)
    assert (ended.finish_reason, ended.ids) == ("end", first.ids[:where])
    whole = ended.ids + [first.ids[2]]
    assert abs(ended.score - log_probability(deterministic(), [5, 6, 7], whole)) < 1e-4


@pytest.mark.parametrize("strategy", ["beam", pytest.param("greedy", marks=pytest.mark.backend)])
def test_positions(strategy):
    """A long prompt ends where the table of positions does, while a shorter one beside it goes on."""
    options = {"num_beams": 2} if strategy == "beam" else {}
    prompts = [[5] * 35, [6, 7], [8] * 39]
    found = Generator(deterministic()).generate(prompts, max_new_tokens=12, strategy=strategy, **options)
    assert [(one.finish_reason, len(one.ids)) for one in found] == [("positions", 5), ("length", 12), ("positions", 1)]
    for prompt, one in zip(prompts[:1], found[:1], strict=True):
        alone = Generator(deterministic()).generate(prompt, max_new_tokens=12, strategy=strategy, **options)
        assert alone.ids == one.ids and abs(alone.score - one.score) < 1e-4


def forced(ids: list[int]) -> Any:
    """Return a constraint that leaves one text, whatever comes before."""
    return lambda before: [ids[len(before)]] if len(before) < len(ids) else []


TEXT = [
    TOKENS.index(token) for token in ("今", "天", "3", ".", "14", "很", "好", "it", "'", "s", "good", "。", "我", "们")
]


@pytest.mark.parametrize(
    ("stop", "text", "count"),
    [
        ("很好", "今天3.14", 7),
        (["it's", "14"], "今天3.", 5),
        ("天3.1", "今", 5),
        ("今", "", 1),
        (["饭", "吃"], "今天3.14很好it's good。我们", None),
        ("。", "今天3.14很好it's good", 12),
    ],
)
@pytest.mark.parametrize("options", [GREEDY, SAMPLE, BEAM], ids=["greedy", "sample", "beam"])
def test_stop(stop, text, count, options):
    found = generator().generate([5], max_new_tokens=20, stop=stop, constraint=forced(TEXT), **options)
    assert (found.text, found.ids) == (text, TEXT[:count])
    assert found.finish_reason == ("stop" if count else "end")
    if options is not BEAM and count:
        assert abs(found.score - log_probability(deterministic(), [5], TEXT[:count])) < 1e-3
    if options is not BEAM:
        pieces = list(generator().stream([5], max_new_tokens=20, stop=stop, constraint=forced(TEXT), **options))
        assert "".join(pieces) == text


def test_stop_does_not_depend_on_the_batch():
    """Rows that a stop text has ended run on beside others; nothing of that shows."""
    free = Generator(deterministic(), tokenizer(), end_id=()).generate(LENGTHS, max_new_tokens=30, **SAMPLE)
    stop = free[1].text[1]
    own = Generator(deterministic(), tokenizer(), end_id=())
    together = own.generate(LENGTHS, max_new_tokens=30, stop=stop, **SAMPLE)
    own.batch_size = 1
    assert same(own.generate(LENGTHS, max_new_tokens=30, stop=stop, **SAMPLE), together)
    assert together[1].finish_reason == "stop" and together[1].text == free[1].text[0]
    assert len(together[1].ids) < 8 and stop not in "".join(one.text for one in together)


@pytest.mark.backend
def test_constraint():
    seen = []

    def even(before):
        seen.append(list(before))
        return [6, 8, 10, 12] if len(before) < 3 else None if len(before) == 3 else []

    found = Generator(deterministic(), end_id=3).generate([[5], [7, 8]], max_new_tokens=9, constraint=even)
    for one in found:
        assert one.finish_reason == "end" and len(one.ids) in (3, 4) and set(one.ids[:3]) <= {6, 8, 10, 12}
    assert seen[:2] == [[], []] and max(map(len, seen)) <= 4
    # Rows that have ended are not asked again.
    ends = []
    Generator(deterministic(), end_id=3).generate(
        [[5], [7]], 6, constraint=lambda before: ends.append(list(before)) or ([] if len(ends) == 1 else [9])
    )
    assert all(3 not in before and 0 not in before for before in ends)


def test_constraint_goes_before_min_length():
    found = Generator(deterministic(), end_id=3).generate([5], 6, min_length=5, constraint=forced([7, 8]))
    assert (found.ids, found.finish_reason) == ([7, 8], "end")


# -- streams ---------------------------------------------------------------------------------------------------


def sentences(kind: str) -> list[list[int]]:
    """Return token ids of real texts and of random ids, and random mixtures of them."""
    own = word_piece() if kind == "word" else sentence_piece()
    with gzip.open(FOLDER / "texts.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    texts = [text if isinstance(text, str) else text["text"] if isinstance(text, dict) else text[0] for text in texts]
    random = np.random.RandomState(0)
    texts = [texts[i] for i in random.randint(0, len(texts), 25)]
    texts += [
        "今天 it's 3.14 (a-b) 好 it 's good, 3 . 14 . 15 了 don't ! ",
        "1.2.3.4 x'll = [ 3 ] '",
        "日本の カメラ 한국 어",
    ]
    ids = [own.tokens_to_ids(own._tokenize(text))[:40] for text in texts]
    return ids + [random.randint(0, own._vocab_size, 20).tolist() for _ in range(10)]


@functools.cache
def word_piece() -> Tokenizer:
    return Tokenizer(str(FOLDER / "vocab.txt"), do_lower_case=True)


@functools.cache
def sentence_piece() -> SpTokenizer:
    return SpTokenizer(str(FOLDER / "sp.model"))


@pytest.mark.parametrize("kind", ["word", "sentence"])
def test_pieces_of_real_texts(kind):
    """What has been sent once is the beginning of the text at every later step, with and without stop texts."""
    from bert4keras2.decoders.options import Options
    from bert4keras2.decoders.sampling import SampleRequest

    own = word_piece() if kind == "word" else sentence_piece()
    early = 0
    for ids in sentences(kind):
        text = own.decode(ids)
        for stop in ((), (text[5:8] or "-",), (text[7:8] or "-", text[9:14] or "-")):
            # A request whose tokens are known: only what it says of them is looked at.
            known = object.__new__(SampleRequest)
            known.generator, known.options = Generator(deterministic(), own), Options(stop=stop)
            known.cuts, known.looked = {}, {}
            known.row_limits, known.max_new_tokens = np.array([len(ids)]), len(ids)
            known.rules, known.state = Options().rules((), ()), types.SimpleNamespace(done=np.zeros(1, bool))
            known.shown = 0
            known.advance = functools.partial(setattr, known, "shown")
            known.ids = lambda row, known=known, ids=ids: ids[: known.shown]
            pieces, steps = [], []
            for piece in known.pieces():
                pieces.append(piece)
                steps.append(known.shown)
            whole = SampleRequest.result(known, ids, 0.0, 0, 0)
            assert "".join(pieces) == whole.text, (own.ids_to_tokens(ids), stop)
            early += len(steps) > 1 and steps[0] < len(ids) / 2
    assert early > 20


@pytest.mark.backend
def test_stream():
    options = {"max_new_tokens": 24, "strategy": "sample", "seed": 3, "min_length": 24}
    whole = generator().generate("今天", **options)
    stream = generator().stream("今天", **options)
    pieces = list(stream)
    assert "".join(pieces) == whole.text and len(pieces) > 4


def test_first_piece_after_one_step():
    asked = []
    own = generator()
    stream = own.stream([5], max_new_tokens=20, constraint=lambda before: asked.append(1) or forced(TEXT)(before))
    assert next(stream) == "今" and len(asked) == 1
    assert next(stream) == "天" and len(asked) == 2
    assert "今天" + "".join(stream) == tokenizer().decode(TEXT)


@pytest.mark.backend
def test_training_between_calls():
    """Weights are read at each call."""
    transformer = build("bert-lm")
    own = Generator(transformer, end_id=())
    before = own.generate([5, 6, 7], max_new_tokens=8)
    bias = next(variable for variable in transformer.model.weights if "MLM-Bias" in variable.path)
    old = np.array(keras.ops.convert_to_numpy(bias))
    bias.assign(old + 30 * (np.arange(len(old)) == 17))
    assert own.generate([5, 6, 7], max_new_tokens=8).ids == [17] * 8
    bias.assign(old)
    assert own.generate([5, 6, 7], max_new_tokens=8) == before
