"""Folders with exported models: the model, the tokenizer's files, and what texts are made into ids by."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

from bert4keras2.embeddings.pooling import pad_id_of
from bert4keras2.exporting import (
    PLACES,
    Description,
    ExportedModel,
    OnnxModel,
    check_format,
    export_model,
    refuse_checkpoint,
)
from bert4keras2.models.export import save_config
from bert4keras2.tokenizers import load_tokenizer
from bert4keras2.tokenizers.folder import save_tokenizer
from bert4keras2.training.input_checks import IdLimits

__all__ = ["export_encoder", "export_vectors", "in_onnx", "load_exported", "write_exported"]


def write_exported(
    folder: str | os.PathLike,
    kind: str,
    model: Any,
    transformer: Any,
    tokenizer: Any,
    to: str,
    int8: bool = False,
    output_names: list[str] | None = None,
    options: dict[str, Any] | None = None,
    parts: dict[str, Any] | None = None,
    also: dict[str, Any] | None = None,
    write: Callable[[str], None] | None = None,
    **format_options: Any,
) -> str:
    """Write a model and all that has to be known to use it.

    Args:
        folder: where to; it is made.
        kind: "encoder", "vectors" or "task".
        model: the functional model that is exported.
        transformer: the model of `build_transformer_model` in it.
        tokenizer: its tokenizer.
        to: the format.
        int8: matrices of eight bits.
        output_names: names of the outputs.
        options: what export.json keeps of the texts' way.
        parts: what it keeps for what is made of the outputs.
        also: further keys of config.json.
        write: called with the folder to write further files.
        **format_options: `opset`.

    Returns:
        What was written and how it compares, in words.

    Raises:
        ValueError: if the folder holds a checkpoint, which would be taken for this model or the other way round.
    """
    check_format(to, int8)
    folder = os.fspath(folder)
    os.makedirs(folder, exist_ok=True)
    refuse_checkpoint(folder)
    limits = IdLimits(model)
    file = os.path.join(folder, PLACES[to])
    done = export_model(model, file, to, limits.examples(), output_names, int8, **format_options)
    save_config(transformer, folder, also)
    save_tokenizer(tokenizer, folder, transformer)
    if write is not None:
        write(folder)
    Description(
        kind=kind,
        to=to,
        file=PLACES[to],
        inputs=limits.names,
        outputs=list(output_names or ()),
        length=model.inputs[0].shape[1],
        pad_id=pad_id_of(model),
        limits=limits.as_dict(),
        width=model.outputs[0].shape[-1],
        int8=int8,
        options=options or {},
        parts=parts or {},
    ).write(folder)
    return done.summary()


def export_encoder(
    transformer: Any, tokenizer: Any, folder: str | os.PathLike, to: str = "onnx", int8: bool = False, **options: Any
) -> str:
    """Write a model as it is: hidden states, or the outputs of the heads that it has.

    Args:
        transformer: of `build_transformer_model(..., return_keras_model=False)`.
        tokenizer: its tokenizer.
        folder: where to.
        to: "onnx", "saved_model", "litert" or "openvino".
        int8: matrices of eight bits.
        **options: `opset`.

    Returns:
        What was written and how it compares, in words.
    """
    outputs = len(transformer.model.outputs)
    names = ["hidden_states"] if transformer.output is transformer.hidden_states[-1] else None
    names = names if outputs == 1 else None
    return write_exported(folder, "encoder", transformer.model, transformer, tokenizer, to, int8, names, **options)


def export_vectors(
    encoder: Any, transformer: Any, folder: str | os.PathLike, to: str = "onnx", int8: bool = False, **options: Any
) -> str:
    """Write a `SentenceEncoder` as `SentenceEncoder.export` documents it.

    Args:
        encoder: the encoder.
        transformer: the model of `build_transformer_model` in it; None for another one.
        folder, to, int8, **options: see there.

    Raises:
        ValueError: if the encoder is exported already, or its model is another one.
    """
    if encoder.model is None:
        raise ValueError("this encoder is an exported model: export the one that it was made from")
    if transformer is None:
        raise ValueError(
            "the vocabulary's files are known of models of build_transformer_model alone: for others,"
            " encoder.model.export(file, format='onnx') writes the model"
        )
    names = ("pooling", "maxlen", "prefix", "normalize", "batch_size", "prompts")
    kept = {name: getattr(encoder, name) for name in names}
    return write_exported(
        folder, "vectors", encoder.model, transformer, encoder.tokenizer, to, int8, ["vectors"], kept, **options
    )


def load_exported(folder: str | os.PathLike, said: Description, options: dict[str, Any]) -> dict[str, Any]:
    """Return what `SentenceEncoder` takes for an exported model.

    Args:
        folder: what `export_vectors` wrote as ONNX.
        said: its description.
        options: that `SentenceEncoder.load` was given.

    Raises:
        ValueError: for an option that an exported model cannot follow.
    """
    threads = options.pop("threads", None)
    fixed = {"pooling": said.options.get("pooling"), "engine": "onnx"}
    for name, value in fixed.items():
        if options.pop(name, value) != value:
            raise ValueError(f"{os.fspath(folder)} holds an exported model with {name}={value!r}")
    known = ("maxlen", "normalize", "prefix", "prompts", "batch_size", "tokenizer_options")
    for name in options:
        if name not in known:
            raise ValueError(
                f"{os.fspath(folder)} holds an exported model, which is built already: {name} says nothing"
            )
    model = ExportedModel(folder, "vectors", threads)
    tokenizer_options = options.pop("tokenizer_options", None) or said.options.get("tokenizer_options") or {}
    kept = {name: said.options[name] for name in known if name in said.options and name != "tokenizer_options"}
    tokenizer = load_tokenizer(folder, **tokenizer_options)
    return {"model": model, "tokenizer": tokenizer, **kept, "pooling": fixed["pooling"] or "mean", **options}


def in_onnx(model: Any) -> OnnxModel:
    """Return a Keras model as one of onnxruntime, with the weights that it has now."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        export_model(model, path, "onnx", IdLimits(model).examples(), ["vectors"])
        return OnnxModel(path)
