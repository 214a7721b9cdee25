"""Kills processes that write, at random moments: `python -m tests.fuzz.kills [--kills 20]`.

A child overwrites one checkpoint again and again with weights that are all of one number, another one each time.
After each kill the file has to be whole: read, with one number in all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
WIDTH = 512  # of square matrices
CONFIG = {
    "model_type": "bert", "vocab_size": 4000, "hidden_size": WIDTH, "num_hidden_layers": 0, "num_attention_heads": 4,
    "intermediate_size": WIDTH, "max_position_embeddings": 8, "type_vocab_size": 2, "hidden_act": "gelu",
}  # fmt: skip
EMBEDDINGS = "bert.embeddings."


def _source(folder: Path, number: float) -> Path:
    """Write a Hugging Face folder of 8 MB whose weights are all of one number."""
    import numpy as np

    from bert4keras2.checkpoints import write_safetensors

    shapes = {
        "word_embeddings.weight": (4000, WIDTH), "position_embeddings.weight": (8, WIDTH),
        "token_type_embeddings.weight": (2, WIDTH), "LayerNorm.weight": (WIDTH,), "LayerNorm.bias": (WIDTH,),
    }  # fmt: skip
    folder.mkdir(parents=True)
    write_safetensors(
        folder / "model.safetensors", [(EMBEDDINGS + n, np.full(s, number, "float32")) for n, s in shapes.items()]
    )
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def _model() -> Any:
    import keras

    from bert4keras2.training.model import Model

    x = y = keras.Input((WIDTH,))
    for name in "abcd":
        y = keras.layers.Dense(WIDTH, name=name)(y)
    return Model(x, y)


def _converts(to: str, target: Path) -> Callable[[int], object]:
    from bert4keras2.checkpoints import convert

    sources = [_source(target.parent / f"source{number}", number) for number in (1, 2)]
    return lambda number: convert(sources[number % 2], target, to=to, force=True)


def _saves(method: str, target: Path) -> Callable[[int], object]:
    import numpy as np

    model = _model()

    def save(number: int) -> None:
        model.set_weights([np.full(weight.shape, number, "float32") for weight in model.weights])
        getattr(model, method)(target)

    return save


def _writes(target: Path) -> Callable[[int], object]:
    import numpy as np

    from bert4keras2.checkpoints import write_safetensors, write_tensorflow

    write = write_safetensors if target.suffix == ".safetensors" else write_tensorflow
    return lambda number: write(target, [(name, np.full((WIDTH, WIDTH), number, "float32")) for name in "abcd"])


WRITERS: dict[str, tuple[str, Callable[[Path], Callable[[int], object]]]] = {
    "convert to safetensors": ("out", lambda path: _converts("huggingface", path)),
    "convert to TensorFlow": ("out", lambda path: _converts("tensorflow", path)),
    "write_safetensors": ("model.safetensors", _writes),
    "write_tensorflow": ("model.ckpt", _writes),
    "save_weights": ("best_model.weights", lambda path: _saves("save_weights", path)),
    "save_weights, .weights.h5": ("model.weights.h5", lambda path: _saves("save_weights", path)),
    "save, .keras": ("model.keras", lambda path: _saves("save", path)),
    "save, .h5": ("model.h5", lambda path: _saves("save", path)),
}


def numbers_of(path: Path) -> set[float]:
    """Return the numbers that a checkpoint holds."""
    import numpy as np

    if "best_model" in path.name or path.suffix in (".h5", ".keras"):
        from bert4keras2.training.saving import load_model

        model = _model()
        if path.name in ("model.keras", "model.h5"):
            model = load_model(path)
        else:
            model.load_weights(path)
        values = model.get_weights()
    else:
        from bert4keras2.checkpoints import open_checkpoint

        with open_checkpoint(path) as reader:
            values = [reader.read(name) for name in reader.names()]
    return {float(number) for value in values for number in np.unique(value)}


def kill(writer: str, kills: int, seed: int = 0) -> list[str]:
    """Kill a writer at random moments, and return what was not whole afterwards."""
    name, _ = WRITERS[writer]
    drawn, wrong = random.Random(seed), []
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with tempfile.TemporaryDirectory() as work:
        for trial in range(kills):
            folder = Path(work) / "case"
            folder.mkdir(exist_ok=True)
            command = [sys.executable, "-m", "tests.fuzz.kills", "--write", writer, str(folder / name)]
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=ROOT
            ) as child:
                rounds = [child.stdout.readline() for _ in range(2)]
                time.sleep(drawn.uniform(0, 0.4))
                child.kill()
                child.wait()
            if not all(rounds):
                raise RuntimeError(f"{writer} did not write anything")
            try:
                found = numbers_of(folder / name)
                if len(found) != 1:
                    wrong.append(f"{writer}, kill {trial}: {sorted(found)[:5]} in one file")
            except Exception as error:
                wrong.append(f"{writer}, kill {trial}: {type(error).__name__}: {error}")
            for source in folder.glob("source*"):
                shutil.rmtree(source)
    return wrong


def main() -> int:
    """Run the command line; the exit status is 1 if a file was not whole."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kills")
    parser.add_argument("--kills", type=int, default=20, help="of each writer")
    parser.add_argument("--writer", action="append", choices=list(WRITERS))
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write = WRITERS[options.write[0]][1](Path(options.write[1]))
        for number in range(10**6):
            write(number)
            print(number, flush=True)
    failed = 0
    for writer in options.writer or WRITERS:
        wrong = kill(writer, options.kills)
        failed += len(wrong)
        print("\n".join([f"{writer}: {options.kills} kills, {len(wrong)} files not whole", *wrong]), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
