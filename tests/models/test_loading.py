"""Checkpoints in and out: errors that say what does not fit, warnings that are short, round trips that are exact."""

from __future__ import annotations

import functools
import json
import shutil
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from cases import BASE, build, randomize, run
from keras import ops

from bert4keras2.checkpoints.errors import CheckpointError
from bert4keras2.checkpoints.loader import CheckpointMismatchError, rooted, table_for
from bert4keras2.checkpoints.readers import open_checkpoint
from bert4keras2.checkpoints.safetensors_files import write_safetensors
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend
FOLDER = Path(__file__).parent.parent / "golden" / "models"
BERT, ROFORMER = FOLDER / "bert_encoder", FOLDER / "roformer_encoder"


def values(model):
    return [np.array(ops.convert_to_numpy(variable)) for variable in model.weights]


def load(folder=BERT, checkpoint=None, **kwargs):
    return build_transformer_model(folder / "config.json", checkpoint or folder / "model.ckpt", **kwargs)


def fails(*parts, **kwargs):
    """Loading fails with one error whose message has all the parts."""
    with pytest.raises(CheckpointMismatchError) as caught:
        load(**kwargs)
    for part in parts:
        assert part in str(caught.value), str(caught.value)
    return str(caught.value)


def warned(**kwargs):
    """Load and return the model and the texts of our warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = load(**kwargs)
    return model, [str(w.message) for w in caught if "checkpoint" in str(w.message) or "does not use" in str(w.message)]


@pytest.fixture
def bert_arrays():
    with open_checkpoint(BERT / "model.ckpt") as reader:
        return {name: reader.read(name) for name in reader.names() if "unused_head" not in name}


# -- errors ------------------------------------------------------------------------------------------------------


def test_wrong_family():
    fails("look like model='roformer', but the model is 'bert'", folder=ROFORMER, model="bert", max_position=8)
    fails("look like model='bert', but the model is 'roformer_v2'", model="roformer_v2", hidden_size=48)
    message = fails(
        "bert/embeddings/position_embeddings (for Embedding-Position/embeddings)", folder=ROFORMER, max_position=8
    )
    assert "The model needs, and the file lacks (1)" in message


def test_wrong_number_of_layers():
    message = fails("It has 2 layers, the model 4 (num_hidden_layers)", "file lacks (32)", num_hidden_layers=4)
    assert "bert/encoder/layer_2/attention/self/query/kernel" in message and "... and 22 more" in message
    assert len(message.splitlines()) < 20


def test_wrong_shapes():
    message = fails(
        "Shapes differ",
        "bert/embeddings/word_embeddings",
        "in the file",
        "in the model",
        hidden_size=24,
        num_attention_heads=4,
    )
    assert "file lacks" not in message
    fails("bert/embeddings/position_embeddings: ", "[7, ", "(Embedding-Position/embeddings)", max_position=7)


def test_vocabulary_of_another_size():
    rows = json.loads((BERT / "config.json").read_text())["vocab_size"]
    fails(f"word_embeddings: [{rows}, ", f"in the file, [{rows + 5}, ", vocab_size=rows + 5)
    # keep_tokens picks rows of the whole table: a file that was cut before is not what it was made for.
    fails("word_embeddings", vocab_size=rows + 5, keep_tokens=[0, 3])


def test_missing_variable(tmp_path, bert_arrays):
    from bert4keras2.checkpoints.tf_files import write_tensorflow

    del bert_arrays["bert/encoder/layer_1/output/LayerNorm/gamma"]
    write_tensorflow(tmp_path / "model.ckpt", bert_arrays.items())
    message = fails(
        "file lacks (1)",
        "layer_1/output/LayerNorm/gamma (for Transformer-1-FeedForward-Norm/gamma)",
        checkpoint=tmp_path / "model.ckpt",
    )
    assert "Is this the checkpoint that belongs to the configuration file?" in message


def test_no_transformer_at_all(tmp_path):
    write_safetensors(tmp_path / "a.safetensors", [("conv.weight", np.zeros((2, 2), "float32"))])
    message = fails(
        "None of its variables has a name that transformer checkpoints use", checkpoint=tmp_path / "a.safetensors"
    )
    assert "conv.weight" in message


def test_failed_load_changes_nothing():
    """All is matched before anything is assigned."""
    bert = build_transformer_model(BERT / "config.json", return_keras_model=False, max_position=7)
    before = values(bert.model)
    with pytest.raises(CheckpointMismatchError):
        bert.load_weights_from_checkpoint(BERT / "model.ckpt")
    for a, b in zip(before, values(bert.model), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("damage", ["half", "empty", "web page", "no data", "no index"])
def test_damaged_files(tmp_path, damage):
    data, index = "model.ckpt.data-00000-of-00001", "model.ckpt.index"
    for name in (data, index):
        shutil.copy(BERT / name, tmp_path / name)
    content = (tmp_path / data).read_bytes()
    if damage == "half":
        (tmp_path / data).write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        (tmp_path / index).write_bytes(b"")
    elif damage == "web page":
        (tmp_path / index).write_bytes(b"<!DOCTYPE html><html></html>")
    else:
        (tmp_path / (data if damage == "no data" else index)).unlink()
    with pytest.raises(CheckpointError, match="model.ckpt"):
        load(checkpoint=tmp_path / "model.ckpt")


def test_damaged_safetensors(tmp_path):
    path = tmp_path / "model.safetensors"
    load(return_keras_model=False).save_weights_as_checkpoint(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 100])
    with pytest.raises(CheckpointError, match="model.safetensors"):
        load(checkpoint=path)
    with pytest.raises(FileNotFoundError, match="no checkpoint .*model.safetensor'.*model.safetensors"):
        load(checkpoint=tmp_path / "model.safetensor")


# -- warnings ----------------------------------------------------------------------------------------------------


def test_heads_and_optimizer_slots_are_silent(tmp_path, bert_arrays):
    from bert4keras2.checkpoints.tf_files import write_tensorflow

    assert any(name.startswith("cls/") for name in bert_arrays)
    word = bert_arrays["bert/embeddings/word_embeddings"]
    slots = {
        "bert/embeddings/word_embeddings/adam_m": word,
        "bert/embeddings/word_embeddings/adam_v": word,
        "global_step": np.int64(5),
    }
    write_tensorflow(tmp_path / "model.ckpt", {**bert_arrays, **slots}.items())
    assert warned(checkpoint=tmp_path / "model.ckpt")[1] == []


def test_unexpected_variables_warn_once(tmp_path, bert_arrays):
    from bert4keras2.checkpoints.tf_files import write_tensorflow

    new = {"bert/adapter/kernel": np.zeros((2, 2), "float32"), "bert/adapter/bias": np.zeros(2, "float32")}
    write_tensorflow(tmp_path / "model.ckpt", {**bert_arrays, **new}.items())
    texts = warned(checkpoint=tmp_path / "model.ckpt")[1]
    assert len(texts) == 1 and "does not use bert/adapter/" in texts[0]
    assert "bert/adapter/kernel" in texts[0] and "bert/adapter/bias" in texts[0] and "layers" not in texts[0]


def test_fewer_layers_warn_in_short():
    texts = warned(num_hidden_layers=1)[1]
    wanted = "does not use bert/unused_head/kernel, and layer 1 (it has 1: num_hidden_layers)"
    assert len(texts) == 1 and texts[0].endswith(wanted)


def test_ranges_of_unused_layers(tmp_path):
    deep = build("bert-encoder", num_hidden_layers=5)
    for path in (tmp_path / "model.ckpt", tmp_path / "model.safetensors"):
        deep.save_weights_as_checkpoint(path)
        with pytest.warns(UserWarning, match=r"does not use layers 2 to 4 \(it has 2: num_hidden_layers\)$") as caught:
            shallow = build_transformer_model({**BASE}, path)
        assert len(caught) == 1
        kernel = shallow.get_layer("Transformer-1-FeedForward").i0_dense.kernel
        np.testing.assert_array_equal(
            ops.convert_to_numpy(kernel), ops.convert_to_numpy(deep.layers["Transformer-1-FeedForward"].i0_dense.kernel)
        )


# -- options -----------------------------------------------------------------------------------------------------


def test_ignore_invalid_weights():
    """What is missing or of another shape keeps its random value, the rest is loaded, with one warning."""
    model, texts = warned(num_hidden_layers=3, max_position=7, ignore_invalid_weights=True)
    assert len(texts) == 1 and "keep their initial values" in texts[0]
    assert "position_embeddings: " in texts[0] and "layer_2" in texts[0]
    whole = load()
    for name in ("Embedding-Token", "Transformer-1-FeedForward-Norm"):
        for a, b in zip(values(model.get_layer(name)), values(whole.get_layer(name)), strict=True):
            np.testing.assert_array_equal(a, b)
    fresh = values(model.get_layer("Transformer-2-FeedForward"))[0]
    assert np.isfinite(fresh).all() and 0 < fresh.std() < 0.1


@pytest.mark.filterwarnings("ignore:.*does not use.*")
@pytest.mark.parametrize(
    "sizes", [{"hidden_size": 48, "intermediate_size": 100}, {"hidden_size": 16, "intermediate_size": 20}]
)
def test_autoresize(sizes):
    model = load(autoresize_weights=True, num_attention_heads=4, **sizes)
    assert model.get_layer("Embedding-Token").embeddings.shape[1] == sizes["hidden_size"]
    assert all(np.isfinite(value).all() for value in values(model))
    # Widths that agree leave every weight as it is.
    for a, b in zip(values(load(autoresize_weights=True)), values(load()), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keep_and_compound_tokens_from_both_sources(tmp_path):
    options = {"keep_tokens": [0, 7, 3, 9], "compound_tokens": [[1, 2], ([0, 3], [3.0, 1.0])], "with_mlm": True}
    whole = load(with_mlm=True, return_keras_model=False)
    whole.save_weights_as_checkpoint(tmp_path / "model.safetensors")
    table = values(whole.model.get_layer("Embedding-Token"))[0]
    kept = table[[0, 7, 3, 9]]
    expected = np.concatenate([kept, [(kept[1] + kept[2]) / 2], [(3 * kept[0] + kept[3]) / 4]])
    for checkpoint in (None, tmp_path / "model.safetensors"):
        model = load(checkpoint=checkpoint, **options)
        np.testing.assert_allclose(values(model.get_layer("Embedding-Token"))[0], expected, atol=1e-6)
        assert model.get_layer("MLM-Bias").beta.shape == (6,)


# -- ids and lengths ---------------------------------------------------------------------------------------------


def generator(*batches):
    yield from batches


HOW = ("predict", "fit", "evaluate", "train_on_batch", "generator", "late generator", "dict", "validation")
WRONG = [("id", how) for how in HOW] + [("length", how) for how in ("fit", "late generator", "validation")]
WRONG += [(what, "predict") for what in ("segment", "position", "negative", "length")]
to_check = functools.cache(build)


@pytest.mark.parametrize(("what", "how"), WRONG)
def test_ids_and_lengths_are_checked(what, how):
    """On every backend the same error, before the step that would meet it."""
    name = "bert-positions" if what == "position" else "bert-encoder"
    model = to_check(name).model
    length = 21 if what == "length" else 6
    x = [np.ones((2, length), "int32") for _ in model.inputs]
    good = [np.ones((2, 5), "int32") for _ in model.inputs]
    if what == "id":
        x[0][1, 3] = 40
    elif what == "segment":
        x[1][1, 3] = 2
    elif what == "negative":
        x[0][1, 3] = -1
    elif what == "position":
        x[2][1, 3] = 20
    message = {
        "id": r"Input 'Input-Token' has id 40 at \(1, 3\), but layer 'Embedding-Token' has 40 rows",
        "segment": r"Input 'Input-Segment' has id 2 at \(1, 3\), but layer 'Embedding-Segment' has 2 rows",
        "position": r"Input 'Input-Position' has id 20 at \(1, 3\), but layer 'Embedding-Position' has 20 rows",
        "negative": r"Input 'Input-Token' has id -1 at \(1, 3\)",
        "length": r"sequences of length 21, but layer 'Embedding-Position' knows 20 positions",
    }[what]
    y, good_y = np.zeros((2, length, 16)), np.zeros((2, 5, 16))
    model.compile("sgd", "mse", run_eagerly=keras.backend.backend() == "tensorflow")
    calls = {
        "predict": lambda: model.predict(x, verbose=0),
        "fit": lambda: model.fit(x, y, verbose=0),
        "evaluate": lambda: model.evaluate(x, y, verbose=0),
        "train_on_batch": lambda: model.train_on_batch(x, y),
        "generator": lambda: model.fit(generator((tuple(x), y)), steps_per_epoch=1, verbose=0),
        "late generator": lambda: model.fit(
            generator((tuple(good), good_y), (tuple(a[:, :4] for a in good), good_y[:, :4]), (tuple(x), y)),
            steps_per_epoch=3,
            verbose=0,
        ),
        "dict": lambda: model.predict(dict(zip([t.name for t in model.inputs], x, strict=True)), verbose=0),
        "validation": lambda: model.fit(good, good_y, validation_data=(x, y), verbose=0),
    }
    with pytest.raises(ValueError, match=message):
        calls[how]()


def test_data_generator_is_checked():
    from bert4keras2.snippets import DataGenerator

    class Batches(DataGenerator):
        def collate(self, batch):
            ids = np.array(batch)
            return [ids, ids * 0], np.zeros((*ids.shape, 16), "float32")

    model = build("bert-encoder").model
    model.compile("sgd", "mse", run_eagerly=keras.backend.backend() == "tensorflow")
    data = Batches([[1, 2, 3]] * 6 + [[1, 2, 99]], batch_size=2)
    with pytest.raises(ValueError, match="'Input-Token' has id 99"):
        model.fit(data.forfit(random=False), steps_per_epoch=len(data), verbose=0)
    with pytest.raises(ValueError, match="'Input-Token' has id 99"):
        model.predict(data.fortest(), steps=len(data), verbose=0)
    with pytest.raises(ValueError, match="'Input-Token' has id 99"):
        model.predict(Batches([[99, 2, 3]], 2).fortest(), verbose=0)
    with pytest.raises(ValueError, match="'Input-Token' has id 99"):
        model.evaluate(Batches([[99, 2, 3]], 2).forfit(), steps=1, verbose=0)
    assert model.predict(Batches([[1, 2, 3]] * 3, 2).fortest(), verbose=0).shape == (3, 3, 16)


def test_an_interrupted_run_keeps_the_weights():
    """Keras on JAX takes the variables' values away while it predicts; they come back whatever ends the loop."""

    def batches():
        yield ([np.ones((2, 4), "int32")] * 2,)
        yield ([np.ones((2, 4), "int32")] * 2,)
        yield ([np.ones((2, 4), "int32")] * 2,)
        raise KeyboardInterrupt

    model = build("bert-encoder").model
    before = values(model)
    with pytest.raises(KeyboardInterrupt if keras.backend.backend() != "tensorflow" else Exception):
        model.predict(batches(), verbose=0)
    for a, b in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_models_within_models_are_checked():
    encoder = build("bert-encoder").model
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in ("a", "b", "c")]
    whole = type(encoder)(inputs, keras.layers.Add()([encoder(inputs[:2]), encoder([inputs[2], inputs[1]])]))
    x = [np.ones((2, 4), "int32") for _ in inputs]
    x[2][0, 1] = 50
    with pytest.raises(ValueError, match=r"Input 'c' has id 50 at \(0, 1\)"):
        whole.predict(x, verbose=0)
    with pytest.raises(ValueError, match="Input 'a' has sequences of length 30"):
        whole.predict([np.ones((2, 30), "int32")] * 3, verbose=0)


@pytest.mark.parametrize("name", ["roformer-encoder", "bert-hierarchical"])
def test_long_texts_where_they_are_fine(name):
    model = build(name).model
    length = {"roformer-encoder": 50, "bert-hierarchical": 16}[name]
    assert model.predict([np.ones((1, length), "int32")] * 2, verbose=0).shape == (1, length, 16)
    if name == "bert-hierarchical":
        with pytest.raises(ValueError, match="length 17, but layer 'Embedding-Position' knows 16 positions"):
            model.predict([np.ones((1, 17), "int32")] * 2, verbose=0)


# -- round trips -------------------------------------------------------------------------------------------------

HEADS = {"with_nsp": True, "with_pool": True, "with_mlm": True}


@pytest.mark.filterwarnings("ignore:Released")
@pytest.mark.parametrize("file", ["model.ckpt", "model.safetensors"])
@pytest.mark.parametrize("case", ["bert", "bert-narrow", "roformer", "roformer_v2", "bert-no-segments"])
def test_round_trip(case, file, tmp_path):
    options = {
        "bert": HEADS,
        "bert-narrow": {**HEADS, "embedding_size": 8},
        "roformer": {**HEADS, "embedding_size": 8, "model": "roformer"},
        "roformer_v2": {"with_mlm": True, "model": "roformer_v2"},
        "bert-no-segments": {"segment_vocab_size": 0, "application": "lm"},
    }[case]
    first = build("bert-encoder", **options)
    first.save_weights_as_checkpoint(tmp_path / file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = build_transformer_model(**BASE, **options, checkpoint_path=tmp_path / file, return_keras_model=False)
    for a, b, v in zip(values(first.model), values(second.model), first.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=v.path)
    with open_checkpoint(tmp_path / file) as reader:
        assert len(reader) == len(first.model.weights), "every variable has a name of its own"


def test_half_precision_round_trip(tmp_path):
    first = build("bert-encoder")
    for file in ("model.ckpt", "model.safetensors"):
        first.save_weights_as_checkpoint(tmp_path / file, dtype="float16")
        second = build_transformer_model(**BASE, checkpoint_path=tmp_path / file)
        for a, b in zip(values(first.model), values(second), strict=True):
            np.testing.assert_array_equal(a.astype("float16").astype("float32"), b)


def test_prefixed_models_round_trip(tmp_path):
    first = build("bert-encoder", prefix="Student-")
    first.save_weights_as_checkpoint(tmp_path / "model.ckpt")
    with open_checkpoint(tmp_path / "model.ckpt") as reader:
        assert "bert/embeddings/word_embeddings" in reader
    second = build_transformer_model(**BASE, checkpoint_path=tmp_path / "model.ckpt", prefix="Teacher-")
    for a, b in zip(values(first.model), values(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mapping_argument(tmp_path):
    first = build("bert-encoder")
    mapping = first.variable_mapping()
    renamed = {layer: [f"mine/{name}" for name in names] for layer, names in mapping.items()}
    first.save_weights_as_checkpoint(tmp_path / "model.ckpt", mapping=renamed)
    second = build("bert-encoder")
    randomize(second.model, seed=9)
    second.load_weights_from_checkpoint(tmp_path / "model.ckpt", mapping=renamed)
    for a, b in zip(values(first.model), values(second.model), strict=True):
        np.testing.assert_array_equal(a, b)


# -- Hugging Face ------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    pytest.importorskip("transformers")
    return pytest.importorskip("torch")


HF_INPUTS = {
    "input_ids": np.array([[2, 5, 7, 9, 3, 11], [2, 6, 8, 3, 0, 0]]),
    "token_type_ids": np.array([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0]]),
}
HF_SIZES = {
    "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 20, "layer_norm_eps": 1e-12, "initializer_range": 0.3, "pad_token_id": 0,
}  # fmt: skip


def hf_run(torch, model):
    inputs = {name: torch.tensor(value) for name, value in HF_INPUTS.items()}
    with torch.no_grad():
        return model.eval()(**inputs, attention_mask=inputs["input_ids"] != 0)


def near(ours, theirs, atol=1e-5):
    mask = HF_INPUTS["input_ids"] != 0
    theirs = theirs.numpy()
    pair = (ours[mask], theirs[mask]) if ours.ndim == 3 else (ours, theirs)
    np.testing.assert_allclose(*pair, atol=atol)


def test_hugging_face_reads_what_we_write(torch, tmp_path):
    from transformers import BertConfig, BertForPreTraining, BertModel

    ours = build("bert-encoder", with_nsp=True, with_mlm="linear")
    ours.save_weights_as_checkpoint(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({**BertConfig(**HF_SIZES).to_dict(), "model_type": "bert"}))
    theirs, report = BertForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    # The output matrix is tied to the embeddings.
    assert not [key for key in report["missing_keys"] if "decoder" not in key] and not report["unexpected_keys"]
    result = hf_run(torch, theirs)
    nsp, scores = run(ours.model, list(HF_INPUTS.values()))
    near(nsp, torch.softmax(result.seq_relationship_logits, -1))
    near(scores, result.prediction_logits, atol=3e-5)
    backbone = BertModel.from_pretrained(tmp_path)
    hidden = type(ours.model)(ours.model.inputs, ours.model.get_layer("Transformer-1-FeedForward-Norm").output)
    near(run(hidden, list(HF_INPUTS.values()))[0], hf_run(torch, backbone).last_hidden_state)


@pytest.mark.parametrize("kind", ["Bert", "RoFormer", "BertForMaskedLM", "BertForSequenceClassification"])
def test_we_read_what_hugging_face_writes(torch, tmp_path, kind):
    import transformers

    torch.manual_seed(0)
    family = "RoFormer" if kind == "RoFormer" else "Bert"
    config = getattr(transformers, f"{family}Config")(**HF_SIZES)
    name = f"{kind}Model" if kind == family else kind
    theirs = getattr(transformers, name)(config)
    theirs.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = build_transformer_model(tmp_path)
    core = getattr(theirs, "bert", theirs)
    near(run(ours, list(HF_INPUTS.values()))[0], hf_run(torch, core).last_hidden_state)
    if kind == "Bert":
        pooled = build_transformer_model(tmp_path, with_pool=True)
        near(run(pooled, list(HF_INPUTS.values()))[0], hf_run(torch, core).pooler_output)
    if kind == "BertForMaskedLM":
        scored = build_transformer_model(tmp_path, with_mlm="linear")
        near(run(scored, list(HF_INPUTS.values()))[0], hf_run(torch, theirs).logits, atol=3e-5)


# -- released files ----------------------------------------------------------------------------------------------

LAYOUTS = ["bert_uncased_L8_H512", "rbt3", "bert_base_trimmed_vocab", "google_bert_toy", "chinese_bert_wwm"]


def expected_shapes(config, reader):
    """Return {name in the checkpoint: shape} for a BERT of given sizes, from a model one wide: no weights of that size.

    A tiny model has the same variables; its sizes are put back by what they stand for.
    """
    layers = config["num_hidden_layers"]
    sizes = {
        101: config["vocab_size"],
        103: config["hidden_size"],
        107: config["intermediate_size"],
        109: config["max_position_embeddings"],
        3: config["type_vocab_size"],
    }
    tiny = build_transformer_model(
        vocab_size=101, hidden_size=103, intermediate_size=107, max_position=109, segment_vocab_size=3,
        num_attention_heads=103, num_hidden_layers=layers, with_pool=True, with_nsp=True, with_mlm=True,
        return_keras_model=False,
    )  # fmt: skip
    bindings = tiny._bindings("tensorflow", None)
    assert len(bindings) == len(tiny.model.weights), "each variable of the model has a name"
    shapes = {}
    for binding in bindings:
        name = next((n for n in rooted(binding.names, "") if n in reader), binding.names[0])
        shape = [sizes.get(size, size) for size in binding.variable.shape]
        shapes[name] = shape[::-1] if binding.transpose else shape
    return shapes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_released_layouts(shared, layout):
    folder = shared / "checkpoint_layouts" / layout
    if not folder.is_dir():
        pytest.skip(f"needs {layout}")
    config = json.loads(next(folder.glob("*config*.json")).read_text())
    with open_checkpoint(next(folder.glob("*.index")).with_suffix(""), names_only=True) as reader:
        expected = expected_shapes(config, reader)
        table = table_for("bert", "tensorflow")
        stored = {name: list(reader.shape(name)) for name in reader.names()}
        # A release may leave out a head, but then all of it.
        heads = [
            h
            for h in ("bert/pooler/", "cls/seq_relationship/", "cls/predictions/")
            if not any(n.startswith(h) for n in stored)
        ]
        for name in expected:
            assert name.startswith(tuple(heads)) or stored.get(name) == expected[name], name
        left = set(stored) - set(expected)
        assert all(table.silent(name) for name in left), left


def test_google_toy(shared):
    folder = shared / "checkpoint_layouts" / "google_bert_toy"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = build_transformer_model(folder, with_nsp=True, with_mlm=True)
    nsp, scores = run(model, [np.array([[1, 2, 3, 4]]), np.array([[0, 0, 1, 1]])])
    np.testing.assert_allclose(nsp.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-4)


@pytest.mark.slow
def test_real_sentence_encoder(shared):
    """A pre-trained encoder by its folder: texts that mean the same are nearer than others."""
    pytest.importorskip("sentencepiece")
    from bert4keras2.tokenizers import SpTokenizer

    folder = shared / "checkpoints" / "me5_small_zh"
    model = build_transformer_model(folder, segment_vocab_size=0)
    tokenizer = SpTokenizer(str(folder / "sentencepiece.model"), token_start="<s>", token_end="</s>")
    vectors = []
    for text in ("今天天气很好", "今天是个晴天", "如何申请退款"):
        ids = tokenizer.encode(f"query: {text}")[0]
        vector = run(model, [np.array([ids])])[0][0].mean(0)
        vectors.append(vector / np.linalg.norm(vector))
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.03
