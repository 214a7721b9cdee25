"""Several threads generate with one model at once, as a web service lets them: each gets what it would get alone."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cases import build

from bert4keras2.decoders import Generator

pytestmark = pytest.mark.backend
OPTIONS = [
    {"strategy": "greedy"},
    {"strategy": "sample", "seed": 3, "num_return": 2},
    {"strategy": "beam", "num_beams": 3},
    {"strategy": "sample", "seed": 5, "top_k": 6},
]
PROMPTS = [[7, 5, 31, 9], [12, 4], [3, 3, 8, 21, 30, 6], [39]]


@pytest.fixture
def impatient():
    """Let threads take turns as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def plain(found) -> list:
    found = found if isinstance(found, list) else [found]
    return [(one.ids, one.finish_reason, pytest.approx(one.score, abs=1e-4)) for one in found]


@pytest.mark.parametrize(
    "name", ["bert-unilm", *(pytest.param(name, marks=pytest.mark.breadth) for name in ("albert-unilm", "t5.1.1"))]
)
def test_threads_do_not_mix(name, impatient):
    generator = Generator(build(name), end_id=2)
    jobs = list(zip(PROMPTS, OPTIONS, strict=True))
    alone = [plain(generator.generate(prompt, 8, **options)) for prompt, options in jobs]
    with ThreadPoolExecutor(len(jobs)) as pool:
        for _ in range(3):
            tasks = [pool.submit(generator.generate, prompt, 8, **options) for prompt, options in jobs]
            assert [plain(task.result()) for task in tasks] == alone


def test_scores_beside_generation(impatient):
    generator = Generator(build("roformer-lm"), end_id=2)
    candidates = [[[4, 9], [8]], [[31, 2, 6]]]
    scores = generator.score(PROMPTS[:2], candidates)
    text = generator.generate(PROMPTS[2], 8)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            asked = [pool.submit(generator.score, PROMPTS[:2], candidates) for _ in range(2)]
            made = [pool.submit(generator.generate, PROMPTS[2], 8) for _ in range(2)]
            for task in asked:
                for got, wanted in zip(task.result(), scores, strict=True):
                    np.testing.assert_allclose(got, wanted, atol=1e-5)
            assert [task.result().ids for task in made] == [text.ids] * 2
