"""Readers: the form of every task, the oddities of files in circulation, and files that are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bert4keras2 import clue
from bert4keras2.clue import CLUE, FEWCLUE, Answer, Blank, Choice, Entities, Keywords, Pair, Pronoun, Question, Text

TASKS_OF_LABELS = {
    "iflytek": 119, "tnews": 15, "afqmc": 2, "cmnli": 3, "ocnli": 3, "wsc": 2, "csl": 2, "cluener": 10,
}  # fmt: skip


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def value(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_the_tables():
    assert list(CLUE) == [
        "iflytek",
        "tnews",
        "afqmc",
        "cmnli",
        "ocnli",
        "wsc",
        "csl",
        "cmrc2018",
        "c3",
        "chid",
        "cluener",
    ]
    assert sorted(FEWCLUE) == ["bustm", "chid", "cluewsc", "csl", "csldcp", "eprstmt", "iflytek", "ocnli", "tnews"]
    assert {name: len(task.labels) for name, task in CLUE.items() if task.labels} == TASKS_OF_LABELS
    assert len(FEWCLUE["csldcp"].labels) == 67 and CLUE["iflytek"].labels["110"] == "社区超市"
    assert CLUE["cmnli"].label_names == ["entailment", "neutral", "contradiction"]
    names = [output.name for task in (*CLUE.values(), *FEWCLUE.values()) for output in task.outputs]
    assert len(names) == len(set(names))
    assert clue.get_task("cluewsc2020") is CLUE["wsc"] and clue.get_task("fewclue/tnews") is FEWCLUE["tnews"]
    assert clue.get_task("bustm") is FEWCLUE["bustm"] and clue.get_task("tnews") is CLUE["tnews"]
    with pytest.raises(ValueError, match="There is no task 'glue'. CLUE has iflytek, .*fewclue/bustm"):
        clue.get_task("glue")


def test_texts_and_pairs(tmp_path):
    path = tmp_path / "train.json"
    # A byte order mark, Windows' line ends, an empty line, labels as numbers and texts, rows without an id.
    path.write_bytes(
        "\ufeff".encode()
        + '{"sentence": "甲", "label": 100}\r\n\r\n{"sentence": "乙", "label": "116", "id": 7}'.encode()
    )
    assert CLUE["tnews"].read(path) == [Text("0", "甲", "100"), Text("7", "乙", "116")]
    lines(
        path,
        {"sentence1": "a", "sentence2": "b", "label": "-"},
        {"sentence1": "c", "sentence2": "d", "label": "neutral"},
    )
    assert CLUE["ocnli"].read(path) == [Pair("1", "c", "d", "neutral")]
    lines(path, {"content": "摘要", "label": "力学", "id": 3})
    assert FEWCLUE["csldcp"].read(path) == [Text("3", "摘要", "力学")]
    lines(path, {"id": 0, "abst": "摘要", "keyword": ["甲", "乙"]})
    (row,) = CLUE["csl"].read(path)
    assert row == Keywords("0", "摘要", ("甲", "乙"), None) and row.joined() == "甲；乙"


def test_pronouns(tmp_path):
    text = "小李送走了老王，他回屋里去了。"
    target = {"span1_text": "老王", "span1_index": 5, "span2_text": "他", "span2_index": 8}
    path = lines(tmp_path / "train.json", {"target": target, "idx": 4, "label": False, "text": text})
    (row,) = CLUE["wsc"].read(path)
    assert row == Pronoun("4", text, (5, 7), (8, 9), "false")
    assert row.marked() == "小李送走了_老王_，[他]回屋里去了。"
    lines(path, {"target": {**target, "span2_index": 9}, "label": "true", "text": text})
    with pytest.raises(ValueError, match="line 1: span2, '他', does not stand at 9"):
        CLUE["wsc"].read(path)


def test_choices(tmp_path):
    question = {"question": "谁？", "choice": ["男的", "女的", "男的"], "answer": "女的"}
    item = [["男：你好。", "女：好。"], [question, {**question, "answer": "男的", "id": 55}], "12-3"]
    value(tmp_path / "m-train.json", [item])
    with pytest.raises(
        FileNotFoundError, match="d-train.json is missing; m-train.json and d-train.json are the train set"
    ):
        CLUE["c3"].load(tmp_path, "train")
    value(tmp_path / "d-train.json", [item, item])
    rows = CLUE["c3"].load(tmp_path, "train")
    assert [row.id for row in rows] == ["0", "55", "0", "55", "2", "55"] and [row.group for row in rows[2:]] == [
        0,
        0,
        1,
        1,
    ]
    assert (
        rows[0] == Choice("0", ("男：你好。", "女：好。"), "谁？", ("男的", "女的", "男的"), 1, 0)
        and rows[1].answer == 0
    )
    bad = [["一"], [{**question, "answer": "谁也不是"}], "x"]
    with pytest.raises(ValueError, match="item 2: the answer '谁也不是' to '谁？' is none of the choices"):
        CLUE["c3"].read(value(tmp_path / "bad.json", [item, bad]))


def test_idioms(tmp_path):
    ten = [f"成语{i:02}" for i in range(10)]
    lines(
        tmp_path / "train.json",
        {"content": ["前#idiom000001#中#idiom000002#后", "又#idiom000003#。"], "candidates": ten},
    )
    assert [row.answer for row in CLUE["chid"].read(tmp_path / "train.json")] == [None] * 3  # as in a test set
    answers = {"#idiom000001#": 3, "#idiom000002#": 0, "#idiom000003#": 9}
    value(tmp_path / "train_answer.json", answers)
    rows = CLUE["chid"].load(tmp_path, "train")
    assert rows[1] == Blank("#idiom000002#", "前#idiom#中", "后", tuple(ten), 0, 0) and rows[2].answer == 9
    value(tmp_path / "train_answer.json", {**answers, "#idiom000003#": 10})
    with pytest.raises(ValueError, match="line 1: the answer of #idiom000003# is to be 0 to 9, but is 10"):
        CLUE["chid"].load(tmp_path, "train")
    few = lines(tmp_path / "few.json", {"id": 9, "content": "很#idiom#的", "candidates": ten[:7], "answer": 6})
    assert FEWCLUE["chid"].read(few) == [Blank("9", "很", "的", tuple(ten[:7]), 6, 0)]
    with pytest.raises(ValueError, match="has no number; is it a file of FewCLUE's chid"):
        CLUE["chid"].read(few)


def test_questions_in_both_nestings(tmp_path):
    context = "北京大学创办于1898年，北京大学在北京。"
    nested = {"id": "P", "context": context, "qas": [{"id": "Q0", "question": "哪里？"}]}
    # The offset is off by three; the second answer is in words of its own.
    nested["qas"][0]["answers"] = [{"text": "北京大学", "answer_start": 12}, {"text": "在首都", "answer_start": -1}]
    path = value(tmp_path / "dev.json", {"version": "v1", "data": [{"paragraphs": [nested], "title": "t"}]})
    assert CLUE["cmrc2018"].load(tmp_path, "valid") == [
        Question("Q0", "哪里？", context, (Answer("北京大学", context.rindex("北京大学")), Answer("在首都", None)))
    ]
    flat = {"context_id": "P", "context_text": context, "title": "t"}
    flat["qas"] = [{"query_id": "Q1", "query_text": "何时？", "answers": ["1898年", 1898]}]
    assert CLUE["cmrc2018"].read(value(path, [flat])) == [
        Question("Q1", "何时？", context, (Answer("1898年", 7), Answer("1898", 7)))
    ]
    fake = [{"text": f"FAKE_ANSWER_{i}", "answer_start": -1} for i in range(3)]
    test = {**nested, "qas": [{**nested["qas"][0], "answers": fake}]}
    assert CLUE["cmrc2018"].read(value(path, {"data": [{"paragraphs": [test]}]}))[0].answers == ()
    nested["qas"][0]["answers"][1]["answer_start"] = 3
    with pytest.raises(ValueError, match="item 1: the answer '在首都' of Q0 does not stand at 3 of the context"):
        CLUE["cmrc2018"].read(value(path, {"data": [{"paragraphs": [nested]}]}))


def test_entities(tmp_path):
    label = {"name": {"王小明": [[0, 2], [6, 8]]}, "address": {"上海": [[4, 5]]}}
    path = lines(tmp_path / "train.json", {"text": "王小明在上海王小明", "label": label}, {"text": "无", "label": {}})
    spans = ((0, 3, "name"), (4, 6, "address"), (6, 9, "name"))
    assert CLUE["cluener"].read(path) == [Entities("0", "王小明在上海王小明", spans), Entities("1", "无", ())]
    CLUE["cluener"].load(tmp_path, "train")  # a text without entities is labelled too
    for wrong, message in (
        ({"name": {"王小明": [[0, 3]]}}, r"line 1: the name '王小明' does not stand at \[0, 3\]"),
        ({"name": {"王小明": [[0, 99]]}}, "does not stand at"),
        ({"animal": {"王小明": [[0, 2]]}}, "'animal' is none of the types address, book"),
    ):
        with pytest.raises(ValueError, match=message):
            CLUE["cluener"].read(lines(path, {"text": "王小明在上海王小明", "label": wrong}))


def test_files_that_are_something_else(tmp_path):
    path = lines(tmp_path / "train.json", {"sentence": "甲", "label": 105})
    with pytest.raises(ValueError, match=r"train.json, line 1: the label '105' is none of tnews's: 100, 101, .*116"):
        CLUE["tnews"].read(path)
    with pytest.raises(
        ValueError,
        match=r"line 1 is no afqmc row: sentence1, sentence2 is missing, it has sentence, label;"
        " it looks like a row of iflytek, tnews or eprstmt",
    ):
        CLUE["afqmc"].read(path)
    path.write_text('{"sentence": "甲", "label": "100"}\n{"sentence": "乙', encoding="utf-8")
    with pytest.raises(ValueError, match="train.json, line 2: not a JSON object"):
        CLUE["tnews"].read(path)
    path.write_bytes('{"sentence": "甲"}\n'.encode() + '{"sentence": "乙"}\n'.encode("gb18030"))
    with pytest.raises(ValueError, match="line 2: not UTF-8 .*GB18030"):
        CLUE["tnews"].read(path)
    with pytest.raises(ValueError, match="line 1: not a JSON object but a list"):
        CLUE["tnews"].read(value(path, [["男：好"], [], "1"]))
    with pytest.raises(ValueError, match="is no cmrc2018 file"):
        CLUE["cmrc2018"].read(value(path, {"sentence": "甲"}))
    for broken, message in (
        ({"data": [{"paragraphs": 3}]}, "item 1: paragraphs is to be a list of objects, but is 3"),
        ({"data": [{"paragraphs": [None]}]}, "paragraphs is to be a list of objects"),
        (
            {"data": [{"context": "甲", "qas": [{"id": "Q", "question": None}]}]},
            "the question Q is to be a text, but is None",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            CLUE["cmrc2018"].read(value(path, broken))
    with pytest.raises(ValueError, match="line 1: sentence is to be a text, but is 3"):
        CLUE["tnews"].read(lines(path, {"sentence": 3}))
    lines(path, {"sentence": "甲", "label": "100"}, {"sentence": "乙"})
    with pytest.raises(ValueError, match="train set, but the row with the id 1 has no label; is it a test set"):
        CLUE["tnews"].load(tmp_path, "train")


def test_splits(tmp_path):
    for name in ("test1.0.json", "train_3.json", "train_few_all.json", "dev_0.json", "test_public.json"):
        (tmp_path / name).touch()
    few = FEWCLUE["tnews"]
    names = [
        few.find(tmp_path, *split)[0].rsplit("/", 1)[-1] for split in (("train",), ("train", 3), ("valid",), ("test",))
    ]
    assert names == ["train_few_all.json", "train_3.json", "dev_0.json", "test_public.json"]
    assert CLUE["tnews"].find(tmp_path, "test") == [str(tmp_path / "test1.0.json")]
    with pytest.raises(FileNotFoundError, match="has no train file of afqmc: looked for train.json"):
        CLUE["afqmc"].find(tmp_path, "train")
    with pytest.raises(FileNotFoundError, match="looked for dev_2.json"):
        few.find(tmp_path, "valid", 2)
    with pytest.raises(ValueError, match="afqmc has no split 'trial'; it has train, valid, test"):
        CLUE["afqmc"].find(tmp_path, "trial")
    with pytest.raises(ValueError, match="part=5"):
        few.find(tmp_path, "train", 5)


def test_files_of_labels(tmp_path):
    path = tmp_path / "labels.json"
    lines(path, {"label": "100", "label_desc": "news_story"}, {"label": 101, "label_des": "文化"})
    assert clue.read_labels(path) == {"100": "news_story", "101": "文化"}
    path.write_text("力学\n\n数学\n", encoding="utf-8")
    assert clue.read_labels(path) == {"力学": "力学", "数学": "数学"}
    path.write_text("力学\n力学\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: the label '力学' stands there twice"):
        clue.read_labels(path)


@pytest.mark.parametrize(
    ("suite", "task", "split", "rows"),
    [
        ("clue", "afqmc", "valid", 4316),
        ("clue", "ocnli", "valid", 2950),  # of 3000, 50 without a label that the annotators agreed on
        ("clue", "c3", "valid", 3816),
        ("clue", "cmrc2018", "trial", 1002),
        ("clue", "cluener", "valid", 1343),
        *[("fewclue", name, "valid", None) for name in sorted(FEWCLUE)],
        *[("fewclue", name, "test_public", None) for name in ("cluewsc", "iflytek", "eprstmt")],
    ],
)
def test_real_files(shared, suite, task, split, rows):
    folder = shared / "datasets" / suite / task
    task = clue.get_task(f"{suite}/{task}")
    found = task.load(folder, split)
    assert len(found) == rows if rows else len(found) > 100
    given = {"label": lambda row: row.label, "answer": lambda row: row.answer, "spans": lambda row: row.spans}
    given["answers"] = lambda row: row.answers[0].text
    assert task.score(found, [given[task.kind.target](row) for row in found])["score"] == 1
