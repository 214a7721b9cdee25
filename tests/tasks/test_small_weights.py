"""Tasks that learn with few weights: LoRA is saved merged, adapters count in what was compiled before, ladders fit."""

from __future__ import annotations

import numpy as np
import pytest
from task_cases import topics

from bert4keras2.models import build_transformer_model
from bert4keras2.tasks import TextClassifier, load_task
from bert4keras2.tokenizers import load_tokenizer
from bert4keras2.training import adapters, ladder_side_tuning, lora

pytestmark = pytest.mark.backend
ROWS, TEXTS = topics(16), ["火锅汤底太咸", "感冒发烧头痛"]
OPTIONS = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2, "verbose": 0}


def scores(task):
    return np.array([[p.probabilities[label] for label in task.labels] for p in task.predict(TEXTS)])


def test_lora_is_saved_merged(checkpoint, tmp_path):
    task = TextClassifier.from_checkpoint(checkpoint, labels=["美食", "健康"], maxlen=16)
    before = scores(task)
    task.fit(ROWS, techniques=[lambda model: lora(model, 2)], **OPTIONS)
    found = scores(task)
    assert np.abs(found - before).max() > 1e-3
    task.save(tmp_path)
    np.testing.assert_allclose(scores(load_task(tmp_path)), found, atol=1e-5)


@pytest.mark.breadth
def test_adapters_and_ladders(checkpoint, tmp_path):
    task = TextClassifier.from_checkpoint(checkpoint, labels=["美食", "健康"], maxlen=16)
    scores(task)  # compiled without adapters
    adapters(task.model, 2, train=())
    up = task.model.get_layer("Transformer-0-FeedForward").adapter.up_dense.bias
    before = scores(task)
    up.assign(np.linspace(-5, 5, 32))  # not one number, which the normalization would take away
    assert np.abs(scores(task) - before).max() > 1e-3
    with pytest.raises(ValueError, match="no place for .*adapter"):
        task.save(tmp_path)
    bert = build_transformer_model(checkpoint, return_keras_model=False)
    beside = TextClassifier(ladder_side_tuning(bert, 2), load_tokenizer(checkpoint), ["美食", "健康"], maxlen=16)
    frozen = bert.model.get_weights()
    history = beside.fit(ROWS, **OPTIONS).history
    assert np.isfinite(history["loss"]).all() and scores(beside).shape == (2, 2)
    for old, new in zip(frozen, bert.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
