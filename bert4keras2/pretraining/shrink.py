"""`shrink`: a smaller model from a released one, by its vocabulary, its blocks and its width."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.checkpoints.folder import copy_companions, find_vocabulary
from bert4keras2.models import build_transformer_model
from bert4keras2.pretraining.corpus import corpus_files, read_passages
from bert4keras2.pretraining.shrink_settings import SIZES, ShrinkSettings
from bert4keras2.pretraining.texts import VOCABULARY
from bert4keras2.progress import shown
from bert4keras2.tokenizers import Tokenizer, load_tokenizer, save_vocab

__all__ = ["Shrunk", "shrink"]


@dataclass(frozen=True)
class Shrunk:
    """What was cut.

    Attributes:
        folder: of the smaller model.
        parameters: before and after.
        coverage: share of the corpus' tokens that the smaller vocabulary has; 1 if it is the whole one.
    """

    folder: str
    parameters: tuple[int, int]
    coverage: float = 1.0

    def summary(self) -> str:
        """Return it in words."""
        before, after = self.parameters
        lines = [f"{self.folder}: {after:,} of {before:,} parameters"]
        if self.coverage < 1:
            lines.append(f"Its vocabulary has {self.coverage:.4%} of the corpus' tokens.")
        return "\n".join(lines)


def shrink(settings: ShrinkSettings) -> Shrunk:
    """Write a smaller model, with its vocabulary, into a folder.

    Args:
        settings: what is cut.

    Raises:
        CheckpointNotFoundError: if the source is no folder and no known name.
        CorpusError: if the corpus is empty or damaged.
        ValueError: if the model has no such block, its vocabulary is no vocab.txt, or sizes do not fit together.
    """
    settings = replace(settings, source=resolve(settings.source))
    options: dict[str, Any] = {}
    kept, coverage, tokenizer = None, 1.0, None
    if settings.vocab_size is not None:
        tokenizer = load_tokenizer(settings.source)
        kept, coverage = kept_tokens(settings, tokenizer)
        options["keep_tokens"] = kept
    whole = _build(settings.source)
    before = whole.model.count_params()
    sizes = {name: value for name in SIZES if (value := getattr(settings, name)) is not None}
    if sizes:
        options |= {**sizes, "autoresize_weights": True}
    cut = _build(settings.source, **options) if options else whole
    if settings.blocks is not None:
        cut = _with_blocks(settings.source, cut, settings.blocks, options)
    os.makedirs(settings.output, exist_ok=True)
    cut.save_pretrained(settings.output)
    copy_companions(settings.source, settings.output)
    if kept is not None and tokenizer is not None:
        tokens = tokenizer.ids_to_tokens(kept)
        save_vocab(os.path.join(settings.output, VOCABULARY), {token: index for index, token in enumerate(tokens)})
    return Shrunk(settings.output, (before, cut.model.count_params()), coverage)


def _build(source: str, **options: Any) -> Any:
    return build_transformer_model(source, with_mlm=True, return_keras_model=False, progress=False, **options)


def kept_tokens(settings: ShrinkSettings, tokenizer: Any) -> tuple[list[int], float]:
    """Return the ids that are kept, in their order, and the share of the corpus' tokens that they are."""
    vocabulary, _ = find_vocabulary(settings.source)
    if vocabulary is None or not isinstance(tokenizer, Tokenizer):
        raise ValueError(
            f"{settings.source} has no vocab.txt: other vocabularies (SentencePiece, tokenizer.json) hold rules besides"
            " tokens, and cannot be cut so"
        )
    assert settings.corpus is not None and settings.vocab_size is not None
    counts: Counter[int] = Counter()
    passages = read_passages(corpus_files(settings.corpus), field=settings.field, encoding=settings.encoding)
    for passage in shown(passages, "counting", " passages", settings.progress):
        for text in passage.texts:
            counts.update(tokenizer._body_ids(text))
    special = {tokenizer.pad_id, tokenizer.unk_id, tokenizer.start_id, tokenizer.end_id, tokenizer.mask_id}
    if settings.vocab_size <= len(special):
        raise ValueError(f"vocab_size={settings.vocab_size} leaves no room beside {len(special)} special tokens")
    common = [token for token, _ in counts.most_common() if token not in special]
    kept = sorted({*special, *common[: settings.vocab_size - len(special)]})
    total = sum(counts.values())
    covered = sum(counts[token] for token in kept if token != tokenizer.unk_id)
    return kept, covered / total if total else 1.0


def _with_blocks(source: str, whole: Any, blocks: Sequence[int], options: dict[str, Any]) -> Any:
    """Return a model with some blocks of another one."""
    count = whole.config.num_hidden_layers
    wrong = [block for block in blocks if not 0 <= block < count]
    if wrong:
        raise ValueError(f"blocks={list(blocks)}: the model has blocks 0 to {count - 1}, and no {wrong[0]}")
    if whole.config.share_blocks:
        raise ValueError("all blocks of this model are one: there is none to be taken away")
    cut = _build(source, **options, num_hidden_layers=len(blocks))
    for new, old in enumerate(blocks):
        for name, layer in whole.layers.items():
            start = whole.prefixed(f"{whole.block_name(old)}-")
            if name.startswith(start):
                target = cut.layers.get(cut.prefixed(f"{cut.block_name(new)}-") + name[len(start) :])
                if target is not None:
                    target.set_weights(layer.get_weights())
    return cut
