"""The texts that both models read: a file with one in each line."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from bert4keras2.files import write_text
from bert4keras2.pretraining.corpus import CorpusError, corpus_files, read_passages
from bert4keras2.pretraining.distillation.config import DistillationConfig
from bert4keras2.pretraining.words import SENTENCE_ENDS
from bert4keras2.progress import shown

__all__ = ["prepare_lines", "read_lines"]

LINES = "texts.txt"


def prepare_lines(config: DistillationConfig) -> str:
    """Return the path of the file of texts; it is made once for a run.

    Raises:
        CorpusError: if the corpus has no text.
    """
    path = os.path.join(config.output, LINES)
    if os.path.exists(path):
        return path
    os.makedirs(config.output, exist_ok=True)
    lines = list(shown(_lines(config), "reading", " texts", config.progress))
    if not lines:
        raise CorpusError(f"the corpus has no text of {config.shortest} characters or more")
    order = np.random.default_rng(config.seed).permutation(len(lines))[: config.texts]
    write_text(path, "".join(lines[index] + "\n" for index in order))
    return path


def _lines(config: DistillationConfig) -> Iterator[str]:
    seen: set[int] = set()
    for passage in read_passages(corpus_files(config.corpus), field=config.field, encoding=config.encoding):
        for text in passage.texts:
            for part in SENTENCE_ENDS.split(text) if config.sentences else [text]:
                line = " ".join(part.split())
                if len(line) >= config.shortest and hash(line) not in seen:
                    seen.add(hash(line))
                    yield line


def read_lines(path: str) -> list[str]:
    """Return the texts of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()
