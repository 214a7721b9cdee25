"""Rows: what packing leaves out (nothing), and which tokens are hidden."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.pretraining.masking import WholeWordMasking
from bert4keras2.pretraining.objectives import OBJECTIVES, Setup
from bert4keras2.pretraining.packing import cut_texts, pack
from bert4keras2.pretraining.words import WORD


@pytest.mark.parametrize("even", [False, True])
def test_cut_texts_leave_nothing_out(even):
    lengths = np.array([0, 1, 126, 127, 130, 1000])
    pieces = cut_texts(lengths, 126, even=even)
    for text, length in enumerate(lengths):
        own = pieces[pieces[:, 0] == text]
        assert own[:, 2].sum() == length and (own[:, 2] <= 126).all()
        assert own[:, 1].tolist() == np.cumsum([0, *own[:-1, 2]]).tolist() if length else not len(own)
        if even:
            assert not length or np.ptp(own[:, 2]) <= 1
        else:
            assert (own[:-2, 2] == 126).all()
    assert cut_texts(np.array([252, 253, 300]), 126)[:, 2].tolist() == [126, 126, 126, 64, 63, 126, 126, 48]
    assert cut_texts(lengths, 126, shortest=127, even=even)[:, 0].tolist() == [3, 3, 4, 4] + [5] * 8
    with pytest.raises(ValueError, match="too short"):
        cut_texts(lengths, 0)


def test_pack_fills_rows():
    sizes = np.random.default_rng(0).integers(3, 129, 20_000)
    rows = pack(sizes, 128)
    assert sorted(item for row in rows for item in row) == list(range(len(sizes)))
    filled = np.array([sizes[row].sum() for row in rows])
    assert filled.max() <= 128 and filled.mean() > 0.995 * 128
    with pytest.raises(ValueError, match="does not fit"):
        pack(np.array([129]), 128)


def test_packed_rows_hold_every_text_once(shards, tokenizer):
    objective = OBJECTIVES["lm"](Setup(tokenizer, 96))
    rows = objective.plan(shards, np.random.default_rng(0))
    laid = objective.rows(shards, rows, np.random.default_rng(0))
    found = {}
    for row, pieces in enumerate(rows):
        for number, (text, start, size) in enumerate(pieces.tolist(), 1):
            part = laid.texts[row] == number
            ids = laid.ids[row, part]
            assert ids[0] == tokenizer.start_id and ids[-1] == tokenizer.end_id
            assert laid.positions[row, part].tolist() == list(range(size + 2))
            found[text, start] = ids[1:-1].tolist()
    for text in range(len(shards)):
        own = [found[key] for key in sorted(found) if key[0] == text]
        assert [token for piece in own for token in piece] == shards[text][0].tolist()
    assert (laid.texts == 0).mean() < 0.06 and (laid.ids[laid.texts == 0] == tokenizer.pad_id).all()


# -- masking -----------------------------------------------------------------------------------------------------

LENGTH, BATCH = 128, 8192


@pytest.fixture(scope="module")
def million():
    """More than a million tokens in words of one to four, with special tokens and padding."""
    random = np.random.default_rng(0)
    ids = random.integers(5, 1000, (BATCH, LENGTH)).astype("int32")
    flags = (random.random(ids.shape) < 0.5).astype("uint8") * WORD
    ids[:, 0], flags[:, 0] = 2, 0
    ends = random.integers(60, LENGTH, BATCH)
    ids[np.arange(BATCH), ends] = 3
    ids[np.arange(LENGTH) > ends[:, None]] = 0
    return ids, flags


@pytest.mark.parametrize("decision", ["token", "word"])
def test_statistics_of_a_million_tokens(million, decision):
    ids, flags = million
    special = ids < 5
    masking = WholeWordMasking(4, 1000, [0, 1, 2, 3, 4], LENGTH, 0.15, decision)
    masked = masking(ids, flags, np.random.default_rng(1))
    rows, slots = np.nonzero(masked.labels >= 0)
    places = masked.positions[rows, slots]
    hidden = np.zeros_like(special)
    hidden[rows, places] = True
    assert (ids[rows, places] == masked.labels[rows, slots]).all()
    assert not (hidden & special).any() and (masked.ids[~hidden] == ids[~hidden]).all()
    count = (~special).sum()
    assert count > 7e5 and abs(hidden.sum() / count - 0.15) < 0.002
    share = hidden.sum(1) / (~special).sum(1)
    assert share.std() < 0.02  # in each row, not on the whole alone
    # Words are hidden whole: a token without the flag is hidden if and only if the one before it is.
    inside = ~special[:, 1:] & ~special[:, :-1] & (flags[:, 1:] == 0)
    assert (hidden[:, 1:] == hidden[:, :-1])[inside].all()
    masks, same = masked.ids == 4, masked.ids == ids
    deviation = 3 * (0.25 / hidden.sum() * (4 if decision == "word" else 1)) ** 0.5
    assert abs(masks[hidden].mean() - 0.8) < deviation
    # A random token is the text's own once in a thousand times.
    assert abs(same[hidden].mean() - 0.1 - 0.1 / 995) < deviation
    drawn = masked.ids[hidden & ~masks & ~same]
    assert drawn.min() == 5 and drawn.max() == 999
    together = (masks[:, 1:] == masks[:, :-1])[inside & hidden[:, 1:]]
    assert together.all() if decision == "word" else 0.6 < together.mean() < 0.72


def test_chance_follows_from_the_seed(million):
    ids, flags = (part[:64] for part in million)
    masking = WholeWordMasking(4, 1000, [0, 1, 2, 3, 4], LENGTH)
    first, again, other = (masking(ids, flags, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert (first.ids == again.ids).all() and (first.labels == again.labels).all()
    assert (first.ids != other.ids).any()


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match="mask_rate=1.5"):
        WholeWordMasking(4, 10, [0], 16, 1.5)
    with pytest.raises(ValueError, match="token.*word.*letter"):
        WholeWordMasking(4, 10, [0], 16, decision="letter")
