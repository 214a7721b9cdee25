"""SentenceEncoder: what a naive loop over single, unpadded texts gives, whatever the batches."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.embeddings import SentenceEncoder, Whitening
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import Tokenizer, save_vocab

pytestmark = pytest.mark.backend
CHARACTERS = "今天气很好我们去公园玩吧这家店的火锅汤底太咸了"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(CHARACTERS)]
TINY = {
    "vocab_size": len(TOKENS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
}
TEXTS = [
    "今天天气很好",
    "",
    "火锅",
    "我们去公园玩吧" * 6,  # is cut
    "好",
    "这家店的火锅汤底太咸了",
    "我们去公园",
    "今天天气很好",
    "?",
    "天气",
]
PAIRS = ["很好", "今天", "", "太咸了" * 9, "好", "去", "火锅汤底", "玩吧", "店", "我们"]


def make_tokenizer(tokens=TOKENS, **options):
    return Tokenizer({token: i for i, token in enumerate(tokens)}, **options)


def build(**options):
    """Return a tiny Transformer whose biases are no zeros."""
    keras.utils.set_random_seed(0)
    bert = build_transformer_model({**TINY}, return_keras_model=False, **options)
    random = np.random.RandomState(0)
    for variable in bert.model.weights:
        value = ops.convert_to_numpy(variable)
        if variable.trainable and np.ptp(value) == 0:
            variable.assign(value + 0.1 * random.standard_normal(value.shape))
    return bert


def naive(bert, texts, pooling, maxlen=128, pairs=None, tokenizer=None):
    """Return vectors made one text at a time, without padding, pooled in NumPy."""
    tokenizer = tokenizer or make_tokenizer()
    found = []
    states = keras.Model(bert.model.inputs, [bert.hidden_states[0], bert.hidden_states[-1]])
    for i, text in enumerate(texts):
        ids, segments = tokenizer.encode(text, None if pairs is None else pairs[i], maxlen=maxlen)
        positions = list(range(len(ids)))
        arrays = {"Input-Token": ids, "Input-Segment": segments, "Input-Position": positions}
        inputs = [ops.convert_to_tensor([arrays[t.name]], "int32") for t in bert.model.inputs]
        first, last = (ops.convert_to_numpy(x)[0] for x in states(inputs if len(inputs) > 1 else inputs[0]))
        if pooling == "pooler":
            kernel, bias = (ops.convert_to_numpy(w) for w in bert.layers["Pooler-Dense"].weights)
            found.append(np.tanh(last[0] @ kernel + bias))
        else:
            found.append(
                {"cls": last[0], "mean": last.mean(0), "first-last": (first.mean(0) + last.mean(0)) / 2}[pooling]
            )
    return np.stack(found)


@pytest.fixture(scope="module")
def bert():
    return build(with_pool=True)


@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler", "first-last"])
@pytest.mark.parametrize("given", ["transformer", "model", "bare"])
def test_equals_the_naive_loop(bert, pooling, given):
    """The same from the Transformer, from its Keras model, and from a model that does not know its Transformer."""
    model = {
        "transformer": bert,
        "model": bert.model,
        "bare": keras.Model(bert.model.inputs, bert.model.output),
    }[given]
    encoder = SentenceEncoder(model, make_tokenizer(), pooling=pooling, maxlen=20, batch_size=4)
    found = encoder.encode(TEXTS)
    assert found.dtype == np.float32 and found.shape == (10, 16) and encoder.dimension == 16
    expected = naive(bert, TEXTS, pooling, maxlen=20)
    assert expected.std(0).mean() > 0.02
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def further(*cases):
    """Return cases that are not in every run on JAX."""
    return [pytest.param(case, marks=pytest.mark.breadth) for case in cases]


@pytest.mark.parametrize("options", [
    {"model": "gau_alpha"},
    {"custom_position_ids": True},
    {"prefix": "one-"},
    *further(
        {"model": "roformer"},
        {"model": "roformer_v2"},
        {"model": "albert", "embedding_size": 8},
        {"model": "electra", "embedding_size": 8, "with_discriminator": True},
        {"application": "unilm", "with_pool": "linear"},
        {"with_mlm": True, "with_nsp": True},
        {"application": "lm", "segment_vocab_size": 0},
    ),
], ids=str)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Released")
def test_families_and_heads(options):
    """Both ends of each family's trunk are found, with and without its Transformer."""
    pooling = "first-last"
    other = build(**options)
    if "prefix" in options:
        for tensor in other.model.inputs:
            assert tensor.name.startswith("one-")
        reference = build()
        reference.model.set_weights(other.model.get_weights())
    else:
        reference = other
    expected = naive(reference, TEXTS[:6], pooling)
    for model in (other, keras.Model(other.model.inputs, other.model.output)):
        encoder = SentenceEncoder(model, make_tokenizer(), pooling=pooling, batch_size=4)
        np.testing.assert_allclose(encoder.encode(TEXTS[:6]), expected, atol=1e-5, rtol=0)


@pytest.mark.breadth
def test_pairs(bert):
    encoder = SentenceEncoder(bert, make_tokenizer(), maxlen=24, batch_size=3)
    expected = naive(bert, TEXTS, "mean", maxlen=24, pairs=PAIRS)
    np.testing.assert_allclose(encoder.encode(TEXTS, PAIRS), expected, atol=1e-5, rtol=0)
    one = encoder.encode(TEXTS[0], PAIRS[0])
    np.testing.assert_allclose(one, expected[0], atol=1e-5, rtol=0)
    assert np.abs(one - encoder.encode(TEXTS[0])).max() > 1e-2


def test_batch_sizes_and_order(bert, monkeypatch):
    """Neither the batches nor the order of the texts nor the windows change a vector."""
    random = np.random.RandomState(0)
    texts = ["".join(random.choice(list(CHARACTERS), random.randint(0, 30))) for _ in range(45)]
    encoders = {n: SentenceEncoder(bert, make_tokenizer(), maxlen=32, batch_size=n) for n in (1, 4, 16, 64)}
    found = {n: encoder.encode(texts) for n, encoder in encoders.items()}
    for n in (4, 16, 64):
        np.testing.assert_allclose(found[n], found[1], atol=1e-5, rtol=0)
    order = random.permutation(45)
    np.testing.assert_allclose(encoders[16].encode([texts[i] for i in order]), found[1][order], atol=1e-5, rtol=0)
    monkeypatch.setattr("bert4keras2.embeddings.encoder.WINDOW", 10)
    np.testing.assert_allclose(encoders[16].encode(texts), found[1], atol=1e-5, rtol=0)


def test_one_text_and_short_texts(bert):
    encoder = SentenceEncoder(bert, make_tokenizer(), maxlen=20)
    for text in ("", "好", "😀", TEXTS[5]):
        vector = encoder.encode(text)
        assert vector.shape == (16,) and np.isfinite(vector).all()
        np.testing.assert_allclose(vector, naive(bert, [text], "mean", 20)[0], atol=1e-5, rtol=0)
    assert encoder.encode([""]).shape == (1, 16)
    assert encoder.encode(text for text in TEXTS).shape == (10, 16), "any iterable"


def test_no_special_tokens():
    """An empty text is then nothing but padding, which must not spoil its own or other vectors."""
    bert = build()
    encoder = SentenceEncoder(bert, make_tokenizer(token_start=None, token_end=None), maxlen=20)
    found = encoder.encode(["", "好", "火锅"])
    assert np.isfinite(found).all() and np.isfinite(encoder.encode("")).all()
    plain = make_tokenizer(token_start=None, token_end=None)
    np.testing.assert_allclose(found[1:], naive(bert, ["好", "火锅"], "mean", tokenizer=plain), atol=1e-5, rtol=0)


def test_padding_of_another_id(bert):
    """A vocabulary whose padding is not the first token: the model still sees zeros behind a text."""
    tokens = ["[unused1]", "[UNK]", "[CLS]", "[SEP]", "[PAD]", *TOKENS[5:]]
    tokenizer = make_tokenizer(tokens)
    encoder = SentenceEncoder(bert, tokenizer, maxlen=20)
    expected = naive(bert, TEXTS, "mean", 20, tokenizer=tokenizer)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5, rtol=0)


def test_prefix_and_normalize(bert):
    plain = SentenceEncoder(bert, make_tokenizer(), maxlen=20)
    prefixed = SentenceEncoder(bert, make_tokenizer(), maxlen=20, prefix="我们", normalize=True)
    found = prefixed.encode(["去公园", "好"])
    expected = plain.encode(["我们去公园", "我们好"])
    assert np.abs(np.linalg.norm(expected, axis=1) - 1).min() > 1e-2
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_output(bert):
    """A tensor or a layer's name takes the place of the last hidden states; a vector is taken as it is."""
    tokenizer = make_tokenizer()
    by_name = SentenceEncoder(bert.model, tokenizer, output="Transformer-0-FeedForward-Norm")
    by_tensor = SentenceEncoder(bert, tokenizer, output=bert.hidden_states[1])
    np.testing.assert_allclose(by_name.encode(TEXTS[:3]), by_tensor.encode(TEXTS[:3]), atol=1e-6)
    assert np.abs(by_name.encode("好") - SentenceEncoder(bert, tokenizer).encode("好")).max() > 1e-2
    first = SentenceEncoder(bert, tokenizer, pooling="cls", output=bert.hidden_states[0]).encode(["好", "火锅"])
    np.testing.assert_allclose(first[0], first[1], atol=1e-6)  # [CLS] before the first block
    head = keras.layers.Dense(5)(bert.hidden_states[-1][:, 0])
    assert SentenceEncoder(keras.Model(bert.model.inputs, head), tokenizer, output=head).encode("好").shape == (5,)
    with pytest.raises(ValueError, match="pass output="):
        SentenceEncoder(keras.Model(bert.model.inputs, head), tokenizer)
    with pytest.raises(ValueError, match="no layers called 'Nothing'"):
        SentenceEncoder(bert, tokenizer, output="Nothing")
    with pytest.raises(ValueError, match="symbolic tensor"):
        SentenceEncoder(bert, tokenizer, output=3)
    with pytest.raises(ValueError, match="pooling is 'mean' or 'cls'"):
        SentenceEncoder(bert, tokenizer, "first-last", output=bert.hidden_states[0])


def test_follows_training():
    bert = build()
    encoder = SentenceEncoder(bert, make_tokenizer())
    before = encoder.encode("好")
    weight = bert.layers["Embedding-Norm"].weights[-1]
    weight.assign(ops.convert_to_numpy(weight) + np.random.RandomState(1).standard_normal(weight.shape))
    assert np.abs(encoder.encode("好") - before).max() > 1e-2
    np.testing.assert_allclose(encoder.encode(["好"]), naive(bert, ["好"], "mean"), atol=1e-5, rtol=0)


def test_few_shapes(bert):
    """What is compiled by shape meets few of them, and the same ones the second time."""
    encoder = SentenceEncoder(bert, make_tokenizer(), maxlen=40, batch_size=16)
    inner, shapes = encoder._compiled, []

    class Spy:
        by_shape = True

        def __call__(self, arrays):
            shapes.append(arrays[0].shape)
            return inner(arrays)

    encoder._compiled = Spy()
    texts = [CHARACTERS[0] * n for n in range(60)]
    found = encoder.encode(texts)
    assert {rows for rows, _ in shapes} == {16} and {length for _, length in shapes} <= {16, 32, 40}
    np.testing.assert_allclose(found[[3, 50]], naive(bert, [texts[3], texts[50]], "mean", 40), atol=1e-5, rtol=0)
    shapes.clear()
    encoder.encode("今天")
    encoder.encode(["今天", "好"])
    assert shapes == [(1, 16), (8, 16)]
    encoder.batch_size = 4
    encoder.encode(["今天", "好"])
    assert shapes[-1] == (4, 16)


def test_mean_of_short_batches_costs_no_padding(bert):
    """Batches are sorted, long texts first: three lengths of four texts make three widths without padding."""
    encoder = SentenceEncoder(bert, make_tokenizer(), batch_size=4)
    texts = ["今", "今天", "今天天"] * 4
    ids, segments = encoder.tokenizer.encode_batch(texts)
    batches = encoder._cutter.cut(ids, segments, 4, encoder._compiled.by_shape)
    shapes = [arrays[0].shape for _, arrays in batches]
    if encoder._compiled.by_shape:
        assert shapes == [(4, 16)] * 3
    else:
        assert shapes == [(4, 5), (4, 4), (4, 3)]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="XLA is an option on TensorFlow alone")
def test_xla(bert):
    encoder = SentenceEncoder(bert, make_tokenizer(), maxlen=20, batch_size=4, jit_compile=True)
    assert encoder._compiled.by_shape
    np.testing.assert_allclose(encoder.encode(TEXTS), naive(bert, TEXTS, "mean", 20), atol=1e-5, rtol=0)


def test_load(tmp_path):
    save_vocab(tmp_path / "vocab.txt", {token: i for i, token in enumerate(TOKENS)})
    (tmp_path / "bert_config.json").write_text(json.dumps(TINY))
    bert = build(with_pool=True)
    bert.save_weights_as_checkpoint(tmp_path / "model.safetensors")
    for pooling in ("mean", "pooler"):
        encoder = SentenceEncoder.load(tmp_path, pooling=pooling, maxlen=20, batch_size=4)
        np.testing.assert_allclose(encoder.encode(TEXTS), naive(bert, TEXTS, pooling, 20), atol=1e-5, rtol=0)
    options = {"token_start": None, "token_end": None}
    encoder = SentenceEncoder.load(tmp_path, tokenizer_options=options, custom_position_ids=True, maxlen=20)
    assert [tensor.name for tensor in encoder.model.inputs][-1] == "Input-Position"
    expected = naive(bert, ["好"], "mean", tokenizer=make_tokenizer(**options))
    np.testing.assert_allclose(encoder.encode(["好"]), expected, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="pooling is one of"):
        SentenceEncoder.load(tmp_path, pooling="median")
    with pytest.raises(TypeError, match="poolings"):
        SentenceEncoder.load(tmp_path, poolings="mean")


def test_whitening_attached(bert):
    random = np.random.RandomState(0)
    texts = ["".join(random.choice(list(CHARACTERS), random.randint(1, 12))) for _ in range(60)]
    encoder = SentenceEncoder(bert, make_tokenizer())
    raw = encoder.encode(texts)
    fitted = encoder.fit_whitening(texts, k=6)
    assert encoder.whitening is fitted
    found = encoder.encode(texts)
    assert found.shape == (60, 6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, fitted(raw), atol=1e-4)
    assert encoder.encode("好").shape == (6,)
    again = encoder.fit_whitening(texts, k=6)  # fitted on vectors before whitening
    np.testing.assert_allclose(again.bias, fitted.bias, atol=1e-6)
    with pytest.raises(ValueError, match="too few"):
        encoder.fit_whitening(texts[:4])
    assert encoder.whitening is again
    encoder.whitening = None
    np.testing.assert_allclose(encoder.encode(texts), raw, atol=1e-6)
    with pytest.raises(TypeError, match="Whitening or None"):
        encoder.whitening = raw
    with pytest.raises(ValueError, match="vectors of 3 numbers"):
        encoder.whitening = Whitening(np.eye(3), np.zeros(3))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pooling": "median"}, ValueError, "pooling is one of 'mean', 'cls', .*'first-last', not 'median'"),
        ({"pooling": "pooler"}, ValueError, "with_pool"),
        ({"maxlen": 2}, ValueError, "maxlen=2"),
        ({"maxlen": 129}, ValueError, "maxlen=129, but the model knows 128 positions"),
        ({"maxlen": "20"}, TypeError, "maxlen is a whole number"),
        ({"batch_size": 0}, ValueError, "batch_size=0"),
        ({"prefix": None}, TypeError, "prefix"),
        ({"tokenizer": "vocab.txt"}, TypeError, "tokenizer"),
        ({"model": "bert"}, TypeError, r"SentenceEncoder\.load\('bert'\)"),
        ({"model": object()}, TypeError, "functional Keras model"),
    ],
)
def test_bad_options(options, error, message):
    arguments = {"model": build(), "tokenizer": make_tokenizer(), "maxlen": 20, **options}
    with pytest.raises(error, match=message):
        SentenceEncoder(**arguments)


@pytest.mark.parametrize(
    ("texts", "pairs", "error", "message"),
    [
        ([], None, ValueError, "no texts"),
        (["好", 3], None, TypeError, r"texts\[1\] is a int"),
        ([("好", "玩")], None, TypeError, r"encode\(texts, pairs\)"),
        (b"abc", None, TypeError, "bytes"),
        (None, None, TypeError, "NoneType"),
        (["好"], ["好", "玩"], ValueError, "1 texts but 2 pairs"),
        (["好"], "好", TypeError, "pairs is one str"),
        ("好", ["好"], TypeError, "texts is one str"),
    ],
)
def test_bad_texts(bert, texts, pairs, error, message):
    encoder = SentenceEncoder(bert, make_tokenizer(), maxlen=20)
    with pytest.raises(error, match=message):
        encoder.encode(texts, pairs)


def test_vocabulary_of_another_model(bert):
    encoder = SentenceEncoder(bert, make_tokenizer([*TOKENS, "北", "京"]), maxlen=20)
    assert encoder.encode("好").shape == (16,)
    with pytest.raises(ValueError, match="Is the vocabulary that of this model"):
        encoder.encode(["好", "北京"])


def test_models_that_are_no_encoders():
    t5 = build_transformer_model({**TINY}, model="t5.1.0", return_keras_model=False)
    with pytest.raises(ValueError, match="Input-Token"):
        SentenceEncoder(t5, make_tokenizer())
    encoder = build_transformer_model({**TINY}, model="t5.1.0_encoder", return_keras_model=False)
    assert SentenceEncoder(encoder, make_tokenizer()).encode(TEXTS).shape == (10, 16)
    condition = keras.Input((4,), name="Input-Condition")
    bert = build_transformer_model({**TINY}, layer_norm_cond=condition, additional_input_layers=condition)
    with pytest.raises(ValueError, match="Input-Condition"):
        SentenceEncoder(bert, make_tokenizer())
