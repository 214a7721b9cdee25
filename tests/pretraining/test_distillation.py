"""Distillation: what a student takes over from a teacher, of another vocabulary and of the same."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2 import SentenceEncoder, build_transformer_model
from bert4keras2.distill import main
from bert4keras2.pretraining.distillation.config import DistillationConfig
from bert4keras2.pretraining.distillation.objectives import VectorLoss
from bert4keras2.pretraining.distillation.relations import Relations, StateDistance, even_layers
from bert4keras2.pretraining.distillation.run import distill
from bert4keras2.pretraining.distillation.teacher import principal_axes
from bert4keras2.tokenizers import save_vocab

SIZES = {"num_attention_heads": 2, "intermediate_size": 32, "max_position": 64}


def folder_of(path, tokens, seed, **more):
    """Write a random model with a vocabulary."""
    from bert4keras2.functional.seeds import set_seed

    set_seed(seed)
    path.mkdir()
    sizes = {"vocab_size": len(tokens), **SIZES, **more}
    build_transformer_model(sizes, with_mlm=True, return_keras_model=False).save_pretrained(path)
    save_vocab(path / "vocab.txt", {token: index for index, token in enumerate(tokens)})
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory, tokenizer):
    """A teacher, a student with the same vocabulary, and one with another."""
    folder = tmp_path_factory.mktemp("models")
    tokens = tokenizer.ids_to_tokens(range(tokenizer.vocab_size))
    return {
        "teacher": folder_of(folder / "teacher", tokens, 0, hidden_size=24, num_hidden_layers=4),
        "student": folder_of(folder / "student", tokens, 1, hidden_size=16, num_hidden_layers=2),
        "other": folder_of(folder / "other", [*tokens[:5], *tokens[:4:-1]], 2, hidden_size=16, num_hidden_layers=2),
    }


def run(models, corpus, output, student, **more):
    values = {"teacher": str(models["teacher"]), "student": str(models[student]), "corpus": [str(corpus)]}
    values |= {
        "output": str(output),
        "steps": 40,
        "save_every": 20,
        "batch_size": 16,
        "row_length": 32,
        "texts": 300,
        "teacher_length": 32,
    }
    return distill(
        DistillationConfig.make({**values, "learning_rate": 0.01, "progress": False, "held_out": 0.1, **more})
    )


@pytest.mark.eager
def test_vectors_between_vocabularies(models, corpus, tmp_path):
    result = run(models, corpus, tmp_path / "out", "other", schedule={0: 1})
    cosines = result.history["val_vectors_cosine"]
    assert len(cosines) == 2 and cosines[-1] > cosines[0] + 0.05
    texts = (tmp_path / "out" / "texts.txt").read_text(encoding="utf-8").splitlines()
    assert len(texts) == 300 == len(set(texts))
    student, teacher = (
        SentenceEncoder.load(path, maxlen=32).encode(texts) for path in (tmp_path / "out", models["teacher"])
    )
    before = SentenceEncoder.load(models["other"], maxlen=32).encode(texts)
    mean, axes = principal_axes(teacher, 16)
    wanted = (teacher - mean) @ axes

    def cosine(a, b):
        return float(np.mean(np.sum(a * b, 1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))

    assert cosine(student, wanted) > cosine(before, wanted) + 0.3
    # The vectors that are there are not computed again, and the finished run is not run again.
    (models["teacher"] / "model.safetensors").rename(models["teacher"] / "away")
    try:
        assert run(models, corpus, tmp_path / "out", "other", schedule={0: 1}).history == result.history
    finally:
        (models["teacher"] / "away").rename(models["teacher"] / "model.safetensors")


@pytest.mark.backend
@pytest.mark.parametrize("kind", ["hidden", "attention"])
def test_states_of_one_vocabulary(models, corpus, tmp_path, kind):
    result = run(models, corpus, tmp_path / "out", "student", kind=kind, mlm=0.0, schedule={0: 1})
    losses = result.history["val_loss"]
    assert losses[-1] < 0.98 * losses[0]
    teacher = build_transformer_model(models["teacher"])
    assert teacher.trainable  # a teacher on the disk and elsewhere is as it was


def test_what_does_not_fit(models, corpus, tmp_path, capsys):
    with pytest.raises(ValueError, match="vocabularies.*differ.*'vectors'"):
        run(models, corpus, tmp_path / "a", "other", kind="hidden")
    with pytest.raises(ValueError, match="student's blocks are 0 to 1"):
        run(models, corpus, tmp_path / "b", "student", kind="hidden", layers={"2": 0})
    with pytest.raises(ValueError, match="did you mean 'vectors'"):
        DistillationConfig.make({"teacher": "a", "student": "b", "corpus": "c", "output": "d", "kind": "vector"})
    assert main(["--teacher", "a", "--student", "b", "--output", str(tmp_path / "c"), "--corpus", "none.txt"]) == 1
    assert "'none.txt' does not exist" in capsys.readouterr().err


def test_principal_axes():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(500, 6)) * [9, 1, 7, 0.1, 5, 0.2] + 3
    mean, axes = principal_axes(vectors.astype("float32"), 3)
    assert np.allclose(mean, vectors.mean(0), atol=1e-4) and np.allclose(axes.T @ axes, np.eye(3), atol=1e-5)
    assert (np.abs(axes).argmax(0) == [0, 2, 4]).all()
    assert principal_axes(vectors, 8)[1].shape == (6, 8)


@pytest.mark.backend
def test_losses_by_hand():
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(5, 4)).astype("float32") for _ in range(2))
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    expected = 1 - (x * y).sum(1) + 2.0 * np.square(y @ y.T - x @ x.T).mean(1)
    np.testing.assert_allclose(np.array(VectorLoss(2.0)(a, b)), expected.mean(), rtol=1e-5)

    states = random.normal(size=(2, 3, 4)).astype("float32")
    real = np.array([[1, 1, 1], [1, 1, 0]], bool)
    assert np.allclose(np.array(StateDistance()(states, 3 * states + 1, real)), 0, atol=1e-5)
    padded = states + ~real[..., None] * np.float32(9)
    for layer in (Relations(2), StateDistance()):
        first, again = (
            np.array(layer(states, other, real))
            for other in (states[::-1].copy(), states[::-1] + ~real[..., None] * np.float32(9))
        )
        np.testing.assert_allclose(first, again, rtol=1e-5)
        assert np.allclose(np.array(layer(states, padded, real)), 0, atol=1e-5) and first.min() > 0
    assert even_layers(4, 12) == {0: 2, 1: 5, 2: 8, 3: 11} and even_layers(3, 4) == {0: 0, 1: 1, 2: 3}
