"""The special tokens of Hugging Face's tokenizers: what their files call them and where they stand around texts."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from bert4keras2.errors import CheckpointFormatError
from bert4keras2.files import read_json
from bert4keras2.tokenizers.truncation import PATTERNS

__all__ = ["NAMED_ROLES", "OPTIONS", "Layout", "named_tokens", "read_layout"]

# Files name the token of a role under "pad_token" and so on.
NAMED_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
# What may be said of a token besides.
OPTIONS = ("lstrip", "rstrip", "single_word", "normalized")
_NAMES = tuple(f"{role}_token" for role in NAMED_ROLES)
_FILES = ("special_tokens_map.json", "tokenizer_config.json")  # what a later one says wins


@dataclass(frozen=True)
class Layout:
    """The tokens around a text and a pair of texts.

    Attributes:
        start: token before a text, or None.
        end: token after a text, or None.
        pattern: the shape of a pair: one of `PATTERNS`, or the file's own words for one that is none of them.
        second_segment: segment id of a second text.
    """

    start: str | None = None
    end: str | None = None
    pattern: str = "S*E*E"
    second_segment: int = 0


def named_tokens(folder: str) -> dict[str, Any]:
    """Return what the files beside a vocabulary say.

    Args:
        folder: where special_tokens_map.json, tokenizer_config.json and added_tokens.json may be.

    Returns:
        The content of the first two, each token as a str; under 'options' {token: what the files say of it}, under
        'added' {id: {'content': token, ...}} of tokens that are added to the vocabulary.

    Raises:
        ValueError: if one of the files is damaged.
    """
    named: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    for name in _FILES:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            for key, value in read_json(path).items():
                if key in _NAMES and isinstance(value, dict):
                    value = _checked(value, key, path)
                    options[value["content"]] = value
                    value = value["content"]
                elif key in _NAMES and value is not None and not isinstance(value, str):
                    raise CheckpointFormatError(f"{path}: {key} is a token, not {value!r:.100}")
                named[key] = value
    added: dict[int, dict[str, Any]] = {}
    path = os.path.join(folder, "added_tokens.json")
    if os.path.isfile(path):
        added = {_number(id, path): {"content": token} for token, id in read_json(path).items()}
    decoder = named.get("added_tokens_decoder") or {}
    path = os.path.join(folder, _FILES[-1])
    if not isinstance(decoder, dict):
        raise CheckpointFormatError(f"{path}: added_tokens_decoder maps ids to tokens, it is {decoder!r:.100}")
    for id, token in decoder.items():
        added[_number(int(id) if re.fullmatch("[0-9]{1,9}", id) else id, path)] = _checked(token, id, path)
    return {**named, "options": options, "added": added}


def _checked(token: Any, key: str, path: str) -> dict[str, Any]:
    """Return a token with its options, once they are such."""
    fine = isinstance(token, dict) and isinstance(token.get("content"), str) and token["content"]
    if not fine or not all(isinstance(token.get(name, True), bool) for name in (*OPTIONS, "special")):
        raise CheckpointFormatError(
            f"{path}: {key} is a token, an object with 'content' and {', '.join(OPTIONS)}, not {token!r:.100}"
        )
    return token


def _number(id: Any, path: str) -> int:
    if type(id) is not int or not 0 <= id < 2**31:
        raise CheckpointFormatError(f"{path}: the id of an added token is a whole number from 0 on, not {id!r:.100}")
    return id


def read_layout(processor: dict[str, Any] | None, path: str, edges_known: bool) -> Layout:
    """Return the tokens around texts of a tokenizer.json.

    Args:
        processor: its post_processor.
        path: the file, for messages.
        edges_known: whether the caller knows the tokens around a text; what is not supported here is then left out.

    Raises:
        ValueError: if it puts something else than at most one token before and one after a text.
    """
    try:
        return _read_layout(processor, path, edges_known)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise CheckpointFormatError(
            f"{path}: the post_processor is described in a way that cannot be ({type(error).__name__}: {error})"
        ) from error


def _read_layout(processor: dict[str, Any] | None, path: str, edges_known: bool) -> Layout:
    parts = [] if processor is None else processor.get("processors", [processor])
    parts = [part for part in parts if part["type"] != "ByteLevel"]  # which only trims offsets
    if not parts:
        return Layout()
    kind = parts[0]["type"]
    if len(parts) == 1 and kind in ("BertProcessing", "RobertaProcessing"):
        start, end = parts[0]["cls"][0], parts[0]["sep"][0]
        return Layout(start, end, "S*E*E", 1) if kind == "BertProcessing" else Layout(start, end, "S*EE*E", 0)
    if len(parts) == 1 and kind == "TemplateProcessing":
        layout = _of_template(parts[0])
        if layout is not None:
            return layout
        what = "puts " + " ".join(_names(parts[0], parts[0]["single"])) + " for a text A"
    else:
        what = "is of the type " + ", ".join(part["type"] for part in parts)
    if edges_known:
        return Layout()
    raise CheckpointFormatError(
        f"{path}: the post_processor {what}; supported is one token before a text and one after it, or none: name "
        "them by token_start= and token_end="
    )


def _names(processor: dict[str, Any], template: list[dict[str, Any]]) -> list[str]:
    """The tokens of a template, and the letters A and B for texts."""
    names: list[str] = []
    for item in template:
        if "Sequence" in item:
            names.append(item["Sequence"]["id"])
        else:
            names += processor["special_tokens"][item["SpecialToken"]["id"]]["tokens"]
    return names


def _of_template(processor: dict[str, Any]) -> Layout | None:
    single = _names(processor, processor["single"])
    place = single.index("A") if single.count("A") == 1 else -1
    before, after = single[:place], single[place + 1 :]
    if place < 0 or len(before) > 1 or len(after) > 1:
        return None
    pair = _names(processor, processor["pair"])
    middle = {"S*E*E": after, "S*ESE": after + before, "S*EE*E": after + after}
    pattern = next((name for name in PATTERNS if pair == [*before, "A", *middle[name], "B", *after]), " ".join(pair))
    start, end = before[0] if before else None, after[0] if after else None
    # Without special tokens there are no segments: that the second text has another type is the library's default.
    types = {item["Sequence"]["id"]: item["Sequence"]["type_id"] for item in processor["pair"] if "Sequence" in item}
    return Layout(start, end, pattern, types.get("B", 0) if start or end else 0)
