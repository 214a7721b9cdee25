"""Pictures: attributions add up, HTML shows what it should and nothing else, figures go into files."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from keras import ops

from bert4keras2.models import attention_maps, build_transformer_model
from bert4keras2.pictures import (
    attention_map,
    confusion_matrix,
    entities_html,
    token_attribution,
    training_curve,
    vector_map,
)
from bert4keras2.tasks import EntityTagger, TextClassifier
from bert4keras2.tokenizers import Tokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"这家店的火锅很好吃太咸了", "hot", "##pot"]


def classifier(**options) -> TextClassifier:
    sizes = {"vocab_size": len(TOKENS), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformer = build_transformer_model({**sizes, "intermediate_size": 32}, return_keras_model=False)
    random = np.random.default_rng(0)
    for weight in transformer.model.weights:  # larger than at a start, so that the score is no straight line
        if len(weight.shape) > 1:
            weight.assign(random.normal(0, 0.6, weight.shape))
    tokenizer = Tokenizer({token: i for i, token in enumerate(TOKENS)}, do_lower_case=True)
    task = TextClassifier(transformer, tokenizer, ["差", "好"], maxlen=16, **options)
    head = task.transformer.layers["Pooled-Classifier"].kernel
    head.assign(random.normal(0, 0.15, head.shape))
    return task


@pytest.mark.backend
@pytest.mark.parametrize("kind", [pytest.param("single", marks=pytest.mark.breadth), "multi"])
def test_weights_add_up(kind):
    """What the tokens add is what the text's score has above that of masks alone, both computed by the model itself."""
    task, text = classifier(kind=kind, pooling="mean"), "火锅hotpot很好"
    found = token_attribution(task, text, "好")
    ids, segments = task.encode([text])
    masks = np.where((ids > 3), 4, ids)
    scores = ops.convert_to_numpy(task.model([np.concatenate([ids, masks]), np.concatenate([segments] * 2)]))[:, 1]
    scores = 1 / (1 + np.exp(-scores)) if kind == "multi" else scores
    np.testing.assert_allclose([found.score, found.baseline], scores, atol=1e-5)
    assert sum(abs(token.weight) for token in found.tokens) > 0.05
    assert sum(token.weight for token in found.tokens) == pytest.approx(scores[0] - scores[1], abs=0.006)
    assert [token.text for token in found.tokens] == ["火", "锅", "hot", "pot", "很", "好"]
    assert [token[:2] for token in found.tokens] == [(0, 1), (1, 2), (2, 5), (5, 8), (8, 9), (9, 10)]
    # A token that is turned into a mask itself adds nothing.
    task.transformer.layers["Embedding-Token"].embeddings.assign(
        _with_equal_rows(task.transformer.layers["Embedding-Token"].embeddings, TOKENS.index("锅"), 4)
    )
    weights = {token.text: token.weight for token in token_attribution(task, text, "好").tokens}
    assert abs(weights["锅"]) < 1e-6 < abs(weights["火"])


def _with_equal_rows(table, row: int, other: int) -> np.ndarray:
    table = ops.convert_to_numpy(table).copy()
    table[row] = table[other]
    return table


def test_wrong_tasks_and_labels():
    task = classifier(pairs=True)
    with pytest.raises(ValueError, match="pairs"):
        token_attribution(task, "好")
    with pytest.raises(ValueError, match="'中' is none of the task's: 差, 好"):
        token_attribution(classifier(), "好", "中")
    with pytest.raises(TypeError, match="TextClassifier, not EntityTagger"):
        token_attribution(EntityTagger(task.transformer, task.tokenizer, ["人"]), "好")


def test_entities():
    text = "小明在<北京大学>上学"
    page = entities_html(text, [(4, 8, "机构"), (0, 2, "人名"), (4, 6, "地名")])
    shown = page.replace("<", "\0<").split("\0")
    words = [part.partition(">")[2] for part in shown if part.partition(">")[2]]
    assert words == ["小明", "人名", "在&lt;", "北京", "地名", "大学", "机构", "&gt;上学"]
    assert page.count("<mark") == 3 and page._repr_html_() == page
    same = entities_html(text, [(0, 2, "人名")])
    assert same.count("hsl") == 1 and same.split("hsl")[1][:12] in page  # a type has its own colour everywhere
    assert entities_html("<b>", []).count("&lt;b&gt;") == 1
    with pytest.raises(ValueError, match=r"entities\[1\] = \(3, 30, 'x'\) does not lie in the text, which has 11"):
        entities_html(text[:11], [(0, 2, "人名"), (3, 30, "x")])


def test_crossing_entities_lose_no_character():
    page = entities_html("甲乙丙丁", [(0, 3, "a"), (2, 4, "b")])
    assert [c for c in page if c in "甲乙丙丁"] == list("甲乙丙丁")


def test_figures(tmp_path):
    pytest.importorskip("matplotlib")
    figure = training_curve({"loss": [2.0, 1.0], "val_accuracy": [0.5, 0.75]}, tmp_path / "curve.png")
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == [2, 1] and right.lines[0].get_linestyle() == "--"
    assert figure._repr_png_()[:4] == b"\x89PNG" == (tmp_path / "curve.png").read_bytes()[:4]

    figure = confusion_matrix(list("aabb"), list("abbb"), path=tmp_path / "confusion.svg")
    assert figure.axes[0].images[0].get_array().tolist() == [[0.5, 0.5], [0, 1]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "1", "2"]
    assert ">predicted<" in (tmp_path / "confusion.svg").read_text()  # texts stay texts

    points = np.random.default_rng(0).normal(size=(6, 2)) * [5, 1] @ [[0.6, 0.8, 0], [-0.8, 0.6, 0]] + 3
    axes = vector_map(points, labels=list("xxxyyy"), texts=["很长很长很长很长很长的句子"] * 6).axes[0]
    drawn = np.concatenate([part.get_offsets() for part in axes.collections])
    near = np.linalg.norm(points[:, None] - points, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(drawn[:, None] - drawn, axis=-1), near, atol=1e-9)  # a plane stays
    assert axes.texts[0].get_text() == "很长很长很长很长很长的…"


def test_attention():
    pytest.importorskip("matplotlib")
    task, text = classifier(), "火锅很好吃"
    ids, segments = task.encode([text])
    (weights,) = attention_maps(task, [ids, segments]).weights.values()
    axes = attention_map(task, text).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), weights[0].mean(0), atol=1e-6)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["[CLS]", *text, "[SEP]"]
    figure = attention_map(task.model, text, task.tokenizer, layer=0, head="all")
    np.testing.assert_allclose(figure.axes[1].images[0].get_array(), weights[0, 1], atol=1e-6)
    with pytest.raises(ValueError, match="number from 0 to 1, 'all' or None, not 2"):
        attention_map(task, text, head=2)
    with pytest.raises(ValueError, match="layer is a number from 0 to 0"):
        attention_map(task, text, layer=1)
    with pytest.raises(TypeError, match="pass tokenizer="):
        attention_map(task.model, text)


def test_what_cannot_be_drawn(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=r"'a\.gif' ends with none of \.png"):
        training_curve({"loss": [1.0]}, "a.gif")
    with pytest.raises(ValueError, match="no values"):
        training_curve({"loss": []})
    with pytest.raises(TypeError, match="not list"):
        training_curve([1.0])
    with pytest.raises(ValueError, match="6 vectors but 2 labels"):
        vector_map(np.zeros((6, 2)), labels=["a", "b"])
    with pytest.raises(ValueError, match="at least 3 vectors"):
        vector_map(np.zeros((2, 2)))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"bert4keras2\[plot\]"):
        training_curve({"loss": [1.0]})


def test_a_system_without_chinese_fonts_is_told(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("bert4keras2.pictures.canvas.FONTS", ("No Such Font",))
    from bert4keras2.pictures import canvas

    canvas._chinese_font.cache_clear()
    with pytest.warns(UserWarning, match="Noto Sans CJK SC"):
        confusion_matrix(["好"], ["好"])
    canvas._chinese_font.cache_clear()
