"""Folders of sentence-transformers: what modules.json says of how vectors are made."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from bert4keras2.checkpoints.folder import find_vocabulary
from bert4keras2.checkpoints.readers import open_checkpoint
from bert4keras2.embeddings.pooling import check_pooling
from bert4keras2.errors import CheckpointFormatError, CheckpointMismatchError
from bert4keras2.files import read_json
from bert4keras2.functional.activations import get_activation

__all__ = ["ACTIVATIONS", "FLAGS", "MODULES", "PROMPTS", "SETTINGS", "Modules", "read_modules"]

MODULES, PROMPTS, SETTINGS = "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"
# What sentence-transformers calls poolings, in the order in which it puts several one behind the other.
FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# The last part of the name of PyTorch's class, and our activation.
ACTIVATIONS = {
    "Identity": "linear", "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu_erf", "Sigmoid": "sigmoid", "SiLU": "swish",
}  # fmt: skip
# Modules that hold a model of Hugging Face; the others are those of before version 0.3.
ENCODERS = ("Transformer", "BERT", "RoBERTa", "ALBERT", "ELECTRA")


@dataclass
class Modules:
    """What a folder says.

    Attributes:
        folder: where model and vocabulary are.
        options: of `SentenceEncoder`.
        tokenizer_options: of `load_tokenizer`.
    """

    folder: str
    options: dict[str, Any] = field(default_factory=dict)
    tokenizer_options: dict[str, Any] = field(default_factory=dict)


def read_modules(folder: str | os.PathLike) -> Modules | None:
    """Return what the modules.json of a folder says, None if there is none.

    Args:
        folder: of sentence-transformers, or any other.

    Raises:
        CheckpointFormatError: for a module that cannot be computed here, and for files that are none.
        CheckpointMismatchError: if the weights of a dense layer have another shape than is said.
    """
    folder = os.fspath(folder)
    path = os.path.join(folder, MODULES)
    if not os.path.isfile(path):
        return None
    entries = _entries(path)
    kinds = [kind for kind, _ in entries]
    if kinds[:1] == [] or kinds[0] not in ENCODERS or any(kind in ENCODERS for kind in kinds[1:]):
        raise CheckpointFormatError(
            f"{path} names the modules {', '.join(kinds) or 'none'}; expected one Transformer first"
        )
    found = Modules(entries[0][1])
    _read_transformer(found)
    layers: list[Any] = []
    for place, (kind, where) in enumerate(entries[1:], 1):
        if kind == "Pooling":
            if "pooling" in found.options or layers:
                raise CheckpointFormatError(
                    f"{path} pools after {kinds[place - 1]}, which has no states of tokens left"
                )
            found.options["pooling"] = _pooling(where)
        elif kind == "Normalize" and place == len(entries) - 1:
            found.options["normalize"] = True
        elif kind == "Normalize":
            layers.append(keras.layers.UnitNormalization(axis=-1, dtype="float32"))
        elif kind == "Dense":
            layers.append(_dense(where, len(layers)))
        elif kind == "LayerNorm":
            layers.append(_layer_norm(where, len(layers)))
        elif kind != "Dropout":  # which drops nothing here
            raise CheckpointFormatError(
                f"{path} asks for a module {kind!r}, which SentenceEncoder does not compute; it knows Transformer,"
                " Pooling, Dense, LayerNorm, Dropout and Normalize. SentenceEncoder.load(folder, modules=False,"
                " pooling=...) leaves the file alone"
            )
    if "pooling" not in found.options:
        raise CheckpointFormatError(
            f"{path} has no Pooling, so what a text's vector is stands nowhere: pass modules=False"
        )
    if layers:
        found.options["layers"] = layers
    _read_prompts(found, folder, entries)
    return found


def _entries(path: str) -> list[tuple[str, str]]:
    """Return (kind, folder) of the modules in their order."""
    folder = os.path.dirname(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            rows = json.load(file)
        rows = sorted(rows, key=lambda row: int(row.get("idx", 0)))
        found = [(str(row["type"]).rsplit(".", 1)[-1], str(row.get("path", ""))) for row in rows]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointFormatError(f"{path} is no list of modules with 'type' and 'path' ({error!r:.80})") from error
    for kind, part in found:
        if os.path.isabs(part) or ".." in part.replace("\\", "/").split("/"):
            raise CheckpointFormatError(f"{path} looks for {kind} outside of its folder: {part!r}")
    return [(kind, os.path.join(folder, part) if part else folder) for kind, part in found]


def _read_transformer(found: Modules) -> None:
    """Take in how long texts are and whether they are in lower case."""
    path = os.path.join(found.folder, SETTINGS)
    said = read_json(path, "settings of a Transformer") if os.path.isfile(path) else {}
    longest = said.get("max_seq_length")
    if isinstance(longest, int) and longest >= 3:
        found.options["maxlen"] = longest
    if said.get("do_lower_case") and find_vocabulary(found.folder)[0] is not None:
        found.tokenizer_options["do_lower_case"] = True


def _pooling(folder: str) -> str | list[str]:
    """Return the poolings of a module."""
    path = os.path.join(folder, "config.json")
    said = read_json(path, "a Pooling")
    mode = said.get("pooling_mode")
    names = [name for flag, name in FLAGS.items() if said.get(flag)]
    names = [mode] if isinstance(mode, str) else list(mode) if mode else names
    unknown = [flag for flag, value in said.items() if flag.startswith("pooling_mode_") and value and flag not in FLAGS]
    try:
        names = check_pooling([*names, *unknown])
    except ValueError as error:
        raise CheckpointFormatError(f"{path}: {error}") from error
    return names[0] if len(names) == 1 else names


def _dense(folder: str, number: int) -> Any:
    """Return the layer of a Dense module with its weights."""
    path = os.path.join(folder, "config.json")
    said = read_json(path, "a Dense module")
    name = str(said.get("activation_function", "torch.nn.modules.activation.Tanh")).rsplit(".", 1)[-1]
    if name not in ACTIVATIONS:
        raise CheckpointFormatError(f"{path} has the activation {name!r}; known are {', '.join(ACTIVATIONS)}")
    arrays = _arrays(folder)
    kernel, bias = arrays.get("linear.weight"), arrays.get("linear.bias")
    shape = (said.get("out_features"), said.get("in_features"))
    if kernel is None or kernel.shape != shape or (bias is None) == bool(said.get("bias", True)):
        there = ", ".join(f"{key} {value.shape}" for key, value in arrays.items()) or "nothing"
        raise CheckpointMismatchError(
            f"{path} says linear.weight {shape} and bias {said.get('bias', True)}; the weights are {there}"
        )
    layer = keras.layers.Dense(
        shape[0], get_activation(ACTIVATIONS[name]), bias is not None, dtype="float32", name=f"Module-Dense-{number}"
    )
    layer.build((None, shape[1]))
    layer.set_weights([kernel.T] if bias is None else [kernel.T, bias])
    return layer


def _layer_norm(folder: str, number: int) -> Any:
    """Return the layer of a LayerNorm module with its weights."""
    arrays = _arrays(folder)
    if sorted(arrays) != ["norm.bias", "norm.weight"]:
        raise CheckpointMismatchError(f"{folder} should hold norm.weight and norm.bias, but holds {', '.join(arrays)}")
    layer = keras.layers.LayerNormalization(epsilon=1e-5, dtype="float32", name=f"Module-Norm-{number}")
    layer.build((None, len(arrays["norm.weight"])))
    layer.set_weights([arrays["norm.weight"], arrays["norm.bias"]])
    return layer


def _arrays(folder: str) -> dict[str, np.ndarray]:
    with open_checkpoint(folder) as reader:
        return {name: np.asarray(reader.read(name), "float32") for name in reader.names()}


def _read_prompts(found: Modules, folder: str, entries: list[tuple[str, str]]) -> None:
    """Take in the named prompts, and the one that is always used."""
    path = os.path.join(folder, PROMPTS)
    said = read_json(path, "settings of sentence-transformers") if os.path.isfile(path) else {}
    prompts = {str(name): str(text) for name, text in (said.get("prompts") or {}).items()}
    if not any(prompts.values()):
        return
    where = next(where for kind, where in entries if kind == "Pooling")
    if read_json(os.path.join(where, "config.json")).get("include_prompt") is False:
        raise CheckpointFormatError(
            f"{where} leaves the tokens of prompts out of its vectors (include_prompt), which SentenceEncoder does not:"
            " pass modules=False and pooling=... to take them in"
        )
    found.options["prompts"] = prompts
    if said.get("default_prompt_name") in prompts:
        found.options["prefix"] = prompts[said["default_prompt_name"]]
