"""Rows out of files in any of the encodings in circulation, lists, pandas and Hugging Face's datasets."""

from __future__ import annotations

import json

import pytest

from bert4keras2.tasks import RowError, read_rows
from bert4keras2.tasks.rows.values import found_labels, label_list, label_text, rows_of, values_of

ORDERS = (("text", "label"), ("text", "second", "label"))
TABLE = [("好吃，“真的”", "1"), ('他说"不"', "0"), ("今天\u2028天气", "1")]


def values(rows, **options):
    return [tuple(values_of(row, rows.where(i), ORDERS, ("second",)).values()) for i, row in enumerate(rows)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("header", [True, False])
def test_tables(tmp_path, encoding, header):
    lines = ["sentence\tlabel"] * header + ["\t".join(row) for row in TABLE]
    for name, end in (("a.tsv", "\n"), ("b.txt", "\r\n"), ("c.data", "\n")):
        (tmp_path / name).write_bytes((end.join(lines) + end).encode(encoding))
        rows = read_rows(tmp_path / name)
        assert values(rows) == TABLE
        assert rows.where(1) == f"{tmp_path / name}, line {2 + header}"
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in TABLE]
    (tmp_path / "d.csv").write_bytes("\n".join(["text,label"] * header + quoted).encode(encoding))
    assert values(read_rows(tmp_path / "d.csv")) == TABLE


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_json(tmp_path, encoding):
    objects = [
        {"sentence1": "今天", "sentence2": "明天", "label": 1},
        {"sentence1": "好", "sentence2": "坏", "label": 0},
    ]
    lines = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in objects)
    for name, text in (
        ("a.jsonl", lines),
        ("b.json", lines),
        ("c.json", json.dumps(objects)),
        ("d.json", json.dumps({"data": objects})),
        ("e.unknown", lines),
    ):
        (tmp_path / name).write_bytes(text.encode(encoding))
        rows = read_rows(tmp_path / name)
        assert list(rows) == objects and values(rows) == [("今天", "明天", 1), ("好", "坏", 0)], name
        assert rows.where(1) == f"{tmp_path / name}, {'row 2' if name[0] in 'cd' else 'line 3'}"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label"\n', "a.jsonl, line 2 is no JSON"),
        ("a.jsonl", '{"text": "a"}\n3\n', "line 2 should hold an object, but holds 3"),
        ("a.tsv", "a\t1\nb\tc\t0\n", "line 2 has 3 columns, where the first line has 2.*tab in a text"),
        ("a.csv", 'a,1\n"b,0\n', "a.csv, line 3 is broken|a.csv, line 2 is broken"),
        ("a.tsv", " \n", "a.tsv is empty"),
    ],
)
def test_broken_files(tmp_path, name, text, words):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(RowError, match=words):
        read_rows(tmp_path / name)


def test_broken_bytes(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(RowError, match="neither UTF-8, UTF-16 nor GB 18030"):
        read_rows(tmp_path / "a.tsv")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_rows(tmp_path / "b.tsv")


def test_columns(tmp_path):
    (tmp_path / "a.tsv").write_text("财经\t股票涨了\n", encoding="utf-8")
    rows = read_rows(tmp_path / "a.tsv", {"text": 1, "label": 0})
    assert list(rows) == [{"text": "股票涨了", "label": "财经"}]
    with pytest.raises(RowError, match="a.tsv, line 1: there is no column 2; the row has 2 columns"):
        read_rows(tmp_path / "a.tsv", {"text": 2})
    with pytest.raises(RowError, match=r"rows\[0\]: there is no column 'c'; the row has a, b"):
        read_rows([{"a": 1, "b": 2}], {"text": "c"})


class ClassLabel:
    names = ["负", "正"]


class Dataset:
    """What a datasets.Dataset shows of itself."""

    features = {"text": object(), "label": ClassLabel()}

    def __getitem__(self, index):
        return [{"text": "好", "label": 1}, {"text": "坏", "label": 0}, {"text": "?", "label": -1}][index]


class DataFrame:
    """What a pandas.DataFrame shows of itself."""

    columns = ["text", "label"]

    def to_dict(self, kind):
        assert kind == "records"
        return [{"text": "好", "label": 1.0}, {"text": "坏", "label": float("nan")}]


def test_other_sources():
    assert [row["label"] for row in read_rows(Dataset())] == ["正", "负", -1]
    rows = read_rows(DataFrame())
    assert label_text(rows[0]["label"], "") == "1"
    with pytest.raises(RowError, match=r"rows\[1\] has no label"):
        values(rows)
    assert list(read_rows(iter([("a", 1)]))) == [("a", 1)]
    for source, words in (
        ({"train": []}, "pass one split"),
        (3, "rows is a int"),
        (["text"], r"rows\[0\] is a str 'text'"),
    ):
        with pytest.raises(TypeError, match=words):
            read_rows(source)
    with pytest.raises(RowError, match="validation is empty"):
        rows_of([], "validation")


def test_labels():
    assert [label_text(value, "") for value in ("a ", 1, 2.0, True)] == ["a", "1", "2", "true"]
    for value in (None, "", 1.5, [1], float("nan")):
        with pytest.raises(RowError, match="row 7: the label is"):
            label_text(value, "row 7")
    assert label_list("a|b| ", "") == label_list(["a", "b", "a"], "") == label_list('["a", "b"]', "") == ["a", "b"]
    assert label_list("", "") == label_list([], "") == []
    assert found_labels(["10", "2", "b", "a1", "2"]) == ["2", "10", "a1", "b"]
