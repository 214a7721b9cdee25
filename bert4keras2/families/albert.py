"""ALBERT (Lan et al., arXiv:1909.11942): all blocks are one; and blocks that start from it and go their own ways."""

from __future__ import annotations

from dataclasses import replace

from bert4keras2.families import bert
from bert4keras2.families.bert import ATTENTION, FEED_FORWARD, hf_blocks, hf_dense, hf_embeddings, hf_norm, tf_blocks
from bert4keras2.families.family import Family, Released, Row, Table

SHARED = ("Transformer-MultiHeadSelfAttention", "Transformer-FeedForward")
TF_GROUP = "bert/encoder/transformer/group_0/inner_group_0"
TF_LAYER = {
    "q": f"{TF_GROUP}/attention_1/self/query",
    "k": f"{TF_GROUP}/attention_1/self/key",
    "v": f"{TF_GROUP}/attention_1/self/value",
    "o": f"{TF_GROUP}/attention_1/output/dense",
    "attention_norm": f"{TF_GROUP}/LayerNorm",
    "i0": f"{TF_GROUP}/ffn_1/intermediate/dense",
    "out": f"{TF_GROUP}/ffn_1/intermediate/output/dense",
    "feed_forward_norm": f"{TF_GROUP}/LayerNorm_1",
}
TENSORFLOW = Table(
    rows=(*bert.tf_embeddings("bert", bert.MAPPING), *tf_blocks(*SHARED, TF_LAYER), *bert.TF_HEADS),
    heads=("bert/pooler/*", "cls/*"),
    ignore=bert.SLOTS,
)

HF_GROUP = "encoder.albert_layer_groups.0.albert_layers.0"
HF_LAYER = {
    "q": "attention.query",
    "k": "attention.key",
    "v": "attention.value",
    "o": "attention.dense",
    "attention_norm": "attention.LayerNorm",
    "i0": "ffn",
    "out": "ffn_output",
    "feed_forward_norm": "full_layer_layer_norm",
}
HUGGINGFACE = Table(
    rows=(
        *hf_embeddings("encoder.embedding_hidden_mapping_in"),
        *hf_blocks(*SHARED, HF_GROUP, HF_LAYER),
        hf_dense("Pooler-Dense", "pooler"),
        hf_dense("NSP-Proba", "/sop_classifier.classifier"),
        hf_dense("MLM-Dense", "/predictions.dense"),
        *hf_norm("MLM-Norm", "/predictions.LayerNorm"),
        Row("MLM-Bias/beta", "/predictions.bias", aliases=("/predictions.decoder.bias",)),
    ),
    words=bert.WORDS,
    transposed=True,
    heads=(*bert.TASKS, "predictions.*", "sop_classifier.*"),
    ignore=(*bert.COPIES, "predictions.decoder.*"),
    roots=("albert.", "", "model."),
    tasks=bert.TASK_HEADS,
)

ALBERT = Family(
    name="albert",
    structure={"norm": {"epsilon": 1e-12}, "share_blocks": True},
    tensorflow=TENSORFLOW,
    huggingface=HUGGINGFACE,
    model_type="albert",
    class_name="Albert",
    names_embedding_size=True,
    telling_keys=("num_hidden_groups",),
    signs=(r"transformer/group_0|albert_layer_groups",),
    keys=lambda config: {"num_hidden_groups": 1, "inner_group_num": 1},
    released=(
        Released("albert_{tiny,small,base,large,xlarge,xxlarge}_zh_google", "albert", "google-research/albert"),
        Released("albert_{base,large,xlarge,xxlarge}", "albert", "google-research/albert"),
    ),
)


# -- unshared: read from ALBERT's one block, stored as BERT's many ---------------------------------------------------


def _tensorflow() -> Table:
    own = tf_blocks(ATTENTION, FEED_FORWARD, bert.tf_layer("bert/encoder/layer_{i}"))
    one = tf_blocks(ATTENTION, FEED_FORWARD, TF_LAYER)
    rows = (Row(mine.path, mine.name, aliases=(shared.name,)) for mine, shared in zip(own, one, strict=True))
    return TENSORFLOW.variant(plus=tuple(rows))


def _others(table: Table) -> list[Row]:
    """Return the rows of what is no block."""
    return [row for row in table.rows if not row.path.startswith("Transformer-")]


def _huggingface() -> Table:
    own = [*hf_blocks(ATTENTION, FEED_FORWARD, bert.LAYER, bert.HF_LAYER), *_others(bert.HUGGINGFACE)]
    shared = [*hf_blocks(ATTENTION, FEED_FORWARD, HF_GROUP, HF_LAYER), *_others(HUGGINGFACE)]
    names = {row.path: (row.name, *row.aliases) for row in shared}
    return Table(
        rows=tuple(replace(row, aliases=(*row.aliases, *names[row.path])) for row in own),
        words=bert.WORDS,
        transposed=True,
        heads=(*bert.HUGGINGFACE.heads, *HUGGINGFACE.heads),
        ignore=(*bert.HUGGINGFACE.ignore, *HUGGINGFACE.ignore),
        roots=("bert.", "", "model.", "albert."),
    )


ALBERT_UNSHARED = Family(
    name="albert_unshared",
    structure={"norm": {"epsilon": 1e-12}},
    tensorflow=_tensorflow(),
    huggingface=_huggingface(),
    # Blocks that are no longer one are BERT's.
    model_type="bert",
    class_name="Bert",
    causal_class="LMHeadModel",
    keys=lambda config: {"bert4keras2_family": "albert_unshared"},
)
