"""One frozen description of a model: sizes from its JSON, structure from its family, options from the call."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bert4keras2.errors import CheckpointError, CheckpointFormatError, CheckpointNotFoundError
from bert4keras2.families.attention_options import PLACED, is_pairwise, kind
from bert4keras2.families.config_values import check_values
from bert4keras2.families.huggingface import SILENT, translated
from bert4keras2.families.validate import validate
from bert4keras2.files import read_json

__all__ = ["OPTIONS", "STRUCTURE", "Config", "make_config", "of_file", "read_config", "unknown_option"]


@dataclass(frozen=True)
class Config:
    """Everything that decides a model's graph; see docs/models.md for the meaning of each option."""

    # Sizes, from the JSON.
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    hidden_act: Any = "gelu"
    embedding_size: int | None = None
    attention_head_size: int | None = None
    attention_key_size: int | None = None
    max_position: int = 512
    segment_vocab_size: int = 2
    task_vocab_size: int = 0  # rows of ERNIE's table of tasks; 0: there is none
    sequence_length: int | None = None
    dropout_rate: float = 0.0
    attention_dropout_rate: float = 0.0
    initializer_range: float = 0.02
    max_relative_position: int = 64  # distances beyond share a vector (position="relative")
    relative_attention_num_buckets: int = 32  # of T5's biases, read from Hugging Face configurations alone
    relative_attention_max_distance: int = 128
    normalization: str = "softmax"  # of attention scores: softmax | softmax_plus | squared_relu
    attention_scale: bool = True  # divide scores by the root of the key size
    # What a block is; families say it too. docs/attention.md explains these.
    block: str = "attention"  # attention (with a feed-forward network after it) | gau | flash | gmlp
    attention: Any = "softmax"  # what mixes tokens in a block of attention: softmax | linear | ...
    tiny_attention: int | None = None  # size of the attention beside the gate (block="gmlp"): aMLP
    chunk_size: int = 256  # tokens of a chunk (block="flash")
    chunk_bias: bool = False  # a bias for each distance within a chunk (block="flash")
    rope_scaling: Any = None  # rotary positions of longer texts, such as {"type": "ntk", "factor": 8}
    log_n: Any = None  # scores times log n / log length: {"type": "train" | "inference", "length": ...}
    key_norm: bool = False  # divide keys by their length instead of scores by a root
    attention_window: Any = None  # {"type": "hwfa", "window": 16, "full_layers": 1}
    position_axes: int = 1  # 2: positions are pairs of numbers, for text with images or tables in it
    patch_size: int = 0  # numbers of a patch of an image that stands for a token; 0: there are none
    residual: Any = None  # how residual sums start: "deepnorm", {"type": "ramp", "steps": ...}
    layer_scale: float | None = None  # first value of a learnt scale of each branch
    # Structure, from the family.
    family: str = "bert"
    stack: str = "single"  # single | encoder | decoder | seq2seq
    pad_id: int = 0  # the token id that is padding
    position_offset: int = 0  # rows of the position table before that of position 0
    position: str = "absolute"  # absolute | rotary | relative (vectors per distance) | bucketed (biases) | none
    attention_norm: str = "post"  # where a branch is normalised: post | pre | both | none
    feed_forward_norm: str = "post"
    share_blocks: bool = False  # all blocks are one
    embedding_norm: bool = True
    output_norm: bool = False  # normalise once more after the last block
    causal: bool = False  # a language model whatever `application` says
    segments: bool = True  # takes segment ids
    use_bias: bool = True
    mapping_bias: bool | None = None  # of projections between embedding and hidden width; as use_bias if None
    norm: dict[str, Any] = field(default_factory=dict)  # arguments of LayerNormalization
    mlm_transform: bool = True  # dense, norm and bias around the output embedding
    scores_name: str = "MLM-Activation"  # name of the layer that ends the token scores
    tied_output: bool = True  # tokens are scored by their own embeddings
    output_scale: bool = False  # divide by the root of the width before scoring tokens
    pretrained_heads: bool = True  # whether released checkpoints hold a pooler and an NSP head
    depth_init: int = 0  # order of DepthScaledNormal, 0 for TruncatedNormal
    # Options of the call.
    application: str = "encoder"
    with_pool: bool | str = False
    with_nsp: bool = False
    with_mlm: bool | str = False
    with_lm: bool | str = True
    with_discriminator: bool | str = False
    final_activation: Any = None
    cross_position_bias: bool = True
    task_id: int = 0
    hierarchical_position: bool | float | None = None
    custom_position_ids: bool = False
    shared_segment_embeddings: bool = False
    residual_attention_scores: bool = False
    layer_norm_cond_hidden_size: int | None = None
    layer_norm_cond_hidden_act: Any = None
    keep_tokens: tuple[int, ...] | None = None
    compound_tokens: tuple[Any, ...] | None = None
    ignore_invalid_weights: bool = False
    autoresize_weights: bool = False
    prefix: str = ""
    name: str | None = None

    @property
    def embedding_width(self) -> int:
        """Width of the token embeddings."""
        return self.embedding_size or self.hidden_size

    @property
    def head_size(self) -> int:
        """Size of a head's values."""
        return self.attention_head_size or self.hidden_size // self.num_attention_heads

    @property
    def key_size(self) -> int:
        """Size of a head's queries and keys."""
        return self.attention_key_size or self.head_size

    @property
    def positions(self) -> int | None:
        """Number of positions that the model knows; None where any text fits."""
        limits = [self.max_position] if kind(self) in PLACED else []
        if self.position == "absolute":
            limits.append(table_positions(self.max_position, self.hierarchical_position, self.position_offset))
        return min(limits, default=None)

    @property
    def pairwise(self) -> bool:
        """Whether blocks look at pairs of tokens, and so need a mask that tells of each; others count tokens alone."""
        return is_pairwise(self)

    @property
    def rows(self) -> int:
        """Number of rows of the token embeddings after keep_tokens and compound_tokens."""
        kept = self.vocab_size if self.keep_tokens is None else len(self.keep_tokens)
        return kept + len(self.compound_tokens or ())


def table_positions(rows: int, hierarchical: bool | float | None = None, offset: int = 0) -> int:
    """Return how many positions a table of learnt ones serves: its rows, or their square where they are combined.

    Args:
        rows: of the table.
        hierarchical: whether they are combined.
        offset: rows before that of position 0.
    """
    return rows**2 if hierarchical else rows - offset


# Spellings in JSON files, and the option that they set.
ALIASES = {
    "max_position_embeddings": "max_position",
    "type_vocab_size": "segment_vocab_size",
    "hidden_dropout_prob": "dropout_rate",
    "attention_probs_dropout_prob": "attention_dropout_rate",
}
OPTIONS = {f.name for f in dataclasses.fields(Config)}
STRUCTURE = {
    "family", "stack", "position", "attention_norm", "feed_forward_norm", "share_blocks", "embedding_norm",
    "output_norm", "causal", "segments", "use_bias", "mapping_bias", "norm", "mlm_transform", "scores_name",
    "tied_output", "output_scale", "pretrained_heads", "depth_init", "pad_id", "position_offset",
}  # fmt: skip
# Structure that a file may settle: how ours are saved, Hugging Face's T5, RoBERTa's padding.
FILE_STRUCTURE = {"output_scale", "tied_output", "pad_id", "position_offset"}
# Options of the reference that have a replacement.
GONE = {
    "dtype": "what a model computes in is Keras' policy, keras.config.set_dtype_policy('mixed_bfloat16') before it is"
    " built, and what is stored is the file's affair",
    "attention_caches": "generation keeps keys and values by itself (bert4keras2.decoders.Generator, or use_cache ="
    " True in an AutoRegressiveDecoder); to let attention see more vectors, override apply_main_layers of a subclass",
}
REQUIRED = [
    f.name
    for f in dataclasses.fields(Config)
    if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
]
REQUIRED = [name for name in REQUIRED if name not in STRUCTURE]


def read_config(path: str | os.PathLike) -> dict[str, Any]:
    """Return the content of a model's JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is not a JSON object, or says what no model can have; it is a ValueError too.
    """
    if not os.path.isfile(path):
        raise CheckpointNotFoundError(f"There is no configuration file {os.fspath(path)}")
    content = read_json(path, "the model's config.json")
    check_values(content, os.fspath(path))
    return content


@contextlib.contextmanager
def of_file(path: str | os.PathLike | None) -> Iterator[None]:
    """A context in which an error about what a configuration says gets the name of its file, where it has one."""
    try:
        yield
    except CheckpointError:
        raise
    except ValueError as error:
        if path is None:
            raise
        raise CheckpointFormatError(f"{error} (the configuration is {os.fspath(path)})") from error


def make_config(family: str, preset: dict[str, Any], file: dict[str, Any], options: dict[str, Any]) -> Config:
    """Merge a family's preset, a JSON file's content and the keywords of a call; the later ones win.

    Args:
        family: the family's name.
        preset: structural fields of the family.
        file: content of the JSON file; keys that are not known are ignored.
        options: keywords of the call; unknown ones are errors.

    Raises:
        TypeError: for an unknown keyword, naming the closest known one.
        ValueError: for missing or impossible values.
    """
    taken = (OPTIONS - STRUCTURE) | (SILENT - set(GONE)) | set(ALIASES)
    unknown = [name for name in options if name not in taken]
    if unknown:
        raise TypeError(unknown_option(unknown[0]))
    check_values(options, "The arguments of the call")
    merged: dict[str, Any] = {**preset, "family": family}
    file = translated(file)
    merged.update({name: file[name] for name in FILE_STRUCTURE & file.keys()})
    for source in (file, options):
        # A file's own spelling of an option gives way to the plain one in the same source.
        for alias, name in ALIASES.items():
            if source.get(alias) is not None:
                merged[name] = source[alias]
        merged.update({name: value for name, value in source.items() if name in OPTIONS - STRUCTURE})
        if source.get("layer_norm_eps") is not None:
            merged["norm"] = {**merged.get("norm", {}), "epsilon": source["layer_norm_eps"]}
    missing = [name for name in REQUIRED if merged.get(name) is None]
    if missing:
        raise ValueError(
            f"The configuration lacks {', '.join(missing)}: pass the model's JSON file as config_path, or "
            "the values as keywords"
        )
    for name in ("keep_tokens", "compound_tokens"):
        if merged.get(name) is not None:
            merged[name] = tuple(merged[name])
    for name in ("dropout_rate", "attention_dropout_rate"):
        merged[name] = merged.get(name) or 0.0
    if merged.get("causal") and merged["application"] == "encoder":
        merged["application"] = "lm"
    merged["segment_vocab_size"] = 2 if merged.get("segment_vocab_size") is None else merged["segment_vocab_size"]
    if not merged.get("segments", True):
        if options.get("segment_vocab_size"):
            raise ValueError(f"{family} models take no segment ids, so segment_vocab_size is 0")
        merged["segment_vocab_size"] = 0
    if merged.get("position_axes") not in (None, 1):
        merged["custom_position_ids"] = True
    config = Config(**merged)
    validate(config)
    # Scripts read sizes off the model (GlobalPointer(head_size=bert.attention_head_size)): none is left open.
    sizes = {"embedding_size": config.embedding_width, "attention_head_size": config.head_size}
    return dataclasses.replace(config, **sizes, attention_key_size=config.key_size)


def unknown_option(name: str) -> str:
    """Return the message for a keyword that no model knows."""
    if name in GONE:
        return f"build_transformer_model() does not take {name!r}: {GONE[name]}"
    known = sorted((OPTIONS - STRUCTURE) | set(ALIASES) | {"layer_norm_cond", "additional_input_layers", "layers"})
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f". Known are: {', '.join(known)}"
    return f"build_transformer_model() has no option {name!r}{hint}"
