"""ERNIE 2.0 and 3.0 (Sun et al., arXiv:1907.12412 and 2107.02137): BERT with vectors of the tasks of pre-training."""

from __future__ import annotations

from typing import Any

from bert4keras2.families import bert
from bert4keras2.families.family import Family, Released, Row


def _read(file: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the number of tasks, which counts only where the model looks them up."""
    tasks = file.get("task_type_vocab_size", 3) if file.get("use_task_id") else 0
    return {"task_vocab_size": tasks, **file}


def _keys(config: Any) -> dict[str, Any]:
    return {"use_task_id": bool(config.task_vocab_size), "task_type_vocab_size": config.task_vocab_size or 3}


ERNIE = Family(
    name="ernie",
    structure={"norm": {"epsilon": 1e-12}},
    huggingface=bert.HUGGINGFACE.variant(
        plus=(Row("Embedding-Task/embeddings", "embeddings.task_type_embeddings.weight"),),
        roots=("ernie.", "", "bert."),
    ),
    model_type="ernie",
    class_name="Ernie",
    causal_class="ForCausalLM",
    signs=(r"task_type_embeddings|(^|\.)ernie\.",),
    read=_read,
    keys=_keys,
    released=(
        Released("ernie-3.0-{nano,micro,mini,medium,base,xbase}-zh", "ernie", "", hub="nghuyong/ernie-3.0-base-zh"),
        Released("ernie-1.0-base-zh", "ernie", "", hub="nghuyong/ernie-1.0-base-zh"),
    ),
)
