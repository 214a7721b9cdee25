"""Opens a tokenizer.json, or the vocab.json and merges.txt of GPT-2 and RoBERTa, and tells the special tokens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from bert4keras2.errors import CheckpointFormatError, CheckpointNotFoundError
from bert4keras2.files import read_json
from bert4keras2.tokenizers.special_tokens import NAMED_ROLES, OPTIONS, Layout, named_tokens, read_layout

__all__ = ["OpenedTokenizer", "find_tokenizer_json", "open_tokenizer"]

# {vocabulary: its merges}, as Hugging Face and as OpenAI and fairseq call them.
BYTE_PAIR_FILES = {"vocab.json": "merges.txt", "encoder.json": "vocab.bpe"}
_MODELS = ("BPE", "WordPiece", "Unigram", "WordLevel")
# What the tokenizers are called whose vocab.json and merges.txt need nothing else. Those of other models cut words
# differently or have other special tokens, which only their tokenizer.json tells.
_GPT2 = ("GPT2Tokenizer", "GPT2TokenizerFast")
_ROBERTA = tuple(f"{name}Tokenizer{fast}" for name in ("Roberta", "Bart", "Longformer") for fast in ("", "Fast"))
# Usual names of special tokens, for files that do not tell their role.
_USUAL = {"pad": ("[PAD]", "<pad>"), "unk": ("[UNK]", "<unk>"), "mask": ("[MASK]", "<mask>")}


@dataclass(frozen=True)
class OpenedTokenizer:
    """What a file says.

    Attributes:
        tokenizer: the `tokenizers.Tokenizer`; it neither cuts nor pads.
        layout: the tokens around texts.
        tokens: {'pad', 'unk' or 'mask': the token, or None}.
        special: the tokens that are no text.
        kind: 'bytes' for byte-level BPE, 'words' for WordPiece, 'pieces' for all others.
    """

    tokenizer: Any
    layout: Layout
    tokens: dict[str, str | None]
    special: frozenset[str]
    kind: str


def find_tokenizer_json(folder: str) -> str | None:
    """Return the path of a folder's tokenizer.json, without one that of its vocab.json with merges.txt, or None."""
    path = os.path.join(folder, "tokenizer.json")
    if os.path.isfile(path):
        return path
    for vocabulary, merges in BYTE_PAIR_FILES.items():
        if all(os.path.isfile(os.path.join(folder, name)) for name in (vocabulary, merges)):
            return os.path.join(folder, vocabulary)
    return None


def open_tokenizer(path: str | os.PathLike, edges_known: bool = False) -> OpenedTokenizer:
    """Open a tokenizer.json, a vocab.json with its merges.txt beside it, or the folder of either.

    Args:
        path: the file or folder.
        edges_known: whether the caller knows the tokens around a text; a file that puts several there is then fine.

    Raises:
        ImportError: if the package tokenizers is not installed.
        FileNotFoundError: if there is no such file, or its companion is missing.
        ValueError: if the file is damaged or describes what is not supported.
    """
    library = _library()
    path = os.fspath(path)
    if os.path.isdir(path):
        found = find_tokenizer_json(path)
        if found is None:
            raise CheckpointNotFoundError(
                f"The folder {path!r} has no tokenizer.json, nor vocab.json with merges.txt; it has "
                f"{', '.join(map(repr, sorted(os.listdir(path))[:10])) or 'no files'}"
            )
        path = found
    content = read_json(path, "the tokenizer.json of a model")
    folder = os.path.dirname(path)
    named = named_tokens(folder)
    if isinstance(content.get("model"), dict):
        tokenizer = _from_file(library, path, content)
        layout = read_layout(content.get("post_processor"), path, edges_known)
        model = content["model"]
    else:
        tokenizer, layout = _from_byte_pairs(library, path, content, named)
        model = {"type": "BPE"}
        content = {"pre_tokenizer": {"type": "ByteLevel"}}
    tokenizer.no_truncation()
    tokenizer.no_padding()
    added = tokenizer.get_added_tokens_decoder().values()
    special = frozenset(token.content for token in added if token.special)
    steps = [content.get(step) for step in ("normalizer", "pre_tokenizer", "decoder")]
    kind = "bytes" if _mentions(steps, "ByteLevel") else "pieces"
    if model.get("type") == "WordPiece":
        kind = "words"
    return OpenedTokenizer(tokenizer, layout, _roles(tokenizer, content, model, named), special, kind)


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            'A tokenizer.json is read by the package tokenizers: pip install "bert4keras2[tokenizers]"'
        ) from error
    return tokenizers


def _from_file(library: Any, path: str, content: dict[str, Any]) -> Any:
    kind = content["model"].get("type", "BPE")  # old files leave it out
    if kind not in _MODELS:
        raise CheckpointFormatError(f"{path}: the model type {kind!r} is unknown; expected one of {', '.join(_MODELS)}")
    with open(path, encoding="utf-8-sig") as file:
        text = file.read()
    try:
        return library.Tokenizer.from_str(text)
    except Exception as error:  # the library raises no other class
        raise CheckpointFormatError(
            f"{path} is not a tokenizer.json that tokenizers {library.__version__} reads ({error}); is the file "
            "complete? A newer version of that package may know it"
        ) from error


def _from_byte_pairs(library: Any, path: str, vocabulary: dict, named: dict[str, Any]) -> tuple[Any, Layout]:
    folder, name = os.path.split(path)
    if name not in BYTE_PAIR_FILES or not vocabulary or not all(type(id) is int for id in vocabulary.values()):
        raise CheckpointFormatError(
            f"{path} is neither a tokenizer.json (an object with a 'model') nor the vocabulary of byte-level BPE "
            f"({' or '.join(BYTE_PAIR_FILES)}: an object of tokens and ids)"
        )
    kind = named.get("tokenizer_class")
    if kind not in (None, *_GPT2, *_ROBERTA):
        raise CheckpointFormatError(
            f"{path}: the folder is of a {kind}, whose {name} alone does not tell how it works; expected one of "
            f"{', '.join((*_GPT2[:1], *_ROBERTA[::2]))}. Save its tokenizer.json beside it, with save_pretrained of "
            "transformers"
        )
    merges = _read_merges(os.path.join(folder, BYTE_PAIR_FILES[name]))
    try:
        tokenizer = library.Tokenizer(library.models.BPE(vocab=vocabulary, merges=merges))
    except Exception as error:  # the library raises no other class
        raise CheckpointFormatError(f"{path} and {BYTE_PAIR_FILES[name]} do not fit together ({error})") from error
    prefix = bool(named.get("add_prefix_space", False))
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = library.decoders.ByteLevel()
    roberta = kind in _ROBERTA or (kind is None and {"<s>", "</s>"} <= vocabulary.keys())
    if roberta:
        start, end = named.get("cls_token") or "<s>", named.get("sep_token") or "</s>"
        layout = Layout(start, end, "S*EE*E", 0)
        special = [start, "<pad>", end, "<unk>", "<mask>"]
    else:
        start = named.get("bos_token") if named.get("add_bos_token") else None
        layout = Layout(start, None, "S*E*E", 0)
        special = ["<|endoftext|>", *filter(None, [start])]
    special += [named[f"{role}_token"] for role in NAMED_ROLES if named.get(f"{role}_token")]
    _add_tokens(library, tokenizer, [token for token in special if token in vocabulary], named, path)
    return tokenizer, layout


def _read_merges(path: str) -> list[tuple[str, str]]:
    if not os.path.isfile(path):
        raise CheckpointNotFoundError(
            f"There is no file {path}; the vocabulary beside it is of no use without its merges"
        )
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.rstrip("\n") for line in file]
    except UnicodeDecodeError as error:
        raise CheckpointFormatError(f"{path} is not text in UTF-8 ({error}); is it a list of merges?") from error
    merges = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#version"):
            continue
        parts = line.split(" ")
        if len(parts) != 2:
            raise CheckpointFormatError(
                f"{path}, line {number}: expected two tokens with a blank between them, not {line!r:.60}"
            )
        merges.append((parts[0], parts[1]))
    return merges


def _add_tokens(library: Any, tokenizer: Any, special: list[str], named: dict[str, Any], path: str) -> None:
    """Make a vocabulary's special tokens whole in texts, and append the tokens that the companion files add."""
    # A mask takes the blank before it, as in RoBERTa's own files: there it stands for a word with its blank.
    for token in dict.fromkeys(special):
        options = {"lstrip": token == "<mask>", "normalized": False, **_options(named["options"].get(token, {}))}
        tokenizer.add_special_tokens([library.AddedToken(token, **options)])
    for id, token in sorted(named["added"].items()):
        add = tokenizer.add_special_tokens if token.get("special") else tokenizer.add_tokens
        add([library.AddedToken(token["content"], **_options(token))])
        if tokenizer.token_to_id(token["content"]) != id:
            raise CheckpointFormatError(
                f"{path}: the added token {token['content']!r} should have the id {id}, but the vocabulary gives it "
                f"{tokenizer.token_to_id(token['content'])}; do the files belong together?"
            )


def _options(token: dict[str, Any]) -> dict[str, bool]:
    return {name: token[name] for name in OPTIONS if name in token}


def _roles(tokenizer: Any, content: dict, model: dict, named: dict[str, Any]) -> dict[str, str | None]:
    """Return the tokens that pad, stand for unknown text and mask: as named, else as usual."""
    unknown = model.get("unk_token")
    if model.get("unk_id") is not None:
        unknown = tokenizer.id_to_token(model["unk_id"])
    padding = content.get("padding") or {}
    tokens = {"pad": named.get("pad_token") or padding.get("pad_token"), "unk": named.get("unk_token") or unknown}
    tokens["mask"] = named.get("mask_token")
    for role, names in _USUAL.items():
        if tokens[role] is None:
            tokens[role] = next((name for name in names if tokenizer.token_to_id(name) is not None), None)
    return tokens


def _mentions(part: Any, kind: str) -> bool:
    """Whether a part of a tokenizer.json is of a kind, or a sequence with such a part."""
    if isinstance(part, dict):
        return part.get("type") == kind or any(_mentions(value, kind) for value in part.values())
    return isinstance(part, list) and any(_mentions(value, kind) for value in part)
