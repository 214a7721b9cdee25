"""The formats that are fuzzed: files that are whole, how they are changed, and what reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.fuzz import containers, folders
from tests.fuzz.mutations import mutated_bytes

__all__ = ["FORMATS", "Format"]

Files = dict[str, bytes]
GOLDEN = Path(__file__).parent.parent / "golden" / "models"


class Format(NamedTuple):
    """A format.

    Args:
        seeds: writes whole files into a folder and returns sets of them.
        mutate: changes one set.
        use: reads what is in a folder.
    """

    seeds: Callable[[Path], list[Files]]
    mutate: Callable[[Random, Files], Files]
    use: Callable[[Path], None]


def one_of_them(random: Random, files: Files) -> Files:
    """Change the bytes of one file."""
    name = random.choice(sorted(files))
    return {**files, name: mutated_bytes(random, files[name])}


def read_all(folder: Path) -> None:
    """Open the checkpoint in a folder, read all of it, and describe it."""
    from bert4keras2.checkpoints import describe, open_checkpoint

    main = next((path for path in sorted(folder.iterdir()) if path.name.endswith((".index", ".index.json"))), None)
    path = main or next(path for path in sorted(folder.iterdir()) if not path.name.endswith(".json"))
    with open_checkpoint(path) as reader:
        for name in reader.names():
            value = reader.read(name)
            if value.dtype.name == "object":
                continue
            if value.shape != reader.shape(name) or value.dtype.name != reader.dtype(name):
                raise AssertionError(f"{name}: {value.shape} {value.dtype}, not {reader.shape(name)}")
        for method in ("layers", "full_names"):
            getattr(reader, method, list)()
    describe(path).as_dict()


FORMATS: dict[str, Format] = {
    "safetensors": Format(containers.safetensors_seeds, containers.change_safetensors, read_all),
    "shards": Format(containers.shard_seeds, containers.change_shards, read_all),
    "torch": Format(containers.torch_seeds, containers.change_torch, read_all),
    "torch_legacy": Format(containers.torch_legacy_seeds, one_of_them, read_all),
    "tensorflow": Format(containers.tensorflow_seeds, containers.change_tensorflow, read_all),
    "tensorflow_objects": Format(containers.objects_seeds, containers.change_objects, read_all),
    "tensorflow_v1": Format(containers.v1_seeds, containers.change_tensorflow, read_all),
    "hdf5": Format(containers.hdf5_seeds, one_of_them, read_all),
    "keras_weights": Format(containers.keras_weights_seeds, one_of_them, folders.load_into_model),
    "keras": Format(containers.keras_seeds, containers.change_zip, folders.load_model),
    "config": Format(folders.config_seeds, folders.change_json, folders.use_config),
    "vocabulary": Format(folders.vocabulary_seeds, folders.change_vocabulary, folders.use_vocabulary),
}
