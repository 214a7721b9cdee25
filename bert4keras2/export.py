"""The command `bert4keras2 export`: a model, a task or an encoder for ONNX, SavedModel, LiteRT or OpenVINO."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["export_folder", "main"]

EPILOG = """\
examples:
  %(prog)s my-task --to onnx                        what load_task(...) then predicts with, in my-task-onnx
  %(prog)s bert-base --to onnx --pooling mean       sentence vectors, for SentenceEncoder.load
  %(prog)s bert-base --to onnx                      hidden states
  %(prog)s my-task --to onnx --int8                 a quarter of the size
  %(prog)s t5-pegasus --to onnx                     one step of generation with its cache, for Generator.load
  %(prog)s bert-base --options '{"application": "lm"}' --whole   scores of all positions, without a cache
"""
GENERATOR_OPTIONS = ("end_id", "maxlen", "start_id", "segment", "batch_size")
FORMATS = ("onnx", "saved_model", "litert", "openvino")


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.export") -> int:
    """Export from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.

    Raises:
        SystemExit: after help (0) or arguments that there are not (2).
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Write a saved task, a checkpoint or a .keras file for other programs, and compare what they give.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", help="folder of a task or a checkpoint, name on the Hugging Face hub, or .keras file")
    parser.add_argument("--to", choices=FORMATS, default="onnx", help="format (default: onnx)")
    parser.add_argument("--output", help="folder to write, of a .keras file the file; by default beside the source")
    parser.add_argument("--int8", action="store_true", help="matrices of eight bits (onnx, litert)")
    parser.add_argument("--pooling", help="sentence vectors: mean, cls, pooler or first-last")
    parser.add_argument("--maxlen", type=int, help="longest sequence of tokens, which the folder keeps")
    parser.add_argument("--prefix", help="put before each text, such as 'query: '")
    parser.add_argument("--normalize", action="store_true", help="vectors of length 1")
    parser.add_argument("--options", type=json.loads, default={}, metavar="JSON", help="of build_transformer_model")
    parser.add_argument(
        "--whole", action="store_true", help="a generating model as it is, from ids to scores of all positions"
    )
    parser.add_argument("--opset", type=int, help="version of ONNX's operators")
    parser.add_argument("--names", type=json.loads, metavar="JSON", help="names for the outputs of a .keras file")
    given = parser.parse_args(arguments)
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # which the converters are made for
    import bert4keras2.quiet  # noqa: F401  before TensorFlow

    try:
        print(_export(given))
    except (ValueError, OSError, ImportError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _export(given: argparse.Namespace) -> str:
    opset = {} if given.opset is None else {"opset": given.opset}
    if given.folder.endswith(".keras") and os.path.isfile(given.folder):
        return _export_keras(given, opset)
    own = {name: getattr(given, name) for name in ("pooling", "maxlen", "prefix") if getattr(given, name) is not None}
    own |= {"normalize": True} if given.normalize else {}
    own |= {"whole": True} if given.whole else {}
    return export_folder(given.folder, given.output, given.to, given.int8, **own, **given.options, **opset)


def _export_keras(given: argparse.Namespace, opset: dict[str, Any]) -> str:
    """Write the model of a .keras file."""
    import keras

    import bert4keras2.layers
    import bert4keras2.tasks  # noqa: F401  registers the heads' layers
    from bert4keras2.exporting import PLACES, export_model
    from bert4keras2.training.input_checks import IdLimits

    model = keras.models.load_model(given.folder, compile=False)
    output = given.output or given.folder.removesuffix(".keras") + os.path.splitext(PLACES[given.to])[1]
    examples = IdLimits(model).examples()
    return export_model(model, output, given.to, examples, given.names, given.int8, **opset).summary()


def export_folder(
    source: str | os.PathLike,
    target: str | os.PathLike | None = None,
    to: str = "onnx",
    int8: bool = False,
    **options: Any,
) -> str:
    """Write what a folder holds for another program, with the files of its tokenizer and what texts and answers need.

    Args:
        source: folder of a task (`Task.save`), of a checkpoint, or a name on the Hugging Face hub.
        target: folder to write; if None, beside the source, its name with the format's.
        to: "onnx", "saved_model", "litert" or "openvino".
        int8: matrices of eight bits ("onnx", "litert").
        **options: of a task, those of `load_task`; with `pooling`, those of `SentenceEncoder.load`; otherwise those of
            `build_transformer_model`. A model that generates is exported by the step, with those of `Generator` and
            `tokenizer_options`; all else, and with `whole=True`, is the model's outputs. `opset` for ONNX.

    Returns:
        What was written and how it compares, in words.

    Raises:
        FileNotFoundError: if a file is missing.
        ImportError: if a package of the format is not installed.
        ValueError: if the model cannot be exported.
    """
    from bert4keras2.checkpoints.finding.resolve import resolve
    from bert4keras2.decoders import Generator
    from bert4keras2.decoders.saving import generates, saved_options
    from bert4keras2.embeddings import SentenceEncoder
    from bert4keras2.embeddings.exported import export_encoder
    from bert4keras2.models import build_transformer_model
    from bert4keras2.tasks.folders.saving import load_task, saved_task
    from bert4keras2.tokenizers import load_tokenizer

    opset = {"opset": options.pop("opset")} if "opset" in options else {}
    whole = options.pop("whole", False)
    if target is None:
        target = f"{os.fspath(source).rstrip(os.sep)}-{to}{'-int8' if int8 else ''}"
    folder = resolve(source, progress=options.get("progress"))
    if "pooling" not in options and saved_task(folder) is not None:
        return load_task(folder, **options).export(target, to, int8, **opset)
    if "pooling" in options:
        return SentenceEncoder.load(folder, **options).export(target, to, int8, **opset)
    said, implied = saved_options(folder)
    own = {name: options.pop(name) for name in GENERATOR_OPTIONS if name in options}
    tokenizer_options = options.pop("tokenizer_options", None) or {}
    tokenizer = load_tokenizer(folder, **tokenizer_options)
    transformer = build_transformer_model(folder, **{**implied, **options, "return_keras_model": False})
    if not whole and generates(transformer.config):
        return Generator(transformer, tokenizer, **{**said, **own}).export(target, to, int8, **opset)
    return export_encoder(transformer, tokenizer, target, to, int8, **opset)


if __name__ == "__main__":
    raise SystemExit(main())
