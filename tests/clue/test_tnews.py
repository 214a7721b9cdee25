"""Readers of CLUE files and writers of predictions."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bert4keras2.clue import TNEWS_LABELS, find_split, read_tnews, write_predictions


def test_tnews(tmp_path):
    path = tmp_path / "dev.json"
    path.write_text(
        '{"sentence": "甲", "label": 100, "id": 3}\n\n{"sentence": "乙", "label": "116"}\n', encoding="utf-8"
    )
    assert read_tnews(path) == [("甲", 0, "3"), ("乙", len(TNEWS_LABELS) - 1, "1")]
    assert find_split(tmp_path, "valid") == str(path)


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data folder"):
        find_split(tmp_path / "no", "train")
    with pytest.raises(FileNotFoundError, match="looked for train.json"):
        find_split(tmp_path, "train")
    path = tmp_path / "train.json"
    path.write_text('{"sentence": "甲", "label": 105}', encoding="utf-8")
    with pytest.raises(ValueError, match="row 1 is no TNEWS row"):
        read_tnews(path)
    path.write_text('{"sentence": "甲", "label": 100}\n{oops', encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: not a JSON object"):
        read_tnews(path)


def test_predictions_appear_whole(tmp_path):
    path = tmp_path / "p.json"

    def rows():
        yield {"id": "1", "label": "故事"}
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        write_predictions(path, rows())
    assert not path.exists()
    write_predictions(path, [{"id": "1", "label": "故事"}])
    assert path.read_text(encoding="utf-8") == '{"id": "1", "label": "故事"}\n'


def test_real_files(shared):
    folder = shared / "datasets" / "fewclue" / "tnews"
    sizes = [len(read_tnews(find_split(folder, split))) for split in ("train", "valid", "test")]
    assert sizes == [1185, 1098, 2010]


def test_no_keras_is_imported():
    """Reading data and measuring need none of the seconds that Keras takes."""
    code = (
        "import sys, bert4keras2.clue, bert4keras2.metrics; print([m for m in ('keras', 'tqdm') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
