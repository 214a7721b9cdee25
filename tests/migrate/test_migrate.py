"""The migration tool on small scripts: what is rewritten, what is reported, and what stays as it was."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras2.migrate import migrate_source
from bert4keras2.migrate.command import main
from bert4keras2.migrate.constructs import ATTRIBUTES, K_FUNCTIONS

HEAD = "from bert4keras.snippets import open\n"
NEW_HEAD = "from bert4keras2.snippets import open\n"

SCRIPT = """\
#! -*- coding: utf-8 -*-
# 情感分类 with bert4keras
import os  # the system
from bert4keras.backend import keras, K   # both
from bert4keras.models import build_transformer_model
from bert4keras.snippets import (
    sequence_padding,  # pads
    DataGenerator,
)

bert = build_transformer_model('config.json', 'bert4keras/model.ckpt')   # keeps   spaces
"""


def notes(source, head=HEAD):
    return [(note.line, note.construct, note.replacement) for note in migrate_source(head + source).notes]


def test_imports_change_and_nothing_else():
    result = migrate_source(SCRIPT)
    assert result.text == SCRIPT.replace("from bert4keras.", "from bert4keras2.") and result.notes == []
    assert (
        "# 情感分类 with bert4keras\n" in result.text and "'bert4keras/model.ckpt')   # keeps   spaces" in result.text
    )
    again = migrate_source(result.text)
    assert again.text == result.text and again.notes == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("import bert4keras\nprint(bert4keras.snippets)\n", "import bert4keras2\nprint(bert4keras2.snippets)\n"),
        ("import bert4keras.backend as B\nB.K\n", "import bert4keras2.backend as B\nB.K\n"),
        ("import os, bert4keras.layers\n", "import os, bert4keras2.layers\n"),
        ("import bert4keras\nimport os\nbert4keras\n", "import bert4keras2\nimport os\nbert4keras2\n"),
        ("from  bert4keras  import snippets as s\n", "from  bert4keras2  import snippets as s\n"),
        ("from \\\n  bert4keras.snippets import open\n", "from \\\n  bert4keras2.snippets import open\n"),
        ("x = '中'; from bert4keras.snippets import open\n", "x = '中'; from bert4keras2.snippets import open\n"),
        ("if 1: from bert4keras.snippets import open\n", "if 1: from bert4keras2.snippets import open\n"),
        ("def f():\n\timport bert4keras.snippets\n", "def f():\n\timport bert4keras2.snippets\n"),
        ("from .bert4keras import x\n" + HEAD, "from .bert4keras import x\n" + NEW_HEAD),
        ("import bert4keras\r\nx = bert4keras\r\n", "import bert4keras2\r\nx = bert4keras2\r\n"),
        ("from bert4keras.snippets import open", "from bert4keras2.snippets import open"),
        ("\x0c\nimport bert4keras\n\x0cy = bert4keras\n", "\x0c\nimport bert4keras2\n\x0cy = bert4keras2\n"),
    ],
)
def test_imports_of_bert4keras(old, new):
    result = migrate_source(old)
    assert result.text == new and result.notes == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("import keras", "from bert4keras2.backend import keras"),
        ("import keras as k  # k", "from bert4keras2.backend import keras as k  # k"),
        ("import keras, os", "from bert4keras2.backend import keras\nimport os"),
        ("import os, keras; x = 1", "from bert4keras2.backend import keras; import os; x = 1"),
        ("import tensorflow.keras as keras", "from bert4keras2.backend import keras"),
        ("import keras.models", "from bert4keras2.backend import keras"),
        ("import keras.backend as K", "from bert4keras2.backend import K"),
        ("import tensorflow.keras.backend as B", "from bert4keras2.backend import K as B"),
        ("from tensorflow import keras", "from bert4keras2.backend import keras"),
        ("from keras import backend as K", "from bert4keras2.backend import K"),
        ("from keras import backend", "from bert4keras2.backend import K as backend"),
        ("from keras import backend as K, layers", "from bert4keras2.backend import K\nfrom keras import layers"),
        (
            "if 1:\n    from keras import layers, backend as K",
            "if 1:\n    from bert4keras2.backend import K\n    from keras import layers",
        ),
        (
            "if 1: from keras import Model, layers",
            "if 1: from bert4keras2.backend import Model; from keras import layers",
        ),
        ("from keras.models import Model", "from bert4keras2.backend import Model"),
        (
            "from keras.models import Sequential, Model as M, load_model",
            "from bert4keras2.backend import Model as M\nfrom keras.models import Sequential, load_model",
        ),
        (
            "from tensorflow.keras.models import (\n    Model,  # the model\n    load_model,\n)",
            "from bert4keras2.backend import Model\nfrom keras.models import (\n    # the model\n    load_model,\n)",
        ),
        (
            "from keras.models import (\n    load_model,  # loads\n    Model,\n)",
            "from bert4keras2.backend import Model\nfrom keras.models import (\n    load_model,  # loads\n)",
        ),
        ("from tensorflow.keras.layers import Dense, Input", "from keras.layers import Dense, Input"),
        ("from keras.layers import *", "from keras.layers import *"),
        ("from keras.callbacks import Callback", "from keras.callbacks import Callback"),
        (
            "from tensorflow.keras.losses import kullback_leibler_divergence as kld, mse, hinge",
            "from keras.losses import kl_divergence as kld, mean_squared_error as mse, hinge",
        ),
        ("import numpy as np, json", "import numpy as np, json"),
    ],
)
def test_imports_of_keras(old, new):
    result = migrate_source(HEAD + old + "\n")
    assert result.text == NEW_HEAD + new + "\n" and result.notes == []
    compile(result.text, "script", "exec")


def test_scripts_without_bert4keras_are_left_alone():
    source = "import keras\nkeras.backend.conv1d\n"
    assert migrate_source(source).text == source and migrate_source(source).notes == []
    result = migrate_source(source, always=True)
    assert result.text.startswith("from bert4keras2.backend import keras\n") and len(result.notes) == 1


@pytest.mark.parametrize(
    "source, construct, word",
    [
        ("from bert4keras.backend import K\nK.conv1d(a, b)\n", "K.conv1d", "keras.ops.conv"),
        ("from keras import backend as B\nB.get_session()\n", "B.get_session", "no sessions"),
        ("import keras\nkeras.backend.set_session(s)\n", "keras.backend.set_session", "no sessions"),
        ("\nmodel._make_test_function()\n", "model._make_test_function", "test_step"),
        ("\nmodel._standardize_user_data(x)\n", "model._standardize_user_data", "train_step"),
        ("\nself.optimizer.get_updates(a, b)\n", "self.optimizer.get_updates", "update_step"),
        ("import tensorflow as tf\ntf.Session()\n", "tf.Session", "no sessions"),
        ("import tensorflow as T\nT.compat.v1.ConfigProto()\n", "T.compat.v1.ConfigProto", "set_memory_growth"),
        ("import tensorflow as tf\ntf.keras.models.Model(a, b)\n", "tf.keras.models.Model", "bert4keras2.backend"),
        ("import tensorflow as tf\ntf.keras.backend.sum(a)\n", "tf.keras.backend.sum", "K.sum"),
        ("import keras\nkeras.utils.multi_gpu_model(m)\n", "keras.utils.multi_gpu_model", "data_parallel"),
        ("\nfrom keras.utils import multi_gpu_model\n", "from keras.utils import multi_gpu_model", "data_parallel"),
        ("\nfrom keras.backend import sum, mean\n", "from keras.backend import sum, mean", "import K"),
        ("\nfrom keras.engine.topology import Layer\n", "from keras.engine.topology import ...", "keras.layers"),
        ("\nimport keras.backend.tensorflow_backend as KTF\n", "import keras.backend.tensorflow_backend", "sessions"),
        ("\nx = Lambda(f, mask=g)(y)\n", "Lambda(..., mask=...)", "compute_mask"),
        ("\nself.add_weight('w', (2, 3))\n", "add_weight('w', ...)", "shape=..."),
        ("\nmodel.add_metric(acc, name='acc')\n", "model.add_metric(...)", "compute_loss"),
        ("\nmodel.add_loss(loss)\n", "model.add_loss(...)", "bert4keras2.layers.Loss"),
        ("\nmodel.compile(Adam(lr=1e-5))\n", "Adam(lr=...)", "learning_rate=, the name in Keras 3"),
        ("from keras.optimizers import Adam\nAdam(lr=1e-5)\n", "Adam(lr=...)", "learning_rate="),
        ("from bert4keras.optimizers import Adam\nkeras.optimizers.Adam(lr=1)\n", "Adam(lr=...)", "learning_rate="),
        ("from bert4keras.optimizers import Adam\nAdam(lr=1, decay=1)\n", "Adam(decay=...)", "InverseTimeDecay"),
        ("\nimportlib.import_module('bert4keras.layers')\n", "'bert4keras.layers'", "bert4keras2"),
        ("\nfrom bert4keras.layers import *\n", "from bert4keras.layers import *", "from keras.layers import *"),
        ("\nfrom bert4keras.layers import Dense\n", "from bert4keras.layers import Dense", "from keras.layers"),
        ("\nfrom bert4keras.snippets import sequence_pading\n", "import sequence_pading", "close: sequence_padding"),
        ("\nfrom bert4keras.nothing import x\n", "bert4keras.nothing", "no module of that name"),
    ],
)
def test_what_needs_a_person(source, construct, word):
    found = notes(source)
    line = 2 + source.split("\n").index(next(x for x in source.split("\n")[::-1] if x))
    assert [item for item in found if item[0] == line and construct in item[1] and word in item[2]], found
    assert len(found) == 1


@pytest.mark.parametrize(
    "source",
    [
        "model.fit_generator(g, steps_per_epoch=2)",
        "x = Lambda(lambda x: x[:, 0])(y)",
        "self.add_metric(acc, name='acc'); self.add_loss(loss); super(A, self).add_loss(loss)",
        "self.add_weight(name='w', shape=(2, 3))",
        "from bert4keras.snippets import AutoRegressiveDecoder, ViterbiDecoder, uniout",
        "from bert4keras.backend import search_layer, K; K.mean(K.cast(K.equal(a, b), K.floatx()))",
        "from bert4keras.optimizers import Adam; Adam(learning_rate=1e-5)",
        "from bert4keras.optimizers import Adam; Adam(lr=1e-5)",
        "from bert4keras.optimizers import *\nAdamW = extend_with_weight_decay(Adam); AdamW(lr=1); Adam(lr=1)",
        "import bert4keras2.optimizers; bert4keras2.optimizers.Adam(lr=1e-5)",
        "from bert4keras2.optimizers import extend_with_lookahead\nAdamL = extend_with_lookahead(Adam)\nAdamL(lr=1)",
        "f = model.train_function; print(a.targets)",
        "from bert4keras.backend import K; K.gradients(model.total_loss, [e]); model._make_train_function()",
        "model.train_function = f; a = model._feed_inputs + model._feed_targets + model._feed_sample_weights",
    ],
)
def test_what_needs_nobody(source):
    assert notes(source + "\n") == []


def test_notes_have_columns_in_characters():
    (note,) = migrate_source(HEAD + "情感 = '分类', model.metrics_tensors\n").notes
    assert (note.line, note.column) == (2, len("情感 = '分类', ") + 1)


@pytest.mark.parametrize(
    "source, line, word",
    [
        (HEAD + "x = 1\nprint 'hello'\n", 3, "2to3"),
        (HEAD + "try:\n    pass\nexcept Exception, e:\n    pass\n", 4, "2to3"),
        (HEAD + "x = (1\n", 2, "correct the syntax"),
    ],
)
def test_syntax_errors(source, line, word):
    result = migrate_source(source)
    assert result.text == source and result.error.line == line
    assert "cannot parse" in result.error.construct and word in result.error.replacement


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    (tmp_path / "sub" / ".hidden").mkdir(parents=True)
    (tmp_path / "train.py").write_bytes(SCRIPT.encode())
    (tmp_path / "train.py").chmod(0o755)
    (tmp_path / "sub" / "adversarial.py").write_text(HEAD + "loss = model.metrics_tensors\n", "utf-8")
    (tmp_path / "sub" / "old.py").write_bytes(
        "# coding: gbk\nfrom bert4keras.snippets import open  # 中文\n".encode("gbk")
    )
    (tmp_path / "sub" / "two.py").write_text("print 1\n", "utf-8")
    (tmp_path / "sub" / "other.py").write_text("import keras\n", "utf-8")
    (tmp_path / "sub" / "windows.py").write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode())
    (tmp_path / "sub" / ".hidden" / "cache.py").write_text(HEAD, "utf-8")
    (tmp_path / "sub" / "book.ipynb").write_text("{}", "utf-8")
    return tmp_path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_showing_changes_nothing(project, capsys):
    before = contents(project)
    assert main([str(project)]) == 1
    shown = capsys.readouterr().out
    assert contents(project) == before
    line = "from bert4keras.backend import keras, K   # both\n"
    assert f"-{line}" in shown and f"+{line.replace('bert4keras', 'bert4keras2')}" in shown
    path = project / "sub" / "adversarial.py"
    assert f"--- {path}\n+++ {path} (bert4keras2)\n" in shown and f"{path}:2:8: model.metrics_tensors\n    -> " in shown
    assert f"{project / 'sub' / 'two.py'}:1:1: cannot parse" in shown and "2to3" in shown
    assert "book.ipynb:1:1: cannot parse as a notebook" in shown and ".hidden" not in shown


def test_writing(project, capsys):
    before = contents(project)
    assert main([str(project), "--write"]) == 1
    after = contents(project)
    assert after["train.py"].decode() == SCRIPT.replace("from bert4keras.", "from bert4keras2.")
    assert after["train.py.orig"] == before["train.py"] and os.access(project / "train.py", os.X_OK)
    assert after["sub/old.py"] == before["sub/old.py"].replace(b"bert4keras", b"bert4keras2")
    assert after["sub/windows.py"] == before["sub/windows.py"].replace(b"bert4keras", b"bert4keras2")
    for name in ("sub/two.py", "sub/other.py", "sub/book.ipynb", "sub/.hidden/cache.py"):
        assert after[name] == before[name]
    assert not [name for name in after if "partial" in name or name in ("sub/two.py.orig", "sub/other.py.orig")]
    capsys.readouterr()
    assert main([str(project / "train.py"), "--write"]) == 0  # the second time there is nothing to do
    assert contents(project)["train.py.orig"] == before["train.py"]


def test_json(project, capsys):
    assert main([str(project / "sub"), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    files = {os.path.basename(file["path"]): file for file in report["files"]}
    assert report["status"] == 1 and sorted(files) == [
        "adversarial.py", "book.ipynb", "old.py", "other.py", "two.py", "windows.py"
    ]  # fmt: skip
    (note,) = files["adversarial.py"]["notes"]
    assert (note["line"], note["column"], note["construct"]) == (2, 8, "model.metrics_tensors")
    assert files["old.py"]["changed"] and not files["old.py"]["notes"] and files["two.py"]["error"]


def test_status(project, capsys):
    assert main([str(project / "train.py")]) == 0
    assert main([str(project / "nowhere.py"), str(project / "train.py")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    (project / "odd.py").write_bytes(b"# coding: utf-8\nx = '\xff'\n")
    assert main([str(project / "odd.py")]) == 1
    assert "cannot be read as Python source" in capsys.readouterr().out


def test_command_needs_no_keras(project):
    code = (
        "import sys; from bert4keras2.migrate.command import main;"
        f"status = main([{str(project / 'train.py')!r}]);"
        "print(status, [m for m in ('keras', 'numpy', 'tensorflow', 'torch', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    run = [sys.executable, "-m", "bert4keras2.migrate", str(project / "sub" / "adversarial.py")]
    assert subprocess.run(run, capture_output=True, check=False).returncode == 1


def test_tables_agree_with_what_raises():
    """What K and Model refuse by name is reported too, and what is reported is refused."""
    from bert4keras2.backend.keras2.k import GONE
    from bert4keras2.training.keras2_methods import GONE_FROM_MODELS, GONE_FROM_OPTIMIZERS

    assert set(K_FUNCTIONS) == set(GONE)
    # Names that are too common outside of models are not searched for.
    assert set(GONE_FROM_MODELS) - {"targets", "sample_weights", "updates"} | set(GONE_FROM_OPTIMIZERS) == set(
        ATTRIBUTES
    )


# -- the page --------------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text("utf-8")


@pytest.mark.backend
def test_page_runs():
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)
    exec(compile(block, "docs/migrating.md", "exec"), {"__name__": "docs"})


def test_page_shows_what_the_tool_does():
    (diff,) = re.findall(r"^```diff\n(.*?)^```", PAGE, re.S | re.M)
    lines = diff.splitlines(keepends=True)
    old, new = ("".join(line[1:] for line in lines if line[0] == sign) for sign in "-+")
    result = migrate_source(old)
    assert result.text.replace("          # and bert4keras.snippets.open(...) below", "") == new and result.notes == []


def test_page_names_what_needs_a_hand():
    table = PAGE.split("## What needs a hand")[1].split("## K")[0]
    for name in ("get_session", "multi_gpu_model", "add_weight", "get_updates", "_standardize_user_data"):
        assert name in table
