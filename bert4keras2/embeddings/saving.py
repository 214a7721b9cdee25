"""Writing an encoder as a folder of sentence-transformers."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

import keras
import numpy as np

from bert4keras2.checkpoints.folder import find_vocabulary
from bert4keras2.checkpoints.formats.safetensors import write_safetensors
from bert4keras2.embeddings.modules import ACTIVATIONS, FLAGS, MODULES, PROMPTS, SETTINGS
from bert4keras2.embeddings.pooling import OF_STATES, check_pooling
from bert4keras2.files import write_text
from bert4keras2.functional.activations import get_activation
from bert4keras2.tokenizers import Tokenizer, save_vocab

__all__ = ["save_encoder", "write_modules"]

PREFIX = "sentence_transformers.models."
KINDS = {"Dense": "Dense", "LayerNormalization": "LayerNorm", "UnitNormalization": "Normalize"}


def save_encoder(encoder: Any, model: Any, folder: str | os.PathLike) -> None:
    """Write an encoder, as `SentenceEncoder.save` says.

    Args:
        encoder: the `SentenceEncoder`.
        model: the model that it was made of.
        folder: where to.
    """
    folder = os.fspath(folder)
    transformer = model if hasattr(model, "hidden_states") else getattr(model, "transformer", None)
    if transformer is None:
        raise ValueError("save() writes a model of build_transformer_model, and this encoder was made of another one")
    transformer.save_pretrained(folder)
    if find_vocabulary(folder) == (None, None):
        if not isinstance(encoder.tokenizer, Tokenizer):
            raise ValueError(
                "the model was loaded from no folder, so the files of its SentencePiece model are not known"
            )
        save_vocab(os.path.join(folder, "vocab.txt"), encoder.tokenizer._token_dict)
        kind = {"do_lower_case": encoder.tokenizer._do_lower_case, "tokenizer_class": "BertTokenizer"}
        _write(folder, "tokenizer_config.json", kind)
    write_modules(encoder, folder, transformer.config.hidden_size)


def write_modules(encoder: Any, folder: str, width: int) -> None:
    """Write modules.json and what it names, beside a model that is there.

    Args:
        encoder: the `SentenceEncoder`.
        folder: where to.
        width: of the model's states.

    Raises:
        ValueError: if sentence-transformers has no module for something.
    """
    parts: list[tuple[str, Any]] = [("Transformer", None), ("Pooling", encoder.pooling)]
    for layer in encoder.layers:
        kind = KINDS.get(type(layer).__name__)
        if kind is None:
            raise ValueError(f"sentence-transformers has no module for a layer {type(layer).__name__}: {layer.name}")
        parts.append((kind, layer))
    if encoder.normalize:
        parts.append(("Normalize", None))
    if encoder.whitening is not None:
        parts += [("Dense", encoder.whitening), ("Normalize", None)]
    rows = []
    for number, (kind, part) in enumerate(parts):
        path = f"{number}_{kind}" if number else ""
        rows.append({"idx": number, "name": str(number), "path": path, "type": PREFIX + kind})
        if number and kind != "Normalize":
            os.makedirs(os.path.join(folder, path), exist_ok=True)
            write = {"Pooling": _write_pooling, "Dense": _write_dense, "LayerNorm": _write_norm}[kind]
            write(os.path.join(folder, path), part, width)
    _write(folder, SETTINGS, {"max_seq_length": encoder.maxlen, "do_lower_case": False})
    prompts = encoder.prompts or ({"default": encoder.prefix} if encoder.prefix else {})
    chosen = next((name for name, text in prompts.items() if encoder.prefix and text == encoder.prefix), None)
    _write(folder, PROMPTS, {"prompts": prompts, "default_prompt_name": chosen, "similarity_fn_name": "cosine"})
    _write(folder, MODULES, rows)  # last: it says that the others are there


def _write_pooling(folder: str, pooling: Any, width: int) -> None:
    names = check_pooling(pooling)
    if any(name not in OF_STATES for name in names):
        warnings.warn(
            f"sentence-transformers has no pooling {pooling!r}: only SentenceEncoder.load reads the folder",
            stacklevel=5,
        )
        said: dict[str, Any] = {"pooling_mode": names}
    else:
        said = {flag: name in names for flag, name in FLAGS.items()}
        if [name for name in FLAGS.values() if name in names] != names:
            raise ValueError(
                f"sentence-transformers puts poolings in the order {', '.join(FLAGS.values())}, not {names}"
            )
    _write(folder, "config.json", {"word_embedding_dimension": width, **said})


def _write_dense(folder: str, layer: Any, width: int) -> None:
    if hasattr(layer, "activation"):
        kernel, bias = keras.ops.convert_to_numpy(layer.kernel), layer.bias
        bias = None if bias is None else keras.ops.convert_to_numpy(bias)
        name = next((name for name, own in ACTIVATIONS.items() if get_activation(own) == layer.activation), None)
        if name is None:
            raise ValueError(f"sentence-transformers has no name for the activation of layer {layer.name}")
    else:  # a whitening: (x + b) @ k
        kernel, bias, name = layer.kernel, layer.bias @ layer.kernel, "Identity"
    said = {"in_features": kernel.shape[0], "out_features": kernel.shape[1], "bias": bias is not None}
    arrays = [("linear.weight", np.ascontiguousarray(kernel.T))] + ([] if bias is None else [("linear.bias", bias)])
    write_safetensors(os.path.join(folder, "model.safetensors"), arrays, {"format": "pt"})
    module = "linear" if name == "Identity" else "activation"
    _write(folder, "config.json", {**said, "activation_function": f"torch.nn.modules.{module}.{name}"})


def _write_norm(folder: str, layer: Any, width: int) -> None:
    gamma, beta = (keras.ops.convert_to_numpy(part) for part in (layer.gamma, layer.beta))
    write_safetensors(
        os.path.join(folder, "model.safetensors"), [("norm.weight", gamma), ("norm.bias", beta)], {"format": "pt"}
    )
    _write(folder, "config.json", {"dimension": len(gamma)})


def _write(folder: str, name: str, content: Any) -> None:
    write_text(os.path.join(folder, name), json.dumps(content, ensure_ascii=False, indent=2) + "\n")
