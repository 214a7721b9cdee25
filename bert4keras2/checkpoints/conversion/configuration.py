"""The JSON of a model as TensorFlow releases spell it, and as Hugging Face does."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from bert4keras2.errors import CheckpointError
from bert4keras2.families.config import make_config
from bert4keras2.families.huggingface import FOREIGN, huggingface_config, translated
from bert4keras2.families.table import FAMILIES, guess_family

__all__ = ["config_for", "spelt_out"]

# Names of `Config`, and what the JSON of TensorFlow releases calls them.
CLASSIC = {
    "max_position": "max_position_embeddings",
    "segment_vocab_size": "type_vocab_size",
    "dropout_rate": "hidden_dropout_prob",
    "attention_dropout_rate": "attention_probs_dropout_prob",
}
HEADS = {
    "with_pool": "Pooler-Dense/kernel",
    "with_nsp": "NSP-Proba/kernel",
    "with_mlm": "MLM-Bias/beta",
    "with_discriminator": "Discriminator-Dense/kernel",
}


def spelt_out(config: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON file with all sizes under the names that TensorFlow releases use."""
    found = translated(dict(config))
    return {CLASSIC.get(key, key): value for key, value in found.items()}


def config_for(to: str, config: dict[str, Any], family: str, source: str, paths: Container[str]) -> dict[str, Any]:
    """Return the JSON for the converted checkpoint.

    Args:
        to: "tensorflow" or "huggingface".
        config: the source's JSON.
        family: of the model.
        source: the format that the checkpoint comes from; a JSON that is already in the right dialect stays as it is.
        paths: of the model's variables that the checkpoint holds: they decide the class that Hugging Face's JSON names.

    Raises:
        CheckpointError: for a model that Hugging Face has no spelling for.
    """
    if to == source:
        silent = to == "tensorflow" and guess_family(config) is None
        return {**config, "model_type": family} if silent else dict(config)
    if to == "tensorflow":
        plain = {key: value for key, value in spelt_out(config).items() if key not in FOREIGN}
        # The JSON of releases does not name the model; ours does, so that the folder alone is enough.
        return {**plain, "model_type": family}
    return _huggingface(config, family, paths)


def _huggingface(config: dict[str, Any], family: str, paths: Container[str]) -> dict[str, Any]:
    preset = dict(FAMILIES[family])
    if preset.get("stack") == "seq2seq":
        stacks = [stack for stack in ("encoder", "decoder") if f"{stack.capitalize()}-Output-Norm/gamma" in paths]
        preset["stack"] = stacks[0] if len(stacks) == 1 else "seq2seq"
    heads = {"application": "encoder", **{option: True for option, path in HEADS.items() if path in paths}}
    try:
        return huggingface_config(make_config(family, preset, dict(config), heads))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"The configuration cannot be written in Hugging Face's way: {error}") from error
