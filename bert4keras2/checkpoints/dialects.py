"""The JSON of a model as TensorFlow releases spell it, and as Hugging Face does."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from bert4keras2.checkpoints.errors import CheckpointError
from bert4keras2.models.families import guess_family
from bert4keras2.models.hf_config import translated

__all__ = ["config_for", "family_in", "spelt_out"]

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
# What only programs of Hugging Face read.
FOREIGN = {
    "torch_dtype", "dtype", "transformers_version", "_name_or_path", "use_cache", "id2label", "label2id",
    "gradient_checkpointing", "position_embedding_type", "classifier_dropout", "is_decoder", "add_cross_attention",
    "return_dict", "output_attentions", "output_hidden_states", "problem_type", "chunk_size_feed_forward",
    "pruned_heads", "torchscript", "use_bfloat16", "tokenizer_class", "_attn_implementation", "attn_implementation",
    "_num_labels", "num_labels", "finetuning_task", "output_past", "is_encoder_decoder", "decoder_start_token_id",
    "cross_attention_hidden_size", "task_specific_params", "tie_word_embeddings", "rotary_value", "norm_type",
    "dense_act_fn", "is_gated_act", "layer_norm_epsilon", "summary_type", "summary_use_proj", "summary_activation",
    "summary_first_dropout", "summary_proj_to_labels", "pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id",
    "cls_token_id", "initializer_factor", "n_positions", "embd_pdrop", "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "classifier_activation",
}  # fmt: skip


def family_in(config: dict[str, Any]) -> str | None:
    """Return the family that a JSON file's content says or gives away; None if it is silent.

    Raises:
        ValueError: if it names one that cannot be built.
    """
    return guess_family(config)


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
        silent = to == "tensorflow" and family_in(config) is None
        return {**config, "model_type": family} if silent else dict(config)
    if to == "tensorflow":
        plain = {key: value for key, value in spelt_out(config).items() if key not in FOREIGN}
        # The JSON of releases does not name the model; ours does, so that the folder alone is enough.
        return {**plain, "model_type": family}
    return _huggingface(config, family, paths)


def _huggingface(config: dict[str, Any], family: str, paths: Container[str]) -> dict[str, Any]:
    # Imported here: these import Keras.
    from bert4keras2.models.config import make_config
    from bert4keras2.models.families import FAMILIES
    from bert4keras2.models.hf_config import huggingface_config

    preset = dict(FAMILIES[family])
    if preset.get("stack") == "seq2seq":
        stacks = [stack for stack in ("encoder", "decoder") if f"{stack.capitalize()}-Output-Norm/gamma" in paths]
        preset["stack"] = stacks[0] if len(stacks) == 1 else "seq2seq"
    heads = {"application": "encoder", **{option: True for option, path in HEADS.items() if path in paths}}
    try:
        return huggingface_config(make_config(family, preset, dict(config), heads))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"The configuration cannot be written in Hugging Face's way: {error}") from error
