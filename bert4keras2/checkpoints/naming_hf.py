"""Names in Hugging Face folders (safetensors and PyTorch files): BERT and what descends from it."""

from __future__ import annotations

from dataclasses import replace

from bert4keras2.checkpoints.table import Row, Table

__all__ = ["TABLES", "dense", "norm"]

ATTENTION = "Transformer-{i}-MultiHeadSelfAttention"
FEED_FORWARD = "Transformer-{i}-FeedForward"
LAYER = "encoder.layer.{i}"
WORDS = {"kernel": "weight", "gamma": "weight", "beta": "bias"}


def norm(path: str, name: str) -> tuple[Row, ...]:
    """Return the rows of a normalization, whose weights the oldest files call gamma and beta."""
    return (
        Row(f"{path}/gamma", f"{name}.weight", aliases=(f"{name}.gamma",)),
        Row(f"{path}/beta", f"{name}.bias", aliases=(f"{name}.beta",)),
    )


def dense(path: str, name: str) -> Row:
    """Return the row of a projection."""
    return Row(f"{path}/{{dense}}", f"{name}.{{dense}}")


def embeddings(mapping: str) -> tuple[Row, ...]:
    """Return the rows of the embeddings, `mapping` being the projection to the hidden width."""
    return (
        Row("Embedding-Token/embeddings", "embeddings.word_embeddings.weight"),
        Row("Embedding-Segment/embeddings", "embeddings.token_type_embeddings.weight"),
        Row("Embedding-Position/embeddings", "embeddings.position_embeddings.weight"),
        *norm("Embedding-Norm", "embeddings.LayerNorm"),
        dense("Embedding-Mapping", mapping),
    )


def blocks(attention: str, feed_forward: str, layer: str, names: dict[str, str]) -> tuple[Row, ...]:
    """Return the rows of a block.

    Args:
        attention: name of the attention layer.
        feed_forward: name of the feed-forward layer.
        layer: what the names of the block's variables begin with.
        names: what q, k, v, o, attention_norm, i0, out and feed_forward_norm are called there.
    """
    return (
        *(dense(f"{attention}/{x}_dense", f"{layer}.{names[x]}") for x in "qkvo"),
        *norm(f"{attention}-Norm", f"{layer}.{names['attention_norm']}"),
        dense(f"{feed_forward}/i0_dense", f"{layer}.{names['i0']}"),
        dense(f"{feed_forward}/o_dense", f"{layer}.{names['out']}"),
        *norm(f"{feed_forward}-Norm", f"{layer}.{names['feed_forward_norm']}"),
    )


BERT_BLOCK = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "o": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "i0": "intermediate.dense",
    "out": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
# What other heads of a family are called, and what files repeat of the token embeddings or hold of computed tables.
TASKS = ("*pooler.*", "classifier.*", "qa_outputs.*", "sequence_summary.*")
COPIES = ("*position_ids", "*token_type_ids", "*embed_positions.weight", "*positions_encoding")

BERT = Table(
    rows=(
        *embeddings("embeddings_project"),
        *blocks(ATTENTION, FEED_FORWARD, LAYER, BERT_BLOCK),
        dense("Pooler-Dense", "pooler.dense"),
        # Heads stand beside the backbone: the slash keeps the root from being put before them.
        dense("NSP-Proba", "/cls.seq_relationship"),
        dense("MLM-Dense", "/cls.predictions.transform.dense"),
        *norm("MLM-Norm", "/cls.predictions.transform.LayerNorm"),
        Row("MLM-Bias/beta", "/cls.predictions.bias", aliases=("/cls.predictions.decoder.bias",)),
    ),
    words=WORDS,
    transposed=True,
    heads=(*TASKS, "cls.*"),
    ignore=(*COPIES, "cls.predictions.decoder.*"),
    roots=("bert.", "", "model."),
)

GROUP = "encoder.albert_layer_groups.0.albert_layers.0"
ALBERT_BLOCK = {
    "q": "attention.query",
    "k": "attention.key",
    "v": "attention.value",
    "o": "attention.dense",
    "attention_norm": "attention.LayerNorm",
    "i0": "ffn",
    "out": "ffn_output",
    "feed_forward_norm": "full_layer_layer_norm",
}
ALBERT = Table(
    rows=(
        *embeddings("encoder.embedding_hidden_mapping_in"),
        *blocks("Transformer-MultiHeadSelfAttention", "Transformer-FeedForward", GROUP, ALBERT_BLOCK),
        dense("Pooler-Dense", "pooler"),
        dense("NSP-Proba", "/sop_classifier.classifier"),
        dense("MLM-Dense", "/predictions.dense"),
        *norm("MLM-Norm", "/predictions.LayerNorm"),
        Row("MLM-Bias/beta", "/predictions.bias", aliases=("/predictions.decoder.bias",)),
    ),
    words=WORDS,
    transposed=True,
    heads=(*TASKS, "predictions.*", "sop_classifier.*"),
    ignore=(*COPIES, "predictions.decoder.*"),
    roots=("albert.", "", "model."),
)


def unshared() -> Table:
    """Return the names of blocks that are read from ALBERT's one and stored as BERT's many."""
    own = [*blocks(ATTENTION, FEED_FORWARD, LAYER, BERT_BLOCK), *_others(BERT)]
    shared = [*blocks(ATTENTION, FEED_FORWARD, GROUP, ALBERT_BLOCK), *_others(ALBERT)]
    names = {row.path: (row.name, *row.aliases) for row in shared}
    return Table(
        rows=tuple(replace(row, aliases=(*row.aliases, *names[row.path])) for row in own),
        words=WORDS,
        transposed=True,
        heads=(*BERT.heads, *ALBERT.heads),
        ignore=(*BERT.ignore, *ALBERT.ignore),
        roots=("bert.", "", "model.", "albert."),
    )


def _others(table: Table) -> list[Row]:
    """Return the rows of what is no block."""
    return [row for row in table.rows if not row.path.startswith("Transformer-")]


# The generator is BERT with heads of other names, the discriminator has its own.
ELECTRA = BERT.variant(
    drop=("MLM-*",),
    plus=(
        dense("Discriminator-Dense", "/discriminator_predictions.dense"),
        dense("Discriminator-Prediction", "/discriminator_predictions.dense_prediction"),
        dense("MLM-Dense", "/generator_predictions.dense"),
        *norm("MLM-Norm", "/generator_predictions.LayerNorm"),
        Row("MLM-Bias/beta", "/generator_lm_head.bias"),
    ),
    heads=(*TASKS, "cls.*", "discriminator_predictions.*", "generator_predictions.*", "generator_lm_head.*"),
    roots=("electra.", "", "model."),
)

# The ports of RoFormerV2 and GAU-alpha: normalization has no weights, and tokens are scored by their embeddings alone.
UNIT, GAU_LAYER = "Transformer-{i}-GatedAttentionUnit", f"{LAYER}.gau"
GAU_ALPHA = BERT.variant(
    drop=("Transformer-*", "MLM-*"),
    plus=(
        *(dense(f"{UNIT}/{x}_dense", f"{GAU_LAYER}.{x}_dense") for x in "io"),
        *(row for x in "qk" for row in norm(f"{UNIT}/{x}_scaleoffset", f"{GAU_LAYER}.{x}_scaleoffset")),
    ),
    roots=("gau_alpha.", ""),
)

TABLES = {
    "bert": BERT,
    "albert": ALBERT,
    "albert_unshared": unshared(),
    "nezha": BERT.variant(roots=("nezha.", "", "bert.")),
    "electra": ELECTRA,
    "roformer": BERT.variant(roots=("roformer.", "", "bert.")),
    "roformer_v2": BERT.variant(drop=("MLM-*",), roots=("roformer.", "", "bert.")),
    "gau_alpha": GAU_ALPHA,
}
