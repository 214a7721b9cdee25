"""Names of T5's variables in TensorFlow checkpoints."""

from __future__ import annotations

from bert4keras2.checkpoints.naming_tf import SLOTS
from bert4keras2.checkpoints.table import Row, Table

__all__ = ["TABLES"]


def stack(side: str, norm: str, gated: bool) -> tuple[Row, ...]:
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


def table(norm: str, gated: bool) -> Table:
    """Return the names of a version of T5; one half of it may be asked for alone."""
    return Table(
        rows=(
            Row("Embedding-Token/embeddings", "shared/embedding"),
            *stack("encoder", norm, gated),
            *stack("decoder", norm, gated),
            Row("Decoder-Output-LM/kernel", "decoder/logits/kernel"),
        ),
        heads=("encoder/*", "decoder/*"),
        ignore=SLOTS,
    )


TABLES = {
    "t5.1.0": table("layer_norm", gated=False),
    "t5.1.1": table("layer_norm", gated=True),
    "mt5.1.1": table("rms_norm", gated=True),
}
