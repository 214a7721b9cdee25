"""The harness tells apart what runs, what stops and what uses Keras 2's graphs: on scripts written here."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import pytest

from tests.dropin import command, runner, sandbox
from tests.dropin.recipes import Recipe, recipe_for
from tests.dropin.world import World

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one backend tells how scripts are run")

HEAD = """\
import numpy as np
from bert4keras.backend import keras, K
from bert4keras.models import build_transformer_model
from bert4keras.snippets import DataGenerator, sequence_padding
from bert4keras.tokenizers import Tokenizer
from keras.models import Model

epochs = 100
config_path = '/root/kg/bert/chinese_L-12_H-768_A-12/bert_config.json'
checkpoint_path = '/root/kg/bert/chinese_L-12_H-768_A-12/bert_model.ckpt'
tokenizer = Tokenizer('/root/kg/bert/chinese_L-12_H-768_A-12/vocab.txt', do_lower_case=True)
rows = [line.strip().split('\\t') for line in open('datasets/sentiment/sentiment.valid.data', encoding='utf-8')]
bert = build_transformer_model(config_path, checkpoint_path)
x = keras.layers.Lambda(lambda x: x[:, 0])(bert.output)
model = Model(bert.input, keras.layers.Dense(2, 'softmax')(x))
model.compile('adam', 'sparse_categorical_crossentropy')
ids = sequence_padding([tokenizer.encode(text)[0] for text, _ in rows])
labels = np.array([int(label) for _, label in rows])
"""
GOOD = """\
model.fit([ids, 0 * ids], labels, epochs=epochs)
model.save_weights('best.weights')
model.load_weights('best.weights')
assert len(model.predict([ids, 0 * ids])) == 12 and epochs == 1
"""
BAD = """\
from helper import divide
divide(ids, 0)
"""
GRAPH = """\
embeddings = model.get_layer('Embedding-Token').embeddings
updates = K.conv1d(
    embeddings, model.metrics_updates
)
"""
SCRIPTS = {"good.py": HEAD + GOOD, "bad.py": HEAD + BAD, "graph.py": HEAD + GRAPH}
HELPER = "from bert4keras.snippets import open\n\n\ndef divide(array, by):\n    return len(array) / by\n"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    for name, source in {**SCRIPTS, "helper.py": HELPER}.items():
        (folder / name).write_text(source, encoding="utf-8")
    (folder / "other.py").write_text("print('no bert4keras here')\n", encoding="utf-8")
    report = folder / "report.json"
    status = command.main([str(folder), "--json", str(report), "--backend", "tensorflow", "--timeout", "100"])
    assert status == 1
    return {row["name"]: row for row in json.loads(report.read_text(encoding="utf-8"))}


def _line(source: str, text: str) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if text in line)


def test_scripts_are_told_apart(outcomes):
    assert {name: row["status"] for name, row in outcomes.items()} == {
        "good.py": runner.RUNS,
        "bad.py": runner.STOPS,
        "graph.py": runner.HAND,
    }


def test_what_a_script_did_is_counted(outcomes):
    assert outcomes["good.py"]["counts"] == {"fit": 1, "save_weights": 1, "load_weights": 1, "predict": 1}


def test_an_error_has_the_line_of_the_fetched_file(outcomes):
    row = outcomes["bad.py"]
    assert (row["file"], row["line"]) == ("helper.py", _line(HELPER, "return"))
    assert row["reason"].startswith("ZeroDivisionError: ")


def test_a_construct_has_its_line_and_its_replacement(outcomes):
    row = outcomes["graph.py"]
    source = SCRIPTS["graph.py"]
    assert row["file"] == "graph.py"
    assert _line(source, "K.conv1d") <= row["line"] <= _line(source, "model.metrics_updates")
    assert "->" in row["reason"] and ("K.conv1d" in row["reason"] or "metrics_updates" in row["reason"])


def test_only_imports_paths_and_numbers_change(tmp_path):
    source = "import keras\nfrom bert4keras.snippets import open\nepochs = 9  # many\nsteps = 7\n"
    source += "path = '/root/模型/a'  # 路径\nother = 'a/root/b'\n"
    script = tmp_path / "in" / "a.py"
    script.parent.mkdir()
    script.write_text(source, encoding="utf-8")
    world = World(tmp_path / "world")
    copy = sandbox.prepare(script, tmp_path / "out", world, Recipe(settings={"steps": 2}))
    assert copy.script.read_text(encoding="utf-8").splitlines() == [
        "from bert4keras2.backend import keras",
        "from bert4keras2.snippets import open",
        "epochs = 1  # many",
        "steps = 2",
        f"path = '{world.roots['short']}/模型/a'  # 路径",
        "other = 'a/root/b'",
    ]
    assert Path(script).read_text(encoding="utf-8") == source


def test_python_2_needs_a_hand(tmp_path):
    script = tmp_path / "in" / "old.py"
    script.parent.mkdir()
    script.write_text("from bert4keras.snippets import open\nprint 'x'\n", encoding="utf-8")
    outcome = runner.run_script(script, "old.py", tmp_path / "out", World(tmp_path / "world"), "tensorflow", 10)
    assert (outcome.status, outcome.line) == (runner.HAND, 2) and "Python 2" in outcome.reason


def test_paths_of_other_authors_lead_to_data_and_checkpoints(tmp_path):
    source = "a = './uncased_L-12_H-768_A-12/vocab.txt'\nb = './datasets/CoLA/train.tsv'\nc = './other/x'\n"
    source += "class E:\n    def __init__(self):\n        self.best_val_acc = 0.\n    def f(self, x):\n"
    source += "        self.best_val_acc = x\n"
    script = tmp_path / "someone+GLUE-bert4keras" / "a.py"
    script.parent.mkdir()
    script.write_text(source, encoding="utf-8")
    world = World(tmp_path / "world")
    copy = sandbox.prepare(script, tmp_path / "out", world, recipe_for(script))
    root = world.roots["short"]
    assert copy.script.read_text(encoding="utf-8").splitlines() == [
        f"a = '{root}/kg/bert/uncased_L-12_H-768_A-12/vocab.txt'",
        f"b = '{world.others}/glue/CoLA/train.tsv'",
        *source.splitlines()[2:5],
        "        self.best_val_acc = -1",
        *source.splitlines()[6:],
    ]
    assert (copy.script.parent / "results").is_dir()
