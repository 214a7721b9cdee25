"""One step of generation to files, compared with the model without a cache before they get their places."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from bert4keras2.decoders.engine import Engine
from bert4keras2.decoders.exported.engine import ExportedEngine, StepConfig
from bert4keras2.decoders.exported.graph import EncoderGraph, StepGraph
from bert4keras2.exporting import OnnxModel, Written
from bert4keras2.exporting.converters import identifier, litert_of, openvino_of, save_function
from bert4keras2.exporting.int8 import likeness, write_int8
from bert4keras2.exporting.onnx_convert import LARGEST, OPSET, onnx_of_function
from bert4keras2.exporting.onnx_graph import call_dimensions
from bert4keras2.exporting.other_runtimes import OtherModel
from bert4keras2.exporting.writing import PLACES, RUNTIMES, TOLERANCE, check_precision, move_written
from bert4keras2.files import scratch_folder

__all__ = ["step_files", "write_steps"]

THROUGH_ONNX = ("onnx", "openvino")
# Prompts and what follows them in the comparison, in tokens: one alone, several of different lengths.
CASES = (([5], 3), ([1, 9, 4], 3))


def step_files(to: str) -> tuple[str, str]:
    """Return what the files of a format are called: the step's and the encoder's."""
    return PLACES[to], PLACES[to].replace("model", "encoder")


def write_steps(
    engine: Engine, folder: str, to: str = "onnx", int8: bool = False, opset: int = OPSET
) -> tuple[Written, dict[str, Any]]:
    """Write one step of a model, and its encoder if it has one; Keras runs on TensorFlow.

    Args:
        engine: of the model, computing in float32.
        folder: where to; it exists.
        to: the format.
        int8: matrices of eight bits ("onnx", "litert").
        opset: version of ONNX's operators.

    Returns:
        `Written` of the step's file, and what `ExportedEngine.load` has to know.

    Raises:
        ImportError: if a package is missing; the message says which one.
        ValueError: if the model cannot be exported, or what was written gives other scores.
    """
    model = engine.transformer.model
    check_precision(model)
    if to in THROUGH_ONNX and 4 * model.count_params() > LARGEST:
        raise ValueError(f"{model.name} has {model.count_params():,} weights: an ONNX file holds 2 GiB at most")
    step_file, encoder_file = step_files(to)
    graphs: dict[str, StepGraph | EncoderGraph] = {step_file: StepGraph(engine)}
    if engine.encoder is not None:
        graphs[encoder_file] = EncoderGraph(engine)
    extra = [port.name for port in graphs[step_file].extra]
    config = StepConfig.of(engine.config)
    path = os.path.join(os.path.abspath(folder), step_file)
    with scratch_folder(path) as work:
        models = [_written(graph, os.path.join(work, name), to, opset) for name, graph in graphs.items()]
        recorded = [_Recorded(one) for one in models]
        difference = _difference(engine, ExportedEngine(recorded[0], [*recorded, None][1], config, extra), to)
        like = None
        if int8:
            smaller = [_smaller(graph, os.path.join(work, name), to) for name, graph in graphs.items()]
            like = likeness(models[0], smaller[0], recorded[0].calls)
        for name in graphs:
            move_written(work, os.path.join(work, name), os.path.join(os.path.abspath(folder), name))
    parts = {"encoder": encoder_file if engine.encoder is not None else None, "config": dataclasses.asdict(config)}
    parts |= {"extra_inputs": extra, "inputs": {}, "outputs": {}}
    for name, graph in graphs.items():
        parts["inputs"][name] = {port.name: list(port.dims) for port in graph.inputs}
        parts["outputs"][name] = {port.name: list(port.dims) for port in graph.outputs}
    return Written(path, difference, like, to), parts


def _written(graph: StepGraph | EncoderGraph, path: str, to: str, opset: int) -> OnnxModel | OtherModel:
    """Write a graph and return the file as a function of arrays."""
    if to in THROUGH_ONNX:
        file = path if to == "onnx" else f"{path}.onnx"
        _write_onnx(graph, file, opset)
        if to == "openvino":
            openvino_of(file, path)
    else:
        saved = path if to == "saved_model" else f"{path}.saved"
        save_function(
            graph.engine.transformer.model,
            lambda *tensors: {
                identifier(port.name): tensor for port, tensor in zip(graph.outputs, graph(*tensors), strict=True)
            },
            {port.name: (port.shape, port.dtype) for port in graph.inputs},
            saved,
        )
        if to == "litert":
            litert_of(saved, path)
    return _opened(graph, path, to)


def _smaller(graph: StepGraph | EncoderGraph, path: str, to: str) -> OnnxModel | OtherModel:
    """Put a file with matrices of eight bits in the place of one without, and return it as a function of arrays."""
    partial = f"{path}.int8"  # not over the other file, of which its program may read while it runs
    if to == "litert":
        litert_of(f"{path}.saved", partial, int8=True)
    else:
        write_int8(path, partial)
    os.replace(partial, path)
    return _opened(graph, path, to)


def _opened(graph: StepGraph | EncoderGraph, path: str, to: str) -> OnnxModel | OtherModel:
    if to == "onnx":
        return OnnxModel(path)
    return OtherModel(path, to, {port.name: port.dims for port in graph.inputs}, [port.name for port in graph.outputs])


def _write_onnx(graph: StepGraph | EncoderGraph, path: str, opset: int) -> None:
    inputs, outputs = graph.inputs, graph.outputs
    found = onnx_of_function(
        graph,
        [(port.shape, port.dtype) for port in inputs],
        [port.name for port in inputs],
        [port.name for port in outputs],
        graph.engine.transformer.model.name,
        opset,
    )
    call_dimensions(found.graph, {port.name: port.dims for port in (*inputs, *outputs)})
    with open(path, "wb") as file:
        file.write(found.SerializeToString())


class _Recorded:
    """A model that keeps what it is called with."""

    def __init__(self, model: OnnxModel | OtherModel):
        self.inputs, self.outputs, self.shapes = model.inputs, model.outputs, model.shapes
        self.calls: list[list[np.ndarray]] = []
        self._run: Callable[..., dict[str, np.ndarray]] = model.by_name

    def by_name(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return all outputs by their names."""
        self.calls.append([arrays[name] for name in self.inputs])
        return self._run(arrays)


def _difference(engine: Engine, exported: ExportedEngine, to: str) -> float:
    """Return the largest relative difference between scores step by step and those of all positions at once.

    Raises:
        ValueError: if it is more than rounding.
    """
    config, random = engine.config, np.random.RandomState(0)
    ids = [number for number in range(min(config.rows, 2000)) if number != config.pad_id]
    largest = 0.0
    for lengths, new in CASES:
        known = config.positions or 512
        lengths = [max(1, min(length, known - new)) for length in lengths]
        new = min(new, known - max(lengths))
        follow = random.choice(ids, (len(lengths), new)).astype("int32")
        extra = [
            random.standard_normal((len(lengths), *tensor.shape[1:])).astype("float32")
            for tensor in engine.transformer.additional_input_layers
        ]
        prompts = [random.choice(ids, length).tolist() for length in lengths]
        sources = _padded([[*prompt, *prompt][:12] for prompt in prompts], config.pad_id)
        segment = int(config.application == "unilm")

        def inputs(rows: list[list[int]], after: int, sources=sources, extra=extra, segment=segment) -> list[Any]:
            tokens = _padded(rows, config.pad_id)
            found = [sources, tokens] if engine.encoder is not None else [tokens]
            if config.segment_vocab_size:
                found.append(_padded([[0] * (len(row) - after) + [segment] * after for row in rows], 0))
            if config.custom_position_ids:
                found.append(np.tile(np.arange(tokens.shape[1], dtype="int32"), (len(rows), 1)))
            return [*found, *extra]

        whole = [[*prompt, *answer] for prompt, answer in zip(prompts, follow.tolist(), strict=True)]
        expected = _whole(engine, inputs(whole, new))
        expected = np.stack([row[n - 1 : n + new] for row, n in zip(expected, lengths, strict=True)])
        first, cache = exported.open(inputs(prompts, 0), lengths, new)
        found, done = [first[:, None]], 0
        for count in (1, new - 1):  # one token, then the others at once
            if count:
                segments = np.full((len(lengths), count), segment, "int32") if config.segment_vocab_size else None
                logits, cache = exported.step(cache, follow[:, done : done + count], segments, done)
                found, done = [*found, logits], done + count
        far = np.abs(np.concatenate(found, axis=1) - expected).max() / max(np.abs(expected).max(), 1.0)
        if not far <= TOLERANCE:
            raise ValueError(
                f"scores of {config.family} differ by {far:.2g} between {RUNTIMES[to]}, step by step, and Keras, so"
                " nothing was written"
            )
        largest = max(largest, float(far))
    return largest


def _padded(rows: list[list[int]], pad_id: int) -> np.ndarray:
    width = max(map(len, rows))
    return np.array([row + [pad_id] * (width - len(row)) for row in rows], "int32")


def _whole(engine: Engine, inputs: list[np.ndarray]) -> np.ndarray:
    """Return the scores (B, T, V) of a model without a cache, before their activation."""
    tensors, _, condition = engine._split(inputs, [1] * len(inputs[0]))
    given = None if isinstance(condition, tuple) else condition
    if engine.encoder is not None:
        context = engine.encoder.make_context(tensors[:1])
        context.condition = given
        states, context = engine.encoder.run(context, tensors[:1])
        tensors, mask = [states, tensors[1]], context.attention_mask
    context = engine.decoder.make_context(tensors)
    context.logits, context.condition = True, given
    if engine.encoder is not None:
        context.memory_mask = mask
    return ops.convert_to_numpy(engine.decoder.run(context, tensors)[0])
