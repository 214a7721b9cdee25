"""Names in Hugging Face folders (safetensors and PyTorch files): T5 and GPT-2."""

from __future__ import annotations

from bert4keras2.checkpoints.naming_hf import ATTENTION, FEED_FORWARD, WORDS, dense, norm
from bert4keras2.checkpoints.table import Part, Row, Table

__all__ = ["TABLES"]

H = "h.{i}"
# Matrices are stored as the model has them, and q, k and v side by side in one.
GPT2 = Table(
    rows=(
        Row("Embedding-Token/embeddings", "wte.weight"),
        Row("Embedding-Position/embeddings", "wpe.weight"),
        *norm(f"{ATTENTION}-Norm", f"{H}.ln_1"),
        *(
            Row(f"{ATTENTION}/{x}_dense/{{dense}}", f"{H}.attn.c_attn.{{dense}}", part=Part(-1, k, 3))
            for k, x in enumerate("qkv")
        ),
        dense(f"{ATTENTION}/o_dense", f"{H}.attn.c_proj"),
        *norm(f"{FEED_FORWARD}-Norm", f"{H}.ln_2"),
        dense(f"{FEED_FORWARD}/i0_dense", f"{H}.mlp.c_fc"),
        dense(f"{FEED_FORWARD}/o_dense", f"{H}.mlp.c_proj"),
        *norm("Output-Norm", "ln_f"),
    ),
    words=WORDS,
    # The masks of old files, and the copy of the token embeddings that scores tokens.
    ignore=("*.attn.bias", "*.attn.masked_bias", "*lm_head.weight"),
    heads=("score.*", "classifier.*", "multiple_choice_head.*"),
    roots=("transformer.", ""),
)


def stack(side: str, gated: bool) -> tuple[Row, ...]:
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


def t5(gated: bool) -> Table:
    """Return the names of a version of T5; one half of it may be asked for alone."""
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    return Table(
        rows=(
            Row("Embedding-Token/embeddings", "shared.weight", aliases=copies),
            *stack("encoder", gated),
            *stack("decoder", gated),
            # Files of models that score tokens by their embeddings hold no matrix for it.
            Row("Decoder-Output-LM/kernel", "lm_head.weight", aliases=("shared.weight",)),
        ),
        words=WORDS,
        transposed=True,
        heads=("encoder.*", "decoder.*", "lm_head.weight"),
        # Old files hold the embeddings up to three times, and biases of the cross-attention that nothing reads.
        ignore=(*copies, "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"),
    )


TABLES = {"gpt2": GPT2, "t5.1.0": t5(gated=False), "t5.1.1": t5(gated=True), "mt5.1.1": t5(gated=True)}
