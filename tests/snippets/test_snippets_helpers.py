"""The helpers of snippets against recorded results, and their errors."""

import ast
import json
import pathlib
import time

import numpy as np
import pytest

from bert4keras2 import snippets

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
HELPERS = json.loads((GOLDEN / "snippets" / "helpers.json").read_text("utf-8"))
ERRORS = {"ValueError": ValueError, "IndexError": IndexError}


# -- sequence_padding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", HELPERS["sequence_padding"])
@pytest.mark.parametrize("form", ["arrays", "lists"])
def test_sequence_padding_golden(case, form):
    dtype = "float64" if "floats" in case.get("note", "") else "int64"
    inputs = case["inputs"]
    if form == "arrays":
        inputs = [np.array(row, dtype) for row in inputs]
    if "error" in case:
        with pytest.raises(ERRORS[case["error"]]):
            snippets.sequence_padding(inputs, **case["kwargs"])
        return
    result = snippets.sequence_padding(inputs, **case["kwargs"])
    assert result.tolist() == case["result"]
    assert result.dtype == dtype


@pytest.mark.parametrize(
    "inputs, dtype",
    [
        ([[1, 2], [3]], "int64"),
        ([[1, 2.5], [3]], "float64"),
        ([np.array([1, 2], "int32"), np.array([3], "int32")], "int32"),
        ([np.array([1, 2], "int32"), [3]], "int64"),
        ([(1, 2), (3,)], "int64"),
        ([[True, False], [True]], "bool"),
        ([np.ones(2, "float32"), np.ones(1, "float32")], "float32"),
        (np.array([[1, 2], [3, 4]], "int32"), "int32"),
        # An empty list says nothing of the dtype (the reference turned the whole batch of ids into floats).
        ([[1, 2], []], "int64"),
        ([[], []], "float64"),
    ],
)
def test_sequence_padding_dtype(inputs, dtype):
    result = snippets.sequence_padding(inputs)
    assert isinstance(result, np.ndarray) and result.dtype == dtype


def test_sequence_padding_pads_ragged_inner_lists():
    inputs = [[[1, 2, 3], [4]], [[5, 6]], []]
    post = [[[1, 2, 3], [4, 0, 0]], [[5, 6, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
    pre = [[[1, 2, 3], [0, 0, 4]], [[0, 0, 0], [0, 5, 6]], [[0, 0, 0], [0, 0, 0]]]
    assert snippets.sequence_padding(inputs, seq_dims=2).tolist() == post
    assert snippets.sequence_padding(inputs, seq_dims=2, mode="pre").tolist() == pre


def test_sequence_padding_multiple():
    inputs = [[1] * 17, [2] * 3]
    assert snippets.sequence_padding(inputs, multiple=16).shape == (2, 32)
    assert snippets.sequence_padding([[1] * 16], multiple=16).shape == (1, 16)
    assert snippets.sequence_padding(inputs, multiple=16, mode="pre")[0].tolist() == [0] * 15 + [1] * 17
    nested = [np.ones((3, 5), "int32")]
    assert snippets.sequence_padding(nested, seq_dims=2, multiple=8).shape == (1, 8, 8)
    assert snippets.sequence_padding(nested, seq_dims=2, multiple=[1, 4]).shape == (1, 3, 8)


@pytest.mark.parametrize(
    "inputs, kwargs, message",
    [
        ([], {}, "got no sequences"),
        ([1, 2, 3], {}, "item 0 has 0 axes"),
        ([[1, 2]], {"mode": "middle"}, 'mode must be "post" or "pre"'),
        ([[1, 2]], {"length": 4, "multiple": 2}, "not both"),
        ([[1, 2]], {"length": -1}, "length must be one integer"),
        ([[[1]]], {"length": 3, "seq_dims": 2}, "length must be one integer .* each of the 2"),
        ([[1, 2]], {"multiple": 0}, "multiple must be one integer"),
        ([[1, 2]], {"seq_dims": 0}, "seq_dims must be at least 1"),
        ([[1, 2]], {"value": 0.5}, "cannot be stored among integers"),
        ([[[1, 2], [3]], [[4, 5]]], {}, "item 0 is nested .* seq_dims=2"),
        ([[[1, 2]], [[3]]], {}, r"item 1 has shape \(1, 1\), expected \(..., 2\)"),
    ],
)
def test_sequence_padding_errors(inputs, kwargs, message):
    with pytest.raises(ValueError, match=message):
        snippets.sequence_padding(inputs, **kwargs)


def test_sequence_padding_is_fast():
    # Padding row by row with np.pad and stacking takes several times as long.
    rows = [list(range(n)) for n in range(1, 257)]

    def best_of_three(function):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        return min(times)

    by_hand = best_of_three(lambda: np.array([np.pad(np.array(row), (0, 256 - len(row))) for row in rows]))
    assert best_of_three(lambda: snippets.sequence_padding(rows)) < by_hand


def test_round_up():
    assert [snippets.round_up(n, 16) for n in (0, 1, 16, 17)] == [0, 16, 16, 32]
    with pytest.raises(ValueError, match="multiple must be a positive integer"):
        snippets.round_up(3, 0)


# -- truncate_sequences ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", HELPERS["truncate_sequences"])
def test_truncate_sequences_golden(case):
    sequences = [None if sequence is None else list(sequence) for sequence in case["sequences"]]
    if "error" in case:
        with pytest.raises(ERRORS[case["error"]], match="cannot take item 5"):
            snippets.truncate_sequences(case["maxlen"], case["indices"], *sequences)
    else:
        assert snippets.truncate_sequences(case["maxlen"], case["indices"], *sequences) == case["result"]
    assert sequences == case["sequences_after"]


def test_truncate_sequences_returns_the_same_lists():
    first, second = [1, 2, 3], [4, 5]
    assert snippets.truncate_sequences(3, -1, first, [], second)[0] is first
    assert first == [1] and second == [4, 5] or first == [1, 2]


def test_truncate_sequences_errors():
    with pytest.raises(TypeError, match="sequence 1 is a tuple"):
        snippets.truncate_sequences(3, -1, [1, 2], (1, 2))
    with pytest.raises(ValueError, match="maxlen must not be negative"):
        snippets.truncate_sequences(-1, -1, [1])
    with pytest.raises(ValueError, match="1 numbers for 2 sequences"):
        snippets.truncate_sequences(1, [-1], [1], [2])


# -- text ------------------------------------------------------------------------------------------------------


def test_text_segmentate_golden():
    for case in HELPERS["text_segmentate"]:
        pieces = snippets.text_segmentate(case["text"], case["maxlen"], case["seps"], case["strips"])
        assert pieces == case["result"], case


@pytest.mark.parametrize("case", HELPERS["longest_common"])
def test_longest_common_golden(case):
    length, spans = snippets.longest_common_substring(case["source"], case["target"])
    assert [length, list(spans)] == case["substring"]["result"]
    length, pairs = snippets.longest_common_subsequence(case["source"], case["target"])
    assert [length, [list(pair) for pair in pairs]] == case["subsequence"]["result"]


def test_longest_common_takes_lists():
    assert snippets.longest_common_substring(["ab", 3, "c"], [3, "c"]) == (2, (1, 3, 0, 2))
    assert snippets.longest_common_subsequence([1, 9, 2], [1, 2]) == (2, [(0, 0), (2, 1)])


def test_string_matching_golden():
    for case in HELPERS["misc"]["string_matching"]:
        assert snippets.string_matching(case["s"], case["keywords"]) is case["result"]


def test_is_string_golden():
    for case in HELPERS["misc"]["is_string"]:
        assert snippets.is_string(ast.literal_eval(case["value"])) is case["result"]


def test_lowercase_and_normalize_golden():
    for case in HELPERS["misc"]["lowercase_and_normalize"]:
        assert snippets.lowercase_and_normalize(case["text"]) == case["result"]


def test_is_one_of_compares_objects():
    array = np.zeros(2)
    assert snippets.is_one_of(array, [1, array])
    assert not snippets.is_one_of(array, [1, np.zeros(2)])


def test_conversions():
    assert snippets.strQ2B("ＡＢ　１２！～中｟") == "AB 12!~中｟"
    for convert in (snippets.convert_to_unicode, snippets.convert_to_str):
        assert convert(b"\xff\xe4\xb8\xad") == "中"
        assert convert("中".encode("gb18030"), "gb18030") == "中"
        assert convert("a") == "a"
        assert convert(5) == 5
        with pytest.raises(UnicodeDecodeError):
            convert(b"\xff", errors="strict")


# -- arrays ----------------------------------------------------------------------------------------------------


def test_to_array():
    one = snippets.to_array([1, 2])
    assert isinstance(one, np.ndarray) and one.tolist() == [1, 2]
    several = snippets.to_array([1, 2], [3])
    assert isinstance(several, list) and several[1].tolist() == [3]
    assert snippets.to_array() == []


def test_softmax_golden():
    case = HELPERS["misc"]["softmax"]
    np.testing.assert_allclose(snippets.softmax(np.array(case["x"])), case["last"], atol=1e-12)
    np.testing.assert_allclose(snippets.softmax(np.array(case["x"]), axis=0), case["first"], atol=1e-12)
    assert snippets.softmax(np.array([0, 1], "float32")).dtype == "float32"
    assert snippets.softmax([1000.0, -np.inf]).tolist() == [1, 0]


def test_orthogonally_resize_golden():
    case = json.loads((GOLDEN / "layers" / "orthogonally_resize.json").read_text())
    with np.load(GOLDEN / "layers" / "orthogonally_resize.npz") as arrays:
        for i, shape in enumerate(case["shapes"]):
            resized = snippets.orthogonally_resize(arrays[f"in/a{len(shape)}"], shape)
            np.testing.assert_allclose(resized, arrays[f"out/r{i}"], atol=1e-6)
        resized = snippets.orthogonally_resize(arrays["in/a2"], (24, 20), window=4)
        np.testing.assert_allclose(resized, arrays["out/window4"], atol=1e-6)


def test_orthogonally_resize_edges():
    assert snippets.orthogonally_resize(np.zeros((2, 2)), (4, 2)).tolist() == [[0, 0]] * 4
    with pytest.raises(ValueError, match="Axis 0 grows from 3 to 6, so window=2"):
        snippets.orthogonally_resize(np.ones((3, 3)), (6, 3))
    with pytest.raises(ValueError, match="rank of the array"):
        snippets.orthogonally_resize(np.ones((3, 3)), (6,))
