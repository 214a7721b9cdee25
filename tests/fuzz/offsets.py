"""Places of tokens in random texts of all planes: `python -m tests.fuzz.offsets --cases 100000`.

Every character that is neither white space nor dropped by the tokenizer's own rules is covered, once, in order.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

GOLDEN = Path(__file__).parent.parent / "golden" / "tokenizers"
# Planes, and within the first one what texts are made of.
BLOCKS = (
    (0x20, 0x7F), (0, 0x300), (0x300, 0x370), (0x370, 0x600), (0x600, 0x3400), (0x3400, 0xA000), (0xA000, 0xD800),
    (0xE000, 0x10000), (0x10000, 0x20000), (0x20000, 0x30000), (0x30000, 0xE0000), (0xE0000, 0x110000),
)  # fmt: skip
PARTS = (
    "##", "#", "##a", "a##", "## ", "##的", "[UNK]", "[MASK]", "İ", "ΑΣ", "ς", "\u0301", "\u302e\u1b44", "ﬁ", "한",
    "\u2028", "\x85", "\ufeff", "我", ",", "a", "ing", " ", "\u3000", "\u200d", "😀",
)  # fmt: skip


def texts(random: Random, cases: int) -> Iterator[str]:
    """Yield random texts, half of whose parts are such as have gone wrong somewhere."""
    for _ in range(cases):
        parts = []
        for _ in range(random.randrange(24)):
            picked = random.choice(PARTS) if random.random() < 0.5 else chr(random.randrange(*random.choice(BLOCKS)))
            parts.append(picked)
        yield "".join(parts)


def tokenizers() -> dict[str, tuple[Any, Callable[[str], bool]]]:
    """Return tokenizers, each with whether a character alone leaves a trace in its tokens."""
    from bert4keras2.tokenizers import SpTokenizer, Tokenizer
    from bert4keras2.tokenizers.characters import is_control, is_space
    from bert4keras2.tokenizers.normalize import clean

    vocab = str(GOLDEN / "vocab.txt")
    found = {
        "lower": Tokenizer(vocab, do_lower_case=True),
        "cased": Tokenizer(vocab),
        "words": Tokenizer(vocab, do_lower_case=True, pre_tokenize=str.split),
        "literals": Tokenizer(vocab, do_lower_case=True, never_split=["[MASK]", "[UNK]"]),
        "marks": Tokenizer({"##": 5, "##a": 6, "a##": 7, **_vocabulary(vocab)}, pre_tokenize=str.split),
    }
    pairs = {name: (one, lambda char, one=one: bool(clean(char, one._do_lower_case))) for name, one in found.items()}
    try:
        pieces = SpTokenizer(str(GOLDEN / "sp.model"), token_start=None, token_end=None)

        def kept(char: str) -> bool:
            return not (is_control(char) or is_space(char)) and any(t != "\u2581" for t in pieces.tokenize(char))

        pairs["pieces"] = pieces, kept
    except ImportError:
        pass
    return pairs


def _vocabulary(path: str) -> dict[str, int]:
    from bert4keras2.tokenizers import load_vocab

    return {token: id + 10 for token, id in load_vocab(path).items()}


def wrong_places(tokenizer: Any, leaves_a_trace: Callable[[str], bool], text: str) -> str | None:
    """Return what is wrong with the places of a text's tokens, None for nothing."""
    places = tokenizer.rematch(text, tokenizer.tokenize(text))
    flat = [at for place in places for at in place]
    # A character that becomes several tokens is listed by each of them.
    spans = [(place[0], place[-1]) for place in places if place]
    if spans != sorted(spans) or any(place != sorted(place) for place in places):
        return f"not in order: {places}"
    kept = {at for at, char in enumerate(text) if not char.isspace() and leaves_a_trace(char)}
    dropped = {at for at, char in enumerate(text) if not (char.isspace() or leaves_a_trace(char))}
    if missing := kept - set(flat):
        return f"characters {sorted(missing)} are of no token: {places}"
    if added := dropped & set(flat):
        return f"characters {sorted(added)} are dropped and yet of tokens: {places}"
    return None


def run(cases: int, seed: int = 0) -> dict[str, list[tuple[str, str]]]:
    """Return, for each tokenizer, the texts that came out wrong and how."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, (tokenizer, leaves_a_trace) in tokenizers().items():
        traces: dict[str, bool] = {}

        def remembered(char: str, traces: dict = traces, of: Callable[[str], bool] = leaves_a_trace) -> bool:
            if char not in traces:
                traces[char] = of(char)
            return traces[char]

        checked = ((text, wrong_places(tokenizer, remembered, text)) for text in texts(Random(seed), cases))
        found[name] = [(text, wrong) for text, wrong in checked if wrong]
    return found


def main() -> int:
    """Run the command line; the exit status is 1 if a text came out wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.offsets")
    parser.add_argument("--cases", type=int, default=100_000, help="texts for each tokenizer")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    found = run(options.cases, options.seed)
    for name, wrong in found.items():
        print(f"{name}: {options.cases} texts, {len(wrong)} wrong", flush=True)
        for text, why in wrong[:5]:
            print(f"  {text!r}: {why}")
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
