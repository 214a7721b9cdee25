"""BERT (Devlin et al., arXiv:1810.04805), and the rows of names that its relatives share."""

from __future__ import annotations

from bert4keras2.families.family import Family, Released, Row, Table

ATTENTION = "Transformer-{i}-MultiHeadSelfAttention"
FEED_FORWARD = "Transformer-{i}-FeedForward"

# -- TensorFlow ----------------------------------------------------------------------------------------------------

# What optimizers and their wrappers leave behind.
SLOTS = (
    "*/adam_m", "*/adam_v", "*/AdamWeightDecayOptimizer*", "*/LAMBOptimizer*", "*/lamb_m", "*/lamb_v", "*_slot_v*",
    "global_step", "*/global_step", "*/Adam", "*/Adam_1", "beta1_power", "beta2_power", "*_slot_m", "*_slot_vr",
    "*_slot_vc", "*/adafactor_*", "*/ExponentialMovingAverage", "good_steps", "loss_scale", "save_counter*",
)  # fmt: skip


def tf_embeddings(root: str, mapping: str) -> tuple[Row, ...]:
    """Return the rows of the embeddings below a root, `mapping` being the projection to the hidden width."""
    return (
        Row("Embedding-Token/embeddings", f"{root}/embeddings/word_embeddings"),
        Row("Embedding-Segment/embeddings", f"{root}/embeddings/token_type_embeddings"),
        Row("Embedding-Position/embeddings", f"{root}/embeddings/position_embeddings"),
        Row("Embedding-Norm/{norm}", f"{root}/embeddings/LayerNorm/{{norm}}"),
        Row("Embedding-Mapping/{dense}", f"{root}/{mapping}/{{dense}}"),
    )


def tf_blocks(attention: str, feed_forward: str, names: dict[str, str]) -> tuple[Row, ...]:
    """Return the rows of a block.

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


def tf_layer(layer: str) -> dict[str, str]:
    """Return the names of a block below the name of a layer, as BERT's code gave them."""
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


MAPPING = "encoder/embedding_hidden_mapping_in"
TF_HEADS = (
    Row("Pooler-Dense/{dense}", "bert/pooler/dense/{dense}"),
    Row("NSP-Proba/kernel", "cls/seq_relationship/output_weights", transpose=True),
    Row("NSP-Proba/bias", "cls/seq_relationship/output_bias"),
    Row("MLM-Dense/{dense}", "cls/predictions/transform/dense/{dense}"),
    Row("MLM-Norm/{norm}", "cls/predictions/transform/LayerNorm/{norm}"),
    Row("MLM-Bias/beta", "cls/predictions/output_bias"),
)
TENSORFLOW = Table(
    rows=(
        *tf_embeddings("bert", MAPPING),
        *tf_blocks(ATTENTION, FEED_FORWARD, tf_layer("bert/encoder/layer_{i}")),
        *TF_HEADS,
    ),
    heads=("bert/pooler/*", "cls/*"),
    ignore=SLOTS,
)

# -- Hugging Face --------------------------------------------------------------------------------------------------

LAYER = "encoder.layer.{i}"
WORDS = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
# What other heads of a family are called, and what files repeat of the token embeddings or hold of computed tables.
TASKS = ("*pooler.*", "classifier.*", "qa_outputs.*", "sequence_summary.*")
COPIES = ("*position_ids", "*token_type_ids", "*embed_positions.weight", "*positions_encoding")


def hf_norm(path: str, name: str) -> tuple[Row, ...]:
    """Return the rows of a normalization, whose weights the oldest files call gamma and beta."""
    return (
        Row(f"{path}/gamma", f"{name}.weight", aliases=(f"{name}.gamma",)),
        Row(f"{path}/beta", f"{name}.bias", aliases=(f"{name}.beta",)),
    )


def hf_dense(path: str, name: str) -> Row:
    """Return the row of a projection."""
    return Row(f"{path}/{{dense}}", f"{name}.{{dense}}")


def hf_embeddings(mapping: str) -> tuple[Row, ...]:
    """Return the rows of the embeddings, `mapping` being the projection to the hidden width."""
    return (
        Row("Embedding-Token/embeddings", "embeddings.word_embeddings.weight"),
        Row("Embedding-Segment/embeddings", "embeddings.token_type_embeddings.weight"),
        Row("Embedding-Position/embeddings", "embeddings.position_embeddings.weight"),
        *hf_norm("Embedding-Norm", "embeddings.LayerNorm"),
        hf_dense("Embedding-Mapping", mapping),
    )


def hf_blocks(attention: str, feed_forward: str, layer: str, names: dict[str, str]) -> tuple[Row, ...]:
    """Return the rows of a block; arguments as for `tf_blocks`, `layer` being what all names begin with."""
    return (
        *(hf_dense(f"{attention}/{x}_dense", f"{layer}.{names[x]}") for x in "qkvo"),
        *hf_norm(f"{attention}-Norm", f"{layer}.{names['attention_norm']}"),
        hf_dense(f"{feed_forward}/i0_dense", f"{layer}.{names['i0']}"),
        hf_dense(f"{feed_forward}/o_dense", f"{layer}.{names['out']}"),
        *hf_norm(f"{feed_forward}-Norm", f"{layer}.{names['feed_forward_norm']}"),
    )


# What Hugging Face's classes for tasks put on top.
TASK_HEADS = (
    hf_dense("Classifier", "/classifier"),
    hf_dense("Token-Classifier", "/classifier"),
    hf_dense("Span-Classifier", "/qa_outputs"),
    hf_dense("Choice-Classifier", "/classifier"),
)
# Those of families whose classifiers have a hidden layer of their own in the pooler's place.
DEEP_TASK_HEADS = (
    hf_dense("Classifier-Dense", "/classifier.dense"),
    hf_dense("Classifier", "/classifier.out_proj"),
    *TASK_HEADS[1:3],
)
HF_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "o": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "i0": "intermediate.dense",
    "out": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
HUGGINGFACE = Table(
    rows=(
        *hf_embeddings("embeddings_project"),
        *hf_blocks(ATTENTION, FEED_FORWARD, LAYER, HF_LAYER),
        hf_dense("Pooler-Dense", "pooler.dense"),
        # Heads stand beside the backbone: the slash keeps the root from being put before them.
        hf_dense("NSP-Proba", "/cls.seq_relationship"),
        hf_dense("MLM-Dense", "/cls.predictions.transform.dense"),
        *hf_norm("MLM-Norm", "/cls.predictions.transform.LayerNorm"),
        Row("MLM-Bias/beta", "/cls.predictions.bias", aliases=("/cls.predictions.decoder.bias",)),
    ),
    words=WORDS,
    transposed=True,
    heads=(*TASKS, "cls.*"),
    ignore=(*COPIES, "cls.predictions.decoder.*"),
    roots=("bert.", "", "model."),
    tasks=TASK_HEADS,
)

# -- the family ----------------------------------------------------------------------------------------------------

JIEBA = "words by jieba first: pre_tokenize=lambda s: jieba.lcut(s, HMM=False)"
ZHUIYI = "ZhuiyiTechnology"
# Sentence vector and generator in one (Su Jianlin, kexue.fm/archives/7427 and 8454).
SIMILAR_SENTENCES = {"application": "unilm", "with_pool": "linear"}

BERT = Family(
    name="bert",
    structure={"norm": {"epsilon": 1e-12}},
    tensorflow=TENSORFLOW,
    huggingface=HUGGINGFACE,
    model_type="bert",
    class_name="Bert",
    causal_class="LMHeadModel",
    # Chinese RoBERTa checkpoints are BERT trained longer (Cui et al., arXiv:1906.08101).
    other_names={"roberta": {}, "wobert": {}, "simbert": SIMILAR_SENTENCES},
    hints=("position_embeddings",),
    released=(
        Released("chinese_L-12_H-768_A-12", "bert", "google-research/bert", hub="google-bert/bert-base-chinese"),
        Released("chinese_wwm_L-12_H-768_A-12", "bert", "ymcui/Chinese-BERT-wwm", hub="hfl/chinese-bert-wwm"),
        Released("chinese_wwm_ext_L-12_H-768_A-12", "bert", "ymcui/Chinese-BERT-wwm", hub="hfl/chinese-bert-wwm-ext"),
        Released(
            "chinese_roberta_wwm_ext_L-12_H-768_A-12", "bert", "ymcui/Chinese-BERT-wwm",
            hub="hfl/chinese-roberta-wwm-ext", note="BERT, in spite of its name",
        ),
        Released(
            "chinese_roberta_wwm_large_ext_L-24_H-1024_A-16", "bert", "ymcui/Chinese-BERT-wwm",
            hub="hfl/chinese-roberta-wwm-ext-large",
        ),
        Released("chinese_roberta_L-{4_H-312_A-12,6_H-384_A-12}", "bert", f"{ZHUIYI}/pretrained-models"),
        Released("mixed_corpus_bert_{tiny,small,base,large}_model", "bert", "dbiir/UER-py"),
        Released(
            "chinese_wobert{,_plus}_L-12_H-768_A-12", "bert", f"{ZHUIYI}/WoBERT", tokenizer=JIEBA, note="no pooler"
        ),
        Released(
            "chinese_simbert_L-{12_H-768,6_H-384,4_H-312}_A-12", "simbert", f"{ZHUIYI}/simbert",
            note="sentence vector and generator",
        ),
        Released(
            "chinese_nezha_gpt_L-12_H-768_A-12", "bert", "huawei-noah/Pretrained-Language-Model",
            {"application": "lm", "segment_vocab_size": 0}, note="NEZHA-GEN",
        ),
    ),
)  # fmt: skip
