"""The decoder that generation scripts subclass: beam search and random sampling around a `predict` of their own."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bert4keras2.arguments import at_least, fraction, positive
from bert4keras2.decoders.classic import filters as samplers
from bert4keras2.decoders.classic.last_token import last_token

__all__ = ["AutoRegressiveDecoder"]

RTYPES = ("probas", "logits")
TINY = 1e-12  # keeps the logarithm of a probability of 0 finite


class AutoRegressiveDecoder:
    """Generate token by token with scores that a subclass computes in `predict`.

    A subclass writes `predict(self, inputs, output_ids, states)` under the decorator `wraps`. `inputs` are the arrays
    given to `beam_search` or `random_sample` with a row for each sequence, `output_ids` (rows, T) is what has been
    generated. It returns scores (rows, V) of the next token.

    `states` is what the call before returned (at first, the `states` argument). It is handed on as it is: its rows do
    not follow the sequences when beams are reordered or finished ones leave, so keep there only what all sequences
    share.

    Args:
        start_id: first token of every sequence (it is part of the results); None to start with nothing.
        end_id: token that ends a sequence (it is part of the results).
        maxlen: how many tokens to generate at most.
        minlen: how long a sequence is at least, start_id and end_id counted: a sequence that ends earlier goes on.

    Attributes:
        use_cache: set it to True in a subclass whose `predict` asks `self.last_token(model)`: each call then computes
            the new token alone, over cached keys and values. `predict` stays as it is.
        first_output_ids: (1, 0 or 1) ids that sequences start with.

    Raises:
        ValueError: if maxlen or minlen is no whole number, or no sequence can be as long as minlen.

    Source: the interface is that of bert4keras (Su Jianlin, github.com/bojone/bert4keras)
    """

    use_cache: bool = False

    def __init__(self, start_id: int | None, end_id: int, maxlen: int, minlen: int = 1):
        self.start_id, self.end_id = start_id, end_id
        self.maxlen, self.minlen = at_least("maxlen", maxlen, 0), at_least("minlen", minlen, 0)
        first = [] if start_id is None else [start_id]
        self.first_output_ids = np.array([first], dtype=int)
        if self.minlen > self.maxlen + len(first):
            raise ValueError(
                f"minlen={minlen} is more than the {self.maxlen + len(first)} tokens that a sequence can have "
                f"(maxlen={maxlen}{' and start_id' if first else ''}): lower minlen or raise maxlen"
            )

    # -- what a subclass writes --------------------------------------------------------------------------------

    @staticmethod
    def wraps(default_rtype: str = "probas", use_states: bool = False) -> Callable:
        """Return a decorator for `predict(self, inputs, output_ids, states)`.

        The decorated method takes two more arguments, `temperature` and `rtype`, and returns (scores, states): for
        rtype "probas" probabilities (rows, V), for "logits" their logarithms.

        Args:
            default_rtype: what the method returns: "probas" (after softmax) or "logits" (before).
            use_states: whether it returns (scores, states) instead of scores alone.

        Raises:
            ValueError: if default_rtype is neither; from the method, if its result does not fit.
        """
        _check_rtype("default_rtype", default_rtype)

        def decorate(predict: Callable) -> Callable:
            @functools.wraps(predict)
            def decorated(self, inputs, output_ids, states, temperature=1, rtype=default_rtype):
                _check_rtype("rtype", rtype)
                temperature = positive("temperature", temperature)
                result = predict(self, inputs, output_ids, states)
                if use_states:
                    if not isinstance(result, tuple | list) or len(result) != 2:
                        raise ValueError(
                            f"predict must return (scores, states) because of use_states=True, not {_shown(result)}"
                        )
                    result, states = result
                else:
                    states = None
                scores = _scores(result, len(output_ids), default_rtype)
                probas = _heated(scores, temperature, default_rtype)
                return (probas if rtype == "probas" else np.log(probas + TINY)), states

            return decorated

        return decorate

    @staticmethod
    def set_rtype(default: str = "probas") -> Callable:
        """Return `wraps(default)`: its name in early versions of bert4keras."""
        return AutoRegressiveDecoder.wraps(default_rtype=default)

    def predict(
        self,
        inputs: list[np.ndarray],
        output_ids: np.ndarray,
        states: Any,
        temperature: float = 1,
        rtype: str = "probas",
    ) -> tuple[np.ndarray, Any]:
        """Return (scores, states) of the next token; subclasses write it, under `AutoRegressiveDecoder.wraps`."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method predict(self, inputs, output_ids, states) "
            "decorated with @AutoRegressiveDecoder.wraps(default_rtype='probas')"
        )

    def last_token(self, model: Any) -> Any:
        """Return a model that computes a model's scores at the last position alone; see `decoders.last_token`.

        With `use_cache`, what comes back keeps keys and values between the calls of `predict`: it has the method
        `predict` alone.
        """
        if not self.use_cache:
            return last_token(model)
        from bert4keras2.decoders.classic.cached import CachedLastToken

        cached = vars(self).setdefault("_cached", {})
        if id(model) not in cached:
            cached[id(model)] = CachedLastToken(model, self.maxlen)
        return cached[id(model)]

    # -- searching ---------------------------------------------------------------------------------------------

    def beam_search(
        self, inputs: Sequence[Any], topk: int, states: Any = None, temperature: float = 1, min_ends: int = 1
    ) -> np.ndarray:
        """Return the most probable sequence that a beam of `topk` finds.

        It returns as soon as the best sequence of the beam is finished. Others that are finished leave the beam,
        which becomes narrower.

        Args:
            inputs: what to generate from, without the batch axis; each becomes an array with a row per sequence.
            topk: width of the beam.
            states: what `predict` gets as states in the first step.
            temperature: divides the logits; below 1 it sharpens.
            min_ends: how many end_id a sequence has to hold to be finished when it ends with one.

        Returns:
            (T,) ids.

        Raises:
            ValueError: if topk < 1, min_ends < 0 or temperature <= 0, or if the result of `predict` does not fit.
        """
        topk, min_ends = at_least("topk", topk, 1), at_least("min_ends", min_ends, 0)
        temperature = positive("temperature", temperature)
        inputs = [np.array([one]) for one in inputs]
        ids, totals = self.first_output_ids, np.zeros(1)
        for _ in range(self.maxlen):
            inputs = _rows(inputs, len(ids))
            scores, states = self.predict(inputs, ids, states, temperature, "logits")
            totals = totals[:, None] + scores
            flat = samplers.largest(totals.reshape(-1), topk)
            beams, tokens = np.divmod(flat, scores.shape[1])
            ids = np.concatenate([ids[beams], tokens[:, None]], axis=1)
            totals = totals.reshape(-1)[flat]
            finished = self._finished(ids, min_ends)
            best = totals.argmax()
            if finished[best]:
                return ids[best]
            if finished.any():
                ids, totals = ids[~finished], totals[~finished]
                topk = len(ids)
        return ids[totals.argmax()]

    def random_sample(
        self,
        inputs: Sequence[Any],
        n: int,
        topk: int | None = None,
        topp: float | None = None,
        states: Any = None,
        temperature: float = 1,
        min_ends: int = 1,
    ) -> list[np.ndarray]:
        """Return n sequences drawn token by token with NumPy's global generator (`np.random.seed`).

        The first step is computed once, later ones for all sequences together.

        Args:
            inputs: what to generate from, without the batch axis.
            n: how many sequences.
            topk: draw from the most probable tokens, so many; None for all.
            topp: draw from the most probable tokens that reach this mass together (of those that topk leaves); None
                for all, and so for a whole number above 1 (a topk in the wrong place), with a warning.
            states: what `predict` gets as states in the first step.
            temperature: divides the logits; below 1 it sharpens.
            min_ends: how many end_id a sequence has to hold to be finished when it ends with one.

        Returns:
            n arrays of ids, in the order in which they finished.

        Raises:
            ValueError: if n < 1, topk < 1, topp is outside (0, 1], min_ends < 0 or temperature <= 0, or if the result
                of `predict` does not fit.
        """
        n, min_ends = at_least("n", n, 1), at_least("min_ends", min_ends, 0)
        temperature = positive("temperature", temperature)
        topk = None if topk is None else at_least("topk", topk, 1)
        if isinstance(topp, int) and topp > 1:  # published scripts do so, and drew from all tokens
            warnings.warn(
                f"topp={topp} leaves all tokens: it is a share of the mass; did you mean topk={topp}?", stacklevel=2
            )
            topp = None
        topp = None if topp is None else fraction("topp", topp)
        inputs = [np.array([one]) for one in inputs]
        ids, found = self.first_output_ids, []
        for step in range(self.maxlen):
            inputs = _rows(inputs, len(ids))
            probas, states = self.predict(inputs, ids, states, temperature, "probas")
            if step == 0:
                ids, probas = np.repeat(ids, n, axis=0), np.repeat(probas, n, axis=0)
            ids = np.concatenate([ids, _sampled(probas, topk, topp)[:, None]], axis=1)
            finished = self._finished(ids, min_ends)
            found.extend(ids[finished])
            ids = ids[~finished]
            if not len(ids):
                return found
        return [*found, *(ids if self.maxlen else np.repeat(ids, n, axis=0))]

    def _finished(self, ids: np.ndarray, min_ends: int) -> np.ndarray:
        """Return for each sequence of (rows, T) ids whether it is complete."""
        if ids.shape[1] < self.minlen:
            return np.zeros(len(ids), dtype=bool)
        ends = ids == self.end_id
        return ends[:, -1] & (ends.sum(axis=1) >= min_ends)


def _sampled(probas: np.ndarray, topk: int | None, topp: float | None) -> np.ndarray:
    """Draw one token (B,) from each row of probabilities (B, V)."""
    sums = probas.sum(axis=1, keepdims=True)
    if not (sums > 0).all():
        raise ValueError("predict returned a row without any probability: no token can be drawn from it")
    probas = probas / sums
    chosen = np.broadcast_to(np.arange(probas.shape[1]), probas.shape)
    if topk is not None:
        chosen = samplers.largest(probas, topk)
        probas = np.take_along_axis(probas, chosen, axis=1)
        probas = probas / probas.sum(axis=1, keepdims=True)
    if topp is not None:
        order = samplers.descending(probas)
        probas, chosen = np.take_along_axis(probas, order, axis=1), np.take_along_axis(chosen, order, axis=1)
        probas = np.where(samplers.beyond_nucleus(probas, topp), 0, probas)
        probas = probas / probas.sum(axis=1, keepdims=True)
    return np.take_along_axis(chosen, samplers.draw(probas)[:, None], axis=1)[:, 0]


def _heated(scores: np.ndarray, temperature: float, rtype: str) -> np.ndarray:
    """Return probabilities at a temperature from what `predict` returned."""
    if rtype == "logits":
        return samplers.softmax(scores / temperature)
    if temperature == 1:
        return scores  # as they are, even if they do not sum to 1
    powers = np.power(scores, 1 / temperature)
    return powers / powers.sum(axis=-1, keepdims=True)


def _scores(result: Any, rows: int, rtype: str) -> np.ndarray:
    """Return what `predict` returned as an array of floats, or raise if it does not fit."""
    try:
        scores = np.asarray(result)
    except (TypeError, ValueError):
        scores = np.empty(0, dtype=object)
    if scores.ndim != 2 or len(scores) != rows or not scores.shape[1] or not _real(scores):
        raise ValueError(
            f"predict must return scores of the shape (rows = {rows}, vocabulary), one row for each row of output_ids, "
            f"not {_shown(result)}"
        )
    if scores.dtype.itemsize < 4:
        scores = scores.astype("float32")  # half precision cannot hold the logarithm of a small probability
    if np.isnan(scores).any():
        raise ValueError("predict returned NaN")
    if rtype == "probas" and (scores < 0).any():
        raise ValueError(
            f"predict returned {scores.min():.4g}, which is no probability: apply softmax, "
            "or decorate it with wraps(default_rtype='logits')"
        )
    if rtype == "logits" and not np.isfinite(scores.max(axis=1)).all():
        raise ValueError("predict returned a row of logits whose highest is not finite: some token must be allowed")
    return scores


def _real(scores: np.ndarray) -> bool:
    return scores.dtype.kind in "fiu" or scores.dtype.name == "bfloat16"


def _check_rtype(name: str, rtype: str) -> None:
    if rtype not in RTYPES:
        raise ValueError(f"{name} must be 'probas' or 'logits', not {rtype!r}")


def _rows(inputs: list[np.ndarray], count: int) -> list[np.ndarray]:
    """Return inputs, whose rows are all equal, with `count` rows."""
    return [one if len(one) == count else np.repeat(one[:1], count, axis=0) for one in inputs]


def _shown(result: Any) -> str:
    """Return a result's type and, where it has one, its shape, for messages."""
    shape = getattr(result, "shape", None)
    return type(result).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")
