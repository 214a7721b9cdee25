"""Command line: `bert4keras2 convert SRC DST` converts between TensorFlow's and Hugging Face's names."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["main"]

EPILOG = """\
examples:
  %(prog)s chinese_L-12_H-768_A-12 bert-hf           TensorFlow folder to Hugging Face folder
  %(prog)s bert-hf out/bert_model.ckpt               Hugging Face folder to TensorFlow checkpoint
  %(prog)s best.weights out --config bert_config.json --model roformer     Keras 2 weights
"""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.convert") -> int:
    """Run the command line.

    Args:
        arguments: those after the program's name; sys.argv's if None.
        prog: the program's name, for its help and its errors.

    Returns:
        The exit status: 0, 1 if the conversion failed, 130 if it was interrupted.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Convert a checkpoint, heads, configuration and vocabulary included; read it back and compare.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help="folder, file or TensorFlow prefix; or a name on the Hugging Face hub")
    parser.add_argument("target", help="folder, TensorFlow prefix (x/bert_model.ckpt) or x/model.safetensors")
    parser.add_argument("--to", choices=("tensorflow", "huggingface"), help="format; by default what the target says")
    parser.add_argument("--model", help="family, where neither configuration nor variables tell (roformer, nezha, ...)")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), help="type of the weights; as they are")
    parser.add_argument("--config", help="the model's JSON, where it does not lie beside the weights")
    parser.add_argument("--force", action="store_true", help="overwrite what is at the target")
    parser.add_argument("--ignore-unknown", action="store_true", help="drop variables that the family does not have")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)

    import bert4keras2.quiet  # noqa: F401  before TensorFlow
    from bert4keras2.checkpoints.conversion.converting import convert
    from bert4keras2.checkpoints.finding.resolve import resolve

    try:
        done = convert(
            resolve(options.source, progress=False if options.quiet else None),
            options.target,
            to=options.to,
            model=options.model,
            dtype=options.dtype,
            config=options.config,
            force=options.force,
            ignore_unknown=options.ignore_unknown,
            progress=None if options.quiet else _bar,
        )
    except (ValueError, OSError, ImportError) as error:  # CheckpointErrors that are neither are caught below
        return _fail(error)
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        return 130
    except Exception as error:
        from bert4keras2.errors import CheckpointError

        if not isinstance(error, CheckpointError):
            raise
        return _fail(error)
    _report(done)
    return 0


def _fail(error: Exception) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 1


def _bar(items: Iterator[Any], length: int, title: str) -> Iterator[Any]:
    from tqdm import tqdm

    return tqdm(items, total=length, desc=title, unit="variable", leave=False)


def _report(done: Any) -> None:
    rows = [
        ("from", f"{_short(done.source)} ({done.formats[0]})"),
        ("to", f"{_short(done.target)} ({done.formats[1]})"),
        ("format", done.reason or "as asked for"),
        ("model", done.family),
        ("variables", f"{done.variables} written, read back and found equal ({done.size / 2**20:.1f} MiB)"),
    ]
    for title, names in (("left out", done.left_out), ("unknown, dropped", done.unknown), ("overflow", done.overflows)):
        if names:
            rows.append((title, f"{len(names)}: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"))
    rows += [("file" if k == 0 else "", _short(path)) for k, path in enumerate(done.files)]
    width = max(len(title) for title, _ in rows)
    for title, text in rows:
        print(f"{title:<{width}}  {text}")


def _short(path: str) -> str:
    """Return a path as it is seen from the working directory, if it is below that."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return path
    return path if relative.startswith("..") else relative


if __name__ == "__main__":
    raise SystemExit(main())
