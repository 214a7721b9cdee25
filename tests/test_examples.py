"""The examples run without arguments, learn more than chance, and write what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(script: str, folder: Path, *arguments: str) -> str:
    """Return what an example prints, run in a folder of its own."""
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@pytest.mark.slow
def test_tnews(tmp_path):
    text = run("clue/tnews.py", tmp_path)
    assert "tiny" in text and "random weights" in text
    accuracy = float(re.search(r"held-out accuracy ([\d.]+)", text)[1])
    assert accuracy > 0.4, "chance is 0.125"
    rows = [json.loads(line) for line in (tmp_path / "tnews11_predict.json").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 128 and set(rows[0]) == {"id", "label"}


@pytest.mark.slow
def test_tnews_files(tmp_path):
    """The published format: classes by number, predictions for the rows of the test file."""
    row = '{{"sentence": "第{}条新闻标题", "label": "{}", "id": {}}}'
    lines = [row.format(i, (100, 116)[i % 2], i) for i in range(8)]
    for name in ("train.json", "dev.json"):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "test.json").write_text('{"sentence": "没有标签的一行", "id": 7}', encoding="utf-8")
    run("clue/tnews.py", tmp_path, "--data-dir", ".", "--epochs", "1", "--output", "out.json")
    (prediction,) = (json.loads(line) for line in (tmp_path / "out.json").read_text(encoding="utf-8").splitlines())
    assert prediction["id"] == "7" and 100 <= int(prediction["label"]) <= 116


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "says"),
    [
        ("basic_extract_features.py", [], "mean nothing"),
        ("basic_masked_language_model.py", ["--epochs", "1"], "tiny"),
        ("task_sentiment.py", [], "tiny"),
    ],
)
def test_runs(script, arguments, says, tmp_path):
    assert says in run(script, tmp_path, *arguments)


def test_sizes():
    """Examples stay short enough to read at once."""
    for path in EXAMPLES.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 180, path
