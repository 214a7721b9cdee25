"""The two functions of cached generation: prefill a prompt once, then go on by a few tokens at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["Cache", "Memory", "absent", "advance", "known_positions", "prefill", "repeat", "reorder"]

# Shape legend: R rows, P padded prompt length, N room for new tokens, L = P + N, S length of an encoder's output,
# H heads, D head size, V vocabulary, T tokens of one step.


@dataclasses.dataclass
class Memory:
    """What a decoder knows of an encoder's output."""

    states: Any  # (R, S, C)
    mask: Any  # (R, 1, 1, S) booleans, or None


@dataclasses.dataclass
class Cache:
    """All that a model has to remember of the tokens that it has seen.

    Args:
        attention: (keys, values) of each self-attention layer, (R, H, L, D) each.
        cross: (keys, values) of each cross-attention layer, (R, H, S, D) each.
        lengths: (R,) integers, how many tokens the prompt of each row has.
        prompt: (R, P) booleans, true at the prompt's tokens but for those of id 0, which models take for padding.
        after: (R, N) booleans, the same for what followed.
        condition: (R, D) condition of the layer normalizations, or None.
        memory: of the encoder, or None.
    """

    attention: list[Any]
    cross: list[Any]
    lengths: Any
    prompt: Any
    after: Any
    condition: Any = None
    memory: Memory | None = None

    def tree(self) -> dict[str, Any]:
        """Return the tensors as nested dicts and lists, () for what there is not; `Cache.of` makes a cache of it."""
        memory: Any = ()
        if self.memory is not None:
            memory = (self.memory.states, () if self.memory.mask is None else self.memory.mask)
        return {
            "attention": [tuple(pair) for pair in self.attention],
            "cross": [tuple(pair) for pair in self.cross],
            "lengths": self.lengths,
            "prompt": self.prompt,
            "after": self.after,
            "condition": () if self.condition is None else self.condition,
            "memory": memory,
        }

    @classmethod
    def of(cls, tree: dict[str, Any]) -> Cache:
        """Return the cache of a `tree`."""
        memory = tree["memory"]
        states = None if isinstance(memory, tuple) and not memory else memory
        mask = None if states is None or absent(states[1]) else states[1]
        condition = None if absent(tree["condition"]) else tree["condition"]
        own = None if states is None else Memory(states[0], mask)
        return cls(tree["attention"], tree["cross"], tree["lengths"], tree["prompt"], tree["after"], condition, own)


def absent(value: Any) -> bool:
    """Whether a value is the empty tuple that stands for nothing in a tree of tensors."""
    return isinstance(value, tuple | list) and not value


def known_positions(config: Any) -> int | None:
    """Return how many positions a model of a configuration knows; None where any text fits."""
    if config.position != "absolute":
        return None
    return config.max_position**2 if config.hierarchical_position else config.max_position


def prefill(
    transformer: Any, inputs: list[Any], lengths: Any, room: int, condition: Any = None, memory: Memory | None = None
):
    """Run a model over its prompts.

    Args:
        transformer: the `Transformer`, or a T5's decoder.
        inputs: token ids (R, P) and the other inputs of the model; for a decoder [states (R, S, C), token ids].
            Prompts are padded with 0 at the end.
        lengths: (R,) how many tokens each prompt has.
        room: N, how many tokens may follow.
        condition: (R, D) value of `layer_norm_cond`, if the model has one.
        memory: of the encoder, for a decoder.

    Returns:
        (R, V) scores of the next token before their activation, and the `Cache`.
    """
    from keras import ops

    from bert4keras2.layers import padding_mask

    tokens = inputs[1] if memory is not None else inputs[0]
    context = transformer.make_context(inputs)
    context.caches, context.logits = [], True
    if condition is not None:
        context.condition = condition
    if memory is not None:
        context.memory_mask = memory.mask
    logits, context = transformer.run(context, inputs, last=ops.expand_dims(lengths - 1, 1))
    kept = list(zip(context.collected, context.crosses, strict=True))
    attention = [tuple(_widen(tensor, room) for tensor in pair) for pair, cross in kept if not cross]
    cross = [pair for pair, is_cross in kept if is_cross]
    after = ops.zeros((tokens.shape[0], room), dtype="bool")
    return logits[:, 0], Cache(attention, cross, lengths, padding_mask(tokens), after, condition, memory)


def _widen(tensor: Any, room: int) -> Any:
    """Return keys or values (R, H, P, D) with `room` empty places after them."""
    from keras import ops

    return ops.pad(tensor, [[0, 0], [0, 0], [0, room], [0, 0]])


def advance(transformer: Any, cache: Cache, tokens: Any, segments: Any, t: Any):
    """Run a model over the next tokens of each row.

    Args:
        transformer: as in `prefill`.
        cache: of the tokens so far.
        tokens: (R, T) ids.
        segments: (R, T) ids, or None for a model without.
        t: scalar, how many tokens have followed the prompts before these.

    Returns:
        (R, T, V) scores of the token after each of these, and the new `Cache`.
    """
    from keras import ops

    from bert4keras2.models.transformer import Context

    length = cache.prompt.shape[1]
    room = cache.attention[0][0].shape[2] - length
    new = t + ops.arange(tokens.shape[1], dtype="int32")
    position = ops.expand_dims(cache.lengths, 1) + ops.expand_dims(new, 0)
    later = ops.expand_dims(ops.arange(room, dtype="int32"), 0) <= ops.expand_dims(new, 1)  # (T, N)
    after = ops.slice_update(cache.after, (0, t), ops.not_equal(tokens, 0))
    shape = (ops.shape(tokens)[0], tokens.shape[1])
    visible = ops.concatenate(
        [
            ops.broadcast_to(ops.expand_dims(cache.prompt, 1), (*shape, length)),
            ops.logical_and(ops.expand_dims(later, 0), ops.expand_dims(after, 1)),
        ],
        axis=-1,
    )
    context = Context(
        attention_mask=ops.expand_dims(visible, 1),
        condition=cache.condition,
        position_ids=position,
        index=length + t,
        logits=True,
    )
    # Self-attention and cross-attention take turns.
    context.caches = list(cache.attention)
    if cache.memory is not None:
        context.memory, context.memory_mask = cache.memory.states, cache.memory.mask
        context.caches = [pair for both in zip(cache.attention, cache.cross, strict=True) for pair in both]
    places = ops.expand_dims(ops.arange(length, dtype="int32"), 0)
    keys = ops.concatenate(
        [
            ops.broadcast_to(places, (shape[0], length)),
            ops.expand_dims(cache.lengths, 1) + ops.expand_dims(ops.arange(room, dtype="int32"), 0),
        ],
        axis=1,
    )
    transformer.locate(context, tokens, (position, keys))
    if cache.memory is not None:
        inputs = [cache.memory.states, tokens]
    else:
        inputs = [tokens, *([] if segments is None else [segments])]
        inputs += [position] if transformer.config.custom_position_ids else []
    logits, context = transformer.run(context, inputs)
    attention = [pair for pair, cross in zip(context.collected, context.crosses, strict=True) if not cross]
    return logits, dataclasses.replace(cache, attention=attention, after=after)


def repeat(cache: Cache, times: int) -> Cache:
    """Return a cache whose rows stand `times` times in a row, for samples or beams of one prompt."""
    from keras import ops, tree

    if times == 1:
        return cache
    repeated = tree.map_structure(lambda tensor: ops.repeat(tensor, times, axis=0), cache.tree())
    return Cache.of(repeated)


def reorder(cache: Cache, rows: Any) -> Cache:
    """Return a cache with its self-attention taken from other rows (R,): beams that go on from others.

    Rows go on from rows of the same prompt, so what they know of prompt and encoder stays.
    """
    from keras import ops

    attention = [tuple(ops.take(tensor, rows, axis=0) for tensor in pair) for pair in cache.attention]
    return dataclasses.replace(cache, attention=attention, after=ops.take(cache.after, rows, axis=0))
