"""Vocabulary files: one token a line, the line number is the id."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from bert4keras2.errors import CheckpointDamagedError, CheckpointNotFoundError
from bert4keras2.files import atomic_path, reject_impostor
from bert4keras2.old_names import current_arguments
from bert4keras2.tokenizers.characters import is_cjk_character, is_punctuation

__all__ = ["load_vocab", "save_vocab", "stem"]


def stem(token: str) -> str:
    """The text of a piece without the `##` that marks the inside of a word.

    Args:
        token: a token.

    Returns:
        `'ing'` for `'##ing'`; other tokens unchanged.
    """
    return token[2:] if token.startswith("##") else token


def _read_tokens(path: str | os.PathLike, encoding: str) -> list[str]:
    name = os.fspath(path)
    if os.path.isdir(name):
        raise IsADirectoryError(f"vocabulary {name!r} is a folder; pass the file inside it, usually 'vocab.txt'")
    if not os.path.exists(name):
        raise CheckpointNotFoundError(
            f"vocabulary file {name!r} does not exist; check the path of the checkpoint folder"
        )
    if os.path.getsize(name):
        reject_impostor(name, "a vocabulary")
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"  # the same, without the byte order mark that some editors put first
    try:
        with open(name, encoding=encoding) as file:
            lines = list(file)
    except UnicodeError as error:
        raise CheckpointDamagedError(
            f"vocabulary file {name!r} is not {encoding.removesuffix('-sig')} text ({error}); pass encoding=..., "
            "or check that this is the vocabulary and not a model file"
        ) from error
    if not any(line.strip() for line in lines):
        raise CheckpointDamagedError(f"vocabulary file {name!r} is empty; expected one token per line")
    return [(line.split() or [""])[0] for line in lines]


def _is_redundant(token: str) -> bool:
    """Whether Chinese text cannot produce the token: a longer one that holds an ideograph or punctuation."""
    return len(token) > 1 and any(is_cjk_character(char) or is_punctuation(char) for char in stem(token))


def load_vocab(
    dict_path: str | os.PathLike,
    encoding: str = "utf-8",
    simplified: bool = False,
    startswith: Iterable[str] | None = None,
    **old: Any,
) -> dict[str, int] | tuple[dict[str, int], list[int]]:
    """Reads a vocabulary file, optionally cut down to the tokens that Chinese text can produce.

    Args:
        dict_path: file with one token per line; what follows a blank on a line is ignored.
        encoding: encoding of the file.
        simplified: drop the tokens of several characters that hold an ideograph or a punctuation mark, which includes
            every special token that is not in `startswith`.
        startswith: special tokens that come first, in this order, in the simplified vocabulary.
        **old: arguments of earlier releases: startwith.

    Returns:
        token -> id, the id being the line number; with `simplified=True` the pair of (token -> new id, list of the old
        ids in the order of the new ones), the latter for `build_transformer_model(keep_tokens=...)`. A token that
        stands on several lines has the last one's number, with a warning.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: the path is a folder.
        ValueError: the file is empty or not text, or a token of `startswith` is not in it.
    """
    if old:
        startswith = current_arguments("load_vocab", old)["startswith"]
    tokens = _read_tokens(dict_path, encoding)
    token_dict = {token: index for index, token in enumerate(tokens)}
    if len(token_dict) < len(tokens):
        repeated = sorted({token for index, token in enumerate(tokens) if token_dict[token] != index})
        warnings.warn(
            f"vocabulary {os.fspath(dict_path)!r}: {len(repeated)} tokens stand on several lines "
            f"(such as {repeated[:3]}); each has the number of its last line",
            stacklevel=2,
        )
    if not simplified:
        return token_dict
    first = list(dict.fromkeys(startswith or ()))
    missing = [token for token in first if token not in token_dict]
    if missing:
        raise ValueError(
            f"startswith: {missing} are not in the vocabulary {os.fspath(dict_path)!r}; "
            "list only special tokens that it has"
        )
    leading = set(first)
    by_id = sorted(token_dict, key=token_dict.__getitem__)
    kept = first + [token for token in by_id if token not in leading and not _is_redundant(token)]
    return {token: index for index, token in enumerate(kept)}, [token_dict[token] for token in kept]


def save_vocab(dict_path: str | os.PathLike, token_dict: Mapping[str, int], encoding: str = "utf-8") -> None:
    """Writes a vocabulary as a file with one token per line, in the order of the ids.

    Args:
        dict_path: file to write; it is replaced only when the new one is complete.
        token_dict: token -> id.
        encoding: encoding of the file.

    Raises:
        ValueError: a token holds a line end or blank, or the ids are not 0, 1, 2, ..., so that the line numbers of the
            file would not be the ids.
    """
    tokens = sorted(token_dict, key=token_dict.__getitem__)
    for line, token in enumerate(tokens):
        if token_dict[token] != line:
            raise ValueError(
                f"token_dict cannot be saved as lines: {token!r} with id {token_dict[token]} would be line {line}; "
                "the ids must be 0, 1, 2, ... without gaps"
            )
        if token and token.split() != [token]:
            raise ValueError(f"token_dict cannot be saved as lines: token {token!r} holds white space")
    with atomic_path(dict_path) as partial, open(partial, "w", encoding=encoding, newline="\n") as file:
        file.writelines(token + "\n" for token in tokens)
