"""Notebooks: cells are rewritten as one script; magics, outputs and the form of the file stay."""

from __future__ import annotations

import json

import keras
import pytest

from bert4keras2.migrate.command import main
from bert4keras2.migrate.notebook import migrate_notebook

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the tool is the same everywhere")

CELLS = [
    ("markdown", "# 情感 with bert4keras"),
    ("code", "%matplotlib inline\n!pip install bert4keras\nimport os\nfrom keras import backend as K, layers"),
    ("code", "%%bash\nif [ 1 ]; then ls; fi"),
    ("code", "from bert4keras.models import build_transformer_model\nif 1:\n    %time K.conv1d(a, b)\nfiles = !ls"),
    ("code", "print 'two'"),
    ("code", ""),
    ("code", "%%time\nx = ('%d'\n     % 1)\nfrom keras.layers.merge import concatenate  # 连接\nK.get_session()"),
    ("code", "build_transformer_model?"),
]


def notebook(cells=CELLS, listed=True, **layout):
    made = []
    for kind, source in cells:
        cell = {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True) if listed else source}
        made.append(cell | ({"execution_count": 3, "outputs": [{"text": ["bert4keras\n"]}]} if kind == "code" else {}))
    content = {"cells": made, "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 2}
    return json.dumps(content, **{"indent": 1, "ensure_ascii": False, **layout}) + "\n"


def sources(text):
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]


@pytest.mark.parametrize("listed", [True, False])
def test_cells_are_rewritten_and_nothing_else(listed):
    old = notebook(listed=listed)
    result = migrate_notebook(old)
    assert sources(result.text) == [
        CELLS[0][1],
        "%matplotlib inline\n!pip install bert4keras\nimport os\n"
        "from bert4keras2.backend import K\nfrom keras import layers",
        CELLS[2][1],
        CELLS[3][1].replace("bert4keras.", "bert4keras2."),
        CELLS[4][1],
        "",
        CELLS[6][1].replace("keras.layers.merge", "keras.layers"),
        CELLS[7][1],
    ]
    before, after = json.loads(old), json.loads(result.text)
    for cell in (*before["cells"], *after["cells"]):
        assert isinstance(cell["source"], list) is listed
        del cell["source"]
    assert before == after
    assert migrate_notebook(result.text).text == result.text


def test_notes_have_the_cell_and_its_line():
    found = [(note.cell, note.line, note.construct) for note in migrate_notebook(notebook()).notes]
    assert found == [
        (2, 2, "!pip install bert4keras"),
        (5, 1, "cannot parse (Missing parentheses in call to 'print'. Did you mean print(...)?): print 'two'"),
        (7, 5, "K.get_session"),
    ]


@pytest.mark.parametrize("layout", [{"indent": 1}, {"indent": 2}, {"indent": None}, {"ensure_ascii": True}])
def test_the_form_of_the_file_stays(layout):
    old = notebook(**layout)
    changed = [line for line in migrate_notebook(old).text.splitlines() if line not in old.splitlines()]
    assert len(changed) <= 4
    assert migrate_notebook(old).text.count("\\u60c5") == old.count("\\u60c5")


def test_notebooks_without_bert4keras_and_damaged_ones():
    other = notebook([("code", "import keras")])
    assert migrate_notebook(other).text == other and not migrate_notebook(other).notes
    assert "from bert4keras2.backend import keras" in migrate_notebook(other, always=True).text
    for text in ("{}", "<html>", "[]", '{"cells": [{"cell_type": "code"}]}', "[" * 100000):
        assert migrate_notebook(text).text == text and "notebook" in migrate_notebook(text).error.construct


def test_the_command_writes_notebooks(tmp_path, capsys):
    path = tmp_path / "book.ipynb"
    path.write_text(notebook(CELLS[:4]), "utf-8")
    assert main([str(tmp_path), "--write"]) == 1
    assert f"{path}:cell 2:2:1: !pip install bert4keras\n" in capsys.readouterr().out
    assert sources(path.read_text("utf-8"))[3].startswith("from bert4keras2.models")
    assert (tmp_path / "book.ipynb.orig").read_text("utf-8") == notebook(CELLS[:4])
