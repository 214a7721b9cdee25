"""RoBERTa (Liu et al., arXiv:1907.11692) and XLM-RoBERTa (Conneau et al., arXiv:1911.02116), as fairseq trained them.

Chinese checkpoints called RoBERTa-wwm are BERT models: `model="roberta"` means those, as it did in bert4keras.
"""

from __future__ import annotations

from typing import Any

from bert4keras2.families import bert
from bert4keras2.families.bert import hf_dense, hf_norm
from bert4keras2.families.family import Family, Released, Row

# Padding has the id 1, and positions count from the row behind it.
STRUCTURE = {"norm": {"epsilon": 1e-5}, "pad_id": 1, "position_offset": 2}
HUGGINGFACE = bert.HUGGINGFACE.variant(
    drop=("MLM-*", "NSP-*"),
    plus=(
        hf_dense("MLM-Dense", "/lm_head.dense"),
        *hf_norm("MLM-Norm", "/lm_head.layer_norm"),
        Row("MLM-Bias/beta", "/lm_head.bias", aliases=("/lm_head.decoder.bias",)),
    ),
    heads=(*bert.TASKS, "lm_head.*"),
    ignore=(*bert.COPIES, "lm_head.decoder.*"),
    roots=("roberta.", "", "model."),
    tasks=(*bert.DEEP_TASK_HEADS, bert.TASK_HEADS[-1]),
)


def _read(file: dict[str, Any]) -> dict[str, Any]:
    pad = file.get("pad_token_id")
    pad = 1 if pad is None else pad
    return {"pad_id": pad, "position_offset": pad + 1, **file}


XLM_ROBERTA = Family(
    name="xlm_roberta",
    structure=STRUCTURE,
    huggingface=HUGGINGFACE,
    model_type="xlm-roberta",
    class_name="XLMRoberta",
    causal_class="ForCausalLM",
    classifier_act="tanh",
    stored_as="fairseq_roberta",
    claims=lambda kind, file: kind == "xlm_roberta",
    read=_read,
    keys=lambda config: {"bos_token_id": 0, "eos_token_id": 2},
    released=(
        Released(
            "xlm-roberta-{base,large}", "xlm_roberta", "", tokenizer="SentencePiece", hub="FacebookAI/xlm-roberta-base"
        ),
        Released("bge-m3", "xlm_roberta", "", tokenizer="SentencePiece", hub="BAAI/bge-m3", note="CLS pooling"),
        Released(
            "multilingual-e5-{base,large}", "xlm_roberta", "", tokenizer="SentencePiece",
            hub="intfloat/multilingual-e5-base", note="mean pooling; prefix `query: `",
        ),
    ),
)  # fmt: skip
FAIRSEQ_ROBERTA = Family(
    name="fairseq_roberta",
    structure=STRUCTURE,
    huggingface=HUGGINGFACE,
    model_type="roberta",
    class_name="Roberta",
    causal_class="ForCausalLM",
    classifier_act="tanh",
    claims=lambda kind, file: kind == "roberta",
    # XLM-RoBERTa's files hold the same names; only the configuration tells them apart.
    signs=(r"(^|\.)roberta\.|^lm_head\.(dense|layer_norm)\.",),
    read=_read,
    keys=lambda config: {"bos_token_id": 0, "eos_token_id": 2},
    released=(
        Released(
            "roberta-{base,large}", "fairseq_roberta", "", tokenizer="byte-level BPE", hub="FacebookAI/roberta-base"
        ),
    ),
)
