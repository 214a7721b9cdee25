"""Names and arguments of early versions of bert4keras that published scripts still use."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.snippets import AutoRegressiveDecoder
from bert4keras2.tokenizers import Tokenizer


class Even(AutoRegressiveDecoder):
    """Finds tokens 0 to 3 equally probable."""

    @AutoRegressiveDecoder.set_rtype("probas")
    def predict(self, inputs, output_ids, step):
        return np.full((len(output_ids), 4), 0.25)


def test_set_rtype_is_wraps():
    assert Even(None, -1, 3).beam_search([[1]], 2).shape == (3,)
    with pytest.raises(ValueError, match="default_rtype"):
        AutoRegressiveDecoder.set_rtype("scores")


def test_a_topk_in_the_place_of_topp_leaves_all_tokens():
    with pytest.warns(UserWarning, match="did you mean topk=2"):
        drawn = Even(None, -1, 1).random_sample([[1]], 200, topp=2)
    assert {int(ids[0]) for ids in drawn} == {0, 1, 2, 3}


def test_max_length_is_maxlen():
    tokenizer = Tokenizer({token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b"])})
    assert tokenizer.encode("a b a b", max_length=4) == tokenizer.encode("a b a b", maxlen=4)
    assert tokenizer.encode("a b a b", "b b", max_length=6) == tokenizer.encode("a b a b", "b b", maxlen=6)
