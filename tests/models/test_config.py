"""Options of build_transformer_model: what is accepted, what is refused and with which words, and subclassing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from cases import BASE, LAYERS, batch, build, randomize, run
from keras import ops

from bert4keras2.backend import Model
from bert4keras2.layers import Embedding, LayerNormalization
from bert4keras2.models import BERT, RoFormer, Transformer, build_transformer_model

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:.*does not use.*")]
FOLDER = Path(__file__).parent.parent / "golden" / "models"


def make(**kwargs):
    return build_transformer_model(**{**BASE, **kwargs})


@pytest.mark.parametrize(
    ("wrong", "close"),
    [
        ("with_mml", "with_mlm"),
        ("dropout_rat", "dropout_rate"),
        ("keep_token", "keep_tokens"),
        ("hidden_sizes", "hidden_size"),
        ("max_position_embedding", "max_position_embeddings"),
        ("additional_input_layer", "additional_input_layers"),
    ],
)
def test_unknown_keyword(wrong, close):
    with pytest.raises(TypeError, match=f"no option '{wrong}'; did you mean '{close}'"):
        make(**{wrong: 1})


def test_unknown_keyword_without_neighbour():
    with pytest.raises(TypeError, match="no option 'zzz'. Known are: .*with_mlm"):
        make(zzz=1)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"application": "unilm", "segment_vocab_size": 0}, "unilm.*segment_vocab_size=0 cannot work"),
        ({"model": "roformer", "hierarchical_position": True}, "hierarchical_position extends.*roformer has rotary"),
        ({"application": "seq2seq"}, "application is 'encoder', 'lm' or 'unilm', not 'seq2seq'"),
        ({"dropout_rate": 1.5}, "dropout_rate is a share from 0 to below 1, not 1.5"),
        ({"attention_dropout_rate": -0.1}, "attention_dropout_rate is a share"),
        ({"hidden_dropout_prob": 1}, "hidden_dropout_prob is a share"),
        (
            {"num_attention_heads": 3},
            "hidden_size 16 is not a multiple of num_attention_heads 3; set attention_head_size",
        ),
        ({"keep_tokens": [0, 40]}, "keep_tokens holds id 40, but .* 40 ids"),
        ({"keep_tokens": [-1]}, "keep_tokens holds id -1"),
        ({"compound_tokens": [[40]]}, "compound_tokens holds id 40, but after keep_tokens there are 40 ids"),
        ({"keep_tokens": [0, 5, 9], "compound_tokens": [[1], [3]]}, "compound_tokens holds id 3, .* 3 ids"),
        ({"compound_tokens": [[]]}, "empty list"),
        ({"compound_tokens": [([1, 2], [1.0])]}, "1 weights for 2 ids"),
        ({"compound_tokens": [(1, 2)]}, r"lists of ids, or tuples \(ids, weights\), not \(1, 2\)"),
        ({"compound_tokens": [3]}, "lists of ids"),
        ({"model": "t5", "application": "lm"}, "application='lm' is for models of one stack; t5.1.0 has an encoder"),
        ({"model": "mt5.1.1", "with_mlm": True}, "mt5.1.1 has no with_mlm; its decoder's head is with_lm"),
        ({"model": "gpt2", "segment_vocab_size": 2}, "gpt2 models take no segment ids"),
        ({"model": "electra", "with_discriminator": True, "application": "lm"}, "with_discriminator judges"),
        ({"model": "nezha", "custom_position_ids": True}, "nezha.*custom_position_ids"),
        ({"model": "roformer", "hidden_size": 6, "num_attention_heads": 2}, "size of a head must be even, not 3"),
    ],
)
def test_impossible(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_unknown_model():
    with pytest.raises(ValueError, match="Unknown model 'roformr'; did you mean 'roformer'"):
        make(model="roformr")
    with pytest.raises(ValueError, match="Unknown model 'xyz'. Known are: .*bert"):
        make(model="xyz")
    with pytest.raises(TypeError, match="name of a family or a subclass of Transformer"):
        make(model=3)
    with pytest.raises(ValueError, match="Unknown model 'llama'"):
        build_transformer_model({**BASE, "model_type": "llama"})


def test_configuration_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no configuration file .*config.json"):
        build_transformer_model(tmp_path / "config.json")
    path = tmp_path / "config.json"
    path.write_text("{not json")
    with pytest.raises(ValueError, match="config.json is not a JSON file in UTF-8"):
        build_transformer_model(path)
    path.write_bytes('{"name": "中"}'.encode("gbk"))
    with pytest.raises(ValueError, match="config.json is not a JSON file in UTF-8"):
        build_transformer_model(path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="JSON object, but holds a list"):
        build_transformer_model(path)
    path.write_text('{"hidden_size": 8}')
    with pytest.raises(ValueError, match="lacks vocab_size, num_hidden_layers, num_attention_heads, intermediate_size"):
        build_transformer_model(path)
    with pytest.raises(ValueError, match="lacks vocab_size"):
        build_transformer_model()
    # Windows editors put a byte order mark before the first brace.
    path.write_text(json.dumps(BASE), encoding="utf-8-sig")
    assert build_transformer_model(path).get_layer("Embedding-Token").input_dim == BASE["vocab_size"]


def test_keywords_override_the_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**BASE, "hidden_dropout_prob": 0.1, "type_vocab_size": 3}))
    bert = build_transformer_model(path, return_keras_model=False)
    assert (bert.dropout_rate, bert.segment_vocab_size, bert.max_position) == (0.1, 3, 20)
    assert bert.model.get_layer("Transformer-1-FeedForward-Dropout").rate == 0.1
    bert = build_transformer_model(
        path, return_keras_model=False, dropout_rate=0.3, num_hidden_layers=1, segment_vocab_size=5, max_position=7
    )
    assert (bert.dropout_rate, bert.num_hidden_layers, bert.segment_vocab_size, bert.max_position) == (0.3, 1, 5, 7)
    assert not any(name.startswith("Transformer-1") for name in bert.layers)
    bert = build_transformer_model(path, return_keras_model=False, hidden_dropout_prob=0, max_position_embeddings=8)
    assert (bert.dropout_rate, bert.max_position) == (0, 8)


def test_json_keys_as_keywords():
    """All that Google's, the Chinese and Hugging Face's files hold may be passed on as keywords."""
    google = {
        "attention_probs_dropout_prob": 0.1, "directionality": "bidi", "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "pooler_fc_size": 768, "pooler_num_attention_heads": 12, "pooler_num_fc_layers": 3, "pooler_size_per_head": 128,
        "pooler_type": "first_token_transform", "type_vocab_size": 2, "initializer_range": 0.02,
    }  # fmt: skip
    hugging_face = {
        "_name_or_path": "x", "architectures": ["BertModel"], "model_type": "bert", "layer_norm_eps": 1e-5,
        "position_embedding_type": "absolute", "transformers_version": "4.40", "use_cache": True,
        "torch_dtype": "float32", "pad_token_id": 0,
        "classifier_dropout": None, "gradient_checkpointing": False, "return_dict": True, "output_attentions": False,
        "output_hidden_states": False, "problem_type": None, "chunk_size_feed_forward": 0, "pruned_heads": {},
    }  # fmt: skip
    bert = make(**google, **hugging_face, return_keras_model=False)
    assert bert.attention_dropout_rate == 0.1
    assert bert.model.get_layer("Embedding-Norm").epsilon == 1e-5


def test_folder(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    source = FOLDER / "bert_encoder"
    for path in source.iterdir():
        if path.name == "config.json" or path.name.startswith("model.ckpt"):
            shutil.copy(path, folder)
    by_folder = build_transformer_model(folder, with_mlm=True)
    by_file = build_transformer_model(source / "config.json", source / "model.ckpt", with_mlm=True)
    for a, b in zip(by_folder.weights, by_file.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))
    also = build_transformer_model(source / "config.json", folder, with_mlm=True)
    np.testing.assert_array_equal(ops.convert_to_numpy(also.weights[0]), ops.convert_to_numpy(by_file.weights[0]))
    for path in folder.glob("model.ckpt*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="holds no weights"):
        build_transformer_model(folder)


def test_family_of_the_configuration():
    assert "Embedding-Rotary-Position" in [
        layer.name for layer in build_transformer_model({**BASE, "model_type": "roformer"}).layers
    ]
    rotary = build_transformer_model(
        {**BASE, "model_type": "roformer", "norm_type": "rmsnorm"}, return_keras_model=False
    )
    assert rotary.config.family == "roformer_v2"
    # What the call names counts more.
    assert (
        build_transformer_model({**BASE, "model_type": "bert"}, model="roformer", return_keras_model=False).position
        == "rotary"
    )
    assert make(model="RoFormer-V2", return_keras_model=False).config.family == "roformer_v2"
    assert make(model="roberta", return_keras_model=False).config.family == "bert"
    assert make(model=BERT, return_keras_model=False).config.family == "bert"
    assert (
        build_transformer_model({**BASE, "model_type": "roformer"}, model=Transformer, return_keras_model=False).family
        == "roformer"
    )


def test_head_on_an_inner_layer_uses_the_initializer(tmp_path):
    bert = make(return_keras_model=False)
    x = bert.model.get_layer(f"Transformer-{LAYERS - 1}-FeedForward-Norm").output
    x = keras.layers.Lambda(lambda x: x[:, 0], output_shape=lambda s: (s[0], s[2]))(x)
    head = keras.layers.Dense(300, activation="softmax", kernel_initializer=bert.initializer)
    again = keras.layers.Dense(300, kernel_initializer=bert.initializer)
    model = Model(bert.model.input, [head(x), again(x)])
    values = ops.convert_to_numpy(head.kernel)
    assert 0.25 * 0.8 < values.std() < 0.3 and np.abs(values).max() <= 0.6 + 1e-6
    assert not np.array_equal(values, ops.convert_to_numpy(again.kernel)), "one initializer, independent draws"
    flat = Model(bert.model.input, keras.layers.Dense(3, kernel_initializer=bert.initializer)(bert.output))
    flat.save(tmp_path / "model.keras")
    arrays = batch(bert)
    np.testing.assert_array_equal(
        run(flat, arrays)[0], run(keras.models.load_model(tmp_path / "model.keras"), arrays)[0]
    )
    assert len(model.outputs) == 2


def test_attributes():
    bert = make(return_keras_model=False, with_mlm=True, embedding_size=8)
    assert (bert.hidden_size, bert.num_hidden_layers, bert.num_attention_heads, bert.vocab_size) == (16, 2, 2, 40)
    assert (bert.embedding_size, bert.intermediate_size, bert.with_mlm) == (8, 24, True)
    assert bert.input is bert.model.input or list(bert.input) == list(bert.model.input)
    assert bert.output is bert.outputs[0] and bert.layers["Embedding-Token"] is bert.model.get_layer("Embedding-Token")
    with pytest.raises(AttributeError, match="BERT|Transformer.*no attribute 'nothing'"):
        _ = bert.nothing


class Extended(BERT):
    """Overrides every hook that scripts override."""

    calls: list = []

    def get_inputs(self):
        return [*super().get_inputs(), keras.Input((4,), name=self.prefixed("Input-Extra"))]

    def apply_embeddings(self, inputs):
        return super().apply_embeddings(inputs[:2])

    def apply_main_layers(self, inputs, index):
        self.calls.append(index)
        x = super().apply_main_layers(inputs, index)
        return self.apply(x, LayerNormalization, name=f"Transformer-{index}-Extra-Norm")

    def apply_final_layers(self, inputs):
        x = super().apply_final_layers(inputs)
        return self.apply(x, keras.layers.Dense, units=3, kernel_initializer=self.initializer, name="Final")

    @property
    def initializer(self):
        return keras.initializers.Constant(0.01)

    def variable_mapping(self):
        mapping = super().variable_mapping()
        for i in range(self.num_hidden_layers):
            name = f"bert/encoder/layer_{i}/extra/LayerNorm"
            mapping[f"Transformer-{i}-Extra-Norm"] = [f"{name}/beta", f"{name}/gamma"]
        mapping["Final"] = ["final/kernel", "final/bias"]
        return mapping


def test_subclass(tmp_path):
    Extended.calls.clear()
    bert = make(model=Extended, return_keras_model=False)
    assert Extended.calls == [0, 1] and isinstance(bert, Extended)
    assert [t.name for t in bert.model.inputs] == ["Input-Token", "Input-Segment", "Input-Extra"]
    assert bert.output.shape == (None, None, 3)
    np.testing.assert_allclose(ops.convert_to_numpy(bert.model.get_layer("Final").kernel), 0.01)
    randomize(bert.model)
    bert.save_weights_as_checkpoint(tmp_path / "model.ckpt")
    other = make(model=Extended, return_keras_model=False)
    other.load_weights_from_checkpoint(tmp_path / "model.ckpt")
    for a, b in zip(bert.model.weights, other.model.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))


def test_hooks_on_inputs_of_ones_own():
    """What BERT-of-Theseus does: the blocks of finished models in a graph of the script's own, masks included."""
    bert, other = (make(return_keras_model=False, prefix=prefix) for prefix in ("", "Other-"))
    x = bert.apply_embeddings(other.model.inputs)
    for index in range(bert.num_hidden_layers):
        x = bert.apply_main_layers(x, index)
    joined = keras.Model(other.model.inputs, bert.apply_final_layers(x))
    tokens = np.array([[5, 6, 7, 0, 0], [8, 9, 10, 11, 12]])
    np.testing.assert_allclose(
        run(joined, [tokens, tokens * 0])[0], run(bert.model, [tokens, tokens * 0])[0], atol=1e-6
    )


class InitializedByMethod(RoFormer):
    """The old way: the hook is a function (shape, dtype) rather than an object."""

    def initializer(self, shape, dtype=None, **kwargs):
        return ops.full(shape, 0.5, dtype=dtype or "float32")


def test_initializer_as_a_method(tmp_path):
    model = make(model=InitializedByMethod)
    np.testing.assert_allclose(ops.convert_to_numpy(model.get_layer("Transformer-0-FeedForward").i0_dense.kernel), 0.5)
    np.testing.assert_allclose(ops.convert_to_numpy(model.get_layer("Embedding-Token").embeddings), 0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(ops.convert_to_numpy(loaded.get_layer("Embedding-Token").embeddings), 0.5)


def test_shared_layers():
    encoder = build("bert-encoder")
    lm = make(application="lm", layers=encoder.layers, return_keras_model=False)
    assert lm.model.get_layer("Transformer-0-FeedForward") is encoder.model.get_layer("Transformer-0-FeedForward")
    ids = {id(v) for v in encoder.model.weights}
    assert ids <= {id(v) for v in lm.model.weights} and len(lm.model.weights) > len(ids)


def test_additional_inputs():
    extra = keras.Input((6,), name="Extra")
    one = make(additional_input_layers=extra)
    many = make(additional_input_layers=[extra, keras.Input((2,), name="More")])
    assert [t.name for t in one.inputs][2:] == ["Extra"] and [t.name for t in many.inputs][2:] == ["Extra", "More"]


def test_sequence_length_fixes_the_shape():
    model = make(sequence_length=7, application="lm")
    assert model.input_shape == [(None, 7), (None, 7)] and model.output_shape == (None, 7, 40)


def test_embedding_layer_alone():
    layer = Embedding(5, 3, mask_zero=True)
    x = layer(ops.convert_to_tensor(np.array([[0, 2, 0]])))
    assert ops.convert_to_numpy(keras.src.backend.get_keras_mask(x)).tolist() == [[True, True, False]]
    with pytest.raises(ValueError, match="mode is 'embedding' or 'dense'"):
        layer(x, mode="both")


@pytest.mark.parametrize(
    "case, family", [("roformer_mlm", "roformer"), ("roformer_v2_mlm", "roformer_v2"), ("bert_encoder", "bert")]
)
def test_folder_tells_the_family_by_its_variables(case, family, tmp_path):
    """The JSON of TensorFlow releases names no family."""
    import json
    import shutil
    from pathlib import Path

    models = Path(__file__).parent.parent / "golden" / "models"
    info = json.loads((models / case / "case.json").read_text())
    prefix = (models / case / info["checkpoint"]).resolve()
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        shutil.copy(path, tmp_path)
    shutil.copy(models / case / "config.json", tmp_path)
    assert build_transformer_model(tmp_path, return_keras_model=False).config.family == family


@pytest.mark.parametrize(
    "file, says",
    [
        ({"num_hidden_groups": 1}, "albert"),
        ({"use_relative_position": True}, "nezha"),
        ({"model_type": "nezha"}, "nezha"),
        ({"model_type": "gpt2"}, "gpt2"),
        ({"model_type": "t5"}, "t5.1.0"),
        ({"model_type": "t5", "feed_forward_proj": "gated-gelu"}, "t5.1.1"),
        ({"model_type": "mt5"}, "mt5.1.1"),
    ],
)
def test_the_configuration_tells_the_family(file, says):
    assert build_transformer_model({**BASE, **file}, return_keras_model=False).config.family == says


def test_configurations_that_cannot_be_built():
    with pytest.raises(ValueError, match="Unknown model 'xlnet'"):
        build_transformer_model({"model_type": "xlnet"})
    t5 = {"model_type": "t5", "d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2, "num_layers": 2, "vocab_size": 9}
    with pytest.raises(ValueError, match="num_layers 2 and num_decoder_layers 3"):
        build_transformer_model({**t5, "num_decoder_layers": 3})


def test_names_that_imply_options():
    simbert = make(model="simbert", return_keras_model=False)
    assert (simbert.application, simbert.with_pool, simbert.family) == ("unilm", "linear", "bert")
    assert make(model="simbert", with_pool=False, return_keras_model=False).with_pool is False
    assert make(model="nezha_gpt", return_keras_model=False).application == "lm"
    assert make(model="roformer_sim", application="lm", return_keras_model=False).application == "lm"
