"""Folders with exported models: the model, the tokenizer's files, and what texts are made into ids by."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from bert4keras2.embeddings.pooling import pad_id_of
from bert4keras2.exporting import PLACES, Description, check_format, export_model, refuse_checkpoint
from bert4keras2.models.export import save_config
from bert4keras2.tokenizers.folder import save_tokenizer
from bert4keras2.training.input_checks import IdLimits

__all__ = ["export_encoder", "write_exported"]


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
