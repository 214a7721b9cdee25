"""Small CLUE data sets: the fields of each task, in its own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.dropin.files import write_json, write_lines
from tests.dropin.text import SENTENCES, WORDS, sentence

__all__ = ["write_clue"]

ROWS = 12
TNEWS = [str(label) for label in range(100, 117) if label not in (105, 111)]
NLI = ["entailment", "neutral", "contradiction"]
ENTITIES = ["address", "book", "company", "game", "government", "movie", "name", "organization", "position", "scene"]


def write_clue(folder: Path) -> None:
    """Write the eleven tasks under a folder, each with training, development and test rows."""
    single = {"iflytek": [str(i) for i in range(119)], "tnews": TNEWS}
    pairs = {"afqmc": ["0", "1"], "cmnli": NLI, "ocnli": NLI}
    for task, labels in single.items():
        # Each label once: whatever a model always answers is right somewhere, and scripts save what is better than 0.
        count = len(labels)
        _splits(
            folder / task, lambda i, labels=labels: {"sentence": sentence(i), "label": labels[i % len(labels)]}, count
        )
    for task, labels in pairs.items():
        _splits(folder / task, lambda i, labels=labels: {**_pair(i), "label": labels[i % len(labels)]})
    _splits(folder / "wsc", _wsc)
    _splits(folder / "csl", _csl)
    _splits(folder / "cluener", _cluener)
    write_lines(folder / "cluener/test.json", [{"id": i, "text": sentence(i)} for i in range(ROWS)])
    for name in ("train", "dev", "test"):
        write_json(folder / "cmrc2018" / f"{name}.json", {"data": [_cmrc(i) for i in range(3)]})
    for name in ("m-train", "d-train", "m-dev", "d-dev", "test1.0", "test1.1"):
        count = 12 if "dev" in name else 3  # so many that some answer is right by chance
        write_json(folder / "c3" / f"{name}.json", [_c3(i) for i in range(count)])
    _chid(folder / "chid")


def _splits(folder: Path, row: Callable[[int], dict[str, Any]], count: int = ROWS) -> None:
    for name in ("train", "train.50k", "dev", "test", "test1.0"):
        write_lines(folder / f"{name}.json", [{"id": i, **row(i)} for i in range(count)])


def _pair(i: int) -> dict[str, str]:
    return {"sentence1": sentence(i), "sentence2": sentence(i + i % 3)}


def _csl(i: int) -> dict[str, Any]:
    return {"keyword": [WORDS[i % 10], WORDS[i % 7]], "abst": sentence(i) + sentence(i + 1), "label": str(i % 2)}


def _wsc(i: int) -> dict[str, Any]:
    text = "李明看见了老师，他很高兴。"
    target = {"span1_text": "李明", "span1_index": 0, "span2_text": "他", "span2_index": text.index("他")}
    return {"text": text, "target": target, "label": ["true", "false"][i % 2]}


def _cluener(i: int) -> dict[str, Any]:
    word = next((w for w in WORDS if w in sentence(i)), sentence(i)[:2])
    start = sentence(i).index(word)
    return {"text": sentence(i), "label": {ENTITIES[i % 10]: {word: [[start, start + len(word) - 1]]}}}


def _cmrc(i: int) -> dict[str, Any]:
    # One context is a single character: what an untrained model answers is right there, so the script saves weights.
    context = sentence(i) + sentence(i + 1) if i else "我"
    answers = [{"text": context[3:6], "answer_start": 3} if i else {"text": "我", "answer_start": 0}]
    questions = [{"id": f"Q{i}_{j}", "question": sentence(i + j)[:8], "answers": answers} for j in range(2)]
    return {"paragraphs": [{"id": f"P{i}", "context": context, "qas": questions}], "id": f"P{i}"}


def _c3(i: int) -> list[Any]:
    choices = [SENTENCES[(i + j) % 20][:6] for j in range(2 + i % 3)]
    question = {"question": sentence(i)[:7], "choice": choices, "answer": choices[0], "id": i}
    return [[sentence(i), sentence(i + 1)], [question], str(i)]


def _chid(folder: Path) -> None:
    for part, name in enumerate(("train", "dev", "test1.0", "test1.1")):
        rows, answers = [], {}
        for i in range(40 if name == "dev" else 4):  # so many that some answer is right by chance
            marks = [f"#idiom{part * 1000 + 2 * i + j:06d}#" for j in range(2)]
            answers.update({mark: (i + j) % 10 for j, mark in enumerate(marks)})
            content = [f"{sentence(i)}{marks[0]}，{sentence(i + 1)}", f"他{marks[1]}。"]
            rows.append({"content": content, "candidates": [s[:4] for s in SENTENCES[:10]]})
        write_lines(folder / f"{name}.json", rows)
        write_json(folder / f"{name}_answer.json", answers)
