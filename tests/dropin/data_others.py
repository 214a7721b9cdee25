"""Small data sets of benchmarks that other authors' scripts are for: GLUE, SuperGLUE, FewCLUE."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.dropin.files import write_json, write_lines, write_table
from tests.dropin.text import ENGLISH, WORDS, sentence

__all__ = ["write_others"]

ROWS = 12
NLI = ["entailment", "neutral", "contradiction"]
# Columns of GLUE's tables: "1" and "2" are texts, "y" the label, "-" anything; of the training, the development and the
# test file, and whether the first has a header.
GLUE: dict[str, tuple[str, str, str, bool]] = {
    "CoLA": ("-y-1", "-y-1", "-1", False),
    "MNLI": ("--------12-y", "--------12-----y", "--------12", True),
    "MRPC": ("y--12", "y--12", "---12", True),
    "QNLI": ("-12y", "-12y", "-12", True),
    "QQP": ("---12y", "---12y", "-12", True),
    "RTE": ("-12y", "-12y", "-12", True),
    "SST-2": ("1y", "1y", "-1", True),
    "STS-B": ("-------12y", "-------12y", "-------12", True),
    "WNLI": ("-12y", "-12y", "-12", True),
}
GLUE_LABELS = {"MNLI": NLI, "QNLI": NLI[:1] + ["not_entailment"], "RTE": NLI[:1] + ["not_entailment"]}
GLUE_LABELS["STS-B"] = ["0.0", "2.5", "5.0"]
MRPC_FILES = ("msr_paraphrase_train.txt", "msr_paraphrase_test.txt", "test.tsv")
MNLI_FILES = ("dev_matched.tsv", "dev_mismatched.tsv", "test_matched.tsv", "test_mismatched.tsv")
TNEWS = {"news_tech": "科技", "news_edu": "教育", "news_sports": "体育", "news_story": "故事", "news_culture": "文化"}
# Those that no row has.
MORE_TNEWS = "entertainment 娱乐 car 汽车 travel 旅游 finance 财经 world 国际"
MORE_TNEWS += " stock 股票 house 房产 game 电竞 military 军事 agriculture 农业"
CSLDCP, IFLYTEK = ["教育学", "数学", "法学", "历史学", "哲学"], ["小说", "音乐", "英语", "电子产品", "新闻"]
IDIOMS = ["风云人物", "左右为难", "一心一意", "三心二意", "十全十美", "自言自语", "大同小异"]


def write_others(folder: Path) -> None:
    """Write the benchmarks under a folder: glue, superglue, fewclue."""
    for task, columns in GLUE.items():
        _glue(folder / "glue" / task, task, *columns)
    for task, row in SUPERGLUE.items():
        for name in ("train", "val", "test", task):
            rows = [{"idx": i, **row(i)} for i in range(ROWS)]
            write_lines(folder / "superglue" / task / f"{name}.jsonl", rows)
    for task, row in FEWCLUE.items():
        _fewclue(folder / "fewclue" / task, row)
    words = MORE_TNEWS.split()
    more = {f"news_{name}": chinese for name, chinese in zip(words[::2], words[1::2], strict=True)}
    labels = [{"label": name, "label_zh": chinese} for name, chinese in {**TNEWS, **more}.items()]
    write_lines(folder / "fewclue/tnews/label_index2en2zh.json", labels)


def _english(i: int) -> str:
    return ENGLISH[i % len(ENGLISH)]


def _glue(folder: Path, task: str, train: str, dev: str, test: str, header: bool) -> None:
    labels = GLUE_LABELS.get(task, ["0", "1"])

    def rows(columns: str, head: bool) -> list[list[str]]:
        cells = {"-": str, "1": _english, "2": lambda i: _english(i + i % 3), "y": lambda i: labels[i % len(labels)]}
        return [list(columns)] * head + [[cells[column](i) for column in columns] for i in range(ROWS)]

    names = {"MRPC": MRPC_FILES, "MNLI": ("train.tsv", *MNLI_FILES)}.get(task, ("train.tsv", "dev.tsv", "test.tsv"))
    for name in names:
        columns = train if "train" in name else dev if "dev" in name or "paraphrase" in name else test
        write_table(folder / name, rows(columns, header or "test" in name))


def _pair(i: int, first: str = "premise", second: str = "hypothesis") -> dict[str, str]:
    return {first: _english(i), second: _english(i + i % 3)}


def _multirc(i: int) -> dict[str, Any]:
    answers = [{"idx": k, "text": _english(i + k), "label": k} for k in range(2)]
    questions = [{"idx": k, "question": _english(i + k), "answers": answers} for k in range(2)]
    return {"passage": {"text": _english(i), "questions": questions}}


def _record(i: int) -> dict[str, Any]:
    text = _english(i)
    words = text.split()
    entities = [{"start": text.index(w), "end": text.index(w) + len(w) - 1} for w in (words[1], words[2])]
    answer = {**entities[0], "text": words[1]}
    query = {"idx": i, "query": f"the @placeholder is here . {_english(i + 1)}", "answers": [answer]}
    return {"passage": {"text": text, "entities": entities}, "qas": [query]}


def _wsc(i: int) -> dict[str, Any]:
    target = {"span1_index": 0, "span1_text": "a girl", "span2_index": 3, "span2_text": "her"}
    return {"text": ENGLISH[6], "target": target, "label": bool(i % 2)}


def _wic(i: int) -> dict[str, Any]:
    word = {"word": "the", "start1": 0, "end1": 3, "start2": 0, "end2": 3}
    return {**word, **_pair(i, "sentence1", "sentence2"), "label": bool(i % 2)}


def _entailment(i: int) -> str:
    return ["entailment", "not_entailment"][i % 2]


SUPERGLUE: dict[str, Callable[[int], dict[str, Any]]] = {
    "AX-b": lambda i: {**_pair(i, "sentence1", "sentence2"), "label": _entailment(i)},
    "AX-g": lambda i: {**_pair(i), "label": _entailment(i)},
    "BoolQ": lambda i: {**_pair(i, "passage", "question"), "label": bool(i % 2)},
    "CB": lambda i: {**_pair(i), "label": NLI[i % 3]},
    "COPA": lambda i: {
        **_pair(i, "choice1", "choice2"),
        "premise": _english(i),
        "question": ["cause", "effect"][i % 2],
        "label": i % 2,
    },
    "MultiRC": _multirc,
    "RTE": lambda i: {**_pair(i), "label": _entailment(i)},
    "ReCoRD": _record,
    "WSC": _wsc,
    "WiC": _wic,
}


def _chinese_pair(i: int) -> dict[str, str]:
    return {"sentence1": sentence(i), "sentence2": sentence(i + i % 3)}


def _cluewsc(i: int) -> dict[str, Any]:
    text = "李明看见了老师，他很高兴。"
    target = {"span1_text": "李明", "span1_index": 0, "span2_text": "他", "span2_index": text.index("他")}
    return {"text": text, "target": target, "label": ["true", "false"][i % 2]}


def _labelled(i: int, labels: Any, field: str, text: str = "sentence") -> dict[str, Any]:
    return {text: sentence(i), field: list(labels)[i % len(labels)]}


FEWCLUE: dict[str, Callable[[int], dict[str, Any]]] = {
    "bustm": lambda i: {**_chinese_pair(i), "label": str(i % 2)},
    "cecmmnt": lambda i: _labelled(i, ["Negative", "Positive"], "label"),
    "chid": lambda i: {"content": f"{sentence(i)}#idiom#，{sentence(i + 1)}", "candidates": IDIOMS, "answer": i % 7},
    "cluewsc": _cluewsc,
    "csl": lambda i: {
        "abst": sentence(i) + sentence(i + 1),
        "keyword": [WORDS[i % 10], WORDS[i % 7]],
        "label": str(i % 2),
    },
    "csldcp": lambda i: _labelled(i, CSLDCP, "label", "content"),
    "eprstmt": lambda i: _labelled(i, ["Negative", "Positive"], "label"),
    "iflytek": lambda i: {**_labelled(i, IFLYTEK, "label_des"), "label_desc": IFLYTEK[i % 5], "label": str(i % 5)},
    "ocnli": lambda i: {"sentence1": sentence(i) + sentence(i + 1), "sentence2": sentence(i), "label": NLI[i % 3]},
    "tnews": lambda i: {**_labelled(i, TNEWS, "label_desc"), "label": str(100 + i % 5)},
}


def _fewclue(folder: Path, row: Callable[[int], dict[str, Any]]) -> None:
    rows = [{"id": i, **row(i)} for i in range(ROWS)]
    numbered = [f"{part}_{number}" for part in ("train", "dev") for number in (*range(5), 16, 32)]
    numbered += [f"{part}_few_{number}" for part in ("train", "dev") for number in range(5)]
    numbered += [f"{name}_human" for name in numbered if "few" in name]
    for name in (*numbered, "dev_few_all", "test", "test_public", "unlabeled"):
        write_lines(folder / f"{name}.json", rows)
        if folder.name == "iflytek":
            write_lines(folder / "iflytek_8" / f"{name}.json", rows)
    for name in ("csl_publicTest", "ocnli_publicTest"):
        if folder.name in name:
            write_lines(folder / f"{name}.json", rows)
    write_json(folder / "label_distribution.json", {})
