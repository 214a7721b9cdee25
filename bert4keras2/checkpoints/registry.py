"""The released Chinese packages: which family builds them, with which options, and what their tokenizer needs."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, field
from typing import Any

from bert4keras2.models.families import family_of

__all__ = ["Released", "advice", "find_released", "markdown_table", "released", "where_from"]


@dataclass(frozen=True)
class Released:
    """A released package, or several that differ in size alone.

    Args:
        name: of the folder that it unpacks to; {a,b} stands for either, * for anything.
        model: what `model=` of build_transformer_model takes.
        project: where it is published: a project on github.com.
        options: further arguments of build_transformer_model.
        tokenizer: what to know for the tokenizer; "" for a WordPiece vocabulary in lower case.
        hub: name on the Hugging Face hub of a port by its authors.
        note: what else differs from the usual files.
    """

    name: str
    model: str
    project: str
    options: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = ""
    hub: str = ""
    note: str = ""

    @property
    def family(self) -> str:
        """Name of the family."""
        return family_of(self.model)[0]

    @property
    def folders(self) -> list[str]:
        """The folder names, with {a,b} written out."""
        return _written_out(self.name)


JIEBA = "words by jieba first: pre_tokenize=lambda s: jieba.lcut(s, HMM=False)"
ZHUIYI = "ZhuiyiTechnology"
LM = {"application": "lm"}
PACKAGES = (
    Released("chinese_L-12_H-768_A-12", "bert", "google-research/bert", hub="google-bert/bert-base-chinese"),
    Released("chinese_wwm_L-12_H-768_A-12", "bert", "ymcui/Chinese-BERT-wwm", hub="hfl/chinese-bert-wwm"),
    Released("chinese_wwm_ext_L-12_H-768_A-12", "bert", "ymcui/Chinese-BERT-wwm", hub="hfl/chinese-bert-wwm-ext"),
    Released(
        "chinese_roberta_wwm_ext_L-12_H-768_A-12", "bert", "ymcui/Chinese-BERT-wwm",
        hub="hfl/chinese-roberta-wwm-ext", note="BERT, in spite of its name",
    ),
    Released(
        "chinese_roberta_wwm_large_ext_L-24_H-1024_A-16", "bert", "ymcui/Chinese-BERT-wwm",
        hub="hfl/chinese-roberta-wwm-ext-large",
    ),
    Released("chinese_roberta_L-{4_H-312_A-12,6_H-384_A-12}", "bert", f"{ZHUIYI}/pretrained-models"),
    Released("mixed_corpus_bert_{tiny,small,base,large}_model", "bert", "dbiir/UER-py"),
    Released("chinese_wobert{,_plus}_L-12_H-768_A-12", "bert", f"{ZHUIYI}/WoBERT", tokenizer=JIEBA, note="no pooler"),
    Released(
        "chinese_simbert_L-{12_H-768,6_H-384,4_H-312}_A-12", "simbert", f"{ZHUIYI}/simbert",
        note="sentence vector and generator",
    ),
    Released("chinese_roformer_L-{12_H-768_A-12,6_H-384_A-6}", "roformer", f"{ZHUIYI}/roformer", tokenizer=JIEBA),
    Released("chinese_roformer-char_L-{12_H-768_A-12,6_H-384_A-6}", "roformer", f"{ZHUIYI}/roformer"),
    Released("chinese_roformer-gpt-char_L-12_H-768_A-12", "roformer", f"{ZHUIYI}/roformer", LM),
    Released(
        "chinese_roformer-sim-char{,-ft}_L-{12_H-768_A-12,6_H-384_A-6}", "roformer_sim", f"{ZHUIYI}/roformer-sim",
        note="sentence vector and generator",
    ),
    Released(
        "chinese_roformer-v2-char_L-{6_H-384_A-6,12_H-768_A-12,24_H-1024_A-16}", "roformer_v2",
        f"{ZHUIYI}/roformer-v2",
    ),
    Released("chinese_GAU-alpha-char_L-24_H-768", "gau_alpha", f"{ZHUIYI}/GAU-alpha"),
    Released("nezha_{base,base_wwm,large,large_wwm}", "nezha", "huawei-noah/Pretrained-Language-Model"),
    Released("NEZHA-{Base,Large}{,-WWM}", "nezha", "huawei-noah/Pretrained-Language-Model"),
    Released("nezha_gpt_dialog", "nezha_gpt", "bojone/nezha_gpt_dialog"),
    Released(
        "chinese_nezha_gpt_L-12_H-768_A-12", "bert", "huawei-noah/Pretrained-Language-Model",
        {**LM, "segment_vocab_size": 0}, note="NEZHA-GEN",
    ),
    Released("albert_{tiny,small,base,large,xlarge,xxlarge}_zh_google", "albert", "google-research/albert"),
    Released("albert_{base,large,xlarge,xxlarge}", "albert", "google-research/albert"),
    Released("chinese_electra_{small,base,large}*", "electra", "ymcui/Chinese-ELECTRA", note="the JSON may be missing"),
    Released("chinese_t5_pegasus_{small,base}", "mt5.1.1", f"{ZHUIYI}/t5-pegasus", tokenizer=JIEBA),
    Released(
        "mt5_{small,base}", "mt5.1.1", "google-research/multilingual-t5", tokenizer="SentencePiece",
        note="the JSON is written by hand",
    ),
    Released("gpt2_ml", "gpt2_ml", "imcaspar/gpt2-ml"),
    Released("CPM_LM_2.6B_TF", "gpt2", "bojone/CPM_LM_bert4keras", tokenizer="SentencePiece"),
    Released("GPT_LCCC-{base,large}-tf", "cdial_gpt", "bojone/CDial-GPT-tf"),
)  # fmt: skip


def released() -> tuple[Released, ...]:
    """Return the table of released packages."""
    return PACKAGES


def find_released(folder: str | os.PathLike[str], close: bool = False, family: str | None = None) -> Released | None:
    """Return the package that a folder's name is of.

    Args:
        folder: a path; its last part counts, with or without "(1)", "-master" and the like after the name.
        close: return the nearest one if none fits.
        family: what the variables look like, to choose the nearest among packages of that family.
    """
    name = os.path.basename(os.path.normpath(os.fspath(folder)))
    plain = _plain(name)
    found = [
        (len(known), package)
        for package in PACKAGES
        for known in package.folders
        if plain == _plain(known) or ("*" in known and plain.startswith(_plain(known)))
    ]
    if found:
        return max(found, key=lambda pair: pair[0])[1]
    if not close:
        return None
    fitting = [package for package in PACKAGES if family in (None, package.family)]
    by_name = {_plain(known): package for package in fitting for known in package.folders}
    nearest = difflib.get_close_matches(plain, by_name, n=1, cutoff=0.6)
    return by_name[nearest[0]] if nearest else None


def advice(path: str | os.PathLike[str], family: str | None = None) -> str:
    """Return a sentence about how the package is built in whose folder a checkpoint lies, "" for an unknown folder.

    Args:
        path: of the checkpoint, or the folder.
        family: what the checkpoint's variables look like.
    """
    path = os.path.abspath(os.fspath(path))
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    name, package = os.path.basename(folder), find_released(folder)
    if package is not None:
        return f" The package {name} is built by {_arguments(package)}."
    package = find_released(folder, close=True, family=family)
    if package is not None:
        return f" {_nearest(name, package)}, whose name is like this folder's, is built by {_arguments(package)}."
    return ""


def where_from(folder: str | os.PathLike[str]) -> str:
    """Return a sentence about where the package is published that a folder's name is (nearly) of, "" for no package.

    Args:
        folder: a path that need not exist.
    """
    name = os.path.basename(os.path.normpath(os.fspath(folder)))
    package = find_released(name) or find_released(name, close=True)
    if package is None:
        return ""
    return f" The released package {_nearest(name, package)} is to be had from github.com/{package.project}."


def _nearest(name: str, package: Released) -> str:
    return max(package.folders, key=lambda known: difflib.SequenceMatcher(None, _plain(name), _plain(known)).ratio())


def _arguments(package: Released) -> str:
    given = {"model": package.model, **package.options}
    return ", ".join(f"{key}={value!r}" for key, value in given.items())


def markdown_table() -> str:
    """Return the table of the documentation, one line a package."""
    lines = ["| folder | arguments | tokenizer | published at |", "| --- | --- | --- | --- |"]
    for package in PACKAGES:
        where = f"github.com/{package.project}" + (f"; hub: `{package.hub}`" if package.hub else "")
        name = f"`{package.name}`" + (f" ({package.note})" if package.note else "")
        arguments = "" if package.model == "bert" and not package.options else f"`{_arguments(package)}`"
        tokenizer = package.tokenizer.split(":")[0]
        lines.append(f"| {name} | {arguments} | {tokenizer} | {where} |")
    return "\n".join(lines)


def _plain(name: str) -> str:
    """Return a folder's name without case, separators and what browsers and unpackers append."""
    name = re.sub(r"( ?\(\d+\)|-master|-main|\.zip)+$", "", name)
    return re.sub(r"[^0-9a-z.]", "", name.lower())


def _written_out(name: str) -> list[str]:
    match = re.search(r"\{([^{}]*)\}", name)
    if match is None:
        return [name]
    return [
        full
        for choice in match[1].split(",")
        for full in _written_out(name[: match.start()] + choice + name[match.end() :])
    ]
