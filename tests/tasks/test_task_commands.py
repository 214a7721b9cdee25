"""`bert4keras2 train`, `predict` and `evaluate`, from files to files."""

from __future__ import annotations

import io
import json

import pytest
from task_cases import topics

from bert4keras2.__main__ import main
from bert4keras2.commands.train_settings import TrainSettings


def write(path, rows):
    path.write_text("\n".join("\t".join(row) for row in rows) + "\n", encoding="utf-8")
    return str(path)


def test_from_files_to_files(checkpoint, tmp_path, capsys, monkeypatch):
    train, valid = write(tmp_path / "train.tsv", topics(96)), write(tmp_path / "valid.tsv", topics(16, 1))
    folder = str(tmp_path / "task")
    config = {"checkpoint": str(checkpoint), "train": train, "valid": valid, "output": folder, "maxlen": 32}
    (tmp_path / "run.json").write_text(json.dumps({**config, "epochs": 1}), encoding="utf-8")
    rest = ["--epochs", "4", "--learning-rate", "5e-3", "--batch-size", "8", "--adversarial", "0.1", "--test", valid]
    assert main(["train", str(tmp_path / "run.json"), *rest]) == 0
    out = capsys.readouterr().out
    assert "valid: accuracy " in out and "test: accuracy " in out and f"saved {folder}" in out

    assert main(["evaluate", folder, valid, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] > 0.8 and figures["rows"] == 16
    assert main(["evaluate", folder, valid]) == 0
    assert "precision" in capsys.readouterr().out

    (tmp_path / "texts.txt").write_text("火锅，很\n\n感冒\n", encoding="gb18030")
    output = tmp_path / "out.jsonl"
    assert main(["predict", folder, str(tmp_path / "texts.txt"), "--output", str(output)]) == 0
    found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in found] == ["火锅，很", "感冒"] and set(found[0]) == {"text", "label", "probability"}
    monkeypatch.setattr("sys.stdin", io.StringIO("火锅，很\n"))
    assert main(["predict", folder]) == 0
    assert json.loads(capsys.readouterr().out) == found[0]
    (tmp_path / "rows.jsonl").write_text('{"id": 7, "title": "感冒"}\n', encoding="utf-8")
    assert main(["predict", folder, str(tmp_path / "rows.jsonl"), "--columns", '{"text": "title", "id": "id"}']) == 0
    assert json.loads(capsys.readouterr().out)["id"] == 7

    (tmp_path / "rows.jsonl").write_text('{"text": "感冒"}\n{"text": \n', encoding="utf-8")
    before = output.read_bytes()
    assert main(["predict", folder, str(tmp_path / "rows.jsonl"), "--output", str(output)]) == 1
    assert "line 2 is no JSON" in capsys.readouterr().err and output.read_bytes() == before
    assert main(["evaluate", folder, write(tmp_path / "wrong.tsv", [("火锅", "美味")])]) == 1
    assert "label '美味' is none of the 2 labels; did you mean '美食'?" in capsys.readouterr().err
    assert main(["evaluate", str(checkpoint), valid]) == 1
    assert "holds no task" in capsys.readouterr().err


def test_settings():
    given = {"checkpoint": "a", "train": "b", "output": "c"}
    for more, words in (
        ({"task": "classfy"}, "did you mean 'classify'"),
        ({"nested": True}, "nested is an option of tag, and the task is classify"),
        ({"task": "read", "labels": ["a"]}, "labels are an option of classify and tag"),
        ({"epochs": 0}, "epochs is a whole number from 1 on"),
        ({"warmup": 1.0}, "warmup is a share"),
        ({"learning_rate": -1.0}, "learning_rate must be a number greater than 0"),
        ({"epoch": 1}, "unknown key 'epoch': did you mean 'epochs'"),
    ):
        with pytest.raises(ValueError, match=words):
            TrainSettings.make({**given, **more})
    settings = TrainSettings.make(
        {**given, "task": "tag", "head": "crf", "prefix": "x", "options": {"dropout_rate": 0.2}}
    )
    assert settings.task_options() == {"head": "crf", "prefix": "x", "dropout_rate": 0.2}
