"""The loops of cached generation, written once in keras.ops and compiled whole: sampling (and greedy), and beams."""

from __future__ import annotations

import dataclasses
from typing import Any

from bert4keras2.decoders.kv_cache import Cache, absent, advance, known_positions, reorder
from bert4keras2.decoders.logits import LOWEST, Rules, allowed_scores, draw

__all__ = ["beam_loop", "beam_start", "sample_loop", "sample_start"]

# Shape legend: R rows, N room for new tokens, P padded prompt length, V vocabulary, B prompts, K beams (R = B * K).


def sample_start(logits: Any, cache: Cache, tokens: Any) -> dict[str, Any]:
    """Return the state before the first token is chosen.

    Args:
        logits: (R, V) scores of the first token.
        cache: of the prompts, with R rows.
        tokens: (R, P) ids that count for penalties and n-grams, padded with 0 at the end.
    """
    from keras import ops

    rows, room = logits.shape[0], room_of(cache)
    return {
        "t": ops.zeros((), dtype="int32"),
        "logits": logits,
        "cache": cache.tree(),
        "history": ops.pad(ops.cast(tokens, "int32"), [[0, 0], [0, room]]),
        "tokens": ops.zeros((rows, room), dtype="int32"),
        "done": ops.zeros((rows,), dtype="bool"),
        "count": ops.zeros((rows,), dtype="int32"),
        "gains": ops.zeros((rows, room), dtype="float32"),
    }


def room_of(cache: Cache) -> int:
    """Return how many tokens may follow the prompts of a cache."""
    return cache.attention[0][0].shape[2] - cache.prompt.shape[1]


def sample_loop(transformer: Any, state: dict, rules: Rules, greedy: bool, inputs: dict[str, Any]) -> dict:
    """Choose tokens and run the model on them until all rows have ended or `until` tokens are there.

    Args:
        transformer: the model.
        state: of `sample_start` or of this function.
        rules: what limits the choice.
        greedy: take the likeliest token rather than drawing one.
        inputs: "until" (scalar), "limit" (R,) most tokens of each row, "segment" (R,) segment id of new tokens or (),
            "uniform" (R, N) numbers to draw with or (), "bias" (R, V) to add to the scores or (), and the scalars that
            the rules use.
    """
    from keras import ops

    def going_on(state):
        return ops.logical_and(state["t"] < inputs["until"], ops.logical_not(ops.all(state["done"])))

    def body(state):
        cache = Cache.of(state["cache"])
        t, done, logits = state["t"], state["done"], state["logits"]
        lengths = cache.lengths + t
        # A penalty for what stands in an encoder's input would be a penalty for copying: history is the decoder's.
        scores = allowed_scores(logits, rules, t, state["history"], lengths, inputs)
        if not absent(inputs["bias"]):
            scores = scores + inputs["bias"]
        if greedy:
            token = ops.cast(ops.argmax(scores, axis=-1), "int32")
        else:
            token = draw(scores, rules, ops.take(inputs["uniform"], t, axis=1), inputs)
        token = ops.where(done, 0, ops.cast(token, "int32"))
        own = ops.take_along_axis(logits, ops.expand_dims(token, 1), axis=1)[:, 0]
        gain = own - ops.logsumexp(logits, axis=-1)
        here = ops.expand_dims(ops.arange(state["tokens"].shape[1], dtype="int32"), 0) == t
        place = ops.expand_dims(ops.arange(state["history"].shape[1], dtype="int32"), 0) == ops.expand_dims(lengths, 1)
        column = ops.expand_dims(token, 1)
        count = state["count"] + ops.cast(ops.logical_not(done), "int32")
        ended = ops.logical_or(done, ops.logical_or(_is_end(token, rules), count >= inputs["limit"]))
        cache = _within_table(cache, transformer.config, t)
        following, cache = advance(transformer, cache, column, _segments(inputs, column), t)
        return {
            "t": t + 1,
            "logits": following[:, 0],
            "cache": cache.tree(),
            "history": ops.where(
                ops.logical_and(place, ops.expand_dims(ops.logical_not(done), 1)), column, state["history"]
            ),
            "tokens": ops.where(here, column, state["tokens"]),
            "done": ended,
            "count": count,
            "gains": ops.where(here, ops.expand_dims(ops.where(done, 0.0, gain), 1), state["gains"]),
        }

    return loop(going_on, body, state)


def _within_table(cache: Cache, config: Any, t: Any) -> Cache:
    """Return a cache whose next position is one of the table of absolute positions.

    Rows that are done run along with the others; without this, a long prompt's would leave the table.
    """
    from keras import ops

    known = known_positions(config)
    if known is None:
        return cache
    return dataclasses.replace(cache, lengths=ops.minimum(cache.lengths, known - 1 - t))


def loop(going_on: Any, body: Any, state: dict) -> dict:
    """Run body while going_on on a state of nested dicts, as one loop of the backend."""
    import keras
    from keras import ops, tree

    if keras.backend.backend() == "torch":
        while bool(going_on(state)):
            state = body(state)
        return state
    flat = tree.flatten(state)

    def packed(values):
        return tree.pack_sequence_as(state, list(values))

    result = ops.while_loop(
        lambda *values: going_on(packed(values)), lambda *values: tuple(tree.flatten(body(packed(values)))), tuple(flat)
    )
    return packed(result)


def _segments(inputs: dict[str, Any], column: Any) -> Any:
    from keras import ops

    return None if absent(inputs["segment"]) else ops.broadcast_to(ops.expand_dims(inputs["segment"], 1), column.shape)


def _is_end(token: Any, rules: Rules) -> Any:
    """Return booleans that are true where a token is one of the end ids."""
    from keras import ops

    found = ops.zeros_like(token, dtype="bool")
    for end in rules.end_ids:
        found = ops.logical_or(found, ops.equal(token, end))
    return found


def beam_start(logits: Any, cache: Cache, tokens: Any, beams: int) -> dict[str, Any]:
    """Return the state of a beam search before the first token; rows of cache and tokens are beams of B prompts."""
    from keras import ops

    state = sample_start(logits, cache, tokens)
    batch = logits.shape[0] // beams
    # All beams of a prompt are alike at first, so only one of them may go on.
    first = ops.expand_dims(ops.where(ops.arange(beams) == 0, 0.0, LOWEST), 0)
    room = room_of(cache)
    return {
        **{name: state[name] for name in ("t", "logits", "cache", "history")},
        "tokens": ops.zeros((batch, beams, room), dtype="int32"),
        "score": ops.broadcast_to(ops.cast(first, "float32"), (batch, beams)),
        "kept_tokens": ops.zeros((batch, beams, room), dtype="int32"),
        "kept_score": ops.full((batch, beams), LOWEST, dtype="float32"),
        "kept_sum": ops.full((batch, beams), LOWEST, dtype="float32"),
        "kept_count": ops.zeros((batch, beams), dtype="int32"),
        "done": ops.zeros((batch,), dtype="bool"),
        "count": ops.zeros((batch,), dtype="int32"),
    }


def beam_loop(transformer: Any, state: dict, rules: Rules, beams: int, inputs: dict[str, Any]) -> dict:
    """Search for the likeliest texts with K beams, keeping the K best that have ended.

    A text's rank is the sum of its tokens' log-probabilities divided by its length to the power of
    "length_penalty"; 0 ranks by the sum alone. A prompt is done when no beam can still enter its K best.

    Args:
        transformer: the model.
        state: of `beam_start` or of this function.
        rules: what limits the choice.
        beams: K.
        inputs: as in `sample_loop`, without "uniform"; "limit" is (B,); "length_penalty" is a scalar.
    """
    from keras import ops

    size = state["logits"].shape[-1]
    batch = state["tokens"].shape[0]

    def going_on(state):
        return ops.logical_and(state["t"] < inputs["until"], ops.logical_not(ops.all(state["done"])))

    def body(state):
        cache, t = Cache.of(state["cache"]), state["t"]
        lengths = cache.lengths + t
        scores = allowed_scores(ops.log_softmax(state["logits"], axis=-1), rules, t, state["history"], lengths, inputs)
        if not absent(inputs["bias"]):
            scores = scores + inputs["bias"]
        total = ops.expand_dims(state["score"], 2) + ops.reshape(scores, (batch, beams, size))
        # Each beam may end in as many ways as there are end ids, and there must still be K candidates that go on.
        most = min((1 + max(1, len(rules.end_ids))) * beams, beams * size)
        best, index = ops.top_k(ops.reshape(total, (batch, beams * size)), most)
        parent, token = index // size, ops.cast(index % size, "int32")
        here = ops.reshape(ops.arange(state["tokens"].shape[2], dtype="int32"), (1, 1, -1)) == t
        texts = ops.where(here, ops.expand_dims(token, 2), _of_beams(state["tokens"], parent))
        ends = _is_end(token, rules)
        kept = _keep(state, texts, best, ops.logical_and(ends, best > LOWEST / 2), t + 1, inputs["length_penalty"])
        on, which = ops.top_k(ops.where(ends, LOWEST, best), beams)
        parent, token = (ops.take_along_axis(x, which, axis=1) for x in (parent, token))
        texts = _of_beams(texts, which)
        rows = ops.reshape(ops.expand_dims(ops.arange(batch, dtype=parent.dtype) * beams, 1) + parent, (-1,))
        column = ops.reshape(token, (-1, 1))
        history = ops.take(state["history"], rows, axis=0)
        place = ops.expand_dims(ops.arange(history.shape[1], dtype="int32"), 0) == ops.expand_dims(lengths, 1)
        # The best that a beam can still reach: its sum only falls, and dividing by more makes it less negative.
        longest = ops.cast(inputs["limit"], "float32") ** inputs["length_penalty"]
        now = ops.cast(t + 1, "float32") ** inputs["length_penalty"]
        hope = on[:, 0] / ops.where(inputs["length_penalty"] > 0, longest, now)
        done = ops.logical_or(state["done"], t + 1 >= inputs["limit"])
        done = ops.logical_or(done, ops.min(kept["kept_score"], axis=1) >= hope)
        cache = _within_table(reorder(cache, rows), transformer.config, t)
        following, cache = advance(transformer, cache, column, _segments(inputs, column), t)
        old = ops.expand_dims(state["done"], 1)
        return {
            "t": t + 1,
            "logits": following[:, 0],
            "cache": cache.tree(),
            "history": ops.where(place, column, history),
            "tokens": ops.where(ops.expand_dims(old, 2), state["tokens"], texts),
            "score": ops.where(old, state["score"], on),
            **{
                name: ops.where(ops.expand_dims(old, 2) if value.ndim == 3 else old, state[name], value)
                for name, value in kept.items()
            },
            "done": done,
            "count": ops.where(state["done"], state["count"], t + 1),
        }

    return loop(going_on, body, state)


def _of_beams(values: Any, index: Any) -> Any:
    """Return values (B, K, N) of the beams that index (B, J) names, (B, J, N)."""
    from keras import ops

    index = ops.broadcast_to(ops.expand_dims(index, 2), (*index.shape, values.shape[2]))
    return ops.take_along_axis(values, index, axis=1)


def _keep(state: dict, texts: Any, sums: Any, ended: Any, count: Any, penalty: Any) -> dict[str, Any]:
    """Return the K best texts that have ended, of those kept and those that end now."""
    from keras import ops

    beams = state["kept_score"].shape[1]
    rank = sums / ops.cast(count, "float32") ** penalty
    score = ops.concatenate([state["kept_score"], ops.where(ended, rank, LOWEST)], axis=1)
    best, which = ops.top_k(score, beams)
    counts = ops.broadcast_to(count, sums.shape)
    return {
        "kept_tokens": _of_beams(ops.concatenate([state["kept_tokens"], texts], axis=1), which),
        "kept_score": best,
        "kept_sum": ops.take_along_axis(ops.concatenate([state["kept_sum"], sums], axis=1), which, axis=1),
        "kept_count": ops.take_along_axis(
            ops.concatenate([state["kept_count"], ops.cast(counts, "int32")], axis=1), which, axis=1
        ),
    }
