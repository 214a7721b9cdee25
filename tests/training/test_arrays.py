"""What models are called with: lists, ragged rows, tensors; texts, single rows and what is no number are named."""

from __future__ import annotations

import keras as real_keras
import numpy as np
import pytest

from bert4keras2.backend import Model, keras
from bert4keras2.layers import Embedding
from bert4keras2.snippets import DataGenerator
from bert4keras2.training.arrays import Place, inputs_as_arrays, targets_as_arrays

pytestmark = pytest.mark.backend
BACKEND = real_keras.backend.backend()
ROWS = [[2, 7, 8, 3], [2, 3], [2, 9, 3]]
PADDED = np.array([[2, 7, 8, 3], [2, 3, 0, 0], [2, 9, 3, 0]])
SEGMENTS = [[0] * len(row) for row in ROWS]
LABELS = [0, 1, 1]
TAGS = [[1, 2, 1, 0], [2, 2], [0, 1, 0]]


class Masked(keras.layers.Add):
    """A sum that has the mask of the first."""

    def compute_mask(self, inputs, mask=None):
        return mask[0]


def build(outputs):
    tokens, segments = (keras.Input((None,), dtype="int32", name=name) for name in ("tokens", "segments"))
    x = Embedding(10, 4, mask_zero=True, name="table")(tokens)
    x = Masked()([x, Embedding(2, 4)(segments)])
    if outputs == "label":
        x = keras.layers.GlobalAveragePooling1D()(x)
    model = Model([tokens, segments], keras.layers.Dense(3, activation="softmax", name=outputs)(x))
    model.compile(real_keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def model():
    return build("label")


@pytest.fixture(scope="module")
def tagger():
    return build("tags")


def test_ragged_rows(model, tagger):
    inputs, arrays = [ROWS, SEGMENTS], [PADDED, PADDED * 0]
    expected = model.evaluate(arrays, np.array(LABELS), verbose=0)
    assert model.evaluate(inputs, LABELS, verbose=0) == pytest.approx(expected)
    assert model.train_on_batch(inputs, LABELS) == pytest.approx(expected)
    assert model.fit(inputs, LABELS, verbose=0).history["loss"] == pytest.approx([expected])
    named = {"segments": SEGMENTS, "tokens": ROWS}
    assert model.fit(named, LABELS, validation_data=(named, LABELS), verbose=0).history["val_loss"] == pytest.approx(
        [expected]
    )
    rows = np.empty(3, object)
    rows[:] = [np.array(row) for row in ROWS]
    assert model.evaluate([rows, SEGMENTS], np.array(LABELS, object), verbose=0) == pytest.approx(expected)
    # Labels of tokens are filled up where the mask hides it.
    tags = np.array([[1, 2, 1, 0], [2, 2, 9, 9], [0, 1, 0, 9]])
    expected = tagger.evaluate(arrays, tags, verbose=0)
    assert tagger.fit(inputs, TAGS, verbose=0).history["loss"] == pytest.approx([expected])


def test_lists_of_numbers(model):
    expected = model.predict([PADDED, PADDED * 0], verbose=0)
    for inputs in ([PADDED.tolist(), (PADDED * 0).tolist()], (PADDED.tolist(), (PADDED * 0).tolist())):
        np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, atol=1e-6)
        np.testing.assert_allclose(model.predict_on_batch(inputs), expected, atol=1e-6)


def test_tensors_and_tables(model):
    arrays = [PADDED, PADDED * 0]
    expected = model.evaluate(arrays, np.array(LABELS), verbose=0)
    tensors = [real_keras.ops.convert_to_tensor(array) for array in arrays]
    assert model.evaluate(tensors, np.array(LABELS), verbose=0) == pytest.approx(expected)
    with pytest.raises(ValueError, match="'tokens' has id 12"):
        model.evaluate([tensors[0] + 10, tensors[1]], np.array(LABELS), verbose=0)
    with pytest.raises(ValueError, match="'label' got label 3"):
        model.evaluate(tensors, real_keras.ops.convert_to_tensor([0, 3, 1]), verbose=0)
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"label": LABELS, "text": ["a", "b", "c"]})
    assert model.evaluate(arrays, table["label"], verbose=0) == pytest.approx(expected)
    with pytest.raises(TypeError, match=r"Output 'label' got labels that are texts \('a'\).*count the classes"):
        model.fit(arrays, table["text"], verbose=0)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([[2, 7, 3], [0, 0, 0]], r"Input 'tokens' got one row of shape \(3,\).*batches.*encode_batch\(\[text\]\)"),
        ([np.array([2, 7, 3]), np.zeros(3)], r"Input 'tokens' got one row of shape \(3,\)"),
        ((2, 3), "Input 'tokens' got a single number"),
        (PADDED, r"has 2 inputs \('tokens', 'segments'\), but got 1"),
        ([([2, 7, 3], [0, 0, 0])] * 3, r"has 2 inputs .*, but got 3: .*tokenizer.encode_batch"),
        ([PADDED] * 3, r"has 2 inputs \('tokens', 'segments'\), but got 3"),
        ([ROWS, SEGMENTS], "Input 'tokens' got rows of different lengths.*sequence_padding"),
        ([[[2, None]], [[0, 0]]], "Input 'tokens' got lists in which something is no number"),
        ([PADDED + 0.5, PADDED * 0], r"Input 'tokens' has id 2.5 at \(0, 0\), but ids are whole numbers"),
        ([PADDED * np.nan, PADDED * 0], r"Input 'tokens' has id nan at \(0, 0\)"),
        ([np.where(PADDED, np.inf, 0), PADDED * 0], r"Input 'tokens' has id inf at \(0, 0\)"),
        ([PADDED, PADDED], r"Input 'segments' has id 2 at \(0, 0\)"),
    ],
)
def test_what_is_no_batch(model, inputs, message):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        model.predict(inputs, verbose=0)


@pytest.mark.parametrize(
    "inputs",
    ["天气好", ["天气好", "天气坏"], ["天气好"], [["天好"], ["天坏"]], np.array(["天气好"]), [["天"], [0]]],
)
def test_texts_are_no_ids(model, inputs):
    for use in (model.predict, lambda x, **options: model.fit(x, LABELS, **options)):
        with pytest.raises(TypeError, match=r"Input 'tokens' got texts \('天.*tokenizer.encode_batch\(texts\)"):
            use(inputs, verbose=0)


@pytest.mark.parametrize("labels", [["好", "坏", "好"], np.array(["1", "2", "1"]), [["好"], ["坏"], ["好"]]])
def test_texts_are_no_labels(model, labels):
    class Rows(DataGenerator):
        def collate(self, batch):
            return [PADDED, PADDED * 0], labels

    for data in (([PADDED, PADDED * 0], labels), (Rows([1]),)):
        with pytest.raises(TypeError, match="Output 'label' got labels that are texts.*in enumerate.*numbers 0, 1, 2"):
            model.fit(*data, verbose=0)


def test_a_row_of_labels_that_nothing_hides():
    pooled = build("label")
    with pytest.raises(ValueError, match="Output 'label' got rows of different lengths, and has no mask"):
        pooled.fit([PADDED, PADDED * 0], TAGS, verbose=0)


def test_one_input():
    """Rows are rows, and a batch in a list is one input."""
    place = Place("Input", "ids", (None, None), 1)
    assert inputs_as_arrays(ROWS, [place]).tolist() == [[2, 7, 8, 3], [2, 3, 1, 1], [2, 9, 3, 1]]
    assert inputs_as_arrays([PADDED.tolist()], [place])[0].shape == (3, 4)
    assert inputs_as_arrays([[2, 3]], [place]).tolist() == [[2, 3]]
    with pytest.raises(ValueError, match="'ids' got one row"):
        inputs_as_arrays([2, 3], [place])
    flat = Place("Input", "score", (None, 1))
    assert inputs_as_arrays([1, 2], [flat]).shape == (2,)  # a column for Keras
    assert inputs_as_arrays([np.zeros(4)], [flat])[0].shape == (4,)
    # Models without symbolic inputs take what they are given.
    assert inputs_as_arrays(PADDED, []) is PADDED
    assert [part.shape for part in inputs_as_arrays([PADDED.tolist(), LABELS], [])] == [(3, 4), (3,)]


def test_targets():
    place = Place("Output", "label", (None, 3), None)
    column = np.zeros((2, 1))
    assert targets_as_arrays([column], [place])[0] is column
    assert targets_as_arrays([0, 1], [place]).tolist() == [0, 1]
    assert targets_as_arrays([np.int64(0), np.int64(1)], [place]).tolist() == [0, 1]
    assert targets_as_arrays([np.zeros(3), np.ones(3)], [place]).shape == (2, 3)  # one-hot rows
    assert targets_as_arrays({"label": [0, 1]}, [place])["label"].tolist() == [0, 1]
    assert targets_as_arrays(None, [place]) is None
