"""From a corpus to shards: in parallel, and from where an interrupted run stopped."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bert4keras2.pretraining.corpus import CorpusError, Passage, corpus_files, read_passages
from bert4keras2.pretraining.shards import (
    Shards,
    Tokenized,
    checksum,
    read_manifest,
    write_manifest,
    write_shard,
)
from bert4keras2.pretraining.words import CONTINUES, Annotator
from bert4keras2.progress import progress_bar
from bert4keras2.snippets.parallel import parallel_apply_generator

__all__ = ["pieces_of", "tokenize_corpus"]

SHARD_CHARACTERS = 2_000_000
PROBE = "中國Ａbc Café ﬁ 1,234.5％【MASK】[MASK]안녕 ΣΑΣ👍🏽"


class _Work:
    """Tokenizes the passages of one shard; a class, so that it can be sent to other processes."""

    def __init__(self, annotate: Annotator, folder: str):
        self.annotate, self.folder = annotate, folder
        self.type = np.uint16 if annotate.tokenizer.vocab_size <= 2**16 else np.uint32

    def __call__(self, job: tuple[int, str, list[Passage]]) -> tuple[int, dict[str, Any]]:
        number, digest, passages = job
        ids, flags, lengths = [], [], []
        for passage in passages:
            first = True
            for text in passage.texts:
                own, marks = self.annotate(text)
                if len(own):
                    marks[0] |= 0 if first else CONTINUES
                    first = False
                    ids.append(own)
                    flags.append(marks)
                    lengths.append(len(own))
        texts = Tokenized(
            np.concatenate(ids).astype(self.type) if ids else np.zeros(0, self.type),
            np.concatenate(flags) if flags else np.zeros(0, np.uint8),
            np.array(lengths, np.int64),
        )
        return number, {**write_shard(self.folder, number, texts), "passages": len(passages), "source": digest}


def tokenize_corpus(
    sources: str | os.PathLike | Sequence[str | os.PathLike],
    tokenizer: Any,
    folder: str | os.PathLike,
    words: str = "jieba",
    workers: int = 1,
    progress: bool = True,
    **reading: Any,
) -> Shards:
    """Tokenize a corpus into a folder of shards; what is there already is not done again.

    Args:
        sources: files, patterns and folders; see `corpus_files`.
        tokenizer: a tokenizer of bert4keras2.tokenizers.
        folder: where the shards go; it is made.
        words: where words begin; see `Annotator`.
        workers: number of processes.
        progress: show a progress bar.
        **reading: `field`, `group_field` and `encoding` of `read_passages`.

    Returns:
        The shards, verified.

    Raises:
        CorpusError: if the corpus is empty or damaged, or differs from what the finished shards were made from (another
            text, another vocabulary): the message tells which, and what to do.
    """
    files = corpus_files(sources)
    folder = os.fspath(folder)
    os.makedirs(folder, exist_ok=True)
    kind = {"tokenizer": _fingerprint(tokenizer), "words": words, "shard_characters": SHARD_CHARACTERS}
    manifest = _manifest(folder, kind)
    done = {number: entry for number, entry in enumerate(manifest["shards"]) if entry and _is_whole(folder, entry)}
    work = _Work(Annotator(tokenizer, words), folder)
    counted = 0
    with progress_bar("tokenizing", None, " characters", progress) as advance:

        def jobs() -> Iterator[tuple[int, str, list[Passage]]]:
            nonlocal counted
            for number, (digest, passages) in enumerate(_chunks(read_passages(files, **reading))):
                counted = number + 1
                if number in done and done[number]["source"] != digest:
                    raise CorpusError(
                        f"{passages[0].place} and what follows is not what shard {number} in {folder} was made from:"
                        " the corpus changed. Take another folder for the shards, or remove this one"
                    )
                advance(sum(len(text) for passage in passages for text in passage.texts))
                if number not in done:
                    yield number, digest, passages

        results = (
            ((None, work(job)) for job in jobs())
            if workers == 1
            else parallel_apply_generator(work, jobs(), workers, 2 * workers, random_seeds=None)
        )
        for _, (number, entry) in results:
            done[number] = entry
            write_manifest(folder, {**kind, "complete": False, "shards": _listed(done)})
    if counted < len(manifest["shards"]):
        raise CorpusError(
            f"the corpus has fewer texts than when {folder} was filled: it changed. Take another folder for the shards,"
            " or remove this one"
        )
    shards = _listed(done)
    if not sum(entry["texts"] for entry in shards):
        raise CorpusError(f"the corpus is empty: no text in {', '.join(files[:5])}{', ...' * (len(files) > 5)}")
    totals = {key: sum(entry[key] for entry in shards) for key in ("passages", "texts", "tokens")}
    write_manifest(folder, {**kind, "complete": True, "files": files, **totals, "shards": shards})
    return Shards(folder)


def _manifest(folder: str, kind: dict[str, Any]) -> dict[str, Any]:
    manifest = read_manifest(folder) or {**kind, "shards": []}
    for name, what in (("tokenizer", "another vocabulary or tokenizer"), ("words", "words cut otherwise")):
        if manifest[name] != kind[name]:
            raise CorpusError(
                f"{folder} was filled with {what}: take another folder for the shards, or remove this one"
            )
    return manifest


def _listed(done: dict[int, dict[str, Any]]) -> list[Any]:
    """Return entries by number, None for those that are not finished yet."""
    return [done.get(number) for number in range(max(done, default=-1) + 1)]


def _is_whole(folder: str, entry: dict[str, Any]) -> bool:
    return all(
        os.path.exists(path := os.path.join(folder, name)) and checksum(path) == told["sha256"]
        for name, told in entry["files"].items()
    )


def _chunks(passages: Iterator[Passage]) -> Iterator[tuple[str, list[Passage]]]:
    """Yield (digest of the texts, passages), each of about as many characters."""
    for first in passages:
        chunk, characters, digest = [], 0, hashlib.sha256()
        for passage in itertools.chain([first], passages):
            chunk.append(passage)
            for text in passage.texts:
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
                characters += len(text)
            digest.update(b"\1")
            if characters >= SHARD_CHARACTERS:
                break
        yield digest.hexdigest(), chunk


def pieces_of(tokenizer: Any) -> list[str]:
    """Return all tokens of a tokenizer, in the order of their ids."""
    return [tokenizer.id_to_token(index) for index in range(tokenizer.vocab_size)]


def _fingerprint(tokenizer: Any) -> str:
    """Return what tells two tokenizers apart: their class, their vocabulary, and what they do to a difficult text."""
    seen = (type(tokenizer).__name__, pieces_of(tokenizer), tokenizer._body_tokens(PROBE))
    return hashlib.sha256(repr(seen).encode("utf-8", "backslashreplace")).hexdigest()
