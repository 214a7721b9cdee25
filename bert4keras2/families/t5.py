"""T5 1.0 (Raffel et al., arXiv:1910.10683), 1.1 (Shazeer, arXiv:2002.05202), mT5 (Xue et al., arXiv:2010.11934)."""

from __future__ import annotations

from typing import Any

from bert4keras2.families.activation_names import from_huggingface, to_huggingface
from bert4keras2.families.bert import JIEBA, SLOTS, WORDS, ZHUIYI
from bert4keras2.families.family import Family, Released, Row, Table

STRUCTURE = {
    "stack": "seq2seq",
    "position": "bucketed",
    "attention_norm": "pre",
    "feed_forward_norm": "pre",
    "output_norm": True,
    "embedding_norm": False,
    "attention_scale": False,
    "segments": False,
    "use_bias": False,
    "mapping_bias": True,
    "norm": {"epsilon": 1e-6, "zero_mean": False, "offset": False},
    "mlm_transform": False,
    "output_scale": True,
    "pretrained_heads": False,
}


# -- TensorFlow ----------------------------------------------------------------------------------------------------


def _tf_stack(side: str, norm: str, gated: bool) -> tuple[Row, ...]:
    """Return the rows of "encoder" or "decoder".

    Args:
        side: the stack.
        norm: what the checkpoint calls normalizations, "layer_norm" or "rms_norm"; the other one is read as well,
            since it is all that tells T5 1.1's files from mT5's.
        gated: the feed-forward network has two inner projections.
    """
    title, block = side.capitalize(), f"{side}/block_{{i:03d}}"
    kinds = ["MultiHeadSelfAttention", "MultiHeadCrossAttention", "FeedForward"]
    names = ["SelfAttention", "EncDecAttention", "DenseReluDense"]
    if side == "encoder":
        del kinds[1], names[1]
    other = "rms_norm" if norm == "layer_norm" else "layer_norm"
    rows = []
    for number, (kind, name) in enumerate(zip(kinds, names, strict=True)):
        layer, place = f"{title}-Transformer-{{i}}-{kind}", f"{block}/layer_{number:03d}"
        rows.append(Row(f"{layer}-Norm/gamma", f"{place}/{norm}/scale", aliases=(f"{place}/{other}/scale",)))
        if kind == "FeedForward":
            inner = ["wi_0", "wi_1"] if gated else ["wi"]
            rows += [Row(f"{layer}/i{k}_dense/kernel", f"{place}/{name}/{wi}/kernel") for k, wi in enumerate(inner)]
            rows.append(Row(f"{layer}/o_dense/kernel", f"{place}/{name}/wo/kernel"))
        else:
            rows += [Row(f"{layer}/{x}_dense/kernel", f"{place}/{name}/{x}") for x in "qkvo"]
    # "final_layer_norm" where blocks say "layer_norm", but "rms_norm" alone where they say that.
    final, other_final = ("final_layer_norm" if name == "layer_norm" else name for name in (norm, other))
    return (
        *rows,
        Row(
            f"{title}-Embedding-Relative-Position/embeddings",
            f"{side}/block_000/layer_000/SelfAttention/relative_attention_bias",
            transpose=True,
        ),
        Row(f"{title}-Output-Norm/gamma", f"{side}/{final}/scale", aliases=(f"{side}/{other_final}/scale",)),
    )


def _tensorflow(norm: str, gated: bool) -> Table:
    """Return the names of a version; one half of it may be asked for alone."""
    return Table(
        rows=(
            Row("Embedding-Token/embeddings", "shared/embedding"),
            *_tf_stack("encoder", norm, gated),
            *_tf_stack("decoder", norm, gated),
            Row("Decoder-Output-LM/kernel", "decoder/logits/kernel"),
        ),
        heads=("encoder/*", "decoder/*"),
        ignore=SLOTS,
    )


# -- Hugging Face --------------------------------------------------------------------------------------------------


def _hf_stack(side: str, gated: bool) -> tuple[Row, ...]:
    """Return the rows of "encoder" or "decoder"; the feed-forward network may have two inner projections."""
    title, block = side.capitalize(), f"{side}.block.{{i}}.layer"
    kinds = [("MultiHeadSelfAttention", "SelfAttention"), ("MultiHeadCrossAttention", "EncDecAttention")]
    kinds = kinds[: 1 if side == "encoder" else 2]
    rows = []
    for number, (kind, name) in enumerate(kinds):
        layer = f"{title}-Transformer-{{i}}-{kind}"
        rows.append(Row(f"{layer}-Norm/gamma", f"{block}.{number}.layer_norm.weight"))
        rows += [Row(f"{layer}/{x}_dense/kernel", f"{block}.{number}.{name}.{x}.weight") for x in "qkvo"]
    layer, place = f"{title}-Transformer-{{i}}-FeedForward", f"{block}.{len(kinds)}"
    inner = ["wi_0", "wi_1"] if gated else ["wi"]
    return (
        *rows,
        Row(f"{layer}-Norm/gamma", f"{place}.layer_norm.weight"),
        *(Row(f"{layer}/i{k}_dense/kernel", f"{place}.DenseReluDense.{wi}.weight") for k, wi in enumerate(inner)),
        Row(f"{layer}/o_dense/kernel", f"{place}.DenseReluDense.wo.weight"),
        Row(
            f"{title}-Embedding-Relative-Position/embeddings",
            f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        ),
        Row(f"{title}-Output-Norm/gamma", f"{side}.final_layer_norm.weight"),
    )


def _huggingface(gated: bool) -> Table:
    """Return the names of a version; one half of it may be asked for alone."""
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    return Table(
        rows=(
            Row("Embedding-Token/embeddings", "shared.weight", aliases=copies),
            *_hf_stack("encoder", gated),
            *_hf_stack("decoder", gated),
            # Files of models that score tokens by their embeddings hold no matrix for it.
            Row("Decoder-Output-LM/kernel", "lm_head.weight", aliases=("shared.weight",)),
        ),
        words=WORDS,
        transposed=True,
        heads=("encoder.*", "decoder.*", "lm_head.weight"),
        # Old files hold the embeddings up to three times, and biases of the cross-attention that nothing reads.
        ignore=(*copies, "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"),
    )


SPELLINGS = {
    "d_model": "hidden_size",
    "d_kv": "attention_head_size",
    "d_ff": "intermediate_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "layer_norm_epsilon": "layer_norm_eps",
}


def _read(file: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with our spellings, its activation, and the differences of Hugging Face's model."""
    file = {SPELLINGS.get(name, name): value for name, value in file.items()}
    layers, decoder_layers = file.get("num_hidden_layers"), file.pop("num_decoder_layers", None)
    if decoder_layers is not None and decoder_layers != layers:
        raise ValueError(
            f"The configuration has num_layers {layers} and num_decoder_layers {decoder_layers}; "
            "encoders and decoders of different depth are not built"
        )
    gate, _, activation = str(file.pop("feed_forward_proj", "relu")).rpartition("-")
    activation = {"gelu": "gelu_tanh"}.get(activation, activation) if gate else activation
    activation = from_huggingface(activation)
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


def _write(config: Any) -> dict[str, Any]:
    """Return the content of a config.json."""
    # The class of mT5 does not divide by the root of the width, T5's does.
    as_t5 = config.family == "mt5.1.1" and config.output_scale
    prefix = "MT5" if config.family == "mt5.1.1" and not as_t5 else "T5"
    whole = config.stack == "seq2seq"
    return {
        "model_type": prefix.lower(),
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
        **({"bert4keras2_family": config.family} if as_t5 else {}),
    }


def _projection(activation: Any) -> str:
    """Return T5's name of the feed-forward network's activation."""
    gates = list(activation) if isinstance(activation, list | tuple) else [activation]
    if len(gates) == 1:
        return to_huggingface(gates[0])
    if len(gates) > 2 or gates[1] not in ("linear", None):
        raise ValueError(f"The gates {activation!r} have no name in Hugging Face's configurations")
    # "gated-gelu" is the approximation there, whatever "gelu" alone is.
    name = to_huggingface(gates[0])
    return "gated-" + {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "gelu": "gelu_python"}.get(name, name)


# -- the families --------------------------------------------------------------------------------------------------

# What an encoder or a decoder is made of in TensorFlow's files, and in Hugging Face's.
BLOCK = r"(^|/)(encoder|decoder)/block_|(^|\.)(encoder|decoder)\.block\."
MT5 = Family(
    name="mt5.1.1",
    structure={**STRUCTURE, "scores_name": "Output-LM", "tied_output": False},
    tensorflow=_tensorflow("rms_norm", gated=True),
    huggingface=_huggingface(gated=True),
    model_type="mt5",
    class_name="MT5",
    other_names={"mt5": {}, "t5_pegasus": {}},
    signs=(r"(^|/)(encoder|decoder)/.*rms_norm/scale",),
    write=_write,
    released=(
        Released("chinese_t5_pegasus_{small,base}", "mt5.1.1", f"{ZHUIYI}/t5-pegasus", tokenizer=JIEBA),
        Released(
            "mt5_{small,base}", "mt5.1.1", "google-research/multilingual-t5", tokenizer="SentencePiece",
            note="the JSON is written by hand",
        ),
    ),
)  # fmt: skip
T5_1_1 = Family(
    name="t5.1.1",
    structure={**STRUCTURE, "scores_name": "Output-LM", "tied_output": False},
    tensorflow=_tensorflow("layer_norm", gated=True),
    huggingface=_huggingface(gated=True),
    model_type="t5",
    class_name="T5",
    claims=lambda kind, file: kind == "t5" and str(file.get("feed_forward_proj", "")).startswith("gated"),
    signs=(r"(^|/)(encoder|decoder)/block_.*/wi_0/|(^|\.)(encoder|decoder)\.block\..*\.wi_0\.",),
    write=_write,
)
T5_1_0 = Family(
    name="t5.1.0",
    structure={**STRUCTURE, "scores_name": "Output-LM-Activation"},
    tensorflow=_tensorflow("layer_norm", gated=False),
    huggingface=_huggingface(gated=False),
    model_type="t5",
    class_name="T5",
    other_names={"t5": {}},
    telling_keys=("d_kv",),
    # Versions of T5 differ in the names of norms and in the number of inner projections: what is neither, is this one.
    signs=(BLOCK,),
    read=_read,
    write=_write,
)
