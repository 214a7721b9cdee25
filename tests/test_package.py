"""The package as a whole: fast to import, free of star imports, and no TensorFlow where another backend runs."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import bert4keras2

PACKAGE = Path(bert4keras2.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
PARTS = "from bert4keras2.models import build_transformer_model; import bert4keras2.tokenizers, bert4keras2.snippets"


def python(code: str, backend: str | None = None) -> str:
    """Run code in a new interpreter and return what it prints."""
    environment = {**os.environ, **({"KERAS_BACKEND": backend} if backend else {})}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().splitlines()[-1]


def test_import_time():
    """No more than a tenth of Keras' own processor time, parts included, as the median of three processes."""
    code = f"import time; s = time.process_time(); import keras; t = time.process_time(); import bert4keras2; {PARTS};"
    code += "print((time.process_time() - t) / (t - s))"  # a bound in seconds would be one of a machine
    share = median(float(python(code, "tensorflow")) for _ in range(3))
    assert share < 0.1, f"the package takes {share:.3f} of the time that Keras takes"


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_no_tensorflow_on_other_backends(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    # Keras itself may import it, so what counts is what comes on top; building a model must not either.
    build = (
        "from bert4keras2.models import build_transformer_model as b;"
        "b(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4);"
        "bert4keras2.set_seed(1);"
    )
    code = f"import sys, keras; before = set(sys.modules); import bert4keras2; {PARTS}; {build}"
    code += "print([m for m in set(sys.modules) - before if m.split('.')[0] == 'tensorflow'])"
    assert python(code, backend) == "[]"


def test_tokenizers_need_no_keras():
    code = "import sys, bert4keras2.tokenizers as t; print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    assert python(code) == "[]"


def module_level(tree: ast.Module):
    """Yield the statements that run when a module is imported, but for those for type checkers."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from (child for child in ast.walk(node) if isinstance(child, ast.stmt))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_source(path):
    """Explicit imports, no TensorFlow at module level, no reference to this machine."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not any(alias.name == "*" for alias in node.names), f"star import in line {node.lineno}"
    for node in module_level(tree):
        names = (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for name in names:
            assert name.split(".")[0] not in ("tensorflow", "torch", "jax"), (
                f"{name} at module level, line {node.lineno}"
            )
    assert not re.search(r"/(work|home|root)/", text)


def test_what_is_shown_is_given():
    """`dir`, and with it Tab and `help`, name what there is; nothing of it is imported before it is used."""
    code = "import sys, bert4keras2 as b; names = dir(b); h = [m for m in ('numpy', 'keras') if m in sys.modules]; "
    code += (
        "print(h, {'models', 'layers', 'build_transformer_model', 'Generator'} <= set(names), 'importlib' in names, "
    )
    code += "b.metrics.__name__, b.tokenizers.Tokenizer.__name__)"
    assert python(code) == "[] True False bert4keras2.metrics Tokenizer"
    for name in dir(bert4keras2):
        assert getattr(bert4keras2, name) is not None
    for part in ("backend", "training", "snippets"):
        assert getattr(bert4keras2, part) is importlib.import_module(f"bert4keras2.{part}")
    assert all(f"`{name}`" in bert4keras2.__doc__ for name in dir(bert4keras2) if name in bert4keras2._MODULES)


def test_exports():
    for name in bert4keras2.__all__:
        assert getattr(bert4keras2, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'; it offers .*build_transformer_model"):
        _ = bert4keras2.nothing


@pytest.mark.backend
@pytest.mark.parametrize("module", ["backend", "layers", "models", "optimizers", "snippets", "tokenizers"])
def test_all_is_what_there_is(module):
    part = importlib.import_module(f"bert4keras2.{module}")
    assert sorted(set(part.__all__)) == sorted(part.__all__)
    for name in part.__all__:
        assert getattr(part, name) is not None


@pytest.mark.backend
def test_keras_namespace():
    """`from bert4keras2.backend import keras` is Keras, but for Model, and Keras itself is left as it was."""
    import keras as real

    from bert4keras2.backend import Model, keras

    assert keras.models.Model is Model and keras.Model is Model and real.Model is not Model
    assert issubclass(Model, real.Model) and real.models.Model is real.Model
    assert (
        keras.layers is real.layers
        and keras.layers.Dense is real.layers.Dense
        and keras.__version__ == real.__version__
    )
    assert keras.models.clone_model is real.models.clone_model and issubclass(keras.Sequential, real.Sequential)
    assert keras.losses.kullback_leibler_divergence is real.losses.kl_divergence
    assert keras.metrics.mse is real.metrics.mean_squared_error and keras.losses.Loss is real.losses.Loss
    assert keras.models.load_model is not real.models.load_model  # ours takes files of any name
    assert {"Model", "layers", "optimizers"} <= set(dir(keras)) and "load_model" in dir(keras.models)
    with pytest.raises(AttributeError):
        _ = keras.nothing
