"""Configurations of Hugging Face folders: reading those that spell sizes in their own way, and writing all."""

from __future__ import annotations

from typing import Any

__all__ = ["huggingface_config", "implied_by", "translated"]

GPT2 = {
    "n_vocab": "vocab_size",
    "n_ctx": "max_position",
    "n_positions": "max_position",
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "activation_function": "hidden_act",
    "resid_pdrop": "dropout_rate",
    "attn_pdrop": "attention_dropout_rate",
    "layer_norm_epsilon": "layer_norm_eps",
}
T5 = {
    "d_model": "hidden_size",
    "d_kv": "attention_head_size",
    "d_ff": "intermediate_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "layer_norm_epsilon": "layer_norm_eps",
}
BUCKETS = ("relative_attention_num_buckets", "relative_attention_max_distance")
# Names of activations there that `get_activation` does not know, and what they compute.
ACTIVATIONS = {
    "gelu_python": "gelu_erf",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
}
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
        file: content of a JSON file. Keys of GPT-2 and T5 are renamed, and what Hugging Face's models do otherwise
            than the classic ones is set; a file of other models comes back with its activation in our spelling and
            without the bucket counts of T5, which classic files give and nobody reads.

    Raises:
        ValueError: if it describes a model that cannot be built.
    """
    for key, (values, meaning) in BUILT.items():
        if file.get(key) is not None and file[key] not in values:
            raise ValueError(f"The configuration says {key}: {file[key]!r}, that is {meaning}: this is not built")
    if "n_embd" in file:
        file = {**_renamed(file, GPT2)}
        # GPT-2 names no inner width where it is the usual one.
        file["intermediate_size"] = file.get("intermediate_size") or 4 * file["hidden_size"]
        file.setdefault("hidden_act", "gelu_tanh")
        file.setdefault("layer_norm_eps", 1e-5)
    elif "d_kv" in file:
        return _t5(_renamed(file, T5))
    else:
        file = {name: value for name, value in file.items() if name not in BUCKETS}
        if file.get("model_type") == "gau_alpha":
            file.setdefault("num_attention_heads", 1)  # the port names none
    if isinstance(file.get("hidden_act"), str):
        file["hidden_act"] = ACTIVATIONS.get(file["hidden_act"], file["hidden_act"])
    return file


def implied_by(file: dict[str, Any]) -> dict[str, Any]:
    """Return the options that a configuration implies: a folder may hold an encoder of T5 alone."""
    alone = any(str(name).endswith("T5EncoderModel") for name in file.get("architectures") or ())
    return {"stack": "encoder"} if alone else {}


def _renamed(file: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in file.items()}


def _t5(file: dict[str, Any]) -> dict[str, Any]:
    """Return a T5 configuration with its activation and the differences of Hugging Face's model."""
    decoder_layers = file.pop("num_decoder_layers", None)
    if decoder_layers is not None and decoder_layers != file["num_hidden_layers"]:
        raise ValueError(
            f"The configuration has num_layers {file['num_hidden_layers']} and num_decoder_layers {decoder_layers}; "
            "encoders and decoders of different depth are not built"
        )
    gate, _, activation = str(file.pop("feed_forward_proj", "relu")).rpartition("-")
    activation = {"gelu": "gelu_tanh"}.get(activation, activation) if gate else activation
    activation = ACTIVATIONS.get(activation, activation)
    file["hidden_act"] = [activation, "linear"] if gate else activation
    # Ours are saved with these two; no model of Hugging Face's has biases in the cross-attention.
    file.setdefault("cross_position_bias", False)
    untied = file.get("tie_word_embeddings") is False
    # T5 1.0 scores tokens by their embeddings, and divides by the root of the width first; later ones do neither. Files
    # of old versions tell by `tie_word_embeddings`; those of new ones always say true there, and tell by another key.
    scaled = file.get("scale_decoder_outputs", not untied)
    file.setdefault("output_scale", bool(scaled) and file.get("model_type") != "mt5")
    if not gate:
        file.setdefault("tied_output", not untied)
    return file


# -- writing -------------------------------------------------------------------------------------------------------

# family -> (model_type, what the names of its classes begin with).
CLASSES = {
    "bert": ("bert", "Bert"),
    "albert": ("albert", "Albert"),
    "albert_unshared": ("bert", "Bert"),  # blocks that are no longer one are BERT's
    "nezha": ("nezha", "Nezha"),
    "electra": ("electra", "Electra"),
    "roformer": ("roformer", "RoFormer"),
    "roformer_v2": ("roformer", "RoFormer"),
    "gau_alpha": ("gau_alpha", "GAUAlpha"),
    "gpt2": ("gpt2", "GPT2"),
    "t5.1.0": ("t5", "T5"),
    "t5.1.1": ("t5", "T5"),
    "mt5.1.1": ("mt5", "MT5"),
}
# What the classes' names end with by the heads: (pooled or NSP, discriminator, token scores).
HEADS = {
    (True, False, True): "ForPreTraining",
    (True, False, False): "ForNextSentencePrediction",
    (False, True, False): "ForPreTraining",
    (False, False, True): "ForMaskedLM",
}
NAMES = {"gelu_erf": "gelu", "gelu_tanh": "gelu_new"}
SAME_NAMES = ("gelu_new", "gelu_pytorch_tanh", "relu", "swish", "silu", "tanh", "sigmoid", "linear", "mish", "relu6")


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
    if config.family not in CLASSES:
        raise ValueError(
            f"There is no Hugging Face layout for the family {config.family!r}; save a TensorFlow checkpoint"
        )
    if config.stack == "decoder":
        raise ValueError("A decoder alone has no class there: save the whole model, or the encoder")
    model_type, prefix = CLASSES[config.family]
    general = {"vocab_size": config.rows, "pad_token_id": 0, "initializer_range": config.initializer_range}
    if config.family == "mt5.1.1" and config.output_scale:
        model_type, prefix = "t5", "T5"  # its class divides by the root of the width where mT5's does not
        general["bert4keras2_family"] = config.family
    if config.family == "albert_unshared":
        general["bert4keras2_family"] = config.family
    # What only our models have: written where it is not as usual, and read back.
    usual = config.hidden_size // config.num_attention_heads
    if config.stack == "single" and config.head_size != usual:
        general["attention_head_size"] = config.head_size
    if config.stack == "single" and config.key_size != config.head_size:
        general["attention_key_size"] = config.key_size
    if model_type in ("t5", "mt5"):
        return {"model_type": model_type, **_t5_config(config, prefix), **general}
    if model_type == "gpt2":
        return {"model_type": model_type, **_gpt2_config(config), **general}
    return {"model_type": model_type, **_bert_config(config, prefix), **general}


def _activation(activation: Any) -> str:
    """Return Hugging Face's name of an activation."""
    # Imported here: reading a configuration, which command lines do, needs no Keras.
    from bert4keras2.backend.activations import resolve_activation

    name = resolve_activation(activation)
    if not isinstance(name, str) or name not in NAMES and name not in SAME_NAMES:
        raise ValueError(f"The activation {activation!r} has no name in Hugging Face's configurations")
    return NAMES.get(name, name)


def _bert_config(config: Any, prefix: str) -> dict[str, Any]:
    causal = config.application == "lm"
    heads = bool(config.with_pool or config.with_nsp), bool(config.with_discriminator), bool(config.with_mlm)
    ending = HEADS.get((heads[0] and bool(config.with_nsp), *heads[1:]), "Model")
    if causal and prefix in ("Bert", "RoFormer", "Electra"):
        ending = "LMHeadModel" if prefix == "Bert" else "ForCausalLM"
    content = {
        "architectures": [prefix + ending],
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "hidden_act": _activation(config.hidden_act),
        "hidden_dropout_prob": config.dropout_rate,
        "attention_probs_dropout_prob": config.attention_dropout_rate,
        "max_position_embeddings": config.max_position,
        "type_vocab_size": config.segment_vocab_size,
        "layer_norm_eps": config.norm["epsilon"],
        "is_decoder": causal,
    }
    if prefix not in ("Bert", "Nezha") or config.embedding_width != config.hidden_size:
        content["embedding_size"] = config.embedding_width
    special = {
        "albert": {"num_hidden_groups": 1, "inner_group_num": 1},
        "nezha": {"use_relative_position": True, "max_relative_position": config.max_relative_position},
        "roformer": {"rotary_value": False},
        "roformer_v2": {"rotary_value": False, "norm_type": "rms_norm", "use_bias": False},
        "gau_alpha": {
            "use_bias": False,
            "normalization": config.normalization,
            "attention_scale": config.attention_scale,
        },
    }
    return {**content, **special.get(config.family, {})}


def _gpt2_config(config: Any) -> dict[str, Any]:
    # The end of a text is the last token of the vocabulary that GPT-2 was released with; others are not known.
    end = 50256 if config.rows == 50257 else None
    return {
        "architectures": ["GPT2LMHeadModel"],
        "n_positions": config.max_position,
        "n_embd": config.hidden_size,
        "n_layer": config.num_hidden_layers,
        "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size,
        "activation_function": _activation(config.hidden_act),
        "resid_pdrop": config.dropout_rate,
        "embd_pdrop": config.dropout_rate,
        "attn_pdrop": config.attention_dropout_rate,
        "layer_norm_epsilon": config.norm["epsilon"],
        "bos_token_id": end,
        "eos_token_id": end,
    }


def _t5_config(config: Any, prefix: str) -> dict[str, Any]:
    whole = config.stack == "seq2seq"
    return {
        "architectures": [prefix + ("ForConditionalGeneration" if whole else "EncoderModel")],
        "d_model": config.hidden_size,
        "d_kv": config.head_size,
        "d_ff": config.intermediate_size,
        "num_layers": config.num_hidden_layers,
        "num_decoder_layers": config.num_hidden_layers,
        "num_heads": config.num_attention_heads,
        "relative_attention_num_buckets": config.relative_attention_num_buckets,
        "relative_attention_max_distance": config.relative_attention_max_distance,
        "feed_forward_proj": _projection(config.hidden_act),
        "dropout_rate": config.dropout_rate,
        "layer_norm_epsilon": config.norm["epsilon"],
        "is_encoder_decoder": whole,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
        # There, this key is what decides whether T5's outputs are scaled.
        "tie_word_embeddings": config.output_scale,
        "output_scale": config.output_scale,
        "tied_output": config.tied_output,
        "cross_position_bias": config.cross_position_bias,
    }


def _projection(activation: Any) -> str:
    """Return T5's name of the feed-forward network's activation."""
    gates = list(activation) if isinstance(activation, list | tuple) else [activation]
    if len(gates) == 1:
        return _activation(gates[0])
    if len(gates) > 2 or gates[1] not in ("linear", None):
        raise ValueError(f"The gates {activation!r} have no name in Hugging Face's configurations")
    # "gated-gelu" is the approximation there, whatever "gelu" alone is.
    name = _activation(gates[0])
    return "gated-" + {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "gelu": "gelu_python"}.get(name, name)
