"""Keys and values of what a model has seen: prefill a prompt once, then go on by a few tokens at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops, tree

from bert4keras2.functional.head_axes import writable
from bert4keras2.layers import padding_mask
from bert4keras2.models.transformer import Context

__all__ = ["Cache", "Memory", "absent", "advance", "capacity", "extend", "own", "prefill", "reorder", "repeat"]

# Shape legend: R rows, P padded prompt length, N capacity for new tokens, L = P + N, S length of an encoder's output,
# H heads, D head size, C width, V vocabulary, T tokens of one step.

# (keys, values) of attention layers by the layers' names; of those of linear cost, a dictionary of tensors that have a
# row for each text and do not grow.
Pairs = dict[str, Any]


class Memory(NamedTuple):
    """What a decoder knows of an encoder's output."""

    states: Any  # (R, S, C)
    mask: Any = ()  # (R, 1, 1, S) booleans; () shows all


class Cache(NamedTuple):
    """All that a model has to remember of the tokens that it has seen; () stands for what there is not.

    As a tuple of tensors it goes through compiled functions and loops as it is.
    """

    attention: Pairs  # self-attention: (R, H, L, D) each
    cross: Pairs  # cross-attention: (R, H, S, D) each
    lengths: Any  # (R,) integers: how many tokens the prompt of each row has
    prompt: Any  # (R, P) booleans: true at the prompt's tokens but for those of the padding id
    after: Any  # (R, N) booleans: the same for what followed
    condition: Any = ()  # (R, D) condition of the layer normalizations
    memory: Any = ()  # Memory of an encoder


def absent(value: Any) -> bool:
    """Whether a value is the empty tuple that stands for nothing in a structure of tensors."""
    return isinstance(value, tuple | list) and not value


def capacity(cache: Cache) -> int:
    """Return N, how many tokens may follow the prompts of a cache."""
    return cache.after.shape[1]


def prefill(
    transformer: Any, inputs: list[Any], lengths: Any, capacity: int, condition: Any = (), memory: Any = ()
) -> tuple[Any, Cache]:
    """Run a model over its prompts.

    Args:
        transformer: the `Transformer`, or a T5's decoder.
        inputs: token ids (R, P) and the other inputs of the model; for a decoder [states (R, S, C), token ids].
            Prompts are padded at the end.
        lengths: (R,) how many tokens each prompt has.
        capacity: N, how many tokens may follow.
        condition: (R, D) value of `layer_norm_cond`, () if the model has none.
        memory: `Memory` of the encoder, for a decoder.

    Returns:
        (R, V) logits of the next token, and the `Cache`.
    """
    tokens = inputs[0] if absent(memory) else inputs[1]
    context = transformer.make_context(inputs)
    context.caches, context.logits = {}, True
    if not absent(condition):
        context.condition = condition
    if not absent(memory):
        context.memory_mask = None if absent(memory.mask) else memory.mask
    logits, context = transformer.run(context, inputs, last=ops.expand_dims(lengths - 1, 1))
    attention = {
        name: pair if isinstance(pair, dict) else tuple(_with_room(tensor, capacity) for tensor in pair)
        for name, pair in context.collected.items()
        if name not in context.crosses
    }
    cross = {name: tuple(pair) for name, pair in context.collected.items() if name in context.crosses}
    after = ops.zeros((ops.shape(tokens)[0], capacity), dtype="bool")
    return logits[:, 0], Cache(
        attention, cross, lengths, padding_mask(tokens, transformer.config.pad_id), after, condition, memory
    )


def _with_room(tensor: Any, capacity: int) -> Any:
    """Return keys or values (R, H, S, D) with room for further positions."""
    return ops.pad(tensor, [[0, 0], [0, 0], [0, capacity], [0, 0]])


def extend(transformer: Any, past: Cache, tokens: Any, segments: Any, lengths: Any, capacity: int) -> tuple[Any, Cache]:
    """Run a model over what follows a beginning that all prompts share.

    Args:
        transformer: as in `prefill`.
        past: cache of the beginning: one row of F tokens, no padding among them, and no room for others.
        tokens: (R, P) ids of what follows, padded at the end.
        segments: (R, P) ids, () for a model without.
        lengths: (R,) how many of them each prompt has.
        capacity: N, how many tokens may follow.

    Returns:
        (R, V) logits of the next token, and the `Cache` of prompts of F + P tokens.
    """
    rows, size = tokens.shape
    past = repeat(past, rows)
    room = {
        name: tuple(_with_room(tensor, size + capacity) for tensor in pair) for name, pair in past.attention.items()
    }
    start = past._replace(attention=room, after=ops.zeros((rows, size + capacity), dtype="bool"))
    logits, cache = advance(transformer, start, tokens, segments, 0, last=ops.expand_dims(lengths - 1, 1))
    prompt = ops.concatenate([cache.prompt, cache.after[:, :size]], axis=1)
    return logits[:, 0], cache._replace(lengths=cache.lengths + lengths, prompt=prompt, after=cache.after[:, size:])


def advance(transformer: Any, cache: Cache, tokens: Any, segments: Any, t: Any, last: Any = None) -> tuple[Any, Cache]:
    """Run a model over the next tokens of each row.

    Args:
        transformer: as in `prefill`.
        cache: of the tokens so far.
        tokens: (R, T) ids.
        segments: (R, T) ids, () for a model without.
        t: scalar, how many tokens have followed the prompts before these.
        last: (R, 1) places among these whose logits alone are wanted; all if None.

    Returns:
        (R, T | 1, V) logits of the token after each of these, and the new `Cache`.
    """
    length, room = cache.prompt.shape[1], capacity(cache)
    new = t + ops.arange(tokens.shape[1], dtype="int32")  # (T,) places behind the prompts
    places = ops.arange(room, dtype="int32")[None]
    rows, real = ops.shape(tokens)[0], ops.not_equal(tokens, transformer.config.pad_id)
    one = tokens.shape[1] == 1  # what Keras does to write it there takes longer on PyTorch
    after = ops.where(places == t, real, cache.after) if one else ops.slice_update(cache.after, (0, t), real)
    if transformer.config.pairwise:
        in_prompt = ops.broadcast_to(cache.prompt[:, None], (rows, tokens.shape[1], length))
        behind = ops.logical_and((places <= new[:, None])[None], after[:, None])
        mask = ops.concatenate([in_prompt, behind], axis=-1)
    else:
        mask = real[:, None]
    position = cache.lengths[:, None] + new[None]  # (R, T)
    if transformer.config.positions is not None:
        # Rows that are done run along with others, and drafts look ahead: neither may leave the table of positions.
        position = ops.minimum(position, transformer.config.positions - 1)
    context = Context(
        attention_mask=mask[:, None],
        condition=None if absent(cache.condition) else cache.condition,
        position_ids=position,
        caches={**cache.attention, **cache.cross},
        index=length + t,
        logits=True,
    )
    if not absent(cache.memory):
        context.memory = cache.memory.states
        context.memory_mask = None if absent(cache.memory.mask) else cache.memory.mask
    # Each row counts its own positions: what follows stands behind the padding, but is numbered from the prompt's end.
    prompt_positions = ops.broadcast_to(ops.arange(length, dtype="int32")[None], (rows, length))
    key_positions = ops.concatenate([prompt_positions, cache.lengths[:, None] + places], axis=1)
    transformer.locate(context, tokens, (position, key_positions))
    if not absent(cache.memory):
        inputs = [cache.memory.states, tokens]
    else:
        inputs = [tokens, *([] if absent(segments) else [segments])]
        inputs += [position] if transformer.config.custom_position_ids else []
    logits, context = transformer.run(context, inputs, last=last)
    attention = {
        name: pair if isinstance(pair, dict) else tuple(pair)
        for name, pair in context.collected.items()
        if name not in context.crosses
    }
    return logits, cache._replace(attention=attention, after=after)


def own(state: Any) -> Any:
    """Return a loop's state with caches of its own, which on PyTorch steps then write into instead of copying them."""
    if isinstance(state, Cache):
        pairs = state.attention.items()
        return state._replace(attention={k: v if isinstance(v, dict) else tuple(map(writable, v)) for k, v in pairs})
    if not isinstance(state, tuple):
        return state
    parts = map(own, state)
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def repeat(cache: Cache, count: int) -> Cache:
    """Return a cache whose rows stand `count` times in a row, for samples or beams of one prompt."""
    if count == 1:
        return cache
    return tree.map_structure(lambda tensor: ops.repeat(tensor, count, axis=0), cache)


def reorder(cache: Cache, rows: Any) -> Cache:
    """Return a cache with its self-attention taken from other rows (R,): beams that go on from others.

    Rows go on from rows of the same prompt, so what they know of prompt and encoder stays.
    """
    attention = tree.map_structure(lambda tensor: writable(ops.take(tensor, rows, axis=0), True), cache.attention)
    return cache._replace(attention=attention, after=ops.take(cache.after, rows, axis=0))
