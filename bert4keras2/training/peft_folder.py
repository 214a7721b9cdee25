"""LoRA's matrices in folders of Hugging Face's `peft`: adapter_config.json and adapter_model.safetensors."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from bert4keras2.checkpoints.formats.safetensors import SafetensorsReader, write_safetensors
from bert4keras2.checkpoints.loader import table_for
from bert4keras2.checkpoints.names.stored import rooted
from bert4keras2.files import read_json, write_text
from bert4keras2.functional import keras_private
from bert4keras2.training.freezing import LearningShare, untrained
from bert4keras2.training.lora import lora
from bert4keras2.training.techniques import checked_model

__all__ = ["load_peft", "save_peft"]

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ROOT = "base_model.model."
KEY = re.compile(r"(.+)\.lora_([AB])(\.default)?\.weight")
# What peft can do beside W + A B, each with the value that means nothing.
UNKNOWN = {"use_dora": False, "layer_replication": None, "modules_to_save": None, "bias": "none", "corda_config": None}


class _Module(NamedTuple):
    """A Dense layer and what it is in a checkpoint of Hugging Face."""

    layer: Any
    names: list[str]  # with each of the family's roots
    part: Any  # of a matrix that q, k and v share


def save_peft(model: Any, folder: str | os.PathLike[str], base_model: str = "", task_type: str | None = None) -> None:
    """Write LoRA's matrices as `peft` reads them: PeftModel.from_pretrained(transformers_model, folder).

    The head of a task is not among them: `save_trainable` writes it too.

    Args:
        model: after `lora`, before or after `merge_lora`.
        folder: where to; it is made.
        base_model: name or folder of the checkpoint, for the configuration.
        task_type: of `peft`, such as "SEQ_CLS", where the other model is one with a head ("bert.encoder..."); None for
            one without ("encoder...").

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if it has no LoRA matrices, or its family's checkpoints have no names of their own for them.
    """
    modules = [module for module in _modules(model, "save_peft") if hasattr(module.layer, "lora_kernel_a")]
    if not modules:
        raise ValueError(f"{model.name} has no LoRA matrices: call lora(model) first")
    if packed := [module.layer.path for module in modules if module.part is not None]:
        raise ValueError(
            f"Hugging Face's checkpoints of this family keep the matrix of {packed[0]} and others in one, which has one"
            " A for all of them: merge_lora and save_pretrained write the model"
        )
    place = 1 if task_type in (None, "FEATURE_EXTRACTION") else 0  # with the family's root, or without one
    names = {module.names[min(place, len(module.names) - 1)]: module.layer for module in modules}
    ranks = {name: int(layer.lora_rank) for name, layer in names.items()}
    alphas = {name: _plain(layer.lora_alpha) for name, layer in names.items()}
    rank, alpha = next(iter(ranks.values())), next(iter(alphas.values()))
    others = {name for module in _modules(model, "save_peft") for name in module.names} - names.keys()
    config = {
        "peft_type": "LORA",
        "task_type": task_type,
        "base_model_name_or_path": base_model,
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {name: value for name, value in ranks.items() if value != rank},
        "alpha_pattern": {name: value for name, value in alphas.items() if value != alpha},
        "target_modules": _targets(list(names), others),
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "modules_to_save": None,
    }
    folder = os.fspath(folder)
    os.makedirs(folder, exist_ok=True)
    arrays = (
        (f"{ROOT}{name}.lora_{which}.weight", np.ascontiguousarray(np.asarray(ops.convert_to_numpy(matrix)).T))
        for name, layer in names.items()
        for which, matrix in (("A", layer.lora_kernel_a), ("B", layer.lora_kernel_b))
    )
    write_safetensors(os.path.join(folder, WEIGHTS), arrays, {"format": "pt"})
    write_text(os.path.join(folder, CONFIG), json.dumps(config, indent=2, sort_keys=True) + "\n")


def load_peft(model: Any, folder: str | os.PathLike[str]) -> LearningShare:
    """Give a model the LoRA matrices of a folder of `peft`; it then is as after `lora`.

    Args:
        model: a model of `bert4keras2.backend.keras` on the checkpoint that the matrices were learnt on, without LoRA
            matrices, before its first step.
        folder: with adapter_config.json and adapter_model.safetensors.

    Returns:
        How many weights learn.

    Raises:
        TypeError: if the model is not of the library's class.
        FileNotFoundError: if a file is missing.
        CheckpointError: if a file is damaged.
        ValueError: if the folder holds something else than matrices of the model's layers; nothing has changed then.
    """
    untrained(model)
    folder = os.fspath(folder)
    config = read_json(os.path.join(folder, CONFIG), "a configuration of peft")
    scale = _scale(config, folder)
    known = {name: [] for module in _modules(model, "load_peft") for name in module.names}
    for module in _modules(model, "load_peft"):
        for name in module.names:
            known[name].append(module)
    with SafetensorsReader(os.path.join(folder, WEIGHTS)) as reader:
        arrays = _pairs({key: reader.read(key) for key in reader.names()}, known, folder)
    found = []
    for name, pair in arrays.items():
        a, b = (np.asarray(pair[which], "float32").T for which in "AB")
        for module in known[name]:
            part = b if module.part is None else np.split(b, module.part.count, -1)[module.part.index]
            kernel = keras_private.raw_kernel(module.layer)
            if (a.shape[0], part.shape[1]) != tuple(kernel.shape) or a.shape[1] != part.shape[0]:
                raise ValueError(
                    f"{folder}: {name} has A {a.shape} and B {part.shape}, and {module.layer.path} is"
                    f" {tuple(kernel.shape)}: is it of another checkpoint?"
                )
            found.append((module.layer, a, part, scale(name, a.shape[1]) * a.shape[1]))
    groups: dict[tuple[int, float], list[Any]] = {}
    for layer, a, _, alpha in found:
        groups.setdefault((a.shape[1], alpha), []).append(layer)
    for (rank, alpha), layers in groups.items():
        share = lora(model, rank, alpha, [f"(^|/){re.escape(layer.path)}$" for layer in layers])
    for layer, a, b, _ in found:
        layer.lora_kernel_a.assign(a)
        layer.lora_kernel_b.assign(b)
    return share


def _modules(model: Any, caller: str) -> list[_Module]:
    """Return the Dense layers of a model's encoder that have a name in checkpoints of Hugging Face."""
    transformer = checked_model(model).find_transformer(caller)
    table = table_for(transformer.config.family, "huggingface")
    paths = {id(variable): path for _, _, path, variable in transformer._variables()}
    found = []
    for layer in keras_private.inner_layers(model):
        path = paths.get(id(keras_private.raw_kernel(layer))) if isinstance(layer, keras.layers.Dense) else None
        place = None if path is None else table.find(path)
        if place is not None and place.names and not place.names[0].startswith("/"):
            names = [rooted(place.names[:1], root)[0].removesuffix(".weight") for root in table.roots]
            found.append(_Module(layer, names, place.part))
    return found


def _targets(names: list[str], others: set[str]) -> list[str]:
    """Return what `target_modules` says of modules: the ends of their names that no other module has."""
    found = set()
    for name in names:
        end = re.sub(r"^.*\.\d+\.", "", name)
        found.add(name if any(other.endswith(f".{end}") for other in others - set(names)) else end)
    return sorted(found)


def _scale(config: dict[str, Any], folder: str) -> Callable[[str, int], float]:
    """Return a function from (name of a module, rank) to what its product is multiplied by."""
    if str(config.get("peft_type", "")).upper() != "LORA":
        raise ValueError(f"{folder} is of peft_type {config.get('peft_type')!r}; LORA is read")
    for name, nothing in UNKNOWN.items():
        if (config.get(name) or nothing) != nothing:
            raise ValueError(f"{folder} has {name}={config[name]!r:.60}, which is not read: matrices A and B alone are")
    patterns = config.get("alpha_pattern") or {}

    def scale(name: str, rank: int) -> float:
        alpha = next((v for k, v in patterns.items() if re.fullmatch(rf"(.*\.)?({k})", name)), config["lora_alpha"])
        return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)

    return scale


def _pairs(arrays: dict[str, Any], known: dict[str, list[_Module]], folder: str) -> dict[str, dict[str, Any]]:
    """Return {name of a module: {"A": ..., "B": ...}} of a file's arrays, all of which have to be such."""
    pairs: dict[str, dict[str, Any]] = {}
    strange = []
    for key, array in arrays.items():
        match = KEY.fullmatch(key.removeprefix(ROOT))
        if match is None or match[1] not in known:
            strange.append(key)
        else:
            pairs.setdefault(match[1], {})[match[2]] = array
    strange += [name for name, pair in pairs.items() if len(pair) < 2]
    if strange or not pairs:
        shown = ", ".join(sorted(strange)[:4]) or "nothing"
        raise ValueError(
            f"{folder}: no pair of matrices A and B for a layer of the model is {shown}; the model has"
            f" {', '.join(list(known)[:3])}, ..."
        )
    return pairs


def _plain(number: Any) -> Any:
    """Return a number as people write it in a configuration."""
    return int(number) if float(number).is_integer() else float(number)
