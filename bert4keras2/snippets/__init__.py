"""What training scripts are made of: padding, data generators, text and file helpers."""

from bert4keras2.old_names import lookup
from bert4keras2.snippets.arrays import orthogonally_resize, softmax, to_array
from bert4keras2.snippets.buckets import bucketed, sample_length
from bert4keras2.snippets.data import DataGenerator
from bert4keras2.snippets.files import open
from bert4keras2.snippets.mixed_positions import mixed_positions, to_patches
from bert4keras2.snippets.parallel import parallel_apply, parallel_apply_generator
from bert4keras2.snippets.sequences import round_up, sequence_padding, truncate_sequences
from bert4keras2.snippets.streams import BatchStream, batch_stream
from bert4keras2.snippets.text import (
    convert_to_str,
    convert_to_unicode,
    is_one_of,
    is_string,
    longest_common_subsequence,
    longest_common_substring,
    string_matching,
    strQ2B,
    text_segmentate,
)
from bert4keras2.tokenizers.normalize import lowercase_and_strip as lowercase_and_normalize

__all__ = [
    "BatchStream",
    "DataGenerator",
    "batch_stream",
    "bucketed",
    "convert_to_str",
    "convert_to_unicode",
    "is_one_of",
    "is_string",
    "longest_common_subsequence",
    "longest_common_substring",
    "lowercase_and_normalize",
    "mixed_positions",
    "open",
    "orthogonally_resize",
    "parallel_apply",
    "parallel_apply_generator",
    "round_up",
    "sample_length",
    "sequence_padding",
    "softmax",
    "strQ2B",
    "string_matching",
    "text_segmentate",
    "to_array",
    "to_patches",
    "truncate_sequences",
]

# `from bert4keras2.snippets import uniout`: on Python 2 that made lists print readably; nothing has to be done today.
uniout = None

# Scripts import the decoders from here. They are looked up when first used, so that they cost the others nothing.
_LAZY = {
    "AutoRegressiveDecoder": "bert4keras2.decoders",
    "ViterbiDecoder": "bert4keras2.decoders",
    "WebServing": "bert4keras2.snippets.serving",
}


__getattr__ = lookup(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
