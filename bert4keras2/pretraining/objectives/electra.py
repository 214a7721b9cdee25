"""ELECTRA: a small model fills hidden tokens in, the model proper tells which were replaced (arXiv:2003.10555)."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from bert4keras2.functional.registry import register
from bert4keras2.layers.base import Layer
from bert4keras2.models import heads
from bert4keras2.models.transformer import Transformer
from bert4keras2.pretraining.objectives.base import Batch, Graph, Packed
from bert4keras2.pretraining.objectives.mlm import Hiding, at
from bert4keras2.pretraining.objectives.scores import ReplacedAccuracy, ReplacedLoss, TokenAccuracy, TokenLoss

__all__ = ["ReplacedTokens"]

SHARED = ("Embedding-Token", "Embedding-Segment", "Embedding-Position", "Embedding-Norm")


@register
class Replace(Layer):
    """Draws tokens for hidden places, in proportion to their probabilities, and tells which differ from the text's."""

    def __init__(self, pad_id: int = 0, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.pad_id, self.seed = pad_id, seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, ids, places, labels, scores):
        """Return ids with drawn tokens (B, T), and 1 where one differs from the text, -1 for padding, else 0 (B, T).

        Args:
            ids: (B, T), with hidden tokens.
            places: (B, P) where they stood.
            labels: (B, P) what stood there, -1 for nothing.
            scores: (B, P, V) of all tokens.
        """
        scores = ops.stop_gradient(scores)
        chance = keras.random.uniform(ops.shape(scores), 1e-9, 1.0, dtype="float32", seed=self.generator)
        drawn = ops.cast(ops.argmax(scores - ops.log(-ops.log(chance)), axis=-1), "int32")
        real = ops.not_equal(labels, -1)
        # Slots without a label point to the first position: they add nothing there.
        there = ops.one_hot(ops.where(real, places, -1), ops.shape(ids)[1], dtype="int32")  # (B, P, T)
        change = ops.where(real, drawn - ops.take_along_axis(ids, places, axis=1), 0)
        found = ids + ops.sum(there * ops.expand_dims(change, -1), axis=1)
        replaced = ops.sum(there * ops.expand_dims(ops.cast(ops.not_equal(drawn, labels), "int32"), -1), axis=1)
        return found, ops.where(ops.equal(ids, self.pad_id), -1, replaced)

    def compute_output_spec(self, ids, places, labels, scores):
        return keras.KerasTensor(ids.shape, "int32"), keras.KerasTensor(ids.shape, "int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pad_id": self.pad_id, "seed": self.seed}


class ReplacedTokens(Hiding, Packed):
    """The generator has a quarter of the width and shares the embeddings; it is thrown away after the training."""

    name = "electra"
    summary = "which tokens a small masked language model has put in place of others"
    options = {"with_discriminator": "linear"}  # noqa: RUF012
    weights = {"tokens": 1.0, "replaced": 50.0}  # noqa: RUF012

    def batch(self, shards: Any, rows: list, random: Any) -> Batch:
        """Return the arrays of texts with hidden words, which are inputs and targets both."""
        laid = self.rows(shards, rows, random)
        masked = self.hide(laid, random)
        arrays = {**self.text_arrays(laid), "Input-Hidden": masked.positions, "Input-Label": masked.labels}
        return arrays, {"tokens": masked.labels, "replaced": masked.labels}

    def graph(self, transformer: Any) -> Graph:
        """Return the graph from rows to the generator's scores, and (B, T, 2): the model's, and what is right."""
        inputs, context = self.context(transformer)
        hidden = self.hidden_input()
        labels = keras.Input((self.masking.per_row,), dtype="int32", name="Input-Label")
        generator = self.generator(transformer)
        context.heads = lambda x: heads.token_scores(generator, at(x, hidden))
        scores, _ = generator.run(context, transformer.inputs)

        ids, *rest = transformer.inputs
        found, replaced = Replace(pad_id=self.tokenizer.pad_id, name="Replace")(ids, hidden, labels, scores)
        again = dataclasses.replace(
            context, heads=lambda x: heads.replaced(transformer, x), collected={}, crosses=set()
        )
        judged, _ = transformer.run(again, [found, *rest])
        return [*inputs, hidden, labels], {
            "tokens": scores,
            "replaced": ops.concatenate([judged, ops.expand_dims(ops.cast(replaced, "float32"), -1)], -1),
        }

    def generator(self, transformer: Any) -> Transformer:
        """Return the small model, with the embeddings of the large one."""
        config, small = transformer.config, {}
        for name in ("hidden_size", "intermediate_size", "num_attention_heads"):
            small[name] = max(1, getattr(config, name) // 4)
        options = {"with_discriminator": False, "with_mlm": True, "prefix": "Generator-", "name": None}
        options |= {"embedding_size": config.embedding_width, "attention_head_size": config.head_size}
        layers = {f"Generator-{name}": transformer.layers[name] for name in SHARED if name in transformer.layers}
        return Transformer(dataclasses.replace(config, **small, **options), layers=layers).build()

    def losses(self):
        return {"tokens": (TokenLoss(), TokenAccuracy()), "replaced": (ReplacedLoss(), ReplacedAccuracy())}
