"""ELECTRA (Clark et al., arXiv:2003.10555): a generator, and a discriminator that judges each of its tokens."""

from __future__ import annotations

from bert4keras2.families import bert
from bert4keras2.families.bert import ATTENTION, FEED_FORWARD, hf_dense, hf_norm
from bert4keras2.families.family import Family, Released, Row, Table

TENSORFLOW = Table(
    rows=(
        *bert.tf_embeddings("electra", "embeddings_project"),
        *bert.tf_blocks(ATTENTION, FEED_FORWARD, bert.tf_layer("electra/encoder/layer_{i}")),
        Row("Discriminator-Dense/{dense}", "discriminator_predictions/dense/{dense}"),
        Row("Discriminator-Prediction/{dense}", "discriminator_predictions/dense_1/{dense}"),
        Row("MLM-Dense/{dense}", "generator_predictions/dense/{dense}"),
        Row("MLM-Norm/{norm}", "generator_predictions/LayerNorm/{norm}"),
        Row("MLM-Bias/beta", "generator_predictions/output_bias"),
    ),
    heads=("discriminator_predictions/*", "generator_predictions/*", "generator/*"),
    ignore=bert.SLOTS,
)
# The generator is BERT with heads of other names, the discriminator has its own.
HUGGINGFACE = bert.HUGGINGFACE.variant(
    drop=("MLM-*",),
    plus=(
        hf_dense("Discriminator-Dense", "/discriminator_predictions.dense"),
        hf_dense("Discriminator-Prediction", "/discriminator_predictions.dense_prediction"),
        hf_dense("MLM-Dense", "/generator_predictions.dense"),
        *hf_norm("MLM-Norm", "/generator_predictions.LayerNorm"),
        Row("MLM-Bias/beta", "/generator_lm_head.bias"),
    ),
    heads=(*bert.TASKS, "cls.*", "discriminator_predictions.*", "generator_predictions.*", "generator_lm_head.*"),
    roots=("electra.", "", "model."),
    tasks=bert.DEEP_TASK_HEADS,
)

ELECTRA = Family(
    name="electra",
    structure={"norm": {"epsilon": 1e-12}, "pretrained_heads": False},
    tensorflow=TENSORFLOW,
    huggingface=HUGGINGFACE,
    model_type="electra",
    class_name="Electra",
    causal_class="ForCausalLM",
    names_embedding_size=True,
    classifier_act="gelu",
    signs=(r"(^|/|\.)electra[/.]|discriminator_predictions",),
    released=(
        Released(
            "chinese_electra_{small,base,large}*", "electra", "ymcui/Chinese-ELECTRA", note="the JSON may be missing"
        ),
    ),
)
