"""Which characters of the original text each token covers.

All tokenizers know the spans of the tokens that they make themselves (`own`). What a caller passes is usually that
list, perhaps cut at either end, with or without special tokens, or made from ids with `[UNK]` in it: `locate` finds it
in `own`. Other lists are matched token by token, each after the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bert4keras2.tokenizers.detokenize import is_special
from bert4keras2.tokenizers.normalize import clean_with_offsets
from bert4keras2.tokenizers.vocabulary import stem

__all__ = ["locate", "rematch_pieces", "rematch_words"]


def locate(tokenizer: Any, own: list[str], tokens: list[str]) -> tuple[int, int, int] | None:
    """Finds tokens in the list of tokens that the tokenizer makes of a text.

    Args:
        tokenizer: the tokenizer.
        own: its tokens of the text without the special ones at the ends.
        tokens: the tokens to find: all or a part of `own`, with or without the start and end token, where `[UNK]`
            may stand for a token outside the vocabulary.

    Returns:
        (number of start tokens, number of end tokens, index in `own` of the first other token), or None.
    """
    unk = getattr(tokenizer, "_token_unk_id", None)  # byte-level vocabularies know no unknown text
    unknown = {index for index, token in enumerate(own) if tokenizer.token_to_id(token) == unk}
    starts = range(int(tokens[:1] == [tokenizer._token_start]), -1, -1)
    ends = range(int(tokens[-1:] == [tokenizer._token_end]), -1, -1)
    parts = [(start, end, tokens[start : len(tokens) - end]) for start in starts for end in ends]
    # The whole of `own` first: a text may itself begin with the start token when never_split has it.
    for start, end, part in sorted(parts, key=lambda item: len(item[2]) != len(own)):
        last = len(own) - len(part)
        for offset in sorted(range(last + 1), key=lambda place: place not in (0, last)):
            if all(
                token == own[offset + index] or (token == tokenizer._token_unk and offset + index in unknown)
                for index, token in enumerate(part)
            ):
                return start, end, offset
    return None


def _stream(tokenizer: Any, text: str) -> tuple[str, list[int], dict[int, str]]:
    """The characters that tokens are made of, their indices in the text, and where literal tokens start in them."""
    parts, offsets, literals = [], [], {}
    start = 0
    for index, part in enumerate([text] if tokenizer._literals is None else tokenizer._literals.split(text)):
        if index % 2:
            literals[len(offsets)] = part
            chars, local = part, list(range(len(part)))
        else:
            chars, local = clean_with_offsets(part, tokenizer._do_lower_case)
        parts.append(chars)
        offsets.extend(start + offset for offset in local)
        start += len(part)
    return "".join(parts), offsets, literals


def _match(
    tokens: list[str], chars: str, literals: dict[int, str], surfaces: Callable[[str], list[str]]
) -> list[tuple[int, int]]:
    """Spans of tokens in the stream, each at the first place after the one before."""
    spans: list[tuple[int, int]] = []
    position = 0
    for index, token in enumerate(tokens):
        candidates = [token] if literals.get(position) == token else surfaces(token)
        if not candidates:
            spans.append((position, position))
            continue
        found = [(chars.find(candidate, position), rank) for rank, candidate in enumerate(candidates)]
        start, rank = min((pair for pair in found if pair[0] >= 0), default=(-1, 0))
        if start < 0:
            raise ValueError(
                f"token {index}, {token!r}, does not occur in the text after the tokens before it; "
                "pass the text itself and the tokens that this tokenizer made of it"
            )
        position = start + len(candidates[rank])
        spans.append((start, position))
    return spans


def _counted(
    tokens: list[str], chars: str, literals: dict[int, str], spellings: list[list[str]]
) -> list[tuple[int, int]] | None:
    """Spans of tokens that one after the other make up the whole stream; None if they do not.

    The words of a pre_tokenize are normalized once more, which may put marks of one letter in another order; so it is
    lengths that count, and spelling only where a token has two.
    """
    spans: list[tuple[int, int]] = []
    position = 0
    for token, choices in zip(tokens, spellings, strict=True):
        if literals.get(position) == token:
            choices = [token]
        text = next((choice for choice in choices if chars.startswith(choice, position)), choices[-1])
        spans.append((position, position + len(text)))
        position += len(text)
    return spans if position == len(chars) else None


def _texts(token: str, chars: str) -> list[str]:
    """What a token may stand for in a text: `##ing` is the end of a word, or a word of a user's pre_tokenize."""
    if not token.startswith("##") or "##" not in chars:
        return [stem(token)]
    # The word first: what WordPiece makes of a word has no "#" in it, which is punctuation, so where both begin at the
    # same place it is that.
    return [text for text in (token, stem(token)) if text]


def rematch_words(tokenizer: Any, text: str, tokens: list[str]) -> list[list[int]]:
    """The work of `Tokenizer.rematch`, which documents it.

    Args:
        tokenizer: the tokenizer.
        text: the text.
        tokens: its tokens.

    Returns:
        For every token the indices of its characters.
    """
    chars, offsets, literals = _stream(tokenizer, text)
    raw = tokenizer._tokenize(text)
    translate = tokenizer._token_translate
    place = locate(tokenizer, [translate.get(token) or token for token in raw], tokens)
    if place is None:
        sources: dict[str, list[str]] = {}
        for old, new in translate.items():
            sources.setdefault(new, []).extend(_texts(old, chars))

        def surfaces(token: str) -> list[str]:
            return sources.get(token, []) if is_special(token) else [*_texts(token, chars), *sources.get(token, [])]

        spans = _match(tokens, chars, literals, surfaces)
        return [offsets[start:end] for start, end in spans]
    starts, ends, first = place
    # White space inside a token can only come from the words of a user's pre_tokenize.
    spellings = [["".join(part.split()) for part in _texts(token, chars)] for token in raw]
    spans = _counted(raw, chars, literals, spellings)
    if spans is None:
        spans = _match(raw, chars, literals, lambda token: ["".join(part.split()) for part in _texts(token, chars)])
    count = len(tokens) - starts - ends
    body = [offsets[start:end] for start, end in spans[first : first + count]]
    return [[] for _ in range(starts)] + body + [[] for _ in range(ends)]


def rematch_pieces(tokenizer: Any, text: str, tokens: list[str]) -> list[list[int]]:
    """The work of `rematch` for tokenizers whose library tells the places of the pieces it makes.

    Args:
        tokenizer: the tokenizer; its `_word_indices` returns the pieces of a word, each with indices into the word.
        text: the text.
        tokens: its pieces.

    Returns:
        For every piece the indices of its characters.

    Raises:
        ValueError: a piece does not come from the text.
    """
    own = _pieces_with_indices(tokenizer, text)
    place = locate(tokenizer, [tokenizer._token_translate.get(piece) or piece for piece, _ in own], tokens)
    if place is None:
        raise ValueError("tokens are not pieces of this text; pass what tokenize returned, or a part of it")
    starts, ends, first = place
    count = len(tokens) - starts - ends
    body = [indices for _, indices in own[first : first + count]]
    return [[] for _ in range(starts)] + body + [[] for _ in range(ends)]


def _pieces_with_indices(tokenizer: Any, text: str) -> list[tuple[str, list[int]]]:
    """Pieces of a text before translation, each with the indices of its characters that are not blanks."""
    result: list[tuple[str, list[int]]] = []
    start = 0
    for index, part in enumerate([text] if tokenizer._literals is None else tokenizer._literals.split(text)):
        if index % 2:
            result.append((part, list(range(start, start + len(part)))))
        elif part:
            place = start
            for word in [part] if tokenizer._pre_tokenize is None else tokenizer._pre_tokenize(part):
                found = text.find(word, place)
                if found < 0:
                    raise ValueError(f"pre_tokenize returned {word!r}, which is not in the text: no indices for it")
                for piece, indices in tokenizer._word_indices(word):
                    result.append((piece, [found + at for at in indices]))
                place = found + len(word)
        start += len(part)
    return result
