"""From a Keras model on TensorFlow to an ONNX file, by tf2onnx."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from bert4keras2.exporting.onnx_graph import name_dimensions
from bert4keras2.exporting.onnx_merge import merge_gelus, merge_normalizations, merge_products
from bert4keras2.exporting.packages import load_package
from bert4keras2.functional import keras_private

__all__ = ["LARGEST", "OPSET", "onnx_of", "onnx_of_function"]

OPSET = 20  # has a node for GELU
CONVERTED = 18  # the newest that tf2onnx writes; what it writes means the same in OPSET
LARGEST = 2**31 - 2**20  # bytes of a protocol buffer, in which everything but large files of their own has to be


def onnx_of(model: Any, output_names: Sequence[str], opset: int = OPSET) -> Any:
    """Return a functional model as an onnx.ModelProto of named inputs, with any batch and length.

    Args:
        model: a functional model; the backend is TensorFlow.
        output_names: names for its outputs.
        opset: version of ONNX's operators, from 17 to 20.

    Raises:
        ImportError: if tf2onnx is not installed.
        ValueError: if the model is too large for one file.
    """
    if 4 * model.count_params() > LARGEST:
        raise ValueError(f"{model.name} has {model.count_params():,} weights: an ONNX file holds 2 GiB at most")
    structure = keras_private.input_structure(model)
    inputs = keras.tree.flatten(structure)

    def forward(*tensors: Any) -> Any:
        return keras.tree.flatten(model(keras.tree.pack_sequence_as(structure, list(tensors)), training=False))

    names = [keras_private.maker(x).name for x in inputs]
    found = onnx_of_function(forward, [(x.shape, x.dtype) for x in inputs], names, output_names, model.name, opset)
    name_dimensions(found.graph, [x.shape for x in inputs], [x.shape for x in model.outputs])
    return found


def onnx_of_function(
    function: Callable[..., Sequence[Any]],
    specs: Sequence[tuple[Sequence[int | None], str]],
    names: Sequence[str],
    output_names: Sequence[str],
    title: str,
    opset: int = OPSET,
) -> Any:
    """Return a function of tensors as an onnx.ModelProto of named inputs; the caller names their dimensions.

    Args:
        function: of TensorFlow's tensors, which calls layers and returns a list of tensors.
        specs: (shape, dtype) of each input, None for sizes that vary.
        names: of the inputs.
        output_names: of the outputs.
        title: the model's name.
        opset: version of ONNX's operators, from 17 to 20.

    Raises:
        ImportError: if tf2onnx is not installed.
    """
    import tensorflow as tf

    purpose = "Exporting to ONNX"
    load_package("onnx", purpose)
    load_package("tf2onnx", purpose)
    from tf2onnx import optimizer, tf_loader
    from tf2onnx.tfonnx import process_tf_graph

    signature = [tf.TensorSpec(shape, dtype, name=f"input_{k}") for k, (shape, dtype) in enumerate(specs)]
    forward = tf.function(function, autograph=False, input_signature=signature)
    concrete = forward.get_concrete_function()
    given = [tensor.name for tensor in concrete.inputs if tensor.dtype != tf.resource]
    made = [tensor.name for tensor in concrete.outputs]
    renamed = dict(zip(given, names, strict=True))
    # Of tf2onnx's own passes, the one that joins neighbouring Reshapes is left out: it does so even if the second one
    # says "this size as in my input" (0), and then heads are split along the wrong axes.
    passes = {
        name: getattr(optimizer, name)
        for name in (
            "TransposeOptimizer",
            "ConstFoldOptimizer",
            "MergeDuplicatedNodesOptimizer",
            "ReshapeOptimizer",
            "IdentityOptimizer",
            "EinsumOptimizer",
        )
    }
    with _quiet(), tf.device("/cpu:0"):
        frozen = tf_loader.from_function(concrete, given, made)
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(frozen, name="")
            converted = process_tf_graph(
                graph,
                opset=min(opset, CONVERTED),
                custom_op_handlers={"Erfc": (_erfc, []), "SelectV2": (_where, [])},
                input_names=given,
                output_names=made,
                tensors_to_rename={**renamed, **dict(zip(made, output_names, strict=True))},
            )
        found = optimizer.optimize_graph(converted, catch_errors=False, optimizers=passes).make_model(title)
    # The converter's order of inputs is its own.
    order = {name: place for place, name in enumerate(names)}
    sorted_inputs = sorted(found.graph.input, key=lambda value: order[value.name])
    del found.graph.input[:]
    found.graph.input.extend(sorted_inputs)
    merge_products(found.graph)
    merge_normalizations(found.graph)
    if opset >= OPSET:
        merge_gelus(found.graph)
        for domain in found.opset_import:
            if domain.domain in ("", "ai.onnx"):
                domain.version = opset
    found.producer_name, found.producer_version = "bert4keras2", ""
    return found


def _erfc(context: Any, node: Any, name: str, arguments: Any) -> None:
    """Put 1 + erf(x) in place of erfc(-x), which ONNX lacks: with what is around it, runtimes know it as a GELU."""
    dtype, shape = context.get_dtype(node.output[0]), context.get_shape(node.output[0])

    def new(kind: str, *inputs: str, **options: Any) -> str:
        return context.make_node(kind, list(inputs), dtypes=[dtype], shapes=[shape], **options).output[0]

    one = context.make_const(f"{name}_one", np.array(1, "float32")).output[0]
    before = node.inputs[0]
    # TensorFlow's GELU is x / 2 * erfc(-x * sqrt(1/2)).
    if before.type == "Mul" and before.inputs[0].type == "Neg":
        erf = new("Erf", new("Mul", before.inputs[0].input[0], before.input[1]))
    else:
        erf = new("Erf", new("Neg", node.input[0]))
    output = node.output[0]
    context.remove_node(node.name)
    new("Add", erf, one, outputs=[output], name=name)


def _where(context: Any, node: Any, name: str, arguments: Any) -> None:
    """Choose by ONNX's Where: the converter adds products with 0 and 1, which make NaN of infinities."""
    node.type = "Where"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep tf2onnx from telling at each conversion what it looks for and does not find."""
    logger = logging.getLogger("tf2onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
