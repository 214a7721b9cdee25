"""What the shape of the code may not change: public names, names in checkpoints, configurations, guesses.

The files in tests/golden/families were written before the families became pages, public_names.json before folders were
moved. A new family or name adds to what they say; what they say stays true.
"""

from __future__ import annotations

import importlib
import json

import pytest
from cases import CASES, build

from bert4keras2.checkpoints import CheckpointMismatchError, open_checkpoint
from bert4keras2.checkpoints.loader import table_for
from bert4keras2.checkpoints.names.matching import possible_paths
from bert4keras2.checkpoints.names.recognise import layer_count, looks_like
from bert4keras2.families.huggingface import huggingface_config
from bert4keras2.families.table import guess_family
from bert4keras2.files import read_json


def lines(family: str, source: str, title: str, names: tuple[str, ...] = ()) -> list[str]:
    """Return what a family's table says, in the form of the recorded file."""
    try:
        table = table_for(family, source, names)
    except CheckpointMismatchError as error:
        return [f"{title}: CheckpointMismatchError: {error}"]
    found = [f"{title}: roots {' '.join(map(repr, table.roots))}"]
    for path in sorted(possible_paths(table, range(1))):
        place = table.find(path)
        transposed = " transposed" if place.transpose else ""
        part = f" part {list(place.part)}" if place.part else ""
        found.append(f"{title}: {path} = {' | '.join(place.names)}{transposed}{part}")
    return [
        *found,
        f"{title}: heads {' '.join(sorted(table.heads))}",
        f"{title}: ignore {' '.join(sorted(table.ignore))}",
    ]


def test_names_in_checkpoints(golden):
    recorded = (golden / "families/names.txt").read_text(encoding="utf-8").splitlines()
    titles = dict.fromkeys(line.split(":")[0] for line in recorded)
    assert len(titles) == 29
    for title in titles:
        family, source, *layout = title.split()
        wanted = [line for line in recorded if line.startswith(f"{title}:")]
        assert lines(family, source, title, tuple(layout[1:])) == wanted


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:Released .* checkpoints hold no pooler")
def test_huggingface_configurations(name, golden):
    recorded = json.loads((golden / "families/huggingface.json").read_text(encoding="utf-8"))
    if name not in recorded:
        pytest.skip("a case that came later")
    try:
        found = huggingface_config(build(name).config)
    except ValueError as error:
        found = f"ValueError: {error}"
    assert found == recorded[name]


def test_guesses(golden):
    for case, family in json.loads((golden / "families/guesses.json").read_text()).items():
        assert guess_family(read_json(golden / "models" / case / "config.json")) == family, case
    for path, (family, layers) in json.loads((golden / "families/recognised.json").read_text()).items():
        with open_checkpoint(golden / "models" / path, names_only=True) as reader:
            assert (looks_like(reader.names()), layer_count(reader.names())) == (family, layers), path


def test_public_names(golden):
    for part, names in json.loads((golden / "public_names.json").read_text()).items():
        if part == "K":
            owner = importlib.import_module("bert4keras2.backend").K
        else:
            owner = importlib.import_module(f"bert4keras2.{part}".rstrip("."))
        missing = [name for name in names if not hasattr(owner, name)]
        assert missing == [], f"bert4keras2.{part} lacks {missing}"


@pytest.mark.parametrize(
    "path",
    [
        "checkpoints.readers.open_checkpoint",
        "checkpoints.conversion.convert",
        "checkpoints.report.describe",
        "checkpoints.hub.from_hub",
        "checkpoints.errors.CheckpointError",
        "checkpoints.safetensors_files.write_safetensors",
        "checkpoints.tf_files.write_tensorflow",
        "models.parallel.data_parallel",
    ],
)
def test_paths_that_scripts_import(path):
    module, _, name = path.rpartition(".")
    assert callable(getattr(importlib.import_module(f"bert4keras2.{module}"), name))
