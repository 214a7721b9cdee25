"""What `shrink` is told."""

from __future__ import annotations

from dataclasses import dataclass

from bert4keras2.settings import Settings, about

__all__ = ["SIZES", "ShrinkSettings"]

SIZES = ("hidden_size", "num_attention_heads", "intermediate_size", "embedding_size")


@dataclass(frozen=True)
class ShrinkSettings(Settings):
    """What is cut; `python -m bert4keras2 shrink --help` tells the meaning of each value."""

    source: str = about("the model, by folder or name")
    output: str = about("folder of the smaller one")
    corpus: list[str] | None = about("texts whose tokens are counted: files, patterns, folders", None)
    vocab_size: int | None = about("tokens that are kept: special ones, and the most common of the corpus", None)
    blocks: list[int] | None = about("the blocks that are kept, from 0 on; their order is as given", None)
    hidden_size: int | None = about("width (weights are cut or repeated, and rescaled: train it afterwards)", None)
    num_attention_heads: int | None = about("heads of a block", None)
    intermediate_size: int | None = about("width within feed-forward networks", None)
    embedding_size: int | None = about("width of the token embeddings, if it is not that of the model", None)
    field: str = about("the key of texts in JSON Lines", "text")
    encoding: str = about("encoding of the files", "utf-8")
    progress: bool = about("show progress bars", True)

    def __post_init__(self) -> None:
        self.check_numbers()
        if (self.vocab_size is None) != (not self.corpus):
            raise ValueError("vocab_size and corpus belong together: the most common tokens of the corpus are kept")
        if not (self.vocab_size or self.blocks or any(getattr(self, name) for name in SIZES)):
            raise ValueError(f"nothing is to be cut: give vocab_size with corpus, blocks, or one of {', '.join(SIZES)}")
        if self.blocks is not None and (not self.blocks or len(set(self.blocks)) < len(self.blocks)):
            raise ValueError(f"blocks are different numbers from 0 on, not {self.blocks!r}")
