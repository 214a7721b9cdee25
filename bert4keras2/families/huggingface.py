"""The JSON of a model as Hugging Face's folders spell it: reading, writing, and which of its keys say nothing."""

from __future__ import annotations

from typing import Any

from bert4keras2.families.activation_names import from_huggingface, to_huggingface
from bert4keras2.families.attention_options import saved_options
from bert4keras2.families.family import Family
from bert4keras2.families.table import PAGES, page

__all__ = ["FOREIGN", "SILENT", "huggingface_config", "implied_by", "translated"]

# Keys that say nothing about the graph. First those in the files of both worlds, or of TensorFlow's releases alone.
CLASSIC = {
    "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head",
    "pooler_type", "ln_type", "pool_act", "prefix_token_id", "model_type", "architectures",
}  # fmt: skip
# Then those that only programs of Hugging Face read.
HUGGINGFACE_ONLY = {
    "torch_dtype", "dtype", "transformers_version", "_name_or_path", "use_cache", "id2label", "label2id",
    "gradient_checkpointing", "position_embedding_type", "classifier_dropout", "is_decoder", "add_cross_attention",
    "return_dict", "output_attentions", "output_hidden_states", "problem_type", "chunk_size_feed_forward",
    "pruned_heads", "torchscript", "use_bfloat16", "tokenizer_class", "_attn_implementation", "attn_implementation",
    "_num_labels", "num_labels", "finetuning_task", "output_past", "is_encoder_decoder", "decoder_start_token_id",
    "cross_attention_hidden_size", "tie_word_embeddings", "rotary_value", "norm_type", "summary_type", "pad_token_id",
    "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id",
}  # fmt: skip
# Last, keys of GPT-2 and T5 there, some of which say something in their own spelling.
SPELT_OTHERWISE = {
    "task_specific_params", "dense_act_fn", "is_gated_act", "layer_norm_epsilon", "summary_use_proj",
    "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "initializer_factor", "n_positions",
    "embd_pdrop", "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn",
    "classifier_activation",
}  # fmt: skip
# What files may hold and calls may pass, and nothing comes of it.
SILENT = CLASSIC | HUGGINGFACE_ONLY | {"layer_norm_eps", "use_relative_position"}
# What a JSON for TensorFlow's readers leaves out.
FOREIGN = HUGGINGFACE_ONLY | SPELT_OTHERWISE

BUCKETS = ("relative_attention_num_buckets", "relative_attention_max_distance")
# Keys whose other values mean a model that is not built here: (values that are, what others mean).
BUILT: dict[str, tuple[tuple[Any, ...], str]] = {
    "num_hidden_groups": ((1,), "groups of blocks with weights of their own"),
    "inner_group_num": ((1,), "several blocks in a group"),
    "rotary_value": ((False,), "values that are rotated like queries and keys"),
    "position_embedding_type": (("absolute", "rotary", "relative"), "relative positions in the attention of BERT"),
    "scale_attn_by_inverse_layer_idx": ((False,), "scores divided by the number of the layer"),
    "scale_attn_weights": ((True,), "scores that are not scaled"),
    "add_cross_attention": ((False,), "cross-attention in a model of one stack"),
}


def translated(file: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration's content with the spellings that `Config` knows.

    Args:
        file: content of a JSON file. A family whose files spell sizes in their own way reads them; a file of another
            one comes back with its activation in our spelling and without the bucket counts of T5, which classic files
            give and nobody reads.

    Raises:
        ValueError: if it describes a model that cannot be built.
    """
    for key, (values, meaning) in BUILT.items():
        if file.get(key) is not None and file[key] not in values:
            raise ValueError(f"The configuration says {key}: {file[key]!r}, that is {meaning}: this is not built")
    if "d_kv" not in file:  # a key of T5 as Hugging Face spells it
        file = {name: value for name, value in file.items() if name not in BUCKETS}
    reader = next((family.read for family in PAGES if family.read is not None and _spelt_by(family, file)), None)
    file = dict(file) if reader is None else reader(file)
    if "hidden_act" in file:
        file["hidden_act"] = from_huggingface(file["hidden_act"])
    return file


def _spelt_by(family: Family, file: dict[str, Any]) -> bool:
    """Whether a configuration is spelt in a family's own way."""
    if family.telling_keys:
        return any(key in file for key in family.telling_keys)
    return file.get("model_type") == family.model_type


def implied_by(file: dict[str, Any]) -> dict[str, Any]:
    """Return the options that a configuration implies: a folder may hold an encoder of T5 alone."""
    alone = any(str(name).endswith("T5EncoderModel") for name in file.get("architectures") or ())
    return {"stack": "encoder"} if alone else {}


# What the classes' names end with by the heads: (NSP, discriminator, token scores).
HEADS = {
    (True, False, True): "ForPreTraining",
    (True, False, False): "ForNextSentencePrediction",
    (False, True, False): "ForPreTraining",
    (False, False, True): "ForMaskedLM",
}


def huggingface_config(config: Any) -> dict[str, Any]:
    """Return the content of a config.json that describes a model in Hugging Face's way.

    Args:
        config: the model's `Config`. "gelu" as its activation means the version in force (`set_gelu`).

    Returns:
        Sizes, activation and class of the model, to be stored as JSON; the vocabulary is what keep_tokens and
        compound_tokens left of it.

    Raises:
        ValueError: if Hugging Face has no model of the family, or no name for the activation.
    """
    family = page(config.family)
    if not family.model_type:
        raise ValueError(
            f"There is no Hugging Face layout for the family {config.family!r}; save a TensorFlow checkpoint"
        )
    if config.stack == "decoder":
        raise ValueError("A decoder alone has no class there: save the whole model, or the encoder")
    general = {"vocab_size": config.rows, "pad_token_id": config.pad_id, "initializer_range": config.initializer_range}
    # What only our models have: written where it is not as usual, and read back.
    usual = config.hidden_size // config.num_attention_heads
    if config.stack == "single" and config.head_size != usual:
        general["attention_head_size"] = config.head_size
    if config.stack == "single" and config.key_size != config.head_size:
        general["attention_key_size"] = config.key_size
    general |= saved_options(config, family.structure)
    content = _like_bert(config) if family.write is None else family.write(config)
    return {"model_type": family.model_type, **content, **general}


def _like_bert(config: Any) -> dict[str, Any]:
    family, causal = page(config.family), config.application == "lm"
    heads = bool(config.with_nsp), bool(config.with_discriminator), bool(config.with_mlm)
    prefix, ending = family.class_name, HEADS.get(heads, "Model")
    ending = family.causal_class if causal and family.causal_class else ending
    content = {
        "architectures": [prefix + ending],
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "hidden_act": to_huggingface(config.hidden_act),
        "hidden_dropout_prob": config.dropout_rate,
        "attention_probs_dropout_prob": config.attention_dropout_rate,
        "max_position_embeddings": config.max_position,
        "type_vocab_size": config.segment_vocab_size,
        "layer_norm_eps": config.norm["epsilon"],
        "is_decoder": causal,
    }
    if family.names_embedding_size or config.embedding_width != config.hidden_size:
        content["embedding_size"] = config.embedding_width
    return {**content, **(family.keys(config) if family.keys is not None else {})}
