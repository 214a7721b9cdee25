"""GPT (Radford et al. 2018), GPT-2 (Radford et al. 2019) and GPT2-ML (with the blocks of Grover, arXiv:1905.12616)."""

from __future__ import annotations

from typing import Any

from bert4keras2.families import bert
from bert4keras2.families.activation_names import to_huggingface
from bert4keras2.families.bert import ATTENTION, FEED_FORWARD, hf_dense, hf_norm
from bert4keras2.families.family import Family, Part, Released, Row, Table

SHARED = {"causal": True, "mlm_transform": False, "scores_name": "LM-Activation", "pretrained_heads": False}

# -- GPT, as CDial-GPT (Wang et al., arXiv:2008.03946) was converted -------------------------------------------------

TF_LAYER = "gpt/transformer/layer_{i}"
# OpenAI's first model in PyTorch: its blocks have the names of GPT-2's.
TOKENS_EMBED = r"(^|\.)tokens_embed\."
TENSORFLOW = Table(
    rows=(
        *bert.tf_embeddings("gpt", bert.MAPPING),
        *bert.tf_blocks(ATTENTION, FEED_FORWARD, bert.tf_layer(TF_LAYER)),
    ),
    ignore=bert.SLOTS,
)
GPT = Family(
    name="gpt",
    structure={**SHARED, "embedding_norm": False, "norm": {"epsilon": 1e-12}},
    tensorflow=TENSORFLOW,
    # Speakers are tokens of the vocabulary.
    other_names={"cdial_gpt": {"shared_segment_embeddings": True}},
    signs=(TOKENS_EMBED, r"^gpt/"),
    released=(Released("GPT_LCCC-{base,large}-tf", "cdial_gpt", "bojone/CDial-GPT-tf"),),
)

# -- GPT-2 as CPM (Zhang et al., arXiv:2012.00413) was converted; OpenAI's own files; Hugging Face's ------------------

GPT2_TENSORFLOW = TENSORFLOW.variant(
    drop=("*-Norm/*",),
    plus=(
        Row(f"{ATTENTION}-Norm/{{norm}}", f"{TF_LAYER}/attention/input/LayerNorm/{{norm}}"),
        Row(f"{FEED_FORWARD}-Norm/{{norm}}", f"{TF_LAYER}/input/LayerNorm/{{norm}}"),
        Row("Output-Norm/{norm}", "gpt/output/LayerNorm/{norm}"),
    ),
)
# q, k and v side by side in one array, and matrices as convolutions of width 1.
H = "model/h{i}"
OPENAI = Table(
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
    ignore=bert.SLOTS,
)
HF_LAYER = "h.{i}"
# Matrices are stored as the model has them, and q, k and v side by side in one.
HUGGINGFACE = Table(
    rows=(
        Row("Embedding-Token/embeddings", "wte.weight"),
        Row("Embedding-Position/embeddings", "wpe.weight"),
        *hf_norm(f"{ATTENTION}-Norm", f"{HF_LAYER}.ln_1"),
        *(
            Row(f"{ATTENTION}/{x}_dense/{{dense}}", f"{HF_LAYER}.attn.c_attn.{{dense}}", part=Part(-1, k, 3))
            for k, x in enumerate("qkv")
        ),
        hf_dense(f"{ATTENTION}/o_dense", f"{HF_LAYER}.attn.c_proj"),
        *hf_norm(f"{FEED_FORWARD}-Norm", f"{HF_LAYER}.ln_2"),
        hf_dense(f"{FEED_FORWARD}/i0_dense", f"{HF_LAYER}.mlp.c_fc"),
        hf_dense(f"{FEED_FORWARD}/o_dense", f"{HF_LAYER}.mlp.c_proj"),
        *hf_norm("Output-Norm", "ln_f"),
    ),
    words=bert.WORDS,
    # The masks of old files, and the copy of the token embeddings that scores tokens.
    ignore=("*.attn.bias", "*.attn.masked_bias", "*lm_head.weight"),
    heads=("score.*", "classifier.*", "multiple_choice_head.*"),
    roots=("transformer.", ""),
)
SPELLINGS = {
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


def _read(file: dict[str, Any]) -> dict[str, Any]:
    file = {SPELLINGS.get(name, name): value for name, value in file.items()}
    # The inner width is not named where it is the usual one.
    file["intermediate_size"] = file.get("intermediate_size") or 4 * (file.get("hidden_size") or 0) or None
    file.setdefault("hidden_act", "gelu_tanh")
    file.setdefault("layer_norm_eps", 1e-5)
    return file


def _write(config: Any) -> dict[str, Any]:
    # The end of a text is the last token of the vocabulary that GPT-2 was released with; others are not known.
    end = 50256 if config.rows == 50257 else None
    return {
        "architectures": ["GPT2LMHeadModel"],
        "n_positions": config.max_position,
        "n_embd": config.hidden_size,
        "n_layer": config.num_hidden_layers,
        "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size,
        "activation_function": to_huggingface(config.hidden_act),
        "resid_pdrop": config.dropout_rate,
        "embd_pdrop": config.dropout_rate,
        "attn_pdrop": config.attention_dropout_rate,
        "layer_norm_epsilon": config.norm["epsilon"],
        "bos_token_id": end,
        "eos_token_id": end,
    }


GPT2 = Family(
    name="gpt2",
    structure={
        **SHARED,
        "segments": False,
        "embedding_norm": False,
        "attention_norm": "pre",
        "feed_forward_norm": "pre",
        "output_norm": True,
        "norm": {"epsilon": 1e-5},
    },
    tensorflow=GPT2_TENSORFLOW,
    huggingface=HUGGINGFACE,
    model_type="gpt2",
    class_name="GPT2",
    other_layouts=(("model/wte", OPENAI),),
    telling_keys=("n_embd",),
    signs=(r"^gpt/(output/|.*/attention/input/)LayerNorm|(^|/)h\d+/attn|(^|\.)h\.\d+\.attn",),
    unlike=(TOKENS_EMBED,),
    read=_read,
    write=_write,
    released=(Released("CPM_LM_2.6B_TF", "gpt2", "bojone/CPM_LM_bert4keras", tokenizer="SentencePiece"),),
)

# -- GPT2-ML (Zhang Zhibo, github.com/imcaspar/gpt2-ml) ----------------------------------------------------------------

NEWS = "newslm/layer{i:02d}"
GPT2_ML = Family(
    name="gpt2_ml",
    structure={
        **SHARED,
        "segments": False,
        "attention_norm": "none",
        "feed_forward_norm": "both",
        "norm": {"epsilon": 1e-5},
    },
    tensorflow=Table(
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
        ignore=bert.SLOTS,
    ),
    signs=(r"^newslm/",),
    released=(Released("gpt2_ml", "gpt2_ml", "imcaspar/gpt2-ml"),),
)
