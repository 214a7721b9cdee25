"""Heads that Hugging Face's classes have too: transformers computes the same, and its folders are opened here."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from task_cases import write_checkpoint

from bert4keras2.tasks import EntityTagger, MultipleChoice, SpanReader, TextClassifier, load_task

pytestmark = [
    pytest.mark.backend,
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="transformers needs PyTorch"),
]
TEXTS, SECONDS = ["今天火锅很咸", "小明在北京"], ["感冒", "小明在店？我"]


def folder_of(tmp_path, family):
    sizes = {
        "bert": {},
        "albert": {"embedding_size": 16},
        "electra": {},
        "roformer": {},
        "xlm-roberta": {"pad_token_id": 0},
    }[family]
    return write_checkpoint(tmp_path / "checkpoint", model_type=family, **sizes)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("SequenceClassification", "bert"),
        ("SequenceClassification", "albert"),
        ("SequenceClassification", "electra"),
        ("SequenceClassification", "roformer"),
        ("SequenceClassification", "xlm-roberta"),
        ("TokenClassification", "bert"),
        ("TokenClassification", "electra"),
        ("QuestionAnswering", "bert"),
        ("QuestionAnswering", "xlm-roberta"),
        ("MultipleChoice", "bert"),
    ],
)
def test_same_outputs(tmp_path, kind, family):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    source = folder_of(tmp_path, family)
    keras.utils.set_random_seed(3)
    make = {
        "SequenceClassification": lambda: TextClassifier.from_checkpoint(
            source, labels=["a", "b", "c"], pooling="pooler"
        ),
        "TokenClassification": lambda: EntityTagger.from_checkpoint(source, labels=["人", "地"], head="softmax"),
        "QuestionAnswering": lambda: SpanReader.from_checkpoint(source),
        "MultipleChoice": lambda: MultipleChoice.from_checkpoint(source, pooling="pooler"),
    }[kind]
    task = make()
    for variable in task.model.trainable_variables:  # biases that are not 0
        noise = np.random.RandomState(0).standard_normal(variable.shape)
        variable.assign(keras.ops.convert_to_numpy(variable) + 0.1 * noise)
    task.save(tmp_path / "ours")
    ids, segments = task.tokenizer.encode_batch(TEXTS, SECONDS)
    ours = keras.ops.convert_to_numpy(task.model(task._cutter.inputs(ids, segments)))
    model = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(tmp_path / "ours").eval()
    given = {"input_ids": torch.tensor(ids).long(), "token_type_ids": torch.tensor(segments).long()}
    given["attention_mask"] = given["input_ids"] != 0
    if kind == "MultipleChoice":
        given = {name: value[None] for name, value in given.items()}
    with torch.no_grad():
        found = model(**given)
    if kind == "QuestionAnswering":
        theirs = torch.stack([found.start_logits, found.end_logits], -1).numpy()
    else:
        theirs = found.logits.numpy().reshape(ours.shape)
    if kind == "SequenceClassification":
        theirs = np.exp(theirs) / np.exp(theirs).sum(-1, keepdims=True)
    real = ids != 0 if ours.ndim == 3 else slice(None)
    np.testing.assert_allclose(theirs[real], ours[real], atol=2e-5)
    if task.labels is not None:
        assert len(model.config.id2label) == ours.shape[-1]
    # And what transformers wrote is a task here, with its head.
    model.save_pretrained(tmp_path / "theirs")
    task.tokenizer_options = {}
    (tmp_path / "theirs" / "vocab.txt").write_bytes((source / "vocab.txt").read_bytes())
    again = load_task(tmp_path / "theirs")
    assert type(again) is type(task) and again.labels == task.labels
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(again.model(again._cutter.inputs(ids, segments)))[real], ours[real], atol=2e-5
    )
