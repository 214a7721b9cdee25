"""What a checkpoint is: family, sizes, heads, and what in it does not fit together; names and shapes are enough."""

from __future__ import annotations

import math
import os
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from bert4keras2.checkpoints.conversion.configuration import spelt_out
from bert4keras2.checkpoints.folder import find_config, find_vocabulary, find_weights
from bert4keras2.checkpoints.matches import SOURCES, family_for, matches_of
from bert4keras2.checkpoints.names.matching import Matches
from bert4keras2.checkpoints.names.shapes import Shapes, heads, missing, sizes, structure
from bert4keras2.checkpoints.readers import Reader, open_names
from bert4keras2.checkpoints.released import find_released
from bert4keras2.errors import CheckpointError, CheckpointNotFoundError
from bert4keras2.families.config import read_config
from bert4keras2.families.table import family_of, guess_family

__all__ = ["Description", "describe"]

NEEDED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
USUAL_HEAD = 64
# What an optimizer leaves per variable; counters and copies of tied matrices are none of it.
SLOT = r"(?i)adam|lamb|_slot_|adafactor|ExponentialMovingAverage"


@dataclass
class Description:
    """What a checkpoint is.

    Args:
        weights: path of the weights.
        format: 'tensorflow', 'safetensors', 'torch', 'keras2_hdf5' or 'tensorflow_objects'.
        configuration: path of the JSON, None if there is none.
        vocabulary: path of the vocabulary, None if there is none.
        tokens: its size.
        family: name of the model's family, None if nothing tells.
        told_by: "configuration" or "variables", or "argument".
        released: name of the released package that it seems to be.
        sizes: {name: value} as the variables have them.
        configured: {name: value} as the configuration says.
        structure: what is special about its blocks.
        heads: what it holds besides the trunk.
        options: {option: value} of build_transformer_model that the variables imply.
        variables: number of the model's variables.
        parameters: number of their values.
        dtypes: {type: number of variables}.
        slots: number of variables that an optimizer left.
        left_out: their names, and of copies of tied matrices.
        unknown: names that the family's tables do not know.
        untold: what neither variables nor configuration tell.
        notes: what is worth knowing and no fault.
        problems: what does not fit.
        call: Python code that loads it, None where it cannot be loaded.
    """

    weights: str
    format: str
    configuration: str | None = None
    vocabulary: str | None = None
    tokens: int | None = None
    family: str | None = None
    told_by: str | None = None
    released: str | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    configured: dict[str, Any] = field(default_factory=dict)
    structure: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    variables: int = 0
    parameters: int = 0
    dtypes: dict[str, int] = field(default_factory=dict)
    slots: int = 0
    left_out: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    call: str | None = None
    shapes: dict[str, list[int]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary that JSON can hold."""
        return asdict(self)


def describe(path: str | os.PathLike[str], model: str | None = None) -> Description:
    """Describe a checkpoint; no variable is read, and TensorFlow is not imported.

    Args:
        path: a folder, a TensorFlow prefix or a file of weights.
        model: name of its family, where neither configuration nor variables tell.

    Raises:
        CheckpointError: if there are no weights, or they cannot be opened.
        ValueError: for an unknown `model`.
    """
    path = os.fspath(path)
    whole = os.path.isdir(path)
    weights = find_weights(path)[0] if whole else path
    with open_names(weights) as reader:
        found = Description(reader.path, reader.format)
        found.shapes = {name: list(reader.shape(name)) for name in reader.names()}
        if problem := getattr(reader, "problem", None):
            found.problems.append(problem)
        settings = _read_config(found, path if whole else os.path.dirname(os.path.abspath(weights)))
        family = _family(found, reader, settings, model)
        if family is None:
            _count(found, reader, list(reader.names()))
            return found
        try:
            matches = matches_of(reader, family, settings)
        except CheckpointError as error:
            found.problems.append(str(error))
            return found
        shapes = Shapes(reader, matches)
        _fill(found, reader, matches, shapes, settings)
    found.call = _call(found, path if whole else None, model)
    return found


def _read_config(found: Description, folder: str) -> dict[str, Any]:
    try:
        found.configuration = find_config(folder, found.format)
        settings = read_config(found.configuration)
    except CheckpointNotFoundError:
        found.notes.append("There is no configuration beside the weights: sizes are told from their shapes.")
        settings = {}
    except (CheckpointError, ValueError) as error:
        found.configuration = None
        found.problems.append(str(error))
        settings = {}
    try:
        vocab, pieces = find_vocabulary(folder)
    except CheckpointError as error:
        found.problems.append(str(error))
        vocab = pieces = None
    found.vocabulary = vocab or pieces
    if vocab is not None:
        with open(vocab, "rb") as file:
            found.tokens = len(file.read().rstrip(b"\r\n").split(b"\n"))
    elif pieces is not None:
        found.tokens = _pieces(pieces, found)
    return settings


def _pieces(path: str, found: Description) -> int | None:
    try:
        import sentencepiece

        return sentencepiece.SentencePieceProcessor(model_file=path).get_piece_size()
    except ImportError:
        found.untold.append("the size of the vocabulary (needs pip install sentencepiece)")
    except (RuntimeError, OSError) as error:
        found.problems.append(f"{path} is no SentencePiece model: {error}")
    return None


def _family(found: Description, reader: Reader, settings: dict[str, Any], model: str | None) -> str | None:
    if reader.format not in SOURCES:
        found.notes.append(
            "A tf.keras checkpoint numbers layers: build the model it was saved from, then load_weights."
        )
        found.untold.append("family and sizes")
        return None
    released = find_released(os.path.dirname(os.path.abspath(reader.path)))
    found.released = released.name if released else None
    try:
        if model is None and settings:
            found.told_by = "configuration" if guess_family(settings) else "variables"
        else:
            found.told_by = "argument" if model else "variables"
        found.family = family_for(reader, settings, model)
    except (CheckpointError, ValueError) as error:
        if model is not None:
            raise
        found.told_by = None
        found.problems.append(str(error))
        return None
    if found.family == "roformer" and found.told_by == "variables" and released is None:
        found.notes.append(
            "RoFormer and NEZHA have the same variables; only the configuration tells them apart, and it is silent "
            "(use_relative_position is NEZHA's). Pass model='nezha' if it is one."
        )
    return found.family


def _fill(found: Description, reader: Reader, matches: Matches, shapes: Shapes, settings: dict[str, Any]) -> None:
    family = str(found.family)
    _count(found, reader, sorted({stored.name for stored in matches.found.values()}))
    found.left_out, found.unknown = matches.left_out, matches.unknown
    found.slots = sum(re.search(SLOT, name) is not None for name in found.left_out)
    found.sizes, found.options = sizes(shapes, family)
    found.structure, found.heads = structure(shapes), heads(shapes, family)
    if settings:
        found.configured = {key: value for key, value in spelt_out(settings).items() if key in CONFIGURED}
        found.problems += _disagreements(found, family)
    layers = found.configured.get("num_hidden_layers") or found.sizes.get("num_hidden_layers") or 0
    found.problems += missing(shapes, family, min(layers, found.sizes.get("num_hidden_layers", layers)))
    rows = found.sizes.get("vocab_size")
    if found.tokens is not None and rows is not None and found.tokens != rows:
        text = f"{os.path.basename(str(found.vocabulary))} has {found.tokens} tokens, the embedding {rows} rows"
        # Tables are padded to round sizes.
        padded = found.tokens < rows and (rows % 8 == 0 or not str(found.vocabulary).endswith(".txt"))
        (found.notes if padded else found.problems).append(text + (" (padded to a round number)" if padded else ""))
    known = {**found.sizes, **found.configured}
    found.untold += [f"{name}{_usual(name, found)}" for name in NEEDED if name not in known]
    if not settings:
        found.untold.append("hidden_act (usual: gelu)")
    if not matches.found:
        found.problems.append(f"none of the variables has a name that {family} checkpoints use")


CONFIGURED = {
    *NEEDED, "embedding_size", "max_position_embeddings", "type_vocab_size", "attention_head_size",
    "attention_key_size", "hidden_act", "max_relative_position", "layer_norm_eps",
}  # fmt: skip


def _usual(name: str, found: Description) -> str:
    width = found.sizes.get("hidden_size", 0)
    if name == "num_attention_heads" and width and width % USUAL_HEAD == 0:
        return f" (usual: one for {USUAL_HEAD} of the width, {width // USUAL_HEAD})"
    return ""


def _disagreements(found: Description, family: str) -> list[str]:
    """Return lines about sizes that configuration and variables give differently."""
    said = dict(found.configured)
    if "hidden_size" in said:
        said["embedding_size"] = said.get("embedding_size") or said["hidden_size"]
    lines = []
    for name, stored in found.sizes.items():
        wanted = said.get(name)
        if wanted is None or wanted == stored:
            continue
        if name == "type_vocab_size" and stored == 0:
            continue  # an option: segment_vocab_size=0
        what = "layers" if name == "num_hidden_layers" else name
        lines.append(f"the configuration says {wanted} {what}, the file has {stored}")
    heads, width = said.get("num_attention_heads"), said.get("hidden_size")
    if heads and width and not said.get("attention_head_size") and width % heads:
        lines.append(f"hidden_size {width} is not a multiple of num_attention_heads {heads}")
    return lines


def _count(found: Description, reader: Reader, names: list[str]) -> None:
    found.variables = len(names)
    found.parameters = sum(math.prod(reader.shape(name)) for name in names)
    for name in names:
        found.dtypes[reader.dtype(name)] = found.dtypes.get(reader.dtype(name), 0) + 1


def _call(found: Description, folder: str | None, model: str | None) -> str | None:
    """Return the Python call that loads the checkpoint with all of its heads."""
    if any(line.startswith("none of the variables") for line in found.problems):
        return None
    name, options = model or str(found.family), dict(found.options)
    released = find_released(os.path.dirname(os.path.abspath(found.weights)))
    if released is not None and model is None and family_of(released.model)[0] == found.family:
        name, options = released.model, {**options, **released.options}
        if name in ("cdial_gpt",):
            options.pop("segment_vocab_size", None)
    if name.startswith(("t5", "mt5")) and found.heads and all("encoder" in head for head in found.heads):
        name += "_encoder"
    arguments: list[str] = []
    keras2 = found.format == "keras2_hdf5"
    if folder is not None and found.configuration is not None and not keras2:
        arguments.append(repr(folder))
    elif found.configuration is not None:
        arguments += [repr(found.configuration)] + ([] if keras2 else [repr(found.weights)])
    else:
        arguments += [] if keras2 else [f"checkpoint_path={found.weights!r}"]
        options = {**_as_keywords(found), **options}
    if name != "bert":
        arguments.append(f"model={name!r}")
    arguments += [f"{key}={value!r}" for key, value in options.items()]
    call = f"build_transformer_model({', '.join(arguments)})"
    return f"{call}.load_weights({found.weights!r})" if keras2 else call


def _as_keywords(found: Description) -> dict[str, Any]:
    """Return the sizes as keywords, with the usual number of heads where nothing tells it."""
    given = {name: value for name, value in found.sizes.items() if name != "type_vocab_size"}
    if given.get("embedding_size") == given.get("hidden_size"):
        given.pop("embedding_size", None)
    if "num_attention_heads" not in given and given.get("hidden_size"):
        given["num_attention_heads"] = max(1, given["hidden_size"] // USUAL_HEAD)
    return given
