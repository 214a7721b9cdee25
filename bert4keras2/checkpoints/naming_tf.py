"""Names in the TensorFlow checkpoints that the families were released as."""

from __future__ import annotations

from bert4keras2.checkpoints.table import Row, Table

__all__ = ["TABLES"]

ATTENTION = "Transformer-{i}-MultiHeadSelfAttention"
FEED_FORWARD = "Transformer-{i}-FeedForward"
LAYER = "bert/encoder/layer_{i}"

BERT = Table(
    rows=(
        Row("Embedding-Token/embeddings", "bert/embeddings/word_embeddings"),
        Row("Embedding-Segment/embeddings", "bert/embeddings/token_type_embeddings"),
        Row("Embedding-Position/embeddings", "bert/embeddings/position_embeddings"),
        Row("Embedding-Norm/{norm}", "bert/embeddings/LayerNorm/{norm}"),
        Row("Embedding-Mapping/{dense}", "bert/encoder/embedding_hidden_mapping_in/{dense}"),
        Row(f"{ATTENTION}/q_dense/{{dense}}", f"{LAYER}/attention/self/query/{{dense}}"),
        Row(f"{ATTENTION}/k_dense/{{dense}}", f"{LAYER}/attention/self/key/{{dense}}"),
        Row(f"{ATTENTION}/v_dense/{{dense}}", f"{LAYER}/attention/self/value/{{dense}}"),
        Row(f"{ATTENTION}/o_dense/{{dense}}", f"{LAYER}/attention/output/dense/{{dense}}"),
        Row(f"{ATTENTION}-Norm/{{norm}}", f"{LAYER}/attention/output/LayerNorm/{{norm}}"),
        Row(f"{FEED_FORWARD}/i0_dense/{{dense}}", f"{LAYER}/intermediate/dense/{{dense}}"),
        Row(f"{FEED_FORWARD}/o_dense/{{dense}}", f"{LAYER}/output/dense/{{dense}}"),
        Row(f"{FEED_FORWARD}-Norm/{{norm}}", f"{LAYER}/output/LayerNorm/{{norm}}"),
        Row("Pooler-Dense/{dense}", "bert/pooler/dense/{dense}"),
        Row("NSP-Proba/kernel", "cls/seq_relationship/output_weights", transpose=True),
        Row("NSP-Proba/bias", "cls/seq_relationship/output_bias"),
        Row("MLM-Dense/{dense}", "cls/predictions/transform/dense/{dense}"),
        Row("MLM-Norm/{norm}", "cls/predictions/transform/LayerNorm/{norm}"),
        Row("MLM-Bias/beta", "cls/predictions/output_bias"),
    ),
    heads=("bert/pooler/*", "cls/*"),
    ignore=(
        "*/adam_m", "*/adam_v", "*/AdamWeightDecayOptimizer*", "*/LAMBOptimizer*", "*/lamb_m", "*/lamb_v",
        "global_step", "*/global_step", "*/Adam", "*/Adam_1", "beta1_power", "beta2_power",
        "*/ExponentialMovingAverage", "good_steps", "loss_scale", "save_counter*",
    ),
)  # fmt: skip

# RoFormerV2 has no biases, no normalization weights and no transform before its output: what is not in the model is
# not asked for, so BERT's rows serve. Its output mapping has no variable in the released files.
TABLES = {"bert": BERT, "roformer": BERT, "roformer_v2": BERT}
