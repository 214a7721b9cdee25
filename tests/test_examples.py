"""The examples run without arguments, learn more than chance, and write what they say."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bert4keras2 import clue

# Run by `pytest -m examples`; what any run has are a few that are quick or that README begins with.
by_command = [pytest.mark.slow, pytest.mark.examples]
EXAMPLES = Path(__file__).parent.parent / "examples"


# Seconds that an example may take: what its index promises, where it is run by itself; among other tests, long enough
# for machines that have much to do.
LIMIT = {"by itself": 90, "among others": 600}
limit = LIMIT["among others"]


@pytest.fixture(autouse=True)
def _limit(request, monkeypatch):
    alone = request.node.get_closest_marker("examples") is not None
    monkeypatch.setattr(sys.modules[__name__], "limit", LIMIT["by itself" if alone else "among others"])


def run(script: str, folder: Path, *arguments: str) -> str:
    """Return what an example prints, run in a folder of its own; one that takes too long fails."""
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@pytest.mark.slow
def test_basic_classification(tmp_path):
    text = run("basic_classification.py", tmp_path)
    accuracy = float(re.search(r"held-out accuracy ([\d.]+)", text)[1])
    assert accuracy >= 0.85, "add-one naive Bayes on characters and bigrams reaches 0.75"
    assert re.findall(r"-> (\w+)", text) == ["体育", "美食", "财经", "科技"]
    rows = [json.loads(line) for line in (tmp_path / "tnews11_predict.json").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 128 and set(rows[0]) == {"id", "label"}


# Least scores: None where the samples are too few to learn from, which the script then says itself.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [
        pytest.param("iflytek", 0.6, marks=by_command),
        pytest.param("tnews", 0.6, marks=by_command),
        pytest.param("afqmc", None, marks=by_command),
        pytest.param("cmnli", None, marks=by_command),
        pytest.param("ocnli", None, marks=by_command),
        pytest.param("wsc", None, marks=by_command),
        pytest.param("csl", None, marks=by_command),
        pytest.param("cmrc2018", None, marks=by_command),
        pytest.param("c3", None, marks=by_command),
        pytest.param("chid", None, marks=by_command),
        pytest.param("cluener", None, marks=by_command),
    ],
)
def test_clue(name, least, tmp_path):
    """From no argument to a score beside a baseline, and a predict file that the leaderboard's rules let pass."""
    text = run(f"clue/{name}.py", tmp_path)
    score, luck = (re.search(pattern, text) for pattern in (rf"{name}: dev score ([\d.]+)", r"Below ([\d.]+) "))
    figures = json.loads((tmp_path / "clue_output" / f"{name}_dev.json").read_text(encoding="utf-8"))
    assert figures["score"] == pytest.approx(float(score[1]), abs=1e-4)
    assert float(score[1]) >= (least or 0) and (luck is None) == (figures["score"] >= figures["luck"])
    assert figures["seconds"] < 90
    report = clue.check_zip(clue.zip_predictions(tmp_path / "clue_output"), EXAMPLES / "samples" / "clue")
    assert report.ok and len(report.files) == 1, report


@pytest.mark.slow
@pytest.mark.examples
@pytest.mark.parametrize("name", clue.FEWCLUE)
def test_fewclue(name, tmp_path):
    """Fine-tuning and answers without any row, each with a score beside a guess."""
    run(f"fewclue/{name}.py", tmp_path)
    figures = json.loads((tmp_path / "fewclue_output" / f"{name}.json").read_text(encoding="utf-8"))
    assert {"fine-tune", "zero-shot"} <= set(figures) and figures["seconds"] < 90
    least = {"tnews": ("zero-shot", 0.5), "iflytek": ("fine-tune", 0.6), "eprstmt": ("zero-shot", 0.7)}
    if name in least:
        method, score = least[name]
        assert figures[method] >= score


@pytest.mark.slow
@pytest.mark.examples
def test_pictures(tmp_path):
    """All pictures of the page, but those that need a browser."""
    pytest.importorskip("matplotlib")
    text = run("pictures.py", tmp_path)
    drawn = {path.stem for path in (tmp_path / "pictures").iterdir()}
    assert {"attention", "attribution", "confusion", "curve", "entities", "vectors"} <= drawn and "娱乐" in text


@pytest.mark.slow
@pytest.mark.examples
def test_clue_run_all(tmp_path):
    """A table beside published scores, and the zip of all predict files with its check."""
    text = run("clue/run_all.py", tmp_path, "--only", "tnews", "afqmc", "--epochs", "1", "--output", "all")
    assert re.search(r"^tnews +[\d.]+ +[\d.]+ +56\.80 +58\.06", text, re.M)
    assert re.search(r"^afqmc +[\d.]+ +50\.00 +72\.41 +74\.05 +24 ", text, re.M) and "no problem found" in text
    (path,) = (tmp_path / "all").glob("submit_*.zip")
    assert set(clue.check_zip(path).files) == {"afqmc_predict.json", "tnews11_predict.json"}


def test_index():
    """Every example stands in the index, and nothing else."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[(\S+)\]\((\S+)\) \| .+ \| .+ \|$", text, re.M)
    assert all(name == link for name, link in listed)
    kinds = ("*.py", "clue/*.py", "fewclue/*.py", "techniques/*.py", "attention/*.py", "pretrain/*.*")
    found = {path.relative_to(EXAMPLES).as_posix() for kind in kinds for path in EXAMPLES.glob(kind)}
    found -= {f"{folder}/common.py" for folder in ("clue", "fewclue", "techniques", "attention")} | {
        "clue/real_sets.py"
    }
    assert sorted(name for name, _ in listed) == sorted(found)


@pytest.mark.slow
def test_tnews_files(tmp_path):
    """The published format: classes by number, predictions for the rows of the test file."""
    row = '{{"sentence": "第{}条新闻标题", "label": "{}", "id": {}}}'
    lines = [row.format(i, (100, 116)[i % 2], i) for i in range(8)]
    for name in ("train.json", "dev.json"):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "test.json").write_text('{"sentence": "没有标签的一行", "id": 7}', encoding="utf-8")
    run("basic_classification.py", tmp_path, "--data-dir", ".", "--epochs", "1", "--output", "out.json")
    (prediction,) = (json.loads(line) for line in (tmp_path / "out.json").read_text(encoding="utf-8").splitlines())
    assert prediction["id"] == "7" and 100 <= int(prediction["label"]) <= 116


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "says"),
    [
        ("basic_extract_features.py", [], "cosine"),
        ("basic_masked_language_model.py", [], "度 0."),
        ("basic_sentence_embeddings.py", [], "Nearest samples"),
        ("basic_gen_synonyms.py", ["--samples", "40", "--seed", "0", "怎么才能学好英语"], "如何才能学好英语"),
        *(
            pytest.param(*row, marks=by_command)
            for row in (
                ("basic_gibbs_sampling.py", ["--steps", "20", "--burn-in", "5", "--masks", "8"], "step 20"),
                ("basic_constrained_decoding.py", [], "of its sentences   手机号换了怎么办？"),
                ("basic_constrained_decoding.py", ["--beams", "2", "邮费谁付"], "of its sentences   运费由谁出？"),
                ("basic_dialogue.py", ["--epochs", "1", "你好"], "tiny"),
                ("task_seq2seq_autotitle.py", ["--epochs", "1", "--title-maxlen", "8"], "ROUGE-L"),
                (
                    "task_seq2seq_autotitle.py",
                    ["--epochs", "1", "--title-maxlen", "8", "--model", "t5_pegasus"],
                    "tiny",
                ),
            )
        ),
    ],
)
def test_runs(script, arguments, says, tmp_path):
    assert says in run(script, tmp_path, *arguments)


@pytest.mark.slow
@pytest.mark.examples
def test_sentiment(tmp_path):
    """Food against health: half of the texts are of each class."""
    assert float(re.search(r"test accuracy ([\d.]+)", run("task_sentiment.py", tmp_path))[1]) >= 0.85


@pytest.mark.parametrize(
    ("technique", "least"),
    [pytest.param(name, 0.85, marks=by_command) for name in ("fgm", "gp", "vat")],
)
def test_techniques_do_not_destroy_learning(technique, least, tmp_path):
    """Half of the texts are of each class."""
    text = run("task_sentiment_adversarial.py", tmp_path, "--technique", technique)
    assert float(re.search(rf"^{technique}: test accuracy ([\d.]+)", text, re.M)[1]) >= least


@pytest.mark.slow
@pytest.mark.examples
def test_titles_are_learned(tmp_path):
    """tiny-zh learns to write better titles than the beginning of the text is."""
    text = run("task_seq2seq_autotitle.py", tmp_path, "--beams", "1")
    found, copied = (float(number) for number in re.findall(r"ROUGE-L ([\d.]+)(?:, exact|$)", text, re.M))
    assert found > copied + 0.2


@pytest.mark.slow
@pytest.mark.examples
@pytest.mark.parametrize("model", ["nezha_gpt", "cdial_gpt"])
def test_dialogue_is_learned(model, tmp_path):
    """The second question is answered as in the talk that began like this one."""
    lines = run("basic_dialogue.py", tmp_path, "--model", model).splitlines()
    assert lines[lines.index("> 你好") + 1] == "你好呀"
    assert lines[lines.index("> 今天天气怎么样") + 1] == "外面出太阳了"


@pytest.mark.slow
@pytest.mark.examples
def test_condition_is_learned(tmp_path):
    text = run("task_conditional_language_model.py", tmp_path, "--epochs", "15", "--samples", "2")
    own, other = map(float, re.search(r"with their class ([\d.]+), with the other class ([\d.]+)", text).groups())
    assert own < other - 0.1


def by_complex_step(function, *at):
    """Return the derivative of a function's first result by its state, exact to rounding: Im f(h + ih) / h."""
    x, state, *rest = at
    return function(x, state + 1e-30j, *rest)[0].imag / 1e-30


def test_derivatives_of_recurrent_cells():
    """The formulas for one number a cell, and the matrices for many, against derivatives of the cells themselves."""
    names = runpy.run_path(str(EXAMPLES / "techniques" / "rnn_gradients.py"))
    random = np.random.default_rng(0)
    for _ in range(20):
        x, h, o = random.standard_normal(3)
        w, u, b = random.standard_normal((3, 3))
        for cell, rest in (
            (names["simple"], (w[0], u[0], b[0])),
            (names["lstm"], (o, w, u, b)),
            (names["gru"], (w, u, b)),
        ):
            assert cell(x, h, *rest)[1] == pytest.approx(by_complex_step(cell, x, h, *rest), rel=1e-9, abs=1e-12)
    c = np.linspace(-5, 5, 100001)
    assert np.max(np.abs((1 - np.tanh(c) ** 2) * c)) == pytest.approx(0.448, abs=1e-3)
    u = np.linspace(-40, 40, 100001)
    assert np.max(np.abs((1 - np.tanh(0.3 * u) ** 2) * u)) == pytest.approx(0.448 / 0.3, abs=1e-2)
    for kind in ("tanh", "gru", "lstm"):
        step = names["recurrent_step"](kind, np.random.default_rng(1), 4)
        x, state = random.standard_normal(4), random.standard_normal(8 if kind == "lstm" else 4)
        moved = [step(x, state + 1e-30j * row)[0].imag / 1e-30 for row in np.eye(len(state))]
        np.testing.assert_allclose(step(x, state)[1], moved, atol=1e-9, err_msg=kind)


@pytest.mark.slow
@pytest.mark.examples
def test_entropic_autoencoder(tmp_path):
    """With the entropy in its loss, codes are nearer to normal ones, and images of noise nearer to the data."""
    pytest.importorskip("sklearn")
    text = run("techniques/eae.py", tmp_path, "--epochs", "100")
    entropies, told = (list(map(float, re.findall(rf"{name} ([\d.]+)", text))) for name in ("codes", "neighbours"))
    assert entropies[1] > entropies[0] and told[1] < told[0]
    assert (tmp_path / "eae.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
@pytest.mark.examples
def test_prompting(tmp_path):
    """One in eight is chance; few rows help the words of labels more than a new head."""
    accuracies = re.findall(r"accuracy ([\d.]+)", run("task_prompting.py", tmp_path))
    zero, few, semi, head = map(float, accuracies)
    assert zero > 0.4 and min(few, semi) > max(zero, head)


@pytest.mark.slow
def test_evidence_rows(tmp_path):
    """The table of rows loads without running one, and prints what a results file holds."""
    one = {"row": "STS-B, Spearman / SimCSE", "checkpoint": "tiny-zh", "limit": None}
    base = {**one, "row": "STS-B, Spearman / vectors as they are", "seed": 0, "result": {"score": 0.6}}
    results = [{**one, "seed": seed, "result": {"score": 0.7 + seed / 10, "step_ms": 5}} for seed in (0, 1)]
    lines = [json.dumps(line, ensure_ascii=False) for line in (base, *results)]
    (tmp_path / "techniques.jsonl").write_text("\n".join([*lines, '{"row": "half']), encoding="utf-8")
    text = run("techniques/run.py", tmp_path, "--table", "--data", ".")
    assert "| STS-B, Spearman | SimCSE | 0.7500 (0.7000 to 0.8000) | +0.1500 | 5 |  | 2 |" in text


@pytest.mark.slow
@pytest.mark.examples
@pytest.mark.parametrize("objective", ["cosent", "contrastive", "triplet"])
def test_sentence_vectors_gain(objective, tmp_path):
    text = run("task_sentence_vectors.py", tmp_path, "--objective", objective)
    assert float(re.search(r"rows: Spearman [\d.]+, ([+-][\d.]+)", text)[1]) > 0.02


def test_sizes():
    """Examples stay short enough to read at once."""
    for path in EXAMPLES.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 180, path
