"""Ladder side-tuning: a narrow network beside a frozen encoder, which reads its hidden states and alone learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras.layers import Dense

from bert4keras2.arguments import at_least, positive
from bert4keras2.layers import Add
from bert4keras2.layers.frozen import FrozenEncoder, Gate
from bert4keras2.models.ladder_start import start_from_backbone
from bert4keras2.models.transformer import Transformer
from bert4keras2.training.model import Model

__all__ = ["Ladder", "ladder_side_tuning"]

FORMS, STARTS = ("paper", "post"), ("pruned", "random")
#: Blocks of the post's ladder, and the size of its heads.
POST_BLOCKS, POST_HEAD = 4, 32


def ladder_side_tuning(
    encoder: Any,
    width_factor: int = 8,
    form: str = "paper",
    layers: Sequence[int] | None = None,
    start: str | None = None,
    temperature: float = 0.1,
    dropout_rate: float | None = None,
) -> Any:
    """Return a model that learns beside a frozen encoder, whose backward pass is not computed (LST, arXiv:2206.06522).

    A ladder of blocks like the encoder's, but `width_factor` times as narrow, reads its hidden states h. The encoder
    runs as in prediction: nothing of it is kept for gradients, nothing is dropped.

    - "paper": x starts as down(h_0) of the embeddings; before the ladder's block beside block i, x becomes
      m x + (1 - m) down_i(h_i), with h_i behind block i and m = sigmoid(a_i / temperature), a_i = 0 at first; what the
      last block leaves is projected to the encoder's width. Blocks start as parts of the encoder's, those columns of
      its matrices whose absolute sums are largest (start="pruned"). Rates of about 3e-3.
    - "post" (kexue.fm/archives/9138): four blocks, evenly beside the encoder's; x starts as down(h_0), and down_i(h_i)
      is added behind each; heads of 32. Blocks start by chance; the width stays narrow. Its author takes AdaFactor at
      5e-3, with `width_factor` 6 for a base model.

    A ladder suits ordinary classification; on hard tasks it falls far behind (see the post), and predictions take
    longer than the encoder's alone.

    Args:
        encoder: a model of `build_transformer_model`; `return_keras_model=False` gives what tasks take. It is frozen.
        width_factor: how much narrower the ladder is.
        form: "paper" or "post".
        layers: numbers of the encoder's blocks, from 0, that have a block of the ladder beside them; all for the paper,
            four for the post if None.
        start: "pruned" or "random"; as the form says if None.
        temperature: of the paper's gates.
        dropout_rate: of the ladder; the encoder's if None.

    Returns:
        A model of the encoder's kind (a Keras model, or a `Transformer`), from its inputs to (B, T, C) hidden states
        that a head is put on: of the encoder's width for the paper, of the narrow one for the post.

    Raises:
        TypeError: if the encoder is no model of `build_transformer_model`.
        ValueError: if it has two stacks or a condition, widths are not divisible, or a name or number is wrong.
    """
    backbone = encoder if isinstance(encoder, Transformer) else getattr(encoder, "transformer", None)
    if not isinstance(backbone, Transformer):
        raise TypeError(
            f"ladder_side_tuning takes a model of build_transformer_model, not {type(encoder).__name__} {encoder!r:.60}"
        )
    for name, value, known in (("form", form, FORMS), ("start", start, (None, *STARTS))):
        if value not in known:
            raise ValueError(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}")
    if backbone.config.stack != "single" or backbone.config.position == "bucketed":
        raise ValueError(f"a ladder stands beside one stack of blocks; {backbone.config.family} has others")
    if backbone.context.condition is not None or backbone.additional_input_layers:
        raise ValueError("a ladder beside a model with layer_norm_cond or additional_input_layers is not known")
    depth = backbone.config.num_hidden_layers
    if layers is None:
        count = depth if form == "paper" else min(POST_BLOCKS, depth)
        layers = [(index + 1) * depth // count - 1 for index in range(count)]
    blocks = [int(number) for number in layers]
    if not blocks or sorted(set(blocks)) != blocks or not 0 <= blocks[0] <= blocks[-1] < depth:
        raise ValueError(f"layers are rising numbers of blocks from 0 to {depth - 1}, not {list(layers)}")
    config = _narrow(backbone.config, at_least("width_factor", width_factor, 1), form, len(blocks), dropout_rate)
    ladder = Ladder(config, backbone, form, blocks, positive("temperature", temperature)).build()
    if (start or ("pruned" if form == "paper" else "random")) == "pruned":
        start_from_backbone(ladder)
    return ladder if isinstance(encoder, Transformer) else ladder.model


class Ladder(Transformer):
    """The narrow network: a `Transformer` whose embeddings are a frozen encoder.

    Args:
        config: of the ladder.
        backbone: the encoder.
        form: "paper" or "post".
        blocks: which of its blocks the ladder's stand beside.
        temperature: of the gates.
    """

    def __init__(self, config: Any, backbone: Transformer, form: str, blocks: list[int], temperature: float):
        super().__init__(config)
        self.backbone, self.form, self.blocks, self.temperature = backbone, form, blocks, temperature
        self._states: list[Any] = []

    def get_inputs(self) -> list[Any]:
        """Return the encoder's own inputs."""
        return list(self.backbone.inputs)

    def apply_embeddings(self, inputs: list[Any]) -> Any:
        """Return (B, T, C) of the embeddings, and let the encoder run."""
        if self.prefixed("Backbone") not in self.layers:
            states = Model(self.backbone.inputs, list(self.backbone.hidden_states), name="Backbone-Model")
            name = self.prefixed("Backbone")
            self.layers[name] = FrozenEncoder(states, self.config.pad_id, name=name)
        frozen = self.layers[self.prefixed("Backbone")]
        self._states = frozen(list(inputs) if len(inputs) > 1 else inputs[0])
        return self._down(self._states[0], "Down")

    def apply_main_layers(self, inputs: Any, index: int) -> Any:
        """Return (B, T, C) after a block of the ladder and what comes to it from the encoder."""
        side = self._down(self._states[self.blocks[index] + 1], f"Down-{index}")
        if self.form == "post":
            return self.apply([self.block(inputs, index), side], Add, name=f"Step-{index}")
        x = self.apply([inputs, side], Gate, temperature=self.temperature, name=f"Gate-{index}")
        return self.block(x, index)

    def apply_final_layers(self, inputs: Any) -> Any:
        """Return what heads are put on."""
        x = self.normalize(inputs, "Output-Norm") if self.config.output_norm else inputs
        if self.form == "paper":
            options = {"units": self.backbone.config.hidden_size, "kernel_initializer": self.initializer}
            x = self.apply(x, Dense, name="Up", **options)
        self.hidden_states[-1] = x
        return x

    def _down(self, x: Any, name: str) -> Any:
        options = {"units": self.config.hidden_size, "kernel_initializer": self.initializer}
        return self.apply(x, Dense, name=name, use_bias=self.form == "paper", **options)


def _narrow(config: Any, factor: int, form: str, blocks: int, dropout_rate: float | None) -> Any:
    """Return the configuration of a ladder beside a model of a configuration."""
    sizes = {"hidden_size": config.hidden_size, "intermediate_size": config.intermediate_size}
    if form == "paper" or config.block == "gau":
        heads = config.num_attention_heads
        sizes |= {"attention_head_size": config.head_size, "attention_key_size": config.key_size}
    else:
        heads = max(config.hidden_size // factor // POST_HEAD, 1)
    for name, size in sizes.items():
        if size % factor:
            raise ValueError(f"width_factor={factor} does not divide the encoder's {name}, {size}")
    sizes = {name: size // factor for name, size in sizes.items()}
    if "attention_key_size" not in sizes:
        size = sizes["hidden_size"] // heads
        sizes |= {"attention_head_size": size, "attention_key_size": size}
    if config.position == "rotary" and sizes["attention_key_size"] % 2:
        raise ValueError(
            f"width_factor={factor} leaves keys of size {sizes['attention_key_size']}, and rotations need an even one"
        )
    rates = {} if dropout_rate is None else {"dropout_rate": dropout_rate, "attention_dropout_rate": dropout_rate}
    heads_off = {
        "with_pool": False,
        "with_nsp": False,
        "with_mlm": False,
        "with_lm": False,
        "with_discriminator": False,
    }
    return dataclasses.replace(
        config,
        **sizes,
        **rates,
        **heads_off,
        num_attention_heads=heads,
        num_hidden_layers=blocks,
        embedding_size=None,
        share_blocks=False,
        residual_attention_scores=False,
        depth_init=2 if form == "post" else config.depth_init,
        prefix=f"{config.prefix}Ladder-",
        name=None,
    )
