"""Of which family an open checkpoint is, and which of its names is which variable of the model."""

from __future__ import annotations

from typing import Any

from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.loader import table_for
from bert4keras2.checkpoints.names.matching import Matches, keras2_matches, match
from bert4keras2.checkpoints.names.recognise import looks_like
from bert4keras2.checkpoints.names.stored import Stored
from bert4keras2.errors import CheckpointError
from bert4keras2.families.huggingface import translated
from bert4keras2.families.table import FAMILIES, FAMILY_KEY, family_of, guess_family

__all__ = ["SOURCES", "family_for", "matches_of"]

# {format: whose names it uses}
SOURCES = {"tensorflow": "tensorflow", "safetensors": "huggingface", "torch": "huggingface", "keras2_hdf5": "keras2"}
EMBEDDING = "Embedding-Token/embeddings"


def family_for(reader: Reader, settings: dict[str, Any], model: str | None = None) -> str:
    """Return the family: as asked for, as the configuration says, or as the variables look."""
    told = model or settings.get(FAMILY_KEY) or guess_family(settings)
    named = told or _by_layers(reader) or looks_like(reader.names())
    if named is None:
        shown = ", ".join(reader.names()[:3])
        raise CheckpointError(
            f"Cannot tell which model {reader.path!r} is of (its variables: {shown}, ...). Pass its family as --model."
        )
    return family_of(named)[0]


def _by_layers(reader: Reader) -> str | None:
    """Return the family that the layers of a Keras 2 file point to."""
    if reader.format != "keras2_hdf5":
        return None
    layers = {name for name, _ in reader.layers()}
    if "Embedding-Position" in layers:
        return "bert"
    if "Embedding-Relative-Position" in layers:
        return "nezha"
    raise CheckpointError(
        f"The layers in {reader.path!r} do not tell which model they are of. Pass its family as --model (model=)."
    )


def matches_of(reader: Reader, family: str, settings: dict[str, Any]) -> Matches:
    """Return which variable is which in an open checkpoint of a family with a JSON's content (which may be empty)."""
    source = SOURCES[reader.format]
    if source == "keras2":
        return keras2_matches(reader.layers(), table_for(family, "tensorflow"))
    layers = translated(settings).get("num_hidden_layers")
    # ALBERT's blocks that are to go their own ways are one in the file: then the configuration alone counts them.
    matches = match(reader.names(), table_for(family, source, reader), layers or 0)
    preset = FAMILIES[family]
    if not preset.get("share_blocks"):
        # The one block of ALBERT has been found once more under the names of each block.
        for path in [p for p in matches.found if p.startswith(("Transformer-M", "Transformer-F"))]:
            del matches.found[path]
    tied = translated(settings).get("tied_output", preset.get("tied_output", True))
    if tied or not any(path.startswith("Decoder-Transformer-") for path in matches.found):
        # The matrix that scores tokens may be found as the embeddings themselves: such models have no other.
        for path in [p for p, stored in matches.found.items() if p.startswith("Decoder-Output-LM/")]:
            if matches.found[path].name == matches.found.get(EMBEDDING, Stored("")).name:
                del matches.found[path]
    return matches
