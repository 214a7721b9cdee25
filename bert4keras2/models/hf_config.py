"""Configurations that spell sizes in their own way: GPT-2's and T5's of Hugging Face, GPT-2's of OpenAI."""

from __future__ import annotations

from typing import Any

__all__ = ["translated"]

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


def translated(file: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration's content with the spellings that `Config` knows.

    Args:
        file: content of a JSON file. Keys of GPT-2 and T5 are renamed, and what Hugging Face's models do otherwise
            than the classic ones is set; a file of other models comes back unchanged, but for the bucket counts of
            T5, which classic files give and nobody reads.
    """
    if "n_embd" in file:
        file = {**_renamed(file, GPT2)}
        # GPT-2 names no inner width where it is the usual one.
        file["intermediate_size"] = file.get("intermediate_size") or 4 * file["hidden_size"]
        file.setdefault("hidden_act", "gelu_tanh")
        file.setdefault("layer_norm_eps", 1e-5)
        return file
    if "d_kv" in file:
        return _t5(_renamed(file, T5))
    return {name: value for name, value in file.items() if name not in BUCKETS}


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
    file["hidden_act"] = [activation, "linear"] if gate else activation
    file["cross_position_bias"] = False
    # T5 1.0 scores tokens by their embeddings, and divides by the root of the width first; later ones do neither.
    file.setdefault("output_scale", file.get("model_type") != "mt5" and file.get("tie_word_embeddings") is not False)
    return file
