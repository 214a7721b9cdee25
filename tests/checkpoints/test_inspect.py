"""What `python -m bert4keras2.inspect` tells of checkpoints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bert4keras2 import inspect as command
from bert4keras2.checkpoints import (
    CheckpointError,
    convert,
    describe,
    open_checkpoint,
    write_safetensors,
    write_tensorflow,
)
from bert4keras2.checkpoints.readers import open_names

GOLDEN = Path(__file__).parent.parent / "golden" / "models"
CHECKPOINTS = sorted(path.parent.name for path in GOLDEN.glob("*/model.ckpt.index"))


def copy(case: str, folder: Path, **changes) -> Path:
    """Copy a golden case's files, with changes to its configuration (None takes a key out)."""
    folder.mkdir()
    for path in GOLDEN.joinpath(case).glob("model.ckpt*"):
        shutil.copy(path, folder)
    config = {**json.loads((GOLDEN / case / "config.json").read_text()), **changes}
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def run_call(call: str):
    """Run the line that the report gives; it must load every variable that it speaks of."""
    from bert4keras2.models import build_transformer_model

    return eval(call, {"build_transformer_model": build_transformer_model})


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_index_files_are_read_as_tensorflow_reads_them(case: str) -> None:
    import tensorflow as tf

    theirs = tf.train.load_checkpoint(str(GOLDEN / case / "model.ckpt"))
    shapes = theirs.get_variable_to_shape_map()
    with open_names(GOLDEN / case / "model.ckpt") as mine:
        assert set(mine.names()) == set(shapes) and mine.format == "tensorflow" and mine.problem is None
        for name in mine.names():
            values = theirs.get_tensor(name)
            assert list(mine.shape(name)) == shapes[name] and mine.dtype(name) == values.dtype.name
            np.testing.assert_array_equal(mine.read(name), values)


def test_released_index_files(shared: Path) -> None:
    for path in sorted((shared / "checkpoint_layouts").glob("*/*.index")):
        with open_names(path) as mine, open_checkpoint(path, names_only=True) as theirs:
            assert sorted(mine.names()) == sorted(theirs.names())
            assert all(mine.shape(n) == theirs.shape(n) and mine.dtype(n) == theirs.dtype(n) for n in mine.names())


@pytest.mark.filterwarnings("ignore:.*does not use.*")
@pytest.mark.parametrize("case", [case for case in CHECKPOINTS if case != "bert_missing_weights"])
def test_golden_checkpoints(case: str, tmp_path: Path) -> None:
    info, config = (json.loads((GOLDEN / case / name).read_text()) for name in ("case.json", "config.json"))
    extra = {k: info["kwargs"][k] for k in ("embedding_size", "attention_key_size") if k in info["kwargs"]}
    folder = copy(case, tmp_path / case, **extra)
    found = describe(folder, model=info["model"])
    assert found.family == info["model"] and not found.problems and not found.untold
    with open_checkpoint(folder) as reader:
        sizes = {name: int(np.prod(reader.shape(name))) for name in reader.names()}
    dropped = set(found.left_out) | set(found.unknown)
    assert found.parameters == sum(size for name, size in sizes.items() if name not in dropped)
    for key in ("vocab_size", "hidden_size", "intermediate_size"):
        assert found.sizes[key] == config[key]
    # The call works, and builds a model with all the variables that were counted.
    model = run_call(found.call)
    # No checkpoint of T5 has a projection between embedding and hidden width.
    own = [v for v in model.trainable_weights if not (found.family.startswith("t5") and "-Mapping/" in v.path)]
    assert sum(int(np.prod(v.shape)) for v in own) == found.parameters


@pytest.mark.filterwarnings("ignore:.*does not use.*")
@pytest.mark.parametrize(
    "case", ["bert_residual_attention", "roformer_v2_encoder", "t5_1_1", "t5_1_0", "gpt2", "gpt2_ml"]
)
def test_without_a_configuration(case: str, tmp_path: Path) -> None:
    folder = copy(case, tmp_path / case)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    found = describe(folder)
    assert not found.problems and "no configuration" in found.notes[0]
    for key in ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size"):
        assert found.sizes[key] == config[key], key
    heads = [text for text in found.untold if "num_attention_heads" in text]
    assert len(heads) == (0 if case.startswith("t5") else 1)  # T5's biases tell
    assert any("hidden_act" in text for text in found.untold)
    run_call(found.call)


def test_options_are_told(tmp_path: Path) -> None:
    found = describe(copy("bert_residual_attention", tmp_path / "bert"))
    assert found.options == {"with_nsp": True, "with_mlm": True}
    assert found.heads == ["pooler", "next-sentence prediction", "masked language model"]
    found = describe(copy("nezha_encoder", tmp_path / "nezha"))
    assert found.options == {"with_pool": True, "with_mlm": True} and found.told_by == "configuration"
    found = describe(copy("albert_encoder", tmp_path / "albert", num_hidden_layers=7))
    assert found.structure == ["all blocks share their weights"] and not found.problems
    assert found.sizes["embedding_size"] == 16 and "num_hidden_layers" not in found.sizes
    found = describe(copy("t5_1_1", tmp_path / "t5"))
    assert found.structure == ["gated feed-forward", "no biases"] and found.slots == 4
    assert found.heads == ["encoder", "decoder", "language model"] and found.sizes["attention_head_size"] == 18
    found = describe(copy("gau_alpha_encoder", tmp_path / "gau"))
    assert found.sizes["attention_key_size"] == 12 and "gated attention units" in found.structure
    found = describe(copy("electra_encoder", tmp_path / "electra"))
    assert found.options == {"with_discriminator": True} and found.heads == ["discriminator"]


def test_the_released_package_settles_the_options(tmp_path: Path) -> None:
    found = describe(copy("roformer_encoder", tmp_path / "chinese_roformer-sim-char_L-6_H-384_A-6"))
    assert found.released.startswith("chinese_roformer-sim-char") and "model='roformer_sim'" in found.call
    assert not any("NEZHA" in note for note in found.notes)
    found = describe(copy("roformer_encoder", tmp_path / "mine"))
    assert any("RoFormer and NEZHA have the same variables" in note for note in found.notes)


def without(folder: Path, *names: str) -> None:
    with open_checkpoint(folder) as reader:
        kept = [(name, reader.read(name)) for name in reader.names() if name not in names]
    write_tensorflow(folder / "model.ckpt", kept)


def test_what_does_not_fit(tmp_path: Path) -> None:
    folder = copy("bert_residual_attention", tmp_path / "layers", num_hidden_layers=12)
    layers = json.loads((GOLDEN / "bert_residual_attention/config.json").read_text())["num_hidden_layers"]
    assert describe(folder).problems == [f"the configuration says 12 layers, the file has {layers}"]
    folder = copy("bert_residual_attention", tmp_path / "sizes", vocab_size=21128, max_position_embeddings=512)
    problems = describe(folder).problems
    assert len(problems) == 2 and problems[0].startswith("the configuration says 21128 vocab_size, the file has ")
    folder = copy("bert_residual_attention", tmp_path / "heads", num_attention_heads=7)
    assert "is not a multiple of num_attention_heads 7" in describe(folder).problems[0]
    folder = copy("bert_residual_attention", tmp_path / "vocab")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    problems = describe(folder).problems
    assert problems == [f"vocab.txt has 2 tokens, the embedding {rows} rows"] and rows % 8
    (folder / "vocab.txt").write_text("x\n" * rows)
    assert describe(folder).tokens == rows and not describe(folder).problems
    (folder / "vocab.txt").write_text("x\n" * rows + "x")
    assert describe(folder).problems == [f"vocab.txt has {rows + 1} tokens, the embedding {rows} rows"]


@pytest.mark.parametrize(
    "name",
    [
        "bert/encoder/layer_1/attention/self/key/bias", "bert/embeddings/LayerNorm/gamma", "bert/pooler/dense/bias",
        "bert/embeddings/position_embeddings", "cls/predictions/output_bias",
        "bert/encoder/layer_0/output/dense/kernel",
    ],
)  # fmt: skip
def test_missing_variables(tmp_path: Path, name: str) -> None:
    folder = copy("bert_residual_attention", tmp_path / "folder", model_type="bert")
    assert not describe(folder).problems
    without(folder, name)
    problems = describe(folder).problems
    assert len(problems) == 1 and problems[0].startswith("the file lacks 1 variable of the model: ")


def test_hugging_face_folders(tmp_path: Path) -> None:
    for case in ("bert_residual_attention", "gpt2", "t5_1_1", "albert_encoder"):
        convert(GOLDEN / case, tmp_path / case, dtype="float16")
        found = describe(tmp_path / case)
        stored = describe(GOLDEN / case)
        assert found.format == "safetensors" and not found.problems and found.dtypes.keys() == {"float16"}
        assert found.sizes == stored.sizes and found.heads == stored.heads and found.parameters == stored.parameters
        run_call(found.call)


def test_half_of_t5(tmp_path: Path) -> None:
    convert(GOLDEN / "t5_1_1", tmp_path / "whole")
    with open_checkpoint(tmp_path / "whole") as reader:
        kept = [n for n in reader.names() if not n.startswith(("decoder.", "lm_head"))]
        (tmp_path / "half").mkdir()
        write_safetensors(tmp_path / "half/model.safetensors", [(name, reader.read(name)) for name in kept])
    config = json.loads((tmp_path / "whole/config.json").read_text())
    (tmp_path / "half/config.json").write_text(json.dumps(config | {"architectures": ["T5EncoderModel"]}))
    found = describe(tmp_path / "half")
    assert found.heads == ["encoder"] and "model='t5.1.1_encoder'" in found.call and not found.problems
    assert sum(int(np.prod(v.shape)) for v in run_call(found.call).weights) == found.parameters
    convert(tmp_path / "half", tmp_path / "tf")
    assert describe(tmp_path / "tf").parameters == found.parameters


def test_keras2_files() -> None:
    found = describe(GOLDEN / "nezha_mlm/model.h5")
    assert found.format == "keras2_hdf5" and found.family == "nezha" and found.options["with_mlm"] is True
    run_call(found.call)
    found = describe(GOLDEN / "bert_dropout_head/best_model.weights")
    assert found.format == "tensorflow_objects" and found.family is None and found.parameters > 1000
    assert found.call is None


def test_what_is_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckpointError):
        describe(tmp_path)
    assert command.main([str(tmp_path)]) == 2 and "holds no weights" in capsys.readouterr().err
    assert command.main([str(tmp_path), "--json"]) == 2
    assert "holds no weights" in json.loads(capsys.readouterr().out)["problems"][0]
    write_tensorflow(tmp_path / "x.ckpt", [("resnet/conv", np.ones((2, 2), "float32"))])
    assert command.main([str(tmp_path / "x.ckpt")]) == 1
    assert "Cannot tell which model" in capsys.readouterr().out
    assert command.main([str(tmp_path / "x.ckpt"), "--model", "bert"]) == 1
    assert "none of the variables" in capsys.readouterr().out
    os.remove(tmp_path / "x.ckpt.data-00000-of-00001")
    assert command.main([str(tmp_path / "x.ckpt"), "--model", "bert"]) == 1
    assert "download is incomplete" in capsys.readouterr().out


def test_output(capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(GOLDEN / "bert_residual_attention")
    assert command.main([folder, "--variables"]) == 0
    out = capsys.readouterr().out
    assert "load it by" in out and "with_nsp=True, with_mlm=True" in out
    line = next(line for line in out.splitlines() if "layer_0/intermediate/dense/kernel" in line)
    assert line.endswith("[32, 48]")
    report = [line for line in out.split("\nvariables")[0].splitlines() if line]
    width = 1 + max(len(title) for title in ("max_position_embeddings", "num_attention_heads"))
    assert all(line[width] == " " and line[width + 1] != " " for line in report), report
    assert command.main([folder, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["family"] == "bert" and content["sizes"]["hidden_size"] == 32 and "shapes" not in content
    assert command.main([folder, "--json", "--variables"]) == 0
    assert len(json.loads(capsys.readouterr().out)["shapes"]) == 62


@pytest.mark.parametrize("case", ["bert_residual_attention", "t5_1_1"])
def test_neither_keras_nor_tensorflow_is_imported(case: str, tmp_path: Path) -> None:
    convert(GOLDEN / case, tmp_path / "hf")
    code = (
        "import sys, bert4keras2.inspect as command\n"
        "assert [command.main([path]) for path in sys.argv[1:]] == [0, 0]\n"
        "assert not {'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command_line = [sys.executable, "-c", code, str(GOLDEN / case), str(tmp_path / "hf")]
    start = time.perf_counter()
    done = subprocess.run(command_line, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - start < 10  # 0.4 s on a quiet machine
