"""Converting checkpoints by the tables: every variable comes along, bit by bit, and nothing half done is left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from bert4keras2 import convert as command
from bert4keras2.checkpoints import (
    CheckpointDamagedError,
    CheckpointError,
    CheckpointNotFoundError,
    UnknownVariablesError,
    convert,
    open_checkpoint,
    write_safetensors,
    write_tensorflow,
)
from bert4keras2.checkpoints.conversion import converting as conversion

GOLDEN = Path(__file__).parent.parent / "golden" / "models"
CHECKPOINTS = sorted(path.parent.name for path in GOLDEN.glob("*/model.ckpt.index"))
NO_HUGGING_FACE = {"gpt", "gpt2_ml"}


def values(path: Path | str) -> dict[str, np.ndarray]:
    with open_checkpoint(path) as reader:
        return {name: reader.read(name) for name in reader.names()}


def model_of(case: str) -> str:
    return json.loads((GOLDEN / case / "case.json").read_text())["model"]


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert sorted(first) == sorted(second)
    for name, value in first.items():
        assert value.dtype == second[name].dtype and value.shape == second[name].shape, name
        assert value.tobytes() == second[name].tobytes(), name


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A TensorFlow folder of a BERT without anything unknown in it, and a vocabulary."""
    folder = tmp_path / "toy"
    shutil.copytree(GOLDEN / "bert_residual_attention", folder)
    (folder / "case.json").unlink()
    (folder / "vocab_chinese.txt").write_text("[PAD]\n[UNK]\n")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    return folder


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_round_trips(case: str, tmp_path: Path) -> None:
    family = model_of(case)
    if family in NO_HUGGING_FACE:
        with pytest.raises(CheckpointError, match="huggingface names|Hugging Face"):
            convert(GOLDEN / case, tmp_path / "hf", model=family)
        assert not list(tmp_path.iterdir())
        return
    there = convert(GOLDEN / case, tmp_path / "hf", model=family, ignore_unknown=True)
    back = convert(tmp_path / "hf", tmp_path / "tf" / "bert_model.ckpt")
    assert there.formats == ("tensorflow", "safetensors") and back.formats == ("safetensors", "tensorflow")
    assert back.family == there.family and not back.unknown
    original = values(GOLDEN / case / "model.ckpt")
    dropped = [*there.left_out, *there.unknown]
    assert all("adam" in n or "unused" in n or "slot" in n or "step" in n for n in dropped), dropped
    same({name: value for name, value in original.items() if name not in dropped}, values(tmp_path / "tf"))
    # And the other way round.
    again = convert(tmp_path / "tf", tmp_path / "again")
    assert again.family == there.family and not again.left_out
    same(values(tmp_path / "hf"), values(tmp_path / "again"))
    assert json.loads((tmp_path / "hf/config.json").read_text()) == json.loads(
        (tmp_path / "again/config.json").read_text()
    )


@pytest.mark.parametrize("case", ["bert_residual_attention", "roformer_v2_encoder", "albert_encoder", "t5_1_1"])
def test_folders_that_were_converted_build_the_same_model(case: str, tmp_path: Path) -> None:
    from bert4keras2.models import build_transformer_model

    convert(GOLDEN / case, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "tf")
    first, *others = (build_transformer_model(folder) for folder in (GOLDEN / case, tmp_path / "hf", tmp_path / "tf"))
    for other in others:
        assert [v.path for v in other.weights] == [v.path for v in first.weights]
        for mine, theirs in zip(first.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    generator = np.random.RandomState(0)
    inputs = [generator.randint(0, 2, (2, 6)).astype("int32") for _ in first.inputs]
    inputs = inputs if len(inputs) > 1 else inputs[0]
    expected = np.asarray(first.predict(inputs, verbose=0)[0])
    for other in others:
        np.testing.assert_allclose(other.predict(inputs, verbose=0)[0], expected, atol=1e-6)


def test_hugging_face_reads_what_was_converted(toy: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    convert(toy, tmp_path / "hf")
    model, report = transformers.BertForPreTraining.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not report["unexpected_keys"] and not [k for k in report["missing_keys"] if "decoder" not in k]
    stored = values(toy)["bert/encoder/layer_0/attention/self/query/kernel"]
    query = model.bert.encoder.layer[0].attention.self.query.weight.detach().numpy()
    np.testing.assert_array_equal(query, stored.T)


def test_the_real_encoder(shared: Path, tmp_path: Path) -> None:
    folder = shared / "checkpoints" / "me5_small_zh"
    if not folder.is_dir():
        pytest.skip("needs me5_small_zh")
    convert(folder, tmp_path / "tf")
    convert(tmp_path / "tf", tmp_path / "hf")
    with open_checkpoint(folder) as old, open_checkpoint(tmp_path / "hf") as new:
        names = {name.removeprefix("bert."): name for name in new.names()}
        assert len(names) >= 197 and set(names) == {n for n in old.names() if "position_ids" not in n}
        for name in names:
            assert new.dtype(names[name]) == "float16"
            assert old.read(name).tobytes() == new.read(names[name]).tobytes()
    assert (tmp_path / "hf/sentencepiece.model").read_bytes() == (folder / "sentencepiece.model").read_bytes()


def test_openai_layout_is_split(shared: Path, tmp_path: Path) -> None:
    folder = shared / "checkpoint_layouts" / "gpt2_toy"
    if not folder.is_dir():
        pytest.skip("needs gpt2_toy")
    convert(folder, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "tf")
    old, new = values(folder / "model.ckpt"), values(tmp_path / "tf")
    packed = old["model/h1/attn/c_attn/w"][0]
    parts = [new[f"gpt/transformer/layer_1/attention/self/{x}/kernel"] for x in ("query", "key", "value")]
    np.testing.assert_array_equal(np.concatenate(parts, 1), packed)


@pytest.mark.parametrize("case", ["bert_with_mlm/model.weights", "nezha_mlm/model.h5", "t5_1_1/model.weights"])
def test_keras2_weights(case: str, tmp_path: Path) -> None:
    done = convert(GOLDEN / case, tmp_path / "tf", to="tensorflow", model=model_of(case.split("/")[0]))
    assert done.formats == ("keras2_hdf5", "tensorflow")
    info = json.loads((GOLDEN / case).with_name("case.json").read_text())
    original, got = values((GOLDEN / case).parent / info["checkpoint"]), values(tmp_path / "tf")
    # They are the same weights as the TensorFlow checkpoint's, of which the file has a part.
    assert len(got) == done.variables >= 41
    same({name: original[name] for name in got}, got)


def test_pytorch_files(toy: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    convert(toy, tmp_path / "hf")
    tensors = {name: torch.from_numpy(value) for name, value in values(tmp_path / "hf").items()}
    # As old versions saved them: copies and constants beside the weights, the oldest names of normalizations.
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["bert.embeddings.position_ids"] = torch.arange(20)[None]
    tensors["bert.embeddings.LayerNorm.gamma"] = tensors.pop("bert.embeddings.LayerNorm.weight")
    (tmp_path / "hf/model.safetensors").unlink()
    torch.save(tensors, tmp_path / "hf/pytorch_model.bin")
    done = convert(tmp_path / "hf", tmp_path / "tf")
    assert done.formats == ("torch", "tensorflow")
    assert sorted(done.left_out) == ["bert.embeddings.position_ids", "cls.predictions.decoder.weight"]
    same(values(toy / "model.ckpt"), values(tmp_path / "tf"))


def test_other_layers_of_a_keras2_file_are_unknown(tmp_path: Path) -> None:
    path = GOLDEN / "bert_dropout_head/model.h5"
    with pytest.raises(
        UnknownVariablesError, match=r"2 variables that bert models do not have.*\n.*dense/kernel:0 \[32, 5\]"
    ):
        convert(path, tmp_path / "hf")
    done = convert(path, tmp_path / "hf", ignore_unknown=True)
    assert done.unknown == ["dense/dense/kernel:0", "dense/dense/bias:0"] and done.variables == 37


def test_target_format_is_told_by_the_name(toy: Path, tmp_path: Path) -> None:
    done = convert(toy, tmp_path / "a" / "x.ckpt-100")
    assert done.target.endswith("a/x.ckpt-100") and "x.ckpt-100" in done.reason
    assert sorted(os.listdir(tmp_path / "a")) == [
        "bert_config.json", "tokenizer_config.json", "vocab_chinese.txt", "x.ckpt-100.data-00000-of-00001",
        "x.ckpt-100.index",
    ]  # fmt: skip
    done = convert(toy, tmp_path / "b" / "weights.safetensors")
    assert done.formats[1] == "safetensors" and (tmp_path / "b/config.json").is_file()
    done = convert(toy, tmp_path / "c")
    assert done.formats[1] == "safetensors" and "is a folder" in done.reason
    # Hugging Face's tokenizers look for this name.
    assert (tmp_path / "c/vocab.txt").read_text() == "[PAD]\n[UNK]\n"
    assert convert(tmp_path / "c", tmp_path / "d").formats[1] == "tensorflow"
    assert convert(tmp_path / "c", tmp_path / "e", to="huggingface").reason == ""
    with pytest.raises(ValueError, match="path for tensorflow weights, but the format asked for is huggingface"):
        convert(toy, tmp_path / "f.ckpt", to="huggingface")
    with pytest.raises(ValueError, match="to 'tensorflow' or 'huggingface', not to 'onnx'"):
        convert(toy, tmp_path / "f", to="onnx")
    with pytest.raises(ValueError, match="dtype is one of"):
        convert(toy, tmp_path / "f", dtype="int8")


def test_types(toy: Path, tmp_path: Path) -> None:
    original = values(toy / "model.ckpt")
    convert(toy, tmp_path / "half", to="tensorflow", dtype="float16")
    same({name: value.astype("float16") for name, value in original.items()}, values(tmp_path / "half"))
    convert(toy, tmp_path / "brain", dtype="bfloat16")
    with open_checkpoint(tmp_path / "brain") as reader:
        assert {reader.dtype(name) for name in reader.names()} == {"bfloat16"}
    convert(tmp_path / "brain", tmp_path / "wide", dtype="float32")
    for name, value in values(tmp_path / "wide").items():
        np.testing.assert_allclose(value, original[name], rtol=2**-8, atol=0)
    assert len(values(tmp_path / "wide")) == len(original)


def test_overflow_is_reported(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = values(toy / "model.ckpt")
    arrays["bert/embeddings/word_embeddings"][3, 4] = 1e6
    write_tensorflow(toy / "model.ckpt", arrays.items())
    assert command.main([str(toy), str(tmp_path / "hf"), "--dtype", "float16", "--quiet"]) == 0
    assert "overflow" in (out := capsys.readouterr().out) and "1: bert.embeddings.word_embeddings.weight" in out


def test_unknown_variables_are_not_lost_in_silence(toy: Path, tmp_path: Path) -> None:
    arrays = {**values(toy / "model.ckpt"), "my/classifier": np.ones((3, 2), "float32"), "global_step": np.int64(3)}
    write_tensorflow(toy / "model.ckpt", arrays.items())
    with pytest.raises(UnknownVariablesError, match=r"1 variables .*62 that they have:\n  my/classifier \[3, 2\]"):
        convert(toy, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()
    done = convert(toy, tmp_path / "hf", ignore_unknown=True)
    assert done.unknown == ["my/classifier"] and done.left_out == ["global_step"]
    # A family that does not fit is not taken for one whose variables are all unknown.
    with pytest.raises(CheckpointError, match="no variables of gpt2_ml models"):
        convert(toy, tmp_path / "x", to="tensorflow", model="gpt2_ml", ignore_unknown=True)


def test_nothing_is_overwritten_unasked(toy: Path, tmp_path: Path) -> None:
    convert(toy, tmp_path / "hf")
    before = values(tmp_path / "hf")
    with pytest.raises(CheckpointError, match=r"Not overwriting .*config\.json.*--force"):
        convert(toy, tmp_path / "hf")
    convert(toy, tmp_path / "hf", force=True, dtype="float16")
    assert {value.dtype.name for value in values(tmp_path / "hf").values()} == {"float16"}
    assert sorted(values(tmp_path / "hf")) == sorted(before)
    convert(toy, tmp_path / "t/bert_model.ckpt")
    with pytest.raises(CheckpointError, match=r"Not overwriting .*bert_model\.ckpt\.index"):
        convert(toy, tmp_path / "t/bert_model.ckpt")
    # Another checkpoint may lie beside it.
    with pytest.raises(CheckpointError, match=r"Not overwriting .*bert_config\.json"):
        convert(toy, tmp_path / "t/other.ckpt")


def test_a_checkpoint_of_many_data_files_is_replaced_whole(toy: Path, tmp_path: Path) -> None:
    write_tensorflow(tmp_path / "t/bert_model.ckpt", values(toy / "model.ckpt").items(), shard_bytes=20_000)
    assert len(list((tmp_path / "t").glob("*.data-*"))) > 2
    convert(toy, tmp_path / "t/bert_model.ckpt", force=True)
    assert [path.name for path in (tmp_path / "t").glob("*.data-*")] == ["bert_model.ckpt.data-00000-of-00001"]
    same(values(toy / "model.ckpt"), values(tmp_path / "t/bert_model.ckpt"))


def test_in_its_own_place(toy: Path) -> None:
    before = values(toy / "model.ckpt")
    convert(toy, toy / "model.ckpt", force=True, dtype="float16")
    same({name: value.astype("float16") for name, value in before.items()}, values(toy / "model.ckpt"))


def test_blocks_that_go_their_own_ways(tmp_path: Path) -> None:
    """ALBERT's one block becomes BERT's many."""
    done = convert(GOLDEN / "albert_encoder", tmp_path / "hf", model="albert_unshared")
    got = values(tmp_path / "hf")
    layers = json.loads((tmp_path / "hf/config.json").read_text())["num_hidden_layers"]
    assert layers == 3 and done.variables == len(got) == 32 + 2 * 16
    for i in range(layers):
        np.testing.assert_array_equal(
            got[f"bert.encoder.layer.{i}.output.dense.weight"], got["bert.encoder.layer.0.output.dense.weight"]
        )


def test_both_formats_in_one_folder(toy: Path, tmp_path: Path) -> None:
    """What is converted in its place lies beside its source, and each has its own JSON."""
    convert(toy, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "hf/bert_model.ckpt")
    from bert4keras2.checkpoints import find_checkpoint

    assert find_checkpoint(tmp_path / "hf").config_path.endswith("/config.json")
    (tmp_path / "hf/model.safetensors").unlink()
    found = find_checkpoint(tmp_path / "hf")
    assert found.config_path.endswith("bert_config.json") and found.format == "tensorflow"


@pytest.mark.parametrize("target", ["hf", "x/bert_model.ckpt", "x/model.safetensors"])
def test_an_interrupted_run_leaves_nothing(toy: Path, tmp_path: Path, target: str) -> None:
    count = 0

    def interrupt(items, length, title):
        nonlocal count
        for item in items:
            count += 1
            if title == "Comparing" and count == length + 10:
                raise KeyboardInterrupt
            yield item

    (tmp_path / "x").mkdir()
    (tmp_path / "x/keep.me").write_text("mine")
    with pytest.raises(KeyboardInterrupt):
        convert(toy, tmp_path / target, progress=interrupt)
    assert count > 60
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toy", "x"]
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["keep.me"]


def test_a_faulty_disk_is_noticed(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(path, variables, metadata=None):
        arrays = {name: np.array(value) for name, value in variables}
        arrays["bert.pooler.dense.weight"][1, 2] *= np.float32(1 + 2**-23)
        return write_safetensors(path, arrays.items(), metadata)

    monkeypatch.setattr(conversion, "write_safetensors", faulty)
    with pytest.raises(CheckpointDamagedError, match=r"'bert\.pooler\.dense\.weight' was written and read back with"):
        convert(toy, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_sources_that_cannot_be_converted(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="numbers layers instead of naming variables"):
        convert(GOLDEN / "bert_dropout_head/best_model.weights", tmp_path / "hf")
    os.rename(toy / "config.json", toy.parent / "elsewhere.json")
    with pytest.raises(CheckpointNotFoundError, match="no configuration"):
        convert(toy, tmp_path / "hf")
    with pytest.raises(CheckpointNotFoundError, match="no configuration.*--config"):
        convert(toy / "model.ckpt", tmp_path / "hf")
    assert convert(toy / "model.ckpt", tmp_path / "hf", config=toy.parent / "elsewhere.json").variables == 62
    with pytest.raises(CheckpointNotFoundError, match="no folder"):
        convert(tmp_path / "no/such.ckpt", tmp_path / "y")
    with pytest.raises(ValueError, match="Unknown model 'brt'; did you mean 'bert'"):
        convert(tmp_path / "hf", tmp_path / "y", model="brt")


def test_command_line(toy: Path, tmp_path: Path) -> None:
    command_line = [sys.executable, "-m", "bert4keras2.convert", str(toy), str(tmp_path / "hf")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command_line, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "62 written, read back and found equal" in done.stdout and "model.safetensors" in done.stdout
    assert "the target is a folder" in done.stdout and "Converting" in done.stderr
    assert command.main([str(toy), str(tmp_path / "hf")]) == 1  # is there already
    assert command.main([str(tmp_path / "nowhere"), str(tmp_path / "hf2")]) == 1


def test_no_warnings(toy: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(toy, tmp_path / "hf")
