"""Sentences of the same meaning: sample them, rank them by their vectors (SimBERT, RoFormer-Sim)."""

from __future__ import annotations

from typing import Any

from bert4keras2.arguments import whole_number
from bert4keras2.embeddings import rank_by_similarity

__all__ = ["gen_synonyms"]


def gen_synonyms(
    generator: Any,
    encoder: Any,
    text: str,
    n: int = 100,
    k: int = 20,
    max_new_tokens: int = 64,
    **options: Any,
) -> list[tuple[str, float]]:
    """Return sentences like a text: samples of a generator, the nearest by an encoder first.

    Models trained for it are SimBERT and RoFormer-Sim (kexue.fm/archives/7427 and 8454), of which one model serves
    both: `Generator(model, tokenizer)` and `SentenceEncoder(model, tokenizer, pooling="pooler")`.

    Args:
        generator: a `Generator` with a tokenizer.
        encoder: a `SentenceEncoder`.
        text: what to find synonyms of.
        n: how many sentences to sample.
        k: how many to return at most: empty ones, duplicates and the text itself do not count.
        max_new_tokens: most tokens of a sentence.
        **options: of `Generator.generate`, such as top_p=0.95 or seed; without any of top_k, top_p and min_p,
            top_k is 5.

    Returns:
        Up to k pairs (sentence, cosine with the text), falling; none if no other sentence was drawn.

    Raises:
        TypeError: if the text is not a str, or the generator has no tokenizer.
        ValueError: if n or k is below 1, or strategy is not "sample".
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a str, not {type(text).__name__}: call gen_synonyms once for each text")
    if generator.tokenizer is None:
        raise TypeError("gen_synonyms() compares texts, so the Generator needs a tokenizer")
    for name, value in (("n", n), ("k", k)):
        whole_number(name, value, 1)
    if options.setdefault("strategy", "sample") != "sample":
        raise ValueError(f"gen_synonyms() draws different sentences: strategy is 'sample', not {options['strategy']!r}")
    if "num_return" in options:
        raise ValueError("num_return says how many sentences to sample: pass it as n")
    if not any(options.get(name) for name in ("top_k", "top_p", "min_p")):
        options["top_k"] = 5
    drawn = generator.generate([text], max_new_tokens, num_return=n, **options)[0]
    drawn = drawn if n > 1 else [drawn]
    # What a tokenizer makes of the text counts as the text: lower case, other blanks.
    known = {text.strip(), generator.tokenizer.decode(_ids(generator.tokenizer, text)).strip()}
    found = [one for one in dict.fromkeys(result.text.strip() for result in drawn) if one and one not in known]
    return rank_by_similarity(encoder, text, found)[:k]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer.tokens_to_ids(tokenizer._tokenize(text))
