"""A step of generation as ONNX says what the Keras model says: the same texts, the same scores."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from cases import BASE, CONDITION, build

import bert4keras2.__main__ as command
from bert4keras2.decoders import Generator
from bert4keras2.decoders.engine import Engine, engine_of
from bert4keras2.decoders.exported import graph, writing
from bert4keras2.exporting import OnnxModel
from bert4keras2.exporting.other_runtimes import OtherModel
from bert4keras2.models import build_transformer_model
from bert4keras2.tasks import load_task
from bert4keras2.tokenizers import Tokenizer

pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")
on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow has the converters")
PROMPTS = [[7, 5, 0, 21, 9], [12, 4], [7, 8, 9, 10, 11, 12]]
FURTHER = [
    "bert-lm",
    "roformer-lm",
    "roformer_v2-unilm",
    "nezha-lm",
    "albert-unilm",
    "gpt-lm",
    "gpt-speakers",
    "gpt2-lm",
]
FURTHER += ["gpt2_ml-lm", "simbert", "xlm_roberta-lm", "gau_alpha-lm", "t5.1.0", "gpt2-conditional", "bert-positions"]
FURTHER += ["bert-hierarchical", "bert-residual-scores-lm", "bert-no-segments", "roformer-residual-unilm"]


@pytest.fixture(autouse=True)
def without_xla(monkeypatch):
    monkeypatch.setattr(Engine, "xla", False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a tiny generator."""
    place = tmp_path_factory.mktemp("generator")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"春眠不觉晓处闻啼鸟夜来风雨声花落知多少"]
    (place / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    keras.utils.set_random_seed(3)
    sizes = {**BASE, "vocab_size": len(vocabulary), "num_hidden_layers": 1}
    transformer = build_transformer_model(sizes, application="unilm", return_keras_model=False)
    Generator(transformer, Tokenizer(str(place / "vocab.txt")), maxlen=9).save(place / "saved")
    return place / "saved"


def same(found: Generator, expected: Generator, extra=()) -> None:
    """Compare texts and scores of all strategies."""
    for options in (
        {},
        {"strategy": "sample", "seed": 3, "num_return": 2, "top_p": 0.9, "repetition_penalty": 1.2},
        {"strategy": "beam", "num_beams": 3},
    ):
        one, other = (
            [row if isinstance(row, list) else [row] for row in g.generate(PROMPTS, 6, extra, **options)]
            for g in (found, expected)
        )
        assert [[text.ids for text in row] for row in one] == [[text.ids for text in row] for row in other]
        np.testing.assert_allclose(
            [text.score for row in one for text in row], [text.score for row in other for text in row], atol=1e-4
        )
    candidates = [[[3, 4], [5, 6, 7]], [[8]], [[9, 0, 2]]]
    for one, other in zip(
        found.score(PROMPTS, candidates, extra=extra), expected.score(PROMPTS, candidates, extra=extra), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)


@on_tensorflow
@pytest.mark.parametrize("name", ["t5.1.1"] + [pytest.param(name, marks=pytest.mark.long) for name in FURTHER])
def test_onnx_says_the_same(name):
    application = {"application": "lm"} if name in ("bert-positions", "bert-hierarchical") else {}
    transformer = build(name, **application)
    random = np.random.RandomState(2)
    extra = [random.standard_normal((3, CONDITION)).astype("float32")] if transformer.additional_input_layers else []
    same(Generator(transformer, end_id=3, engine="onnx"), Generator(transformer, end_id=3), extra)


@on_tensorflow
def test_a_folder_by_the_command(folder, tmp_path, capsys):
    target = tmp_path / "exported"
    assert command.main(["export", str(folder), "--to", "onnx", "--output", str(target)]) == 0
    assert "differs from Keras by" in capsys.readouterr().out
    found, expected = load_task(target), Generator.load(folder)
    same(found, expected)
    text, options = "春眠不觉晓", {"strategy": "sample", "seed": 5}
    assert found.generate(text, 5, **options).text == expected.generate(text, 5, **options).text != ""
    assert "".join(found.stream(text, 5, **options)) == found.generate(text, 5, **options).text
    assert (found.prompter.maxlen, found.end_ids) == (9, expected.end_ids)

    said = json.loads((target / "export.json").read_text(encoding="utf-8"))
    assert said["kind"] == "generator" and said["parts"]["encoder"] is None
    step = OnnxModel(target / said["file"], threads=1)
    assert step.inputs == said["inputs"] == list(said["parts"]["inputs"]["model.onnx"])
    assert step.shapes["past.0.key"] == ["batch", 2, "past", 8] == said["parts"]["inputs"]["model.onnx"]["past.0.key"]
    assert step.shapes["logits"] == ["batch", "scored", 23]
    # As another program would: the prompt, then one token with what the first call gave.
    ids, segments = expected.tokenizer.encode(text)
    new, both = len(ids), [*ids, 5]
    given = {"Input-Token": [ids], "Input-Segment": [segments], "Attention-Mask": [[1] * new]}
    given |= {"Attention-Position": [range(new)], "Score-Index": [[new - 1]]}
    given = {name: np.array(value, "int32") for name, value in given.items()}
    first = step.by_name(
        {**given, **{f"past.0.{part}": np.zeros((1, 2, 0, 8), "float32") for part in ("key", "value")}}
    )
    given = {"Input-Token": [[5]], "Input-Segment": [[1]], "Attention-Mask": [[1] * (new + 1)], "Score-Index": [[0]]}
    given = {name: np.array(value, "int32") for name, value in given.items()}
    given["Attention-Position"] = np.arange(new + 1, dtype="int32")[None]
    past = {name.replace("present", "past"): array for name, array in first.items() if name != "logits"}
    logits = step.by_name({**given, **past})["logits"][0, 0]
    whole = expected._source.predict_on_batch([np.array([both]), np.array([[*segments, 1]])])[0, -1]
    np.testing.assert_allclose(logits - np.log(np.exp(logits).sum()), np.log(whole), atol=1e-4)


@on_tensorflow
@pytest.mark.long
def test_int8_and_the_whole_model(folder, tmp_path, capsys):
    generator = Generator.load(folder)
    assert "int8: cosine 0.99" in generator.export(tmp_path / "int8", int8=True)
    assert Generator.load(tmp_path / "int8", threads=1).generate("春眠", 4).ids
    target = str(tmp_path / "whole")
    assert command.main(["export", str(folder), "--to", "onnx", "--whole", "--output", target]) == 0
    assert OnnxModel(f"{target}/model.onnx").inputs == ["Input-Token", "Input-Segment"]


OTHERS = [
    ("saved_model", "TensorFlow", {"saved_model"}),
    ("litert", "LiteRT", {"model.tflite"}),
    ("openvino", "OpenVINO", {"model.xml", "model.bin"}),
]


@on_tensorflow
@pytest.mark.long
@pytest.mark.parametrize(("to", "runtime", "files"), OTHERS)
def test_steps_in_other_formats(to, runtime, files, folder, tmp_path, capsys):
    """Each is run step by step by its own program before it gets its place; an encoder has files of its own."""
    if to == "openvino":
        pytest.importorskip("openvino")
    target = tmp_path / "exported"
    assert command.main(["export", str(folder), "--to", to, "--output", str(target)]) == 0
    assert f"in {runtime}" in capsys.readouterr().out
    assert files < {place.name for place in target.iterdir()}
    said = json.loads((target / "export.json").read_text(encoding="utf-8"))
    assert (said["kind"], said["to"]) == ("generator", to) and said["inputs"][0] == "Input-Token"
    with pytest.raises(ValueError, match=f"holds a model for {to}, which is run by programs of its own"):
        Generator.load(target)
    written, parts = writing.write_steps(engine_of(build("t5.1.0")), str(tmp_path), to)
    assert written.difference < 1e-4 and (tmp_path / parts["encoder"]).exists()


@on_tensorflow
@pytest.mark.parametrize("to", ["onnx", pytest.param("saved_model", marks=pytest.mark.long)])
def test_a_wrong_step_is_not_written(to, folder, tmp_path, monkeypatch):
    """A step that does not see what came before gives other scores than the whole model."""
    generator = Generator.load(folder)
    monkeypatch.setattr(graph.StepGraph, "_mask", lambda self, tokens, segments, mask, past: mask[:, None] < 0)
    with pytest.raises(ValueError, match=r"differ by .* step by step, .* nothing was written"):
        writing.write_steps(engine_of(generator._source), str(tmp_path), to)
    assert not list(tmp_path.iterdir())


@on_tensorflow
@pytest.mark.long
def test_litert_in_int8(tmp_path):
    """The smaller file is not written over the other one, of which LiteRT reads while it runs."""
    written, parts = writing.write_steps(engine_of(build("nezha-lm")), str(tmp_path), "litert", int8=True)
    assert written.difference < 1e-4 and 0.9 < written.likeness <= 1
    file = writing.step_files("litert")[0]
    model = OtherModel(written.path, "litert", parts["inputs"][file], list(parts["outputs"][file]))
    with pytest.raises(ValueError, match="what was written for litert does not run, so it was not kept"):
        model.by_name({})


@pytest.mark.backend
def test_what_is_refused(folder, tmp_path):
    generator = Generator.load(folder)
    with pytest.raises(ValueError, match="int8 is for onnx and litert, not for saved_model"):
        generator.export(tmp_path / "x", "saved_model", int8=True)
    with pytest.raises(ValueError, match="holds a checkpoint"):
        generator.export(folder)
    linear = build("bert-lm", attention="linear")
    with pytest.raises(ValueError, match="'linear' remembers other things than keys and values"):
        graph.StepGraph(engine_of(linear))
    with pytest.raises(ValueError, match="engine"):
        Generator.load(folder, engine="onix")


@pytest.mark.backend
@pytest.mark.long
def test_every_backend(folder, tmp_path):
    """On JAX and PyTorch a process of TensorFlow writes the files; they are read and tokens chosen on each."""
    generator = Generator.load(folder)
    generator.export(tmp_path / "exported")
    found = Generator.load(tmp_path / "exported")
    same(found, generator)
    with pytest.raises(ValueError, match="an exported model, which is built already: model says nothing"):
        Generator.load(tmp_path / "exported", model="bert")
    with pytest.raises(ValueError, match="is an exported model: export the one"):
        found.export(tmp_path / "again")
