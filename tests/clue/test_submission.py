"""Official measures, predict files and their zip, and what the checker finds in zips that break the rules."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

from bert4keras2.clue import (
    CLUE,
    FEWCLUE,
    Answer,
    Blank,
    Choice,
    Entities,
    Pair,
    Question,
    Text,
    check_zip,
    zip_predictions,
)

IDIOMS = [f"成语{i:02}" for i in range(10)]
ITEM = [["男：好。"], [{"question": "谁？", "choice": ["甲", "乙"], "id": 8}], "1-1"]
# A test file of every task of CLUE, and predictions for it.
TESTS = {
    "iflytek": ("test.json", [{"id": 0, "sentence": "甲"}, {"id": 1, "sentence": "乙"}], ["118", "0"]),
    "tnews": ("test1.1.json", [{"id": 5, "sentence": "甲"}], ["116"]),
    "afqmc": ("test.json", [{"id": 0, "sentence1": "甲", "sentence2": "乙"}], ["1"]),
    "cmnli": ("test.json", [{"id": 0, "sentence1": "甲", "sentence2": "乙"}], ["neutral"]),
    "ocnli": ("test.json", [{"id": 0, "sentence1": "甲", "sentence2": "乙"}], ["entailment"]),
    "wsc": (
        "test1.1.json",
        [
            {
                "id": 3,
                "text": "甲说他",
                "target": {"span1_text": "甲", "span1_index": 0, "span2_text": "他", "span2_index": 2},
            }
        ],
        ["true"],
    ),
    "csl": ("test.json", [{"id": 9, "abst": "甲", "keyword": ["甲"]}], ["0"]),
    "cmrc2018": (
        "test.json",
        {"data": [{"paragraphs": [{"context": "甲乙", "qas": [{"id": "T_0", "question": "?", "answers": []}]}]}]},
        ["甲"],
    ),
    "c3": ("test1.1.json", [ITEM], [1]),
    "chid": ("test1.1.json", [{"content": ["#idiom1#和#idiom2#"], "candidates": IDIOMS}], [3, 9]),
    "cluener": ("test.json", [{"id": 0, "text": "王明"}, {"id": 1, "text": "无"}], [[(0, 2, "name")], []]),
}
NAMES = [
    "afqmc_predict.json", "c311_predict.json", "chid11_predict.json", "cluener_predict.json", "cluewsc11_predict.json",
    "cmnli_predict.json", "cmrc2018_predict.json", "csl_predict.json", "iflytek_predict.json",
    "ocnli_50k_predict.json", "tnews11_predict.json",
]  # fmt: skip


@pytest.fixture
def data(tmp_path) -> Path:
    """A data folder with the test files of all tasks."""
    for name, (file, content, _) in TESTS.items():
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        nested = isinstance(content, dict) or name == "c3"
        text = json.dumps(content) if nested else "\n".join(json.dumps(row) for row in content)
        (folder / file).write_text(text, encoding="utf-8")
    return tmp_path / "data"


def written(data: Path, folder: Path) -> Path:
    """Write all predict files of CLUE."""
    for name, (*_, predictions) in TESTS.items():
        CLUE[name].write(folder, CLUE[name].load(data / name, "test"), predictions)
    return folder


def test_from_predictions_to_the_zip(data, tmp_path):
    results = written(data, tmp_path / "results")
    (results / "notes.txt").touch()
    path = zip_predictions(results, team="us")
    assert Path(path).name.startswith("submit_us_20")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == NAMES
        content = {name: archive.read(name).decode("utf-8") for name in NAMES}
    assert content["iflytek_predict.json"] == '{"id": "0", "label": "118"}\n{"id": "1", "label": "0"}\n'
    assert content["cluewsc11_predict.json"] == '{"id": "3", "label": "true"}\n'
    assert content["c311_predict.json"] == '{"id": "8", "label": "1"}\n'
    assert json.loads(content["chid11_predict.json"]) == {"#idiom1#": 3, "#idiom2#": 9}
    assert json.loads(content["cmrc2018_predict.json"]) == {"T_0": "甲"}
    first, second = map(json.loads, content["cluener_predict.json"].splitlines())
    assert first == {"id": "0", "text": "王明", "label": {"name": {"王明": [[0, 1]]}}} and second["label"] == {}
    report = check_zip(path, data)
    assert report.ok and report.problems == [] and report.files["iflytek_predict.json"] == 2, report
    assert not check_zip(path).ok and check_zip(path).unchecked == NAMES and check_zip(path).problems == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("iflytek_predict.json", '{"id": "0", "label": "1"}\n', "it has 1 rows, the test file has 2"),
        ("iflytek_predict.json", '{"id": "1", "label": "1"}\n{"id": "0", "label": "1"}', "line 1 has the id 1"),
        ("iflytek_predict.json", '{"id": "0", "label": "119"}\n{"id": "1", "label": "1"}', "line 1: '119' is no label"),
        ("iflytek_predict.json", '{"id": "0", "label": 1}\n{"id": "1", "label": "1"}', "line 1: 1 is no label"),
        ("iflytek_predict.json", '{"id": "0"}\n{"id": "1", "label": "1"}', "line 1 has no label"),
        ("iflytek_predict.json", "{", "line 1 is no JSON object"),
        ("iflytek.json", "", "no name of a predict file"),
        ("results/iflytek_predict.json", "", "they lie flat in the zip"),
        ("c311_predict.json", '{"id": "8", "label": "2"}', "question 8 has only 2 choices"),
        ("chid11_predict.json", '{"#idiom1#": 3}', "1 of 2 blanks are missing, such as #idiom2#"),
        ("chid11_predict.json", '{"#idiom1#": "3", "#idiom2#": 1}', "is to be 0 to 9, but is '3'"),
        ("cmrc2018_predict.json", '{"T_1": "甲"}', "1 of 1 questions are missing, such as T_0"),
        ("cmrc2018_predict.json", '[["T_0", "甲"]]', "one JSON object, but is a list"),
        (
            "cluener_predict.json",
            '{"id": 0, "text": "王", "label": {}}\n{"id": 1, "text": "无", "label": {}}',
            "another text",
        ),
        (
            "cluener_predict.json",
            '{"id": 0, "text": "王明", "label": {"name": {"王明": [[0, 2]]}}}\n{"id": 1, "text": "无", "label": {}}',
            r"the name '王明' does not stand at \[0, 2\]",
        ),
        ("bustm_predict.json", '{"id": 1, "label": "2"}', "'2' is no label of bustm"),
    ],
)
def test_zips_that_break_the_rules(data, tmp_path, name, content, problem):
    path = tmp_path / "submit.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    report = check_zip(path, data)
    assert not report.ok
    assert re.search(problem, "\n".join(report.problems)), report.problems
    path.write_bytes(path.read_bytes()[:40])
    assert "is no whole zip" in str(check_zip(path, data))


def test_fewclue_files(tmp_path):
    rows = [Text("0", "甲"), Text("1", "乙")]
    assert Path(FEWCLUE["tnews"].write(tmp_path, rows, ["100", "101"])).name == "tnewsf_predict.json"
    assert (tmp_path / "tnewsf_predict.json").read_text().splitlines()[0] == '{"id": "0", "label": "100"}'
    FEWCLUE["eprstmt"].write(tmp_path, rows, ["Positive", "Negative"], part=3)
    assert (tmp_path / "eprstmt_predict_3.json").read_text().splitlines()[1] == '{"id": 1, "label": "Negative"}'
    blank = Blank("3000", "很", "的", tuple(IDIOMS[:7]))
    FEWCLUE["chid"].write(tmp_path, [blank], [6])
    assert json.loads((tmp_path / "chidf_predict.json").read_text()) == {"id": 3000, "answer": 6}
    path = zip_predictions(tmp_path)
    assert Path(path).name == "fewclue_submit_examples.zip" and check_zip(path).problems == []
    CLUE["afqmc"].write(tmp_path, [Pair("0", "甲", "乙")], ["1"])
    with pytest.raises(ValueError, match="both benchmarks"):
        zip_predictions(tmp_path)
    with pytest.raises(FileNotFoundError, match="has no predict file"):
        zip_predictions(tmp_path, suite="clue") and zip_predictions(Path(__file__).parent)


def test_versions(tmp_path):
    rows = [Text("0", "甲")]
    assert Path(CLUE["tnews"].write(tmp_path, rows, ["100"], version="1.0")).name == "tnews10_predict.json"
    with pytest.raises(ValueError, match="no test set of version '2'; there is 1.1, 1.0"):
        CLUE["tnews"].write(tmp_path, rows, ["100"], version="2")


def test_predictions_that_are_none(tmp_path):
    for name, row, prediction, message in (
        ("tnews", Text("0", "甲"), "105", "the label '105' is none of tnews's"),
        ("c3", Choice("0", ("甲",), "?", ("a", "b")), 4, "number of a choice"),
        ("chid", Blank("#idiom1#", "", "", ("a", "b")), 2, "is to be 0 to 1"),
        ("cmrc2018", Question("Q", "?", "甲"), None, "is to be a text"),
        ("cluener", Entities("0", "甲"), [(0, 2, "name")], "does not fit the row 0"),
    ):
        with pytest.raises(ValueError, match=message):
            CLUE[name].write(tmp_path / "out", [row], [prediction])
        with pytest.raises(ValueError, match="1 predictions for 2 rows"):
            CLUE[name].write(tmp_path / "out", [row, row], [prediction])
    assert not (tmp_path / "out").exists()


def test_official_measures():
    rows = [
        Question("Q0", "?", "甲", (Answer("北京大学", 0), Answer("北大", None))),
        Question("Q1", "?", "甲", (Answer("一", 0),)),
    ]
    assert CLUE["cmrc2018"].score(rows, ["《北大》", "二"]) == {"score": 0.5, "em": 0.5, "f1": 0.5}
    # By entities as texts, whatever their places: name 2 of 2 and 2 found; address 1 found of 2 there and 1 found;
    # the other eight types are not there and count as 0.
    rows = [
        Entities("0", "王明见王明和李红在北京", ((0, 2, "name"), (3, 5, "name"), (6, 8, "name"), (9, 11, "address"))),
        Entities("1", "上海的书", ((0, 2, "address"),)),
    ]
    found = CLUE["cluener"].score(rows, [[(0, 2, "name"), (6, 8, "name"), (9, 11, "address")], []])
    assert found["types"]["name"] == 1 and found["types"]["address"] == pytest.approx(2 / 3)
    assert found["score"] == found["f1"] == pytest.approx((1 + 2 / 3) / 10)
    assert found["micro_f1"] == pytest.approx(2 * 3 / (5 + 3))
    with pytest.raises(ValueError, match="the row 0 has no label to compare with"):
        CLUE["tnews"].score([Text("0", "甲")], ["100"])
    with pytest.raises(ValueError, match="the label '99' is none of tnews's"):
        CLUE["tnews"].score([Text("0", "甲", "100")], ["99"])
