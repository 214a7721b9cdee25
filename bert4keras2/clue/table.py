"""The eleven tasks of CLUE and the nine of FewCLUE, a row for each."""

from __future__ import annotations

from typing import Any

from bert4keras2.clue.choices import CHOICE
from bert4keras2.clue.entities import ENTITIES
from bert4keras2.clue.idioms import IDIOM, IDIOM_FEW
from bert4keras2.clue.labelled import KEYWORDS, PAIR, PRONOUN, TEXT
from bert4keras2.clue.labels import (
    CSL_LABELS,
    CSLDCP_LABELS,
    ENTITY_TYPES,
    IFLYTEK_LABELS,
    NLI_LABELS,
    SAME_LABELS,
    SENTIMENT_LABELS,
    TNEWS_LABELS,
    WSC_LABELS,
)
from bert4keras2.clue.reading import READING
from bert4keras2.clue.task import Archive, Output, Task

__all__ = ["CLUE", "FEWCLUE", "get_task"]

_CLUE_AT = "https://storage.googleapis.com/cluebenchmark/tasks/"
_FEWCLUE_AT = "https://raw.githubusercontent.com/CLUEbenchmark/FewCLUE/main/datasets/"
_USUAL = {"train": ("train.json",), "valid": ("dev.json",), "test": ("test.json",)}
# The tests of version 1.1 replaced those of 1.0 in four tasks; the archives hold both.
_TWO = {"train": ("train.json",), "valid": ("dev.json",), "test": ("test1.1.json", "test.json", "test1.0.json")}
_NEWER = ("test1.1.json", "test.json")
# Size and SHA-256 of the archives, as the Hugging Face `datasets` project recorded them.
_SUMS = {
    "afqmc": (1195044, "5a4cb1556b833010c329fa2ad2207d9e98fc94071b7e474015e9dd7c385db4dc"),
    "tnews": (5123575, "77c476e70cfe0b014a81b84c6e1db2142a8a2f52f4ae0a8216aa75e673933462"),
    "iflytek": (6505938, "c59b961b29f1d0bad0c5e01aa62e4a61a80e9cfb980ce89b06c000851fbb3b06"),
    "cmnli": (31404066, "3a3f3b1d3d27134cf11e585156f07fa050bd0a0836821c02696af0dbaa14513b"),
    "cluewsc2020": (281384, "ebe5f357b19392d601be401b2fd4246983f534809a078eab7bda1de418fb3ffe"),
    "csl": (3234594, "795d1a2e475d59acad8236f6c5baba7a0b43d3e0508cb60f15ffbc76d5f437c4"),
    "cmrc2018": (3405146, "6c63dc27e728ec5231aeb7d2861b4c90b6c116390582e0c44416cf3edf030b16"),
    "chid": (139199202, "be02dbcc41a9c237542141f53836e70a209f7a686cf894891411c7e5534f73a4"),
    "c3": (3495930, "20dfa683c57c9795129e22d8dd0c299d6b2a29fbc84758ef2ebdb8b2904d7e12"),
}


def _clue(name: str, title: str, kind: Any, fields: str, labels: dict[str, str] | None = None, **more: Any) -> Task:
    """Return a task of CLUE; what is not given is as in most of them."""
    packed = more.pop("packed", name)
    predict = more.pop("predict", name)
    options = {"files": _USUAL, "outputs": (Output("1.1", f"{predict}_predict.json", ("test.json",)),), **more}
    archive = Archive(f"{_CLUE_AT}{packed}_public.zip", *_SUMS.get(packed, ()))
    return Task(name, "clue", title, kind, tuple(fields.split()), labels=labels or {}, archive=archive, **options)


def _two(name: str) -> tuple[Output, Output]:
    return (
        Output("1.1", f"{name}11_predict.json", _NEWER),
        Output("1.0", f"{name}10_predict.json", ("test1.0.json",)),
    )


CLUE = {
    task.name: task
    for task in (
        _clue("iflytek", "应用描述分类", TEXT, "sentence", IFLYTEK_LABELS),
        _clue("tnews", "新闻标题分类", TEXT, "sentence", TNEWS_LABELS, files=_TWO, outputs=_two("tnews")),
        _clue("afqmc", "金融问句匹配", PAIR, "sentence1 sentence2", SAME_LABELS),
        _clue("cmnli", "自然语言推理（译自英文）", PAIR, "sentence1 sentence2", NLI_LABELS),
        _clue(
            "ocnli",
            "自然语言推理（原创中文）",
            PAIR,
            "sentence1 sentence2",
            NLI_LABELS,
            files={
                **_USUAL,
                "train": ("train.50k.json", "train.json", "train.30k.json", "train.10k.json", "train.3k.json"),
            },
            outputs=(Output("1.1", "ocnli_50k_predict.json", ("test.json",), ("ocnli_predict.json",)),),
        ),
        _clue(
            "wsc",
            "代词消歧",
            PRONOUN,
            "text target",
            WSC_LABELS,
            files=_TWO,
            outputs=_two("cluewsc"),
            packed="cluewsc2020",
        ),
        _clue("csl", "论文关键词识别", KEYWORDS, "abst keyword", CSL_LABELS),
        _clue(
            "cmrc2018",
            "抽取式阅读理解",
            READING,
            "",
            metric="exact answers; F1 besides",
            files={
                "train": ("train.json", "cmrc2018_train.json"),
                "valid": ("dev.json", "cmrc2018_dev.json"),
                "test": ("test.json",),
                "trial": ("trial.json", "cmrc2018_trial.json"),
            },
        ),
        _clue(
            "c3",
            "多项选择阅读理解",
            CHOICE,
            "question choice",
            outputs=_two("c3"),
            files={
                "train": (("m-train.json", "d-train.json"), ("c3-m-train.json", "c3-d-train.json"), "train.json"),
                "valid": (("m-dev.json", "d-dev.json"), ("c3-m-dev.json", "c3-d-dev.json"), "dev.json"),
                "test": ("test1.1.json", "test.json", "test1.0.json", ("c3-m-test.json", "c3-d-test.json")),
            },
        ),
        _clue("chid", "成语填空", IDIOM, "content candidates", files=_TWO, outputs=_two("chid")),
        _clue("cluener", "细粒度实体识别", ENTITIES, "text", ENTITY_TYPES, metric="F1 of entities, mean of ten types"),
    )
}


def _few(
    name: str,
    title: str,
    kind: Any,
    fields: str,
    labels: dict[str, str] | None = None,
    more: tuple[str, ...] = (),
    predict: str = "",
    integer_ids: bool = True,
) -> Task:
    """Return a task of FewCLUE; its files beside the usual ones are in `more`."""
    parts = [*"01234", "few_all"]
    names = tuple(f"{split}_{part}.json" for split in ("train", "dev") for part in parts)
    files = {
        "train": ("train_few_all.json", "train_0.json"),
        "valid": ("dev_few_all.json", "dev_0.json"),
        "test": ("test.json", "test_public.json"),
        "test_public": ("test_public.json",),
        "unlabeled": ("unlabeled.json",),
    }
    return Task(
        name,
        "fewclue",
        title,
        kind,
        tuple(fields.split()),
        files,
        (Output("1.0", f"{predict or name}_predict.json", ("test.json",)),),
        Archive(f"{_FEWCLUE_AT}{name}/", files=(*names, "test.json", "test_public.json", "unlabeled.json", *more)),
        labels or {},
        integer_ids=integer_ids,
    )


FEWCLUE = {
    task.name: task
    for task in (
        _few("eprstmt", "商品评论情感", TEXT, "sentence", SENTIMENT_LABELS),
        _few("csldcp", "论文学科分类", TEXT, "content", CSLDCP_LABELS, more=("labels_all.txt",)),
        _few("tnews", "新闻标题分类", TEXT, "sentence", TNEWS_LABELS, predict="tnewsf", integer_ids=False),
        _few("iflytek", "应用描述分类", TEXT, "sentence", IFLYTEK_LABELS, predict="iflytekf"),
        _few("ocnli", "自然语言推理", PAIR, "sentence1 sentence2", NLI_LABELS, predict="ocnlif"),
        _few("bustm", "对话短文本匹配", PAIR, "sentence1 sentence2", SAME_LABELS),
        _few("chid", "成语填空", IDIOM_FEW, "content candidates", predict="chidf"),
        _few("csl", "论文关键词识别", KEYWORDS, "abst keyword", CSL_LABELS, predict="cslf"),
        _few("cluewsc", "代词消歧", PRONOUN, "text target", WSC_LABELS, predict="cluewscf"),
    )
}


def get_task(name: str | Task) -> Task:
    """Return a task by its name: "tnews", or "fewclue/tnews" for those of FewCLUE.

    Raises:
        ValueError: for an unknown name; the known ones are listed.
    """
    if isinstance(name, Task):
        return name
    suite, _, short = str(name).lower().rpartition("/")
    tables = {
        "": CLUE | {each: FEWCLUE[each] for each in FEWCLUE if each not in CLUE},
        "clue": CLUE,
        "fewclue": FEWCLUE,
    }
    other_names = {"cmrc": "cmrc2018", "cluewsc2020": "wsc", "cluener2020": "cluener"}
    task = tables.get(suite, {}).get(other_names.get(short, short))
    if task is None:
        raise ValueError(
            f"There is no task {name!r}. CLUE has {', '.join(CLUE)}; FewCLUE has"
            f" {', '.join('fewclue/' + each for each in FEWCLUE)}"
        )
    return task
