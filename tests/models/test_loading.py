"""Checkpoints in and out: errors that say what does not fit, warnings that are short, round trips that are exact."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from cases import BASE, build
from keras import ops

from bert4keras2.checkpoints import CheckpointError, CheckpointMismatchError, open_checkpoint, write_safetensors
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
    from bert4keras2.checkpoints import write_tensorflow

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
    from bert4keras2.checkpoints import write_tensorflow

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
    from bert4keras2.checkpoints import write_tensorflow

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


@pytest.mark.parametrize("case, other", [("mt5_1_1", "t5.1.1"), ("t5_1_1", "mt5.1.1")])
def test_files_of_t5_and_mt5_differ_by_a_name_that_both_read(case, other):
    folder = FOLDER / case
    files = folder / "config.json", folder / "model.ckpt"
    found = build_transformer_model(*files, model=other)
    usual = build_transformer_model(*files, model=case.replace("_1_1", ".1.1"))
    for one, same in zip(found.weights, usual.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(same))


def test_sizes_that_follow_from_others_can_be_read_off():
    bert = build_transformer_model(FOLDER / "bert_encoder" / "config.json", return_keras_model=False)
    size = bert.hidden_size // bert.num_attention_heads
    assert (bert.attention_head_size, bert.attention_key_size, bert.embedding_size) == (size, size, bert.hidden_size)
