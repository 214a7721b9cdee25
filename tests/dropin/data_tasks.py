"""Small data sets of everything but CLUE, each in the format that scripts read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from tests.dropin.files import write_json, write_lines, write_table, write_text
from tests.dropin.text import ENGLISH, SENTENCES, WORDS, sentence, words_of

__all__ = ["write_beside", "write_home", "write_tasks"]

ROWS = 12
STS = {
    "STS-12": ["MSRpar", "MSRvid", "SMTeuroparl", "surprise.OnWN", "surprise.SMTnews"],
    "STS-16": ["answer-answer", "headlines", "plagiarism", "postediting", "question-question"],
}
PREDICATES = [("人物", "毕业院校", "学校"), ("图书作品", "作者", "人物"), ("人物", "出生地", "地点")]
EVENT = {"event_type": "比赛", "role_list": [{"role": "时间"}, {"role": "主角"}]}


def write_tasks(root: Path) -> None:
    """Write what scripts look for under /root."""
    for name in ("train", "val", "test"):
        write_table(root / "csl" / f"{name}.tsv", [(sentence(i)[:8], sentence(i) + sentence(i + 1)) for i in range(6)])
    for i in range(6):
        write_text(
            root / "thuctc/THUCNews" / f"c{i % 2}" / f"{i}.txt",
            f"{sentence(i)[:8]}\n{sentence(i + 1)}\n{sentence(i + 2)}",
        )
    write_text(root / "金庸/a/1.txt", "　　" + "　　\r\n".join(SENTENCES[:8]) + "\r\n", "gbk")
    games = [{"fen": "", "iccs": "h2e2h9g7h0g2i9h9", "items": {"棋局结果": "1"}} for _ in range(ROWS)]
    write_lines(root / "qipu.json", games)
    for name in ("WebQA", "SogouQA"):
        write_json(root / "qa_datasets" / f"{name}.json", [_question(i) for i in range(ROWS)])
    for name in ("train_data", "dev_data"):
        write_lines(root / "kg/datasets" / f"{name}.json", [_relation(i) for i in range(ROWS)])
    schemas = [{"subject_type": s, "predicate": p, "object_type": o} for s, p, o in PREDICATES]
    write_lines(root / "kg/datasets/all_50_schemas", schemas)
    cut = "".join("  ".join(words_of(sentence(i))) + "\n" for i in range(20))
    write_text(root / "icwb2-data/training/pku_training.utf8", cut)
    for name in ("train", "dev", "test"):
        write_text(
            root / f"ner/china-people-daily-ner-corpus/example.{name}", "".join(f"{_tagged(i)}\n" for i in range(ROWS))
        )
        rows = [
            {
                "original_text": f"{i}加{i + 1}的一半是多少",
                "equation": f"x=({i}+{i + 1})/2",
                "ans": f"{(2 * i + 1) / 2}",
            }
            for i in range(6)
        ]
        write_lines(root / "ape210k" / f"{'valid' if name == 'dev' else name}.ape.json", rows)
    _captions(root / "caption/coco")
    _sentence_pairs(root)
    _pretraining(root)
    _supervised(root / "数据中心")


def write_beside(folder: Path) -> None:
    """Write what scripts look for in the folder that they run in, under "datasets"."""
    reviews = [(sentence(i), i % 2) for i in range(ROWS)]
    for name in ("train", "valid", "test"):
        rows = reviews if name != "train" else [(sentence(i), i % 2) for i in range(240)]
        write_table(folder / "sentiment" / f"sentiment.{name}.data", rows)
        pairs = [(sentence(i), sentence(i + i % 2), 1 - i % 2) for i in range(ROWS)]
        write_table(folder / "lcqmc" / f"lcqmc.{name}.data", pairs)
    write_lines(folder / "data_sample.json", [{"text": text, "synonyms": synonyms} for text, synonyms in _synonyms()])
    for name in ("train", "dev"):
        write_lines(folder / f"duee_{name}.json", [_event(i) for i in range(8)])
        write_lines(folder / f"duee_fin_{name}.json", [{"title": "新", **_event(i)} for i in range(8)])
    write_lines(folder / "duee_event_schema.json", [EVENT])
    enumerated = {"role": "环节", "enum_items": ["开始", "结束"]}
    write_lines(folder / "duee_fin_event_schema.json", [{**EVENT, "role_list": [*EVENT["role_list"], enumerated]}])
    for kind in ("短短", "短长", "长长"):
        for letter in "AB":
            task = f"{kind}匹配{letter}类"
            rows = [
                {"source": sentence(i), "target": sentence(i + i % 2), f"label{letter}": str(i % 2), "id": str(i)}
                for i in range(4)
            ]
            for name in ("train", "valid", "test_with_id"):
                write_lines(folder / "sohu2021_open_data_clean" / task / f"{name}.txt", rows)
            write_lines(folder / "round2" / f"{task}.txt", rows)


def write_home(home: Path) -> None:
    """Write what scripts look for under /home."""
    for i in range(2):
        write_lines(
            home / f"spaces_ac_cn/corpus/a/b/{i}.json", [{"text": sentence(j) + sentence(j + 1)} for j in range(ROWS)]
        )


def _question(i: int) -> dict[str, Any]:
    passages = [
        {"passage": sentence(i) + sentence(i + 1), "answer": sentence(i)[2:5]},
        {"passage": sentence(i + 2), "answer": ""},
    ]
    return {"id": f"Q{i}", "question": sentence(i)[:8], "passages": passages}


def _relation(i: int) -> dict[str, Any]:
    if i % 2:
        spo = {
            "subject": "春天的路",
            "predicate": "作者",
            "object": "王芳",
            "subject_type": "图书作品",
            "object_type": "人物",
        }
        return {"text": "王芳写了一本书，书名叫做春天的路。", "spo_list": [spo]}
    spo = {
        "subject": "李明",
        "predicate": "毕业院校",
        "object": "上海大学",
        "subject_type": "人物",
        "object_type": "学校",
    }
    return {"text": "李明毕业于上海大学，后来在杭州工作。", "spo_list": [spo]}


def _tagged(i: int) -> str:
    """Return a sentence with one character and its tag a line, as in the corpus: B-LOC, I-LOC, O."""
    text = sentence(3)[:12] if i % 2 else sentence(10)
    name = "北京" if i % 2 else "上海"
    start = text.index(name)
    tags = ["B-LOC" if j == start else "I-LOC" if j == start + 1 else "O" for j in range(len(text))]
    return "".join(f"{c} {tag}\n" for c, tag in zip(text, tags, strict=True))


def _event(i: int) -> dict[str, Any]:
    text = "昨天主队获胜"  # short: scripts search all combinations of what an untrained model takes for events
    arguments = [
        {"role": "时间", "argument": "昨天", "argument_start_index": 0},
        {"role": "主角", "argument": "主队", "argument_start_index": text.index("主队")},
    ]
    event = {"event_type": "比赛", "trigger": "获胜", "trigger_start_index": text.index("获胜"), "arguments": arguments}
    return {"id": str(i), "text": text, "event_list": [event]}


def _captions(folder: Path) -> None:
    for name in ("train2014", "val2014"):
        images = [{"id": i, "file_name": f"{i}.jpg", "coco_url": ""} for i in range(4)]
        annotations = [{"image_id": i % 4, "caption": ENGLISH[i % 8]} for i in range(8)]
        write_json(folder / "annotations" / f"captions_{name}.json", {"images": images, "annotations": annotations})
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(4):
            (folder / name / f"{i}.jpg").write_bytes(_image(20 + i, 24, 50 * i))


def _image(height: int, width: int, shade: int) -> bytes:
    """Return a grey picture as a bitmap file, which readers of pictures know by its content; 4 divides the width."""
    size = 3 * width * height
    header = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + size, 0, 54, 40, width, height, 1, 24, 0, size, 0, 0, 0, 0)
    return header + bytes([shade]) * size


def _sentence_pairs(root: Path) -> None:
    """Write the Chinese and English similarity and inference sets of sentence embeddings."""
    for task in ("ATEC", "BQ", "LCQMC", "PAWSX", "STS-B", "SOHU21-SSB"):
        scale = 5 if task == "STS-B" else 1
        rows = [(sentence(i), sentence(i + i % 2), scale * (1 - i % 2)) for i in range(20)]
        for name in ("train", "valid", "test"):
            write_table(root / "senteval_cn" / task / f"{task}.{name}.data", rows)
    judged = enumerate(["contradiction", "entailment", "neutral"] * 4)
    inference = [{"sentence1": sentence(i), "sentence2": sentence(i + 1), "gold_label": label} for i, label in judged]
    for name in ("snli", "mnli"):
        write_lines(root / f"cnsd/cnsd-{name}/train.jsonl", inference)
    pairs = [(ENGLISH[i % 8], ENGLISH[(i + i % 3) % 8], 5 - 2 * (i % 3)) for i in range(40)]
    labels = ["entailment", "neutral", "contradiction"]
    for folder in (root / "glue", root / "senteval"):
        rows = [("head", "head", "sentence1", "sentence2", "score"), *((i, "x", *pair) for i, pair in enumerate(pairs))]
        for name in ("train.tsv", "dev.tsv"):
            write_table(folder / "STS-B" / name, rows)
        write_table(
            folder / "STS-B/sts-test.csv", [("x", "x", i, score, a, b) for i, (a, b, score) in enumerate(pairs)]
        )
    for task, names in STS.items():
        for name in names:
            write_table(root / "senteval" / task / f"STS.input.{name}.txt", [(a, b) for a, b, _ in pairs])
            write_table(root / "senteval" / task / f"STS.gs.{name}.txt", [(score,) for *_, score in pairs])
    for name in ("train", "trial", "test_annotated"):
        rows = [("id", "a", "b", "score", "label"), *((i, *pair, "x") for i, pair in enumerate(pairs))]
        write_table(root / f"senteval/SICK-R/SICK_{name}.txt", rows)
    mnli = [(*["x"] * 8, a, b, labels[i % 3]) for i, (a, b, _) in enumerate(pairs)]
    write_table(root / "senteval/MNLI/train.tsv", [["head"] * 11, *mnli])
    for name in ("train", "dev", "test"):
        for part, column in (("s1", 0), ("s2", 1)):
            write_table(root / f"senteval/SNLI/{part}.{name}", [(pair[column],) for pair in pairs])
        write_table(root / f"senteval/SNLI/labels.{name}", [(labels[i % 3],) for i in range(len(pairs))])


def _synonyms() -> list[tuple[str, list[str]]]:
    return [(sentence(i), [f"{sentence(i)[:-1]}吧。", sentence(i)[:-1]]) for i in range(ROWS)]


def _pretraining(root: Path) -> None:
    """Write the corpora of pre-training, pairs of questions, and dialogues' texts."""
    contents = [{"content": sentence(i) + sentence(i + 1), "text": "".join(SENTENCES[i:] * 2)} for i in range(ROWS)]
    for folder in ("data_pretrain", "data_pretrain/wudao/WuDaoCorpus_me_shuf"):
        write_lines(root / folder / "data_shuf.json", contents)
    groups = [{"synonyms": synonyms} for _, synonyms in _synonyms()]
    pairs = [{"text_a": sentence(i), "text_b": sentence(i + 1)} for i in range(ROWS)]
    # Some scripts read every file of the folder, so all rows have the fields of all.
    files = {"synonyms_shuf": groups, "synonym_answers_shuf": pairs, "synonym/synonym_gen_2_shuf": pairs}
    for name, rows in files.items():
        rows = [{"content": sentence(i), "text": sentence(i), **row} for i, row in enumerate(rows)]
        write_lines(root / "data_pretrain" / f"{name}.json", rows)


def _supervised(folder: Path) -> None:
    """Write the tasks of multi-task training, in the fields of the script's own data centre."""
    for name in ("IFLYTEK长文本分类", "TNEWS短新闻", "THUCNews新闻分类"):
        rows = [{"text": sentence(i), "label": i % 3, "num_labels": 3} for i in range(ROWS)]
        write_lines(folder / "文本分类/主题分类" / name / "train.json", rows)
    rows = [
        {"title": "", "question": sentence(i)[:8], "passage": sentence(i), "answers": [[WORDS[0], 0]] if i == 0 else []}
        for i in range(ROWS)
    ]
    write_lines(folder / "阅读理解/抽取式/WebQA/train.json", rows)
