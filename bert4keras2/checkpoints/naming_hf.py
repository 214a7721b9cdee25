"""Names in Hugging Face folders (safetensors and PyTorch files)."""

from __future__ import annotations

from bert4keras2.checkpoints.table import Row, Table

__all__ = ["TABLES"]

ATTENTION = "Transformer-{i}-MultiHeadSelfAttention"
FEED_FORWARD = "Transformer-{i}-FeedForward"
LAYER = "encoder.layer.{i}"
WORDS = {"kernel": "weight", "gamma": "weight", "beta": "bias"}


def _norm(path: str, name: str) -> tuple[Row, ...]:
    """Return the rows of a normalization, whose weights the oldest files call gamma and beta."""
    return (
        Row(f"{path}/gamma", f"{name}.weight", aliases=(f"{name}.gamma",)),
        Row(f"{path}/beta", f"{name}.bias", aliases=(f"{name}.beta",)),
    )


def _dense(path: str, name: str) -> Row:
    return Row(f"{path}/{{dense}}", f"{name}.{{dense}}")


BERT = Table(
    rows=(
        Row("Embedding-Token/embeddings", "embeddings.word_embeddings.weight"),
        Row("Embedding-Segment/embeddings", "embeddings.token_type_embeddings.weight"),
        Row("Embedding-Position/embeddings", "embeddings.position_embeddings.weight"),
        *_norm("Embedding-Norm", "embeddings.LayerNorm"),
        _dense("Embedding-Mapping", "embeddings_project"),
        _dense(f"{ATTENTION}/q_dense", f"{LAYER}.attention.self.query"),
        _dense(f"{ATTENTION}/k_dense", f"{LAYER}.attention.self.key"),
        _dense(f"{ATTENTION}/v_dense", f"{LAYER}.attention.self.value"),
        _dense(f"{ATTENTION}/o_dense", f"{LAYER}.attention.output.dense"),
        *_norm(f"{ATTENTION}-Norm", f"{LAYER}.attention.output.LayerNorm"),
        _dense(f"{FEED_FORWARD}/i0_dense", f"{LAYER}.intermediate.dense"),
        _dense(f"{FEED_FORWARD}/o_dense", f"{LAYER}.output.dense"),
        *_norm(f"{FEED_FORWARD}-Norm", f"{LAYER}.output.LayerNorm"),
        _dense("Pooler-Dense", "pooler.dense"),
        # Heads stand beside the backbone: the slash keeps the root from being put before them.
        _dense("NSP-Proba", "/cls.seq_relationship"),
        _dense("MLM-Dense", "/cls.predictions.transform.dense"),
        *_norm("MLM-Norm", "/cls.predictions.transform.LayerNorm"),
        Row("MLM-Bias/beta", "/cls.predictions.bias", aliases=("/cls.predictions.decoder.bias",)),
    ),
    words=WORDS,
    transposed=True,
    heads=("*pooler.*", "cls.*", "classifier.*", "qa_outputs.*"),
    ignore=("*position_ids", "*token_type_ids", "*embed_positions.weight", "cls.predictions.decoder.*"),
    roots=("bert.", "", "model."),
)

TABLES = {
    "bert": BERT,
    "roformer": BERT.variant(roots=("roformer.", "", "bert.")),
    "roformer_v2": BERT.variant(roots=("roformer.", "", "bert.")),
}
