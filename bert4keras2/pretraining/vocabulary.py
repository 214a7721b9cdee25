"""A vocabulary from counts: the characters of a corpus, and its most common words in other scripts."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable

from bert4keras2.tokenizers.characters import is_cjk_character, is_punctuation
from bert4keras2.tokenizers.normalize import clean

__all__ = ["SPECIAL", "count_words", "make_vocabulary"]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# What spells every word of ASCII letters and digits, whatever is rare in the corpus.
SPELLING = (*string.digits, *string.ascii_lowercase, *(f"##{c}" for c in string.digits + string.ascii_lowercase))


def count_words(texts: Iterable[str], lower: bool = True) -> Counter[str]:
    """Count the words of texts as WordPiece cuts them: ideographs and punctuation marks alone, runs of all else.

    Args:
        texts: texts.
        lower: lower-case them and drop accents, as the tokenizer will.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(clean(text, lower))
    return counts


def make_vocabulary(counts: Counter[str], size: int, characters: float = 0.9995) -> dict[str, int]:
    """Choose tokens by their counts.

    First come the special tokens, ASCII letters and digits (also inside of words), then the most common ideographs and
    punctuation marks until they cover a share of all that occur, then the most common words, as long as there is room.

    Args:
        counts: {word: how often}, of `count_words`.
        size: number of tokens at most.
        characters: the share of all ideographs and marks that have to be covered.

    Returns:
        {token: id}, ids in the order named above, most common ones first.

    Raises:
        ValueError: if there is no room for the special tokens and the spelling.
    """
    fixed = list(dict.fromkeys([*SPECIAL, *SPELLING]))
    if size <= len(fixed):
        raise ValueError(f"vocab_size={size} is too small: {len(fixed)} tokens are special, or spell ASCII words")
    single = {
        word: n for word, n in counts.items() if len(word) == 1 and (is_cjk_character(word) or is_punctuation(word))
    }
    wanted, covered = characters * sum(single.values()), 0
    chosen = dict.fromkeys(fixed)
    for character, count in _most_common(single):
        if covered >= wanted or len(chosen) >= size:
            break
        chosen[character] = None
        covered += count
    for word, _ in _most_common({word: count for word, count in counts.items() if word not in single}):
        if len(chosen) >= size:
            break
        chosen[word] = None
    return {token: index for index, token in enumerate(chosen)}


def _most_common(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Return pairs by falling count; ties by code points, so that the order never depends on how words came."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
