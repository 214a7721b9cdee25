"""Names and arguments of every release of bert4keras: each works, with one warning that says what to write today."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from cases import BASE

from bert4keras2 import old_names
from bert4keras2.layers import LayerNormalization, MultiHeadAttention
from bert4keras2.models import build_transformer_model
from bert4keras2.snippets import sequence_padding
from bert4keras2.tokenizers import Tokenizer, load_vocab

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="names are the same everywhere")

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[unused1]", "今", "天", "好"]


def looked_up(module: str, name: str):
    """Return what a module has under an old name, and the warnings that it gives for it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = getattr(importlib.import_module(f"bert4keras2.{module}"), name)
    return found, [str(warning.message) for warning in caught]


ROWS = [(module, name) for module, names in old_names.NAMES.items() for name in names]
# From where else old scripts import them: modules that were renamed, and star imports that brought them along.
ALONG = [
    *(("bert", name) for name in ("build_bert_model", "load_pretrained_model", "set_gelu", "Dense", "K")),
    *(("layers", name) for name in ("Lambda", "Dense", "K", "keras", "np", "search_layer", "Input", "BiasAdd")),
    *(("models", name) for name in ("Lambda", "Layer", "LayerNormalization", "K", "Dropout", "orthogonally_resize")),
    *(("snippets", name) for name in ("K", "keras", "np", "re", "sys", "json", "six", "sequence_masking", "tf")),
    *(("tokenizer", name) for name in ("Tokenizer", "load_vocab", "BasicTokenizer")),
    *(("tokenizers", name) for name in ("is_string", "open", "unicodedata", "truncate_sequences")),
    *(("train", name) for name in ("Adam", "K", "PiecewiseLinearLearningRate", "is_one_of")),
    *(("utils", name) for name in ("SimpleTokenizer", "load_vocab", "Tokenizer", "pool_map")),
    *(("backend", name) for name in ("np", "tf", "is_string", "get_all_attributes")),
]


@pytest.mark.parametrize("module, name", [*ROWS, *ALONG], ids=str)
def test_old_names_work_with_a_warning(module, name):
    if name in ("six",):
        pytest.importorskip(name)
    fresh = importlib.reload(importlib.import_module("bert4keras2.utils")) if module == "utils" else None
    assert fresh is None or fresh.__name__ == "bert4keras2.utils"
    found, messages = looked_up(module, name)
    assert found is not None
    today = old_names.today(module, name)
    assert len(messages) <= 1  # none where another test has asked before
    for message in messages:
        assert (today or "import them from") in message


@pytest.mark.parametrize("module, name", [(m, n) for m, names in old_names.GONE.items() for n in names], ids=str)
def test_names_without_counterpart_say_what_to_do(module, name):
    if hasattr(importlib.import_module(f"bert4keras2.{module}"), "__all__"):
        with pytest.raises(ImportError, match="any more: "):
            exec(f"from bert4keras2.{module} import {name}")


def test_names_that_never_were():
    with pytest.raises(AttributeError, match="close: sequence_padding"):
        importlib.import_module("bert4keras2.snippets").sequence_pading  # noqa: B018
    for module in ("bert", "layers", "models", "optimizers", "tokenizers", "train", "utils", "backend"):
        assert not hasattr(importlib.import_module(f"bert4keras2.{module}"), "nothing_of_that_name")


def test_star_imports_bring_along_what_they_brought():
    scope: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec("from bert4keras2.layers import *\nfrom bert4keras2.models import *", scope)
    assert scope["Dense"] is keras.layers.Dense and scope["LayerNormalization"] is LayerNormalization
    assert scope["K"].ndim and scope["build_transformer_model"] is build_transformer_model and scope["np"] is np


def test_one_warning_per_name():
    code = (
        "import warnings\nwith warnings.catch_warnings(record=True) as w:\n    warnings.simplefilter('always')\n"
        "    from bert4keras2.snippets import is_py2, groupby, is_py2\n    from bert4keras2.snippets import groupby\n"
        "print(is_py2, groupby('aab'), [str(x.message).split(' ')[0] for x in w if 'bert4keras2' in str(x.message)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = ["bert4keras2.snippets.is_py2", "bert4keras2.snippets.groupby"]
    assert done.stdout.strip() == f"False {[('a', ['a', 'a']), ('b', ['b'])]} {names}"


@pytest.fixture
def vocabulary(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(TOKENS), "utf-8")
    return str(tmp_path / "vocab.txt")


def test_arguments_of_tokenizers(vocabulary):
    tokenizer = Tokenizer(vocabulary)
    with pytest.warns(UserWarning, match="startswith="):
        token_dict, keep = load_vocab(vocabulary, simplified=True, startwith=["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    assert keep == [0, 1, 2, 3, 5, 6, 7] and token_dict["好"] == 6
    with pytest.warns(UserWarning, match="maxlen="):
        assert tokenizer.tokenize("今天好", max_length=4) == tokenizer.tokenize("今天好", maxlen=4)
    with pytest.warns(UserWarning, match="encode_batch"):
        ids, segments = tokenizer.encode("今天", "好", first_length=6, second_length=3)
    assert (ids, segments) == ([2, 5, 6, 3, 0, 0, 7, 3, 0], [0] * 6 + [1] * 3)
    with pytest.warns(UserWarning, match="encode_batch"):
        assert tokenizer.encode("今天好好好", first_length=4)[0] == [2, 5, 6, 7]
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_len'; did you mean 'maxlen"):
        tokenizer.encode("今", max_len=4)


def test_arguments_of_functions_and_layers():
    with pytest.warns(UserWarning, match="value="):
        assert sequence_padding([[1], [1, 2]], padding=9).tolist() == [[1, 9], [1, 2]]
    with pytest.warns(UserWarning, match="offset="):
        assert not LayerNormalization(center=False).offset
    with pytest.warns(UserWarning, match="attention_scale="):
        assert not MultiHeadAttention(2, 4, scaled_dot_product=False).attention_scale
    with pytest.warns(UserWarning, match="keep_tokens="):
        model = build_transformer_model(**BASE, keep_words=[0, 1, 2, 5])
    assert model.get_layer("Embedding-Token").input_dim == 4


def test_models_of_earlier_releases():
    from bert4keras2.earlier import LM_Mask, SimpleTokenizer, build_bert_model
    from bert4keras2.models import BERT

    model = build_bert_model(BASE, seq2seq=True, keep_words=[0, 1, 2, 3, 5])
    assert model.output_shape == (None, None, 5)
    with pytest.raises(TypeError, match="custom_position_ids"):
        build_bert_model(BASE, position_ids=keras.Input((None,)))

    class LM(LM_Mask, BERT):
        """As early scripts wrote it."""

    made = build_transformer_model(BASE, model=LM, return_keras_model=False)
    assert made.config.application == "lm"
    tokenizer = SimpleTokenizer({token: i for i, token in enumerate(TOKENS)})
    assert tokenizer.encode("今 x") == ([2, 5, 4, 1, 3], [0] * 5)


def test_optimizers_of_earlier_releases():
    from bert4keras2.earlier import ExponentialMovingAverage, GradientAccumulation, PiecewiseLinearLearningRate

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    rate = PiecewiseLinearLearningRate(keras.optimizers.Adam(1e-2), {0: 1, 100: 0.1})
    average = ExponentialMovingAverage(0.5)
    model.compile(GradientAccumulation(rate, 2), "mse")
    x, y = np.ones((8, 3)), np.zeros(8)
    before = model.get_weights()[0]
    model.fit(x, y, batch_size=2, verbose=0, callbacks=[average])
    after = model.get_weights()[0]
    average.apply_ema_weights()
    assert np.all(np.sign(model.get_weights()[0] - after) == np.sign(before - after))
    average.reset_old_weights()
    np.testing.assert_array_equal(model.get_weights()[0], after)
