"""Views of a text: tokens that stand twice, tokens that are hidden."""

from __future__ import annotations

import random as chance
from collections.abc import Sequence

__all__ = ["hide_tokens", "repeat_tokens"]


def repeat_tokens(ids: Sequence[int], rate: float = 0.32, random: chance.Random | None = None) -> list[int]:
    """Return a row of ids in which some tokens between the first and the last one stand twice (arXiv:2109.04380).

    Views of other lengths keep SimCSE from learning that texts of one length are alike.
    How many is drawn from 0 to min(10, rate * length) - 1, as the authors' code does.

    Args:
        ids: `[CLS] ... [SEP]` of one text.
        rate: bound of the share that is doubled.
        random: where chance comes from; the module's generator if None.

    Raises:
        ValueError: if `rate` is not from 0 to 1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is a share of the tokens, from 0 to 1, not {rate!r}")
    draw, inner = random or chance, len(ids) - 2
    most = min(10, int(rate * len(ids)))
    if most < 1 or inner < 1:
        return list(ids)
    twice = set(draw.sample(range(1, inner + 1), min(draw.randrange(most), inner)))
    return [token for place, token in enumerate(ids) for _ in range(1 + (place in twice))]


def hide_tokens(
    ids: Sequence[int],
    mask_id: int,
    vocabulary: int,
    rate: float = 0.15,
    random: chance.Random | None = None,
    spared: Sequence[int] = (),
) -> tuple[list[int], list[int]]:
    """Return a row of ids of which some are hidden, and where: 80 % become [MASK], 10 % any token, 10 % stay.

    Args:
        ids: `[CLS] ... [SEP]` of one text; the first and the last token are not hidden.
        mask_id: the id of [MASK].
        vocabulary: number of tokens.
        rate: share of the tokens that is hidden, each by itself.
        random: where chance comes from; the module's generator if None.
        spared: places that are left alone.

    Returns:
        The new row, and the places (in rising order) that were hidden.

    Raises:
        ValueError: if `rate` is not from 0 to 1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is a share of the tokens, from 0 to 1, not {rate!r}")
    draw, left_alone = random or chance, set(spared)
    found, places = list(ids), []
    for place in range(1, len(ids) - 1):
        if place in left_alone or draw.random() >= rate:
            continue
        places.append(place)
        kind = draw.random()
        if kind < 0.9:
            found[place] = mask_id if kind < 0.8 else draw.randrange(vocabulary)
    return found, places
