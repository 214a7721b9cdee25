"""The console command: `bert4keras2 COMMAND ...`, or `python -m bert4keras2 COMMAND ...`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

__all__ = ["main"]

# name -> (module whose `main(arguments, prog)` runs it, what it does). A further command is one more line.
COMMANDS = {
    "inspect": ("bert4keras2.inspect", "tell what a checkpoint is, which call loads it, and what does not fit"),
    "convert": ("bert4keras2.convert", "convert a checkpoint between TensorFlow's and Hugging Face's formats"),
    "export": ("bert4keras2.export", "write a model or a task for ONNX and other runtimes"),
    "migrate": ("bert4keras2.migrate.command", "move scripts from bert4keras to bert4keras2"),
    "train": ("bert4keras2.commands.train", "train a task on rows of files: classify, tag, read, choose"),
    "predict": ("bert4keras2.commands.predict", "tell what a saved task says of texts"),
    "evaluate": ("bert4keras2.commands.evaluate", "tell how well a saved task does on labelled rows"),
    "serve": ("bert4keras2.commands.serve", "serve a saved task: JSON over HTTP, and a page to try it on"),
    "pretrain": ("bert4keras2.pretrain", "pre-train a model from raw text"),
    "distill": ("bert4keras2.distill", "let a small model learn from a large one"),
    "shrink": ("bert4keras2.shrink", "cut a model's vocabulary, blocks and width"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names on the arguments after it.

    Args:
        arguments: those after the program's name; sys.argv's if None.

    Returns:
        The command's exit status; 2 if there is no such command, 130 after an interrupt, 141 if whoever reads the
        output went away.

    Raises:
        SystemExit: from a command that refuses its arguments (2) or has shown its help (0).
    """
    try:
        try:
            return _run(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()  # here, where a closed pipe is caught, not when the interpreter ends
    except BrokenPipeError:
        # What is left in the buffer goes nowhere, so that the interpreter's own flush finds nothing to complain about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as shells report a program that SIGPIPE ended
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    # argparse is left to the commands: their options, --help among them, have to reach them untouched.
    program = "python -m bert4keras2" if __name__ == "__main__" else "bert4keras2"
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help(program))
        return 0
    name, *rest = arguments
    if name == "--version":
        print(f"bert4keras2 {importlib.import_module('bert4keras2').__version__}")
        return 0
    if name not in COMMANDS:
        print(f"error: {_unknown(name)} See {program} --help.", file=sys.stderr)
        return 2
    module, _ = COMMANDS[name]
    return importlib.import_module(module).main(rest, prog=f"{program} {name}")


def _help(program: str) -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {program} COMMAND ...",
            f"       {program} [--help] [--version]",
            "",
            "Pre-trained Chinese language models in Keras 3.",
            "",
            "commands:",
            *rows,
            "",
            f"{program} COMMAND --help tells the arguments of a command.",
        ]
    )


def _unknown(name: str) -> str:
    import difflib

    kind = "option" if name.startswith("-") else "command"
    known = ["--help", "--version"] if kind == "option" else list(COMMANDS)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}."
    return f"no {kind} {name!r}; {hint}"


if __name__ == "__main__":
    raise SystemExit(main())
