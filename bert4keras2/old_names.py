"""Names and arguments of earlier releases of bert4keras, each with what it is called today.

One table for all releases: the modules of the package look here for names that they do not have, functions for keywords
that they do not take, and the migration tool for what it may rewrite. It needs neither Keras nor a backend.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "ARGUMENTS",
    "GONE",
    "MODULES",
    "NAMES",
    "came_along",
    "current_arguments",
    "gone",
    "lookup",
    "place_of",
    "sources_of",
    "take_old_arguments",
    "today",
]

# Modules that were renamed: {old: new}; `utils` held what is in `snippets` now, too.
MODULES = {"bert": "models", "tokenizer": "tokenizers", "train": "optimizers", "utils": "tokenizers"}

# Names that have another one, or live elsewhere: {module: {old: "module:name"}}. What stands behind an arrow is to be
# used today in place of something that is kept for old scripts alone.
NAMES: dict[str, dict[str, str]] = {
    "backend": {"rms": "backend:root_mean_square"},
    "layers": {
        "BiasAdd": "earlier:BiasAdd -> ScaleOffset(scale=False)",
        "Scale": "earlier:Scale -> ScaleOffset(scale=number, offset=False)",
        "ZeroMasking": "earlier:ZeroMasking -> keras.layers.Masking",
    },
    "models": {
        "GPT_OpenAI": "models:GPT",
        "LM_Mask": "earlier:LM_Mask -> application='lm', or extend_with_language_model",
        "UniLM_Mask": "earlier:UniLM_Mask -> application='unilm', or extend_with_unified_language_model",
        "build_bert_model": "earlier:build_bert_model -> build_transformer_model",
        "load_pretrained_model": "earlier:load_pretrained_model -> build_transformer_model",
        "set_gelu": "backend:set_gelu",
    },
    "optimizers": {
        "AdaFactorBase": "optimizers:AdaFactor",
        "AdaFactorV1": "optimizers:AdaFactor",
        "AdaFactorV2": "optimizers:AdaFactor",
        "ExponentialMovingAverage": "earlier:ExponentialMovingAverage -> extend_with_exponential_moving_average",
        "GradientAccumulation": "earlier:GradientAccumulation -> extend_with_gradient_accumulation",
        "PiecewiseLinearLearningRate": "earlier:PiecewiseLinearLearningRate -> extend_with_piecewise_linear_lr",
    },
    "snippets": {
        "Progress": "earlier:Progress -> tqdm",
        "delete_arguments": "earlier:delete_arguments -> an __init__ with the arguments that it takes",
        "get_all_attributes": "earlier:get_all_attributes -> vars(module)",
        "groupby": "earlier:groupby -> itertools.groupby",
        "insert_arguments": "earlier:insert_arguments -> an __init__ with the arguments that it takes",
        "is_py2": "earlier:is_py2 -> False",
        "simple_string_matching": "snippets:string_matching",
    },
    "tokenizers": {
        "BasicTokenizer": "tokenizers.base:TokenizerBase",
        "SimpleTokenizer": "earlier:SimpleTokenizer -> Tokenizer",
        "SpmTokenizer": "tokenizers:SpTokenizer",
        "TokenizerBase": "tokenizers.base:TokenizerBase",
        "pool_map": "snippets:parallel_apply",
    },
}
# Where other names came from that a module of bert4keras had because it imported them, in the order of search.
_OWN = ("backend", "snippets", "functional.functions")
SOURCES: dict[str, tuple[str, ...]] = {
    "backend": ("snippets",),
    "layers": (*_OWN, "keras.layers", "keras"),
    "models": ("layers", *_OWN, "keras.layers", "keras"),
    "optimizers": (*_OWN, "keras.optimizers", "keras"),
    "snippets": ("backend",),
    "tokenizers": ("snippets",),
}
_PYTHON = {"np": "numpy", "tf": "tensorflow"}
_PYTHON |= {name: name for name in ("codecs", "inspect", "json", "logging", "os", "re", "six", "sys", "unicodedata")}
# Names without a counterpart, and what to do in their place.
GONE: dict[str, dict[str, str]] = {
    "backend": {
        "infinity": "masks are applied by sequence_masking; as a number write 1e12",
        "set_infinity": "masks are applied by sequence_masking, whose value is an argument",
        "recompute_grad": "set RECOMPUTE=1 before the model is built",
        "is_tf_eager": "functions are compiled by themselves",
    },
    "layers": {
        "EmbeddingDense": "call the Embedding with mode='dense'",
        "FactorizedEmbedding": "use Embedding(input_dim, hidden_dim) and a Dense layer of output_dim units",
        "GroupDense": "use keras.layers.Conv1D(units, 1, groups=groups)",
    },
    "models": {
        "BertModel": "subclass BERT of bert4keras2.models",
        "Bert4LM": "build_transformer_model(..., application='lm')",
        "Bert4Seq2seq": "build_transformer_model(..., application='unilm')",
        "T5": "build_transformer_model(..., model='t5'); with return_keras_model=False it has .encoder and .decoder",
        "T5_Base": "build_transformer_model(..., model='t5')",
        "T5_Encoder": "build_transformer_model(..., model='t5_encoder')",
        "T5_Decoder": "build_transformer_model(..., model='t5_decoder')",
        "extend_with_parallel_unified_language_model": "use extend_with_unified_language_model",
        "get_bert_model": "use build_transformer_model(**sizes)",
    },
    "optimizers": {
        "OptimizerWrapper": "subclass keras.optimizers.Optimizer and define update_step",
        "add_weight_decay_into": "use extend_with_weight_decay",
        "extend_with_gradient_centralization": "subtract the mean of each gradient in a train_step of your own",
    },
    "snippets": {"BeamSearch": "subclass AutoRegressiveDecoder, and call its beam_search"},
}

# Keywords that were renamed: {function or class: {old: "new=..."}}.
_LENGTH = "encode_batch(length=...), or maxlen=... and sequence_padding(length=...)"
ARGUMENTS: dict[str, dict[str, str]] = {
    "encode": {"max_length": "maxlen=...", "first_length": _LENGTH, "second_length": _LENGTH},
    "tokenize": {"max_length": "maxlen=..."},
    "build_transformer_model": {
        "checkpoint_file": "checkpoint_path=...",
        "keep_words": "keep_tokens=...",
        "layer_norm_cond_size": "layer_norm_cond_hidden_size=...",
    },
    "load_vocab": {"startwith": "startswith=..."},
    "search_layer": {"exclude": "exclude_from=..."},
    "sequence_padding": {"padding": "value=..."},
    "MultiHeadAttention": {"scaled_dot_product": "attention_scale=..."},
    "LayerNormalization": {"center": "offset=..."},
}


def current_arguments(function: str, given: dict[str, Any], stacklevel: int = 3) -> dict[str, Any]:
    """Return keywords of an earlier release by their names of today, with a warning that has both.

    Args:
        function: a key of `ARGUMENTS`.
        given: keywords that the function has no parameters for.
        stacklevel: how far up the line is that the warning shows.

    Raises:
        TypeError: for a keyword that was never one.
    """
    known = ARGUMENTS[function]
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, [*known, *known.values()], 1)
            hint = f"; did you mean {known.get(close[0], close[0])!r}?" if close else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")
        warnings.warn(f"{function}({name}=...) is now {known[name]}", UserWarning, stacklevel=stacklevel)
    return {known[name].removesuffix("=...") if known[name] is not _LENGTH else name: v for name, v in given.items()}


def take_old_arguments(function: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take keywords of earlier releases out of the keywords of a call; return them as `current_arguments` does."""
    return current_arguments(function, {name: kwargs.pop(name) for name in ARGUMENTS[function] if name in kwargs}, 4)


def _row(module: str, name: str) -> tuple[str, str]:
    """Return where the table finds a name, and what it advises to use today; both may be empty."""
    module = MODULES.get(module, module)
    tables = (NAMES.get(source, {}) for source in (module, *SOURCES.get(module, ())))
    place, _, today = next((table[name] for table in tables if name in table), "").partition(" -> ")
    return place, today


def place_of(module: str, name: str) -> tuple[str, str] | None:
    """Return where a name of an earlier release is found today, as far as the table says.

    Args:
        module: of bert4keras, such as "snippets".
        name: in it.

    Returns:
        The whole name of a module and the name in it, "" for the module itself; or None.
    """
    place, _ = _row(module, name)
    if place:
        part, _, new = place.partition(":")
        return f"bert4keras2.{part}", new
    return (_PYTHON[name], "") if name in _PYTHON else None


def today(module: str, name: str) -> str | None:
    """Return what to use in place of a name of an earlier release that has another one today; else None."""
    place = place_of(module, name)
    if place is None:
        return None
    return _row(module, name)[1] or ".".join(part for part in place if part)


def sources_of(module: str) -> list[str]:
    """Return the whole names of the modules whose names a module of bert4keras had besides its own, in order."""
    today = MODULES.get(module, module)
    parts = ((today,) if today != module else ()) + SOURCES.get(today, ())
    return [part if part.startswith("keras") else f"bert4keras2.{part}" for part in parts]


def gone(module: str, name: str) -> str | None:
    """Return what to do in place of a name that earlier releases had and that has no counterpart; else None."""
    return GONE.get(MODULES.get(module, module), {}).get(name)


def lookup(module: str, lazy: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module of the package: names of earlier releases, each with one warning.

    Args:
        module: the whole name of the module.
        lazy: {name: module} of its own names that are looked up when they are asked for.
    """
    old = module.rpartition(".")[2]
    handed_on: dict[str, Any] = {}

    def __getattr__(name: str) -> Any:
        if lazy and name in lazy:
            return getattr(importlib.import_module(lazy[name]), name)
        if name in handed_on:  # an import statement asks twice
            return handed_on[name]
        found = None if name.startswith("_") else _find(module, old, name)
        if found is None:
            advice = gone(old, name)
            if advice:  # Python would replace an AttributeError by one without the advice
                raise ImportError(f"module {module!r} has no {name!r} any more: {advice}")
            raise AttributeError(_missing(module, old, name))
        message, handed_on[name] = found
        warnings.warn(message, UserWarning, stacklevel=2)
        return handed_on[name]

    return __getattr__


def came_along(module: str) -> list[str]:
    """Return the names beyond its own that a star import of a module brought along: Keras' layers, `K` and the like."""
    if module not in ("layers", "models"):
        return []
    names = [name for name in dir(importlib.import_module("keras.layers")) if not name.startswith("_")]
    return [*names, "K", "activations", "initializers", "keras", "np"]


def _find(module: str, old: str, name: str) -> tuple[str, Any] | None:
    """Return a warning about a name of an earlier release, and what it names today; None if no release had it."""
    place = place_of(old, name)
    if place and place[1]:
        value = getattr(importlib.import_module(place[0]), place[1])
        return f"{module}.{name} is of earlier releases: use {today(old, name)}", value
    # One text for all names from one place, so that a star import shows it once.
    text = f"{module} is not the place for names of {{0}} any more: import them from {{0}}"
    if place:
        return text.format(place[0]), importlib.import_module(place[0])
    if gone(old, name):
        return None
    for source in sources_of(old):
        part = importlib.import_module(source)
        if name in vars(part):
            return text.format(source), getattr(part, name)
    return None


def _missing(module: str, old: str, name: str) -> str:
    own = [n for n in (*vars(sys.modules[module]), *NAMES.get(old, ())) if not n.startswith("_")]
    close = difflib.get_close_matches(name, own, 3)
    return f"module {module!r} has no attribute {name!r}" + (f"; close: {', '.join(close)}" if close else "")
