"""Folders with an exported generator: the step, the tokenizer, and how prompts are made and texts end."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import keras

from bert4keras2.decoders.engine import engine_of
from bert4keras2.decoders.exported.engine import ExportedEngine, StepConfig
from bert4keras2.decoders.exported.writing import step_files, write_steps
from bert4keras2.decoders.saving import transformer_to_save, write_options
from bert4keras2.exporting import Description, OnnxModel, check_format, refuse_checkpoint
from bert4keras2.exporting.elsewhere import run_export
from bert4keras2.exporting.onnx_convert import OPSET
from bert4keras2.files import scratch_folder
from bert4keras2.models.export import save_config
from bert4keras2.tokenizers import load_tokenizer
from bert4keras2.tokenizers.folder import save_tokenizer

__all__ = ["export_generator", "in_onnx", "load_exported"]


def export_generator(
    generator: Any, folder: str | os.PathLike, to: str = "onnx", int8: bool = False, opset: int = OPSET
) -> str:
    """Write a generator, as `Generator.export` says.

    Args:
        generator: the `Generator`.
        folder: where to; it is made.
        to: "onnx", "saved_model", "litert" or "openvino".
        int8: matrices of eight bits ("onnx", "litert").
        opset: version of ONNX's operators.

    Returns:
        What was written and how it compares, in words.
    """
    check_format(to, int8)
    if isinstance(generator._source, ExportedEngine):
        raise ValueError("this generator is an exported model: export the one that it was made from")
    transformer = transformer_to_save(generator, generator._source)
    folder = os.path.abspath(os.fspath(folder))
    os.makedirs(folder, exist_ok=True)
    refuse_checkpoint(folder)
    if keras.backend.backend() != "tensorflow":
        with scratch_folder(folder) as work:
            source = os.path.join(work, "generator")
            generator.save(source)
            options = ["--to", to, "--output", folder, "--opset", str(opset), *(["--int8"] if int8 else [])]
            return run_export([source, *options], work)
    written, parts = write_steps(engine_of(transformer), folder, to, int8, opset)
    step = step_files(to)[0]
    save_config(transformer, folder)
    save_tokenizer(generator.tokenizer, folder, transformer)
    write_options(generator, folder)
    Description(
        kind="generator",
        to=to,
        file=step,
        inputs=list(parts["inputs"][step]),
        outputs=list(parts["outputs"][step]),
        pad_id=transformer.config.pad_id,
        width=transformer.config.rows,
        int8=int8,
        parts=parts,
    ).write(folder)
    return written.summary()


def load_exported(
    folder: str | os.PathLike, chosen: dict[str, Any], options: dict[str, Any]
) -> tuple[ExportedEngine, Any]:
    """Return the engine and the tokenizer of an exported folder.

    Args:
        folder: what `Generator.export` wrote.
        chosen: options of `Generator`.
        options: further ones of `Generator.load`.

    Raises:
        ValueError: for options that an exported model has no use for.
    """
    options = dict(options)
    tokenizer_options, threads = options.pop("tokenizer_options", None) or {}, options.pop("threads", None)
    if chosen.get("engine", "onnx") != "onnx":
        raise ValueError(f"{os.fspath(folder)} holds an exported model, which is run with engine='onnx'")
    if options:
        raise ValueError(
            f"{os.fspath(folder)} holds an exported model, which is built already: {next(iter(options))} says nothing"
        )
    return ExportedEngine.load(folder, threads), load_tokenizer(folder, **tokenizer_options)


def in_onnx(generator: Any) -> ExportedEngine:
    """Return an engine of onnxruntime for a generator's model, with the weights that it has now."""
    with tempfile.TemporaryDirectory() as folder:
        if keras.backend.backend() != "tensorflow":
            target = os.path.join(folder, "exported")
            export_generator(generator, target)
            return ExportedEngine.load(target)
        parts = write_steps(generator.engine, folder)[1]
        models = [OnnxModel(os.path.join(folder, name)) for name in step_files("onnx") if name in parts["inputs"]]
        return ExportedEngine(models[0], [*models, None][1], StepConfig(**parts["config"]), parts["extra_inputs"])
