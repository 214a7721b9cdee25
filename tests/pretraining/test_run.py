"""Whole runs: from text to a folder that loads, interrupted and gone on with, and what a configuration may say."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from killing import kill_ten_times

from bert4keras2 import build_transformer_model, load_tokenizer
from bert4keras2.checkpoints.conversion.converting import convert
from bert4keras2.decoders import Generator
from bert4keras2.errors import CheckpointMismatchError, CheckpointNotFoundError
from bert4keras2.pretrain import main
from bert4keras2.pretraining import PretrainingConfig, pretrain
from bert4keras2.pretraining.data import Batches
from bert4keras2.pretraining.optimizing import make_optimizer
from bert4keras2.pretraining.shrink import shrink
from bert4keras2.pretraining.shrink_settings import ShrinkSettings
from bert4keras2.settings import read_file

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
RUN = {
    "steps": 7,
    "save_every": 3,
    "batch_size": 4,
    "row_length": 32,
    "vocab_size": 200,
    "held_out": 0.1,
    "progress": False,
}
RUN |= SIZES


def run(corpus, folder, **more):
    return pretrain(PretrainingConfig.make({"corpus": [str(corpus)], "output": str(folder), **RUN, **more}))


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """An uninterrupted run with dropout and accumulation."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    return run(corpus, folder, dropout=0.1, accumulation=2), folder


def test_the_folder_loads(whole, corpus):
    result, folder = whole
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(result.history)
    assert all(len(values) == 3 for values in result.history.values()) and result.tokens_per_second > 0
    tokenizer = load_tokenizer(folder)
    model = build_transformer_model(folder, with_mlm=True)
    ids, segments = tokenizer.encode_batch(["科学家发现新的手机。", "老师。"])
    scores = model.predict([ids, segments], verbose=0)
    assert scores.shape == (2, ids.shape[1], tokenizer.vocab_size) and np.allclose(scores.sum(-1), 1, atol=1e-4)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "400 passages" in card and "roformer_v2" in card and f"{result.history['val_loss'][-1]:.4f}" in card
    said = json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))
    assert said["history"] == result.history and PretrainingConfig.make(said["config"]).corpus == [str(corpus)]


@pytest.mark.backend
def test_an_interrupted_run_ends_with_the_same_weights(whole, corpus, tmp_path, monkeypatch):
    from_number = Batches.from_number

    def interrupted(stop):
        def batches(self, start):
            for number, batch in enumerate(from_number(self, start), start):
                if number == stop and len(self.first_pass) > 50:
                    raise KeyboardInterrupt
                yield batch

        return batches

    folder = tmp_path / "model"
    for stop in (9, 13):
        monkeypatch.setattr(Batches, "from_number", interrupted(stop))
        with pytest.raises(BaseException, match="|KeyboardInterrupt"):
            run(corpus, folder, dropout=0.1, accumulation=2)
        assert not (folder / "model.safetensors").exists() and (folder / "run" / "state.npz").exists()
    monkeypatch.setattr(Batches, "from_number", from_number)
    result = run(corpus, folder, dropout=0.1, accumulation=2)
    assert (folder / "model.safetensors").read_bytes() == (whole[1] / "model.safetensors").read_bytes()
    assert result.history == whole[0].history
    # What is finished is not done again.
    again = run(corpus, folder, dropout=0.1, accumulation=2)
    assert again.history == result.history and again.tokens_per_second == 0


def test_go_on_from_a_checkpoint(whole, corpus, tmp_path):
    first = build_transformer_model(whole[1], with_mlm=True)
    result = run(corpus, tmp_path / "more", start=str(whole[1]), steps=3, learning_rate=1e-9, objective="mlm")
    assert result.history["val_loss"][-1] == pytest.approx(whole[0].history["val_loss"][-1], abs=0.5)
    second = build_transformer_model(tmp_path / "more", with_mlm=True)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert load_tokenizer(tmp_path / "more").vocab_size == load_tokenizer(whole[1]).vocab_size


@pytest.mark.parametrize("recipe", ["unilm", "t5_pegasus"])
def test_what_learnt_to_write_is_a_generator(recipe, corpus, tmp_path):
    """Its folder says what config.json cannot, and so does the one that it is converted to."""
    run(corpus, tmp_path / "model", recipe=recipe, steps=2, max_position=64)
    convert(tmp_path / "model", tmp_path / "half", to="huggingface", dtype="float16")
    found = [Generator.load(tmp_path / name).generate(["今天"], 4)[0] for name in ("model", "half")]
    assert found[0].ids == found[1].ids and len(found[0].ids) > 0
    assert "| hidden |" not in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")


def test_go_on_from_a_name(corpus, tmp_path):
    """The vocabulary of a model that is called by its name comes along, in all commands that write a folder."""
    run(corpus, tmp_path / "more", start="tiny-zh", steps=1, objective="mlm", evaluate_rows=1)
    shrink(ShrinkSettings("tiny-zh", str(tmp_path / "less"), blocks=[0]))
    build_transformer_model("tiny-zh").save_pretrained(tmp_path / "same", vocabulary="tiny-zh")
    for name in ("more", "less", "same"):
        assert load_tokenizer(tmp_path / name).vocab_size == load_tokenizer("tiny-zh").vocab_size
        assert build_transformer_model(tmp_path / name).output_shape[-1] == 256
    with pytest.raises(CheckpointNotFoundError, match="'tiny-yue' is no file or folder"):
        build_transformer_model("tiny-zh").save_pretrained(tmp_path / "none", vocabulary="tiny-yue")
    assert not (tmp_path / "none").exists()


def test_go_on_from_an_encoder_without_head_and_mask(whole, corpus, tmp_path):
    """Each lack is named with what to do, before the corpus is read; a checkpoint that lacks more stays an error."""
    vocabulary = (whole[1] / "vocab.txt").read_text(encoding="utf-8")
    sizes = {**SIZES, "vocab_size": len(vocabulary.splitlines()), "max_position": 64}
    folder, model = tmp_path / "encoder", build_transformer_model(sizes, model="bert")
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text(vocabulary.replace("[MASK]", "[HIDE]"), encoding="utf-8")
    values = {"start": str(folder), "steps": 3, "objective": "mlm"}
    with pytest.raises(ValueError, match=r"no mask token.*--mask-token '<unk>'"):
        run(corpus, tmp_path / "a", **values)
    assert not (tmp_path / "a" / "shards").exists()
    with pytest.raises(ValueError, match="mask_token='zz' is not in the vocabulary"):
        run(corpus, tmp_path / "a", mask_token="zz", **values)
    with pytest.raises(CheckpointMismatchError, match=r"(?s)MLM.*--new-head"):
        run(corpus, tmp_path / "a", mask_token="[UNK]", **values)
    result = run(corpus, tmp_path / "a", mask_token="[HIDE]", new_head=True, **values)
    assert np.isfinite(result.history["val_loss"]).all()
    assert build_transformer_model(tmp_path / "a", with_mlm=True).count_params() > model.count_params()
    with pytest.raises(CheckpointMismatchError, match="Attention|attention"):
        more = {"options": {"num_hidden_layers": 2}, "new_head": True, "mask_token": "[HIDE]"}
        run(corpus, tmp_path / "b", **more, **values)


# -- configurations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"corpus": ["x"]}, "output is missing"),
        ({"output": "x"}, "corpus is missing"),
        ({"stepps": 3}, "'stepps': did you mean 'steps'"),
        ({"zzz": 3}, "unknown key 'zzz'"),
        ({"objective": "mlmm"}, "objective.*'mlm'"),
        ({"recipe": "roformer"}, None),
        ({"recipe": "roformerv2"}, "did you mean 'roformer_v2'"),
        ({"steps": 0}, "steps"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"held_out": 2}, "held_out"),
        ({"schedule": {"1": 1, "0": 0}}, "increase"),
        ({"schedule": {"a": 1}}, "share of all steps"),
        ({"precision": "fp16"}, "precision"),
    ],
)
def test_what_a_configuration_may_say(values, words):
    given = {"corpus": ["x"], "output": "y", **values} if "corpus" not in values and "output" not in values else values
    if words is None:
        PretrainingConfig.make(given)
    else:
        with pytest.raises(ValueError, match=words):
            PretrainingConfig.make(given)


def test_files(tmp_path):
    (tmp_path / "a.toml").write_text('corpus = ["甲.txt"]\nsteps = 5\n', encoding="utf-8")
    (tmp_path / "a.json").write_text('{"corpus": ["甲.txt"], "steps": 5}', encoding="utf-8")
    assert read_file(tmp_path / "a.toml") == read_file(tmp_path / "a.json") == {"corpus": ["甲.txt"], "steps": 5}
    (tmp_path / "b.toml").write_text("corpus = [", encoding="utf-8")
    with pytest.raises(ValueError, match="not TOML"):
        read_file(tmp_path / "b.toml")
    with pytest.raises(FileNotFoundError, match="no configuration"):
        read_file(tmp_path / "c.toml")


def test_schedules_are_shares_of_the_steps():
    config = PretrainingConfig.make(
        {"corpus": ["x"], "output": "y", "steps": 1000, "learning_rate": 1.0, "optimizer": "adamw"}
    )
    schedule = make_optimizer(config)._learning_rate
    assert [float(schedule(step)) for step in (0, 125, 500, 1000, 2000)] == pytest.approx(
        [0, 0.5, 0.1, 0.01, 0.01], abs=1e-6
    )


def test_command(tmp_path, capsys, corpus):
    file = tmp_path / "run.toml"
    file.write_text(f'corpus = ["{corpus}"]\nstepz = 3\n', encoding="utf-8")
    assert main([str(file), "--output", "x"]) == 1
    assert "did you mean 'steps'" in capsys.readouterr().err
    (tmp_path / "empty.txt").write_text("\n")
    assert main(["--corpus", str(tmp_path / "empty.txt"), "--output", str(tmp_path / "m"), "--no-progress"]) == 1
    assert "empty" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "--mask-rate" in shown and "--no-packing" in shown and "interrupted" in shown


@pytest.mark.long
def test_killed_at_any_moment(corpus, tmp_path):
    """Killed ten times without warning, the command ends with the weights of one that was not."""
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in RUN.items() if name != "progress")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}

    def start(folder):
        command = [sys.executable, "-m", "bert4keras2", "pretrain", "--corpus", str(corpus), "--output", str(folder)]
        command += [*options.split(), "--no-progress", "--dropout", "0.1", "--steps", "40", "--save-every", "2"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    kill_ten_times(start, tmp_path / "whole", tmp_path / "cut", 0.3)
    whole, cut = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut
