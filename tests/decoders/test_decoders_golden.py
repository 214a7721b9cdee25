"""Recorded decoding runs: the classic decoders with and without the cache, and the generator."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from keras import Model

from bert4keras2.backend import set_gelu
from bert4keras2.decoders import AutoRegressiveDecoder, Generator
from bert4keras2.models import build_transformer_model

FOLDER = Path(__file__).parent.parent / "golden" / "decode"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/case.json"))


@functools.cache
def load(case: str):
    """Return a case's description and its transformer."""
    info = json.loads((FOLDER / case / "case.json").read_text())
    set_gelu(info["gelu"])
    transformer = build_transformer_model(
        FOLDER / case / "config.json",
        FOLDER / case / info["checkpoint"],
        model=info["model"],
        application=info["application"],
        return_keras_model=False,
        **info["kwargs"],
    )
    set_gelu("erf")
    return info, transformer


class Decoder(AutoRegressiveDecoder):
    """Builds its inputs as scripts do, one sequence longer at each step."""

    def __init__(self, transformer, info, **kwargs):
        super().__init__(info["start_id"], info["end_id"], info["maxlen"], **kwargs)
        self.form = info["form"]
        self.model = transformer.decoder if self.form == "t5" else transformer.model

    @AutoRegressiveDecoder.wraps(default_rtype="probas")
    def predict(self, inputs, output_ids, states):
        if self.form == "t5":
            return self.last_token(self.model).predict([inputs[0], output_ids])
        (tokens,) = inputs
        ids = np.concatenate([tokens, output_ids], 1)
        if self.form == "lm":
            return self.last_token(self.model).predict(ids)
        after = np.full_like(output_ids, 1 if self.form == "unilm" else 0)
        return self.last_token(self.model).predict([ids, np.concatenate([np.zeros_like(tokens), after], 1)])


class CachedDecoder(Decoder):
    use_cache = True


def start(transformer, info, prompt):
    if info["form"] != "t5":
        return [np.asarray(prompt)]
    return [transformer.encoder.predict(np.asarray([prompt]), verbose=0)[0]]


# Without the cache, JAX compiles the model for each length; the cached decoder is what differs between backends.
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", [Decoder, pytest.param(CachedDecoder, marks=pytest.mark.backend)])
def test_classic(case, kind):
    info, transformer = load(case)
    # The uncached decoder compiles for each length on JAX, so two prompts are enough.
    prompts = sorted({tuple(run["prompt"]) for run in info["runs"]})[:2]
    decoders = {}
    for run in info["runs"]:
        if tuple(run["prompt"]) not in prompts or (kind is Decoder and run["topk"] == 5):
            continue
        decoder = decoders.setdefault(run["minlen"], kind(transformer, info, minlen=run["minlen"]))
        options = {"temperature": run["temperature"], "min_ends": run["min_ends"]}
        found = decoder.beam_search(start(transformer, info, run["prompt"]), run["topk"], **options)
        assert found.tolist() == run["result"], run


@pytest.mark.backend
@pytest.mark.parametrize("case", CASES)
def test_generator_is_greedy(case):
    info, transformer = load(case)
    runs = [r for r in info["runs"] if (r["topk"], r["minlen"], r["min_ends"], r["temperature"]) == (1, 1, 1, 1)]
    generator = Generator(transformer, end_id=info["end_id"], start_id=info["start_id"])
    results = generator.generate([run["prompt"] for run in runs], max_new_tokens=info["maxlen"])
    for run, result in zip(runs, results, strict=True):
        ended = [info["end_id"]] if result.finish_reason == "end" else []
        assert result.ids + ended == run["result"][info["start_id"] is not None :]
        assert len(result.ids) == info["maxlen"] or ended


@pytest.mark.backend
@pytest.mark.parametrize("case", ["bert_unilm", "t5_1_1"])
def test_the_cache_computes_new_tokens_alone(case, monkeypatch):
    info, transformer = load(case)
    decoder = CachedDecoder(transformer, info)
    model = decoder.last_token(decoder.model)
    starts = []
    monkeypatch.setattr(model, "_start", lambda arrays, real=model._start: starts.append(1) or real(arrays))
    decoder.beam_search(start(transformer, info, info["runs"][0]["prompt"]), 3)
    assert len(starts) == 1
    # Another prompt of the same length is no continuation.
    decoder.beam_search(start(transformer, info, info["runs"][0]["prompt"][::-1]), 3)
    assert len(starts) == 2


@pytest.mark.backend
def test_cache_of_other_models():
    _, transformer = load("bert_unilm")
    model = transformer.model
    inner = Model(model.inputs, model.get_layer("Embedding-Norm").output)
    decoder = CachedDecoder(transformer, load("bert_unilm")[0])
    with pytest.raises(ValueError, match="use_cache=True needs a model from the inputs"):
        decoder.last_token(inner)
    same = Model(model.inputs, model.outputs[0])
    tokens = np.array([[3, 4, 5]])
    expected = decoder.last_token(model).predict([tokens, 0 * tokens])
    np.testing.assert_array_equal(decoder.last_token(same).predict([tokens, 0 * tokens]), expected)
