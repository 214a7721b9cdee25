"""Tiny checkpoints under the names and with the files of the released packages that scripts load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.dropin.text import ENGLISH, SENTENCES, vocabulary

__all__ = ["PACKAGES", "SHALLOW", "write_package", "write_weights"]

SHALLOW = 2  # blocks of a model, where a script does not ask for more
BERT = {"with_pool": True, "with_nsp": True, "with_mlm": True}
POOLED = {"with_pool": "linear", "with_mlm": True}
BASE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 4,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
T5 = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 4,
    "attention_head_size": 4,
    "hidden_act": ["gelu", "linear"],
    "dropout_rate": 0.1,
}
SPIECE = "sentencepiece.model"


def _package(family: str = "bert", vocab: str = "chars", depth: int = 12, **rest: Any) -> dict[str, Any]:
    """Return a row of the table: which files a package has, and which model is in it."""
    row = {
        "family": family,
        "vocab": vocab,
        "depth": depth,
        "config": "bert_config.json",
        "checkpoint": "bert_model.ckpt",
    }
    return {**row, "file": "vocab.txt", "heads": BERT if family == "bert" else {}, "json": {}, **rest}


WIDE = {"hidden_size": 768, "num_attention_heads": 12}
GPT = {"config": "config.json", "checkpoint": "model.ckpt"}
LM = {"application": "lm"}
PACKAGES: dict[str, dict[str, Any]] = {
    "chinese_L-12_H-768_A-12": _package(),
    "chinese_wwm_L-12_H-768_A-12": _package(),
    "chinese_roberta_wwm_ext_L-12_H-768_A-12": _package(),
    "wide/chinese_roberta_wwm_ext_L-12_H-768_A-12": _package(depth=2, json=WIDE),  # scripts have its width in numbers
    "chinese_roberta_wwm_large_ext_L-24_H-1024_A-16": _package(),
    "chinese_wobert_plus_L-12_H-768_A-12": _package(vocab="words", heads={"with_mlm": True}),
    "uncased_L-12_H-768_A-12": _package(vocab="english"),
    "uncased_L-24_H-1024_A-16": _package(vocab="english"),
    "uer/mixed_corpus_bert_base_model": _package(),
    "uer/mixed_corpus_bert_large_model": _package(),
    "albert_small_zh_google": _package(
        "albert",
        heads=BERT,
        config="albert_config.json",
        checkpoint="albert_model.ckpt",
        json={"embedding_size": 8, "num_hidden_groups": 1, "inner_group_num": 1},
    ),
    "chinese_simbert_L-12_H-768_A-12": _package(heads=POOLED, depth=2, json=WIDE),  # a script counts on its width
    "chinese_simbert_L-6_H-384_A-12": _package(heads=POOLED, depth=6),
    "chinese_simbert_L-4_H-312_A-12": _package(heads=POOLED, depth=4),
    "chinese_roformer_L-12_H-768_A-12": _package("roformer", "words", heads={"with_mlm": True}),
    "chinese_roformer-char_L-12_H-768_A-12": _package("roformer", heads={"with_mlm": True}),
    "chinese_roformer-sim-char_L-12_H-768_A-12": _package("roformer", heads=POOLED),
    "chinese_roformer-sim-char-ft_L-12_H-768_A-12": _package("roformer", heads=POOLED),
    "chinese_roformer-v2-char_L-6_H-384_A-6": _package("roformer_v2", depth=6, heads={"with_mlm": True}),
    "chinese_roformer-v2-char_L-12_H-768_A-12": _package("roformer_v2", heads={"with_mlm": True}),
    "chinese_roformer-v2-char_L-24_H-1024_A-16": _package("roformer_v2", heads={"with_mlm": True}),
    "chinese_GAU-alpha-char_L-24_H-768": _package(
        "gau_alpha",
        heads={"with_mlm": True},
        json={"attention_key_size": 8, "hidden_act": "swish"},
    ),
    "nezha_base": _package("nezha", heads=BERT, checkpoint="model.ckpt-900000"),
    "nezha_base_wwm": _package("nezha", heads=BERT, checkpoint="model.ckpt-691689"),
    "nezha_large_wwm": _package("nezha", heads=BERT, checkpoint="model.ckpt-346400"),
    "nezha_gpt_dialog": _package("nezha", heads=LM, **GPT),
    "chinese_nezha_gpt_L-12_H-768_A-12": _package(
        heads={**LM, "segment_vocab_size": 0}, config="config.json", checkpoint="gpt.ckpt"
    ),
    "gpt2_ml": _package("gpt2_ml", config="config.json", checkpoint="model.ckpt-100000"),
    "CPM_LM_2.6B_TF": _package(
        "gpt2", "cpm", file="chinese_vocab.model", json={"max_position_embeddings": 1024}, **GPT
    ),
    "mt5/mt5_base": _package(
        "mt5.1.1", "mt5", config="mt5_base_config.json", checkpoint="model.ckpt-1000000", file=f"../{SPIECE}", json=T5
    ),
    "chinese_t5_pegasus_base": _package("mt5.1.1", "words", json=T5, **GPT),
    "chinese_pegasus_L-12_H-768_A-12": _package(vocab="words"),
}


def write_package(roots: dict[str, Path], name: str) -> None:
    """Write a package under "kg/bert" of several roots: with all blocks, and one whose JSON names fewer.

    Args:
        roots: {"full" or "short": folder that stands for the scripts' /root}.
        name: of the package.
    """
    from bert4keras2.models import build_transformer_model

    row = PACKAGES[name]
    folders = {kind: root / "kg" / "bert" / name for kind, root in roots.items()}
    full = folders["full"]
    if (full / f"{row['checkpoint']}.index").exists():
        return
    full.mkdir(parents=True, exist_ok=True)
    size = _write_vocabulary(full, row)
    config = {**({} if row["family"] == "mt5.1.1" else BASE), **row["json"], "vocab_size": size}
    for kind, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        blocks = row["depth"] if kind == "full" else SHALLOW
        text = json.dumps({**config, "num_hidden_layers": blocks}, indent=1)
        (folder / row["config"]).write_text(text, encoding="utf-8")
    built = build_transformer_model(
        {**config, "num_hidden_layers": row["depth"]}, model=row["family"], return_keras_model=False, **row["heads"]
    )
    built.save_weights_as_checkpoint(full / row["checkpoint"])
    short = folders["short"]
    for path in [*full.glob(f"{row['checkpoint']}*"), *full.glob("vocab.txt"), *full.glob("*.model")]:
        (short / path.name).symlink_to(path)
    for path in full.parent.glob("sentencepiece*"):
        if not (short.parent / path.name).exists():
            (short.parent / path.name).symlink_to(path)


def write_weights(config: Path, family: str, target: Path) -> None:
    """Write a weight file of a model with token scores, as an earlier script would have left it."""
    from bert4keras2.models import build_transformer_model

    target.parent.mkdir(parents=True, exist_ok=True)
    build_transformer_model(config, model=family, with_mlm="linear").save_weights(target)


def _write_vocabulary(folder: Path, row: dict[str, Any]) -> int:
    """Write a package's vocabulary and return how many tokens it has."""
    if row["vocab"] in ("cpm", "mt5"):
        return _write_pieces(folder / row["file"], row["vocab"])
    lines = vocabulary(words=row["vocab"] == "words", english=row["vocab"] == "english")
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def _write_pieces(path: Path, kind: str) -> int:
    """Train a SentencePiece model; of mT5 there is also the Chinese part with the ids to keep."""
    import io

    import sentencepiece

    path = path.resolve()
    numbers = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    if kind == "cpm":  # the line break is the fourth piece
        numbers = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
        numbers["user_defined_symbols"] = ["<cls>", "\u2582", "\u2583"]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*SENTENCES, *ENGLISH] * 5),
        model_writer=model,
        vocab_size=400,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        **numbers,
    )
    path.write_bytes(model.getvalue())
    size = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).vocab_size()
    if kind == "mt5":
        (path.parent / "sentencepiece_cn.model").write_bytes(model.getvalue())
        keep = json.dumps(list(range(size)))
        (path.parent / "sentencepiece_cn_keep_tokens.json").write_text(keep, encoding="utf-8")
        return size + 12  # the released table is longer than its pieces
    return size
