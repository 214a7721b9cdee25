"""Names in the TensorFlow checkpoints that the families were released as."""

from __future__ import annotations

from bert4keras2.checkpoints.table import Part, Row, Table

__all__ = ["ALTERNATIVES", "TABLES"]

ATTENTION = "Transformer-{i}-MultiHeadSelfAttention"
FEED_FORWARD = "Transformer-{i}-FeedForward"
LAYER = "bert/encoder/layer_{i}"
# What optimizers and their wrappers leave behind.
SLOTS = (
    "*/adam_m", "*/adam_v", "*/AdamWeightDecayOptimizer*", "*/LAMBOptimizer*", "*/lamb_m", "*/lamb_v", "*_slot_v*",
    "global_step", "*/global_step", "*/Adam", "*/Adam_1", "beta1_power", "beta2_power", "*_slot_m", "*_slot_vr",
    "*_slot_vc", "*/adafactor_*", "*/ExponentialMovingAverage", "good_steps", "loss_scale", "save_counter*",
)  # fmt: skip


def blocks(attention: str, feed_forward: str, names: dict[str, str]) -> tuple[Row, ...]:
    """Return the rows of a block's variables.

    Args:
        attention: name of the attention layer.
        feed_forward: name of the feed-forward layer.
        names: what the checkpoint calls q, k, v, o, attention_norm, i0, out and feed_forward_norm.
    """
    return (
        *(Row(f"{attention}/{x}_dense/{{dense}}", f"{names[x]}/{{dense}}") for x in "qkvo"),
        Row(f"{attention}-Norm/{{norm}}", f"{names['attention_norm']}/{{norm}}"),
        Row(f"{feed_forward}/i0_dense/{{dense}}", f"{names['i0']}/{{dense}}"),
        Row(f"{feed_forward}/o_dense/{{dense}}", f"{names['out']}/{{dense}}"),
        Row(f"{feed_forward}-Norm/{{norm}}", f"{names['feed_forward_norm']}/{{norm}}"),
    )


def bert_layer(layer: str) -> dict[str, str]:
    """Return the names of a block as BERT's code gave them, below the name of a layer."""
    return {
        "q": f"{layer}/attention/self/query",
        "k": f"{layer}/attention/self/key",
        "v": f"{layer}/attention/self/value",
        "o": f"{layer}/attention/output/dense",
        "attention_norm": f"{layer}/attention/output/LayerNorm",
        "i0": f"{layer}/intermediate/dense",
        "out": f"{layer}/output/dense",
        "feed_forward_norm": f"{layer}/output/LayerNorm",
    }


def albert_group(group: str) -> dict[str, str]:
    """Return the names of ALBERT's block below the name of its group."""
    return {
        "q": f"{group}/attention_1/self/query",
        "k": f"{group}/attention_1/self/key",
        "v": f"{group}/attention_1/self/value",
        "o": f"{group}/attention_1/output/dense",
        "attention_norm": f"{group}/LayerNorm",
        "i0": f"{group}/ffn_1/intermediate/dense",
        "out": f"{group}/ffn_1/intermediate/output/dense",
        "feed_forward_norm": f"{group}/LayerNorm_1",
    }


def embeddings(root: str, mapping: str) -> tuple[Row, ...]:
    """Return the rows of BERT's embeddings below a root, `mapping` being the projection to the hidden width."""
    return (
        Row("Embedding-Token/embeddings", f"{root}/embeddings/word_embeddings"),
        Row("Embedding-Segment/embeddings", f"{root}/embeddings/token_type_embeddings"),
        Row("Embedding-Position/embeddings", f"{root}/embeddings/position_embeddings"),
        Row("Embedding-Norm/{norm}", f"{root}/embeddings/LayerNorm/{{norm}}"),
        Row("Embedding-Mapping/{dense}", f"{root}/{mapping}/{{dense}}"),
    )


HEADS = (
    Row("Pooler-Dense/{dense}", "bert/pooler/dense/{dense}"),
    Row("NSP-Proba/kernel", "cls/seq_relationship/output_weights", transpose=True),
    Row("NSP-Proba/bias", "cls/seq_relationship/output_bias"),
    Row("MLM-Dense/{dense}", "cls/predictions/transform/dense/{dense}"),
    Row("MLM-Norm/{norm}", "cls/predictions/transform/LayerNorm/{norm}"),
    Row("MLM-Bias/beta", "cls/predictions/output_bias"),
)
BERT = Table(
    rows=(
        *embeddings("bert", "encoder/embedding_hidden_mapping_in"),
        *blocks(ATTENTION, FEED_FORWARD, bert_layer(LAYER)),
        *HEADS,
    ),
    heads=("bert/pooler/*", "cls/*"),
    ignore=SLOTS,
)

GROUP = "bert/encoder/transformer/group_0/inner_group_0"
SHARED = ("Transformer-MultiHeadSelfAttention", "Transformer-FeedForward")
ALBERT = Table(
    rows=(*embeddings("bert", "encoder/embedding_hidden_mapping_in"), *blocks(*SHARED, albert_group(GROUP)), *HEADS),
    heads=("bert/pooler/*", "cls/*"),
    ignore=SLOTS,
)
# Blocks that start alike and go their own ways are read from ALBERT's one, and stored as BERT's many.
ALBERT_UNSHARED = ALBERT.variant(
    plus=tuple(
        Row(own.path, own.name, aliases=(shared.name,))
        for own, shared in zip(
            blocks(ATTENTION, FEED_FORWARD, bert_layer(LAYER)),
            blocks(ATTENTION, FEED_FORWARD, albert_group(GROUP)),
            strict=True,
        )
    )
)

ELECTRA = Table(
    rows=(
        *embeddings("electra", "embeddings_project"),
        *blocks(ATTENTION, FEED_FORWARD, bert_layer("electra/encoder/layer_{i}")),
        Row("Discriminator-Dense/{dense}", "discriminator_predictions/dense/{dense}"),
        Row("Discriminator-Prediction/{dense}", "discriminator_predictions/dense_1/{dense}"),
        Row("MLM-Dense/{dense}", "generator_predictions/dense/{dense}"),
        Row("MLM-Norm/{norm}", "generator_predictions/LayerNorm/{norm}"),
        Row("MLM-Bias/beta", "generator_predictions/output_bias"),
    ),
    heads=("discriminator_predictions/*", "generator_predictions/*", "generator/*"),
    ignore=SLOTS,
)

# Normalization without weights leaves no rows; the output mapping has no variable in the released files.
UNIT, GAU_LAYER = "Transformer-{i}-GatedAttentionUnit", "GAU_alpha/encoder/layer_{i}/gau"
GAU_ALPHA = BERT.variant(
    drop=("Transformer-*",),
    plus=(
        *(Row(f"{UNIT}/{x}_dense/{{dense}}", f"{GAU_LAYER}/{x}_dense/{{dense}}") for x in "io"),
        *(Row(f"{UNIT}/{x}_scaleoffset/{{norm}}", f"{GAU_LAYER}/{x}_scaleoffset/{{norm}}") for x in "qk"),
    ),
)

GPT = Table(
    rows=(
        *embeddings("gpt", "encoder/embedding_hidden_mapping_in"),
        *blocks(ATTENTION, FEED_FORWARD, bert_layer("gpt/transformer/layer_{i}")),
    ),
    ignore=SLOTS,
)
GPT2 = GPT.variant(
    drop=("*-Norm/*",),
    plus=(
        Row(f"{ATTENTION}-Norm/{{norm}}", "gpt/transformer/layer_{i}/attention/input/LayerNorm/{norm}"),
        Row(f"{FEED_FORWARD}-Norm/{{norm}}", "gpt/transformer/layer_{i}/input/LayerNorm/{norm}"),
        Row("Output-Norm/{norm}", "gpt/output/LayerNorm/{norm}"),
    ),
)
# OpenAI's own files: q, k and v side by side in one array, and matrices as convolutions of width 1.
H = "model/h{i}"
GPT2_OPENAI = Table(
    rows=(
        Row("Embedding-Token/embeddings", "model/wte"),
        Row("Embedding-Position/embeddings", "model/wpe"),
        Row(f"{ATTENTION}-Norm/{{norm}}", f"{H}/ln_1/{{norm}}"),
        *(
            Row(f"{ATTENTION}/{x}_dense/{{dense}}", f"{H}/attn/c_attn/{{dense}}", part=Part(-1, k, 3))
            for k, x in enumerate("qkv")
        ),
        Row(f"{ATTENTION}/o_dense/{{dense}}", f"{H}/attn/c_proj/{{dense}}"),
        Row(f"{FEED_FORWARD}-Norm/{{norm}}", f"{H}/ln_2/{{norm}}"),
        Row(f"{FEED_FORWARD}/i0_dense/{{dense}}", f"{H}/mlp/c_fc/{{dense}}"),
        Row(f"{FEED_FORWARD}/o_dense/{{dense}}", f"{H}/mlp/c_proj/{{dense}}"),
        Row("Output-Norm/{norm}", "model/ln_f/{norm}"),
    ),
    words={"kernel": "w", "bias": "b", "gamma": "g", "beta": "b"},
    ignore=SLOTS,
)

NEWS = "newslm/layer{i:02d}"
GPT2_ML = Table(
    rows=(
        Row("Embedding-Token/embeddings", "newslm/embeddings/word_embed"),
        Row("Embedding-Position/embeddings", "newslm/embeddings/pos_embed"),
        Row("Embedding-Norm/{norm}", "newslm/embeddings/LayerNorm_embed_norm/{norm}"),
        Row(f"{ATTENTION}/q_dense/{{dense}}", f"{NEWS}/query_layer/{{dense}}"),
        Row(f"{ATTENTION}/k_dense/{{dense}}", f"{NEWS}/key_layer/{{dense}}"),
        Row(f"{ATTENTION}/v_dense/{{dense}}", f"{NEWS}/value_layer/{{dense}}"),
        Row(f"{ATTENTION}/o_dense/{{dense}}", f"{NEWS}/context_projection_layer/{{dense}}"),
        Row(f"{FEED_FORWARD}-Norm-0/{{norm}}", f"{NEWS}/LayerNorm_mlp_ln0/{{norm}}"),
        Row(f"{FEED_FORWARD}/i0_dense/{{dense}}", f"{NEWS}/intermediate/{{dense}}"),
        Row(f"{FEED_FORWARD}/o_dense/{{dense}}", f"{NEWS}/output/{{dense}}"),
        Row(f"{FEED_FORWARD}-Norm-1/{{norm}}", f"{NEWS}/LayerNorm_mlp_ln1/{{norm}}"),
    ),
    ignore=SLOTS,
)

TABLES = {
    "bert": BERT,
    "albert": ALBERT,
    "albert_unshared": ALBERT_UNSHARED,
    # Positions of NEZHA are computed.
    "nezha": BERT,
    "electra": ELECTRA,
    "roformer": BERT,
    # RoFormerV2 has no biases, no normalization weights and no transform before its output: what is not in the model
    # is not asked for, so BERT's rows serve.
    "roformer_v2": BERT,
    "gau_alpha": GAU_ALPHA,
    "gpt": GPT,
    "gpt2": GPT2,
    "gpt2_ml": GPT2_ML,
}

# Other layouts that a family's files may have, told by a name that only they hold; they are read, not written.
ALTERNATIVES = {"gpt2": (("model/wte", GPT2_OPENAI),)}
