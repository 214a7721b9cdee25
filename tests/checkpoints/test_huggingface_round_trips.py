"""TensorFlow checkpoints and Hugging Face folders hold the same model: nothing changes on the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cases import run
from huggingface_helpers import TINY, arrays, build, equal, tiny, values

from bert4keras2.backend import set_gelu

pytestmark = [pytest.mark.backend, pytest.mark.breadth]
GOLDEN = Path(__file__).parent.parent / "golden" / "models"
# Recorded models of each family, with all heads that its checkpoints have.
RECORDED = (
    "bert_nsp_mlm",
    "bert_keep_compound_tokens",
    "bert_gelu_tanh",
    "bert_key_size",
    "albert_nsp_mlm",
    "albert_unshared_mlm",
    "electra_discriminator",
    "nezha_mlm",
    "roformer_mlm",
    "roformer_v2_mlm",
    "gau_alpha_mlm",
    "gpt2",
    "t5_1_0",
    "t5_1_0_encoder",
    "t5_1_1",
    "t5_1_1_no_cross_bias",
    "mt5_1_1_keep_tokens",
)


@pytest.mark.parametrize("case", RECORDED)
@pytest.mark.filterwarnings("ignore:.*does not use.*", "ignore:.*without position biases.*")
def test_tensorflow_to_huggingface(case, tmp_path):
    """A TensorFlow checkpoint, written as a folder: every variable and every output is as it was."""
    info = json.loads((GOLDEN / case / "case.json").read_text())
    kwargs = dict(info["kwargs"])
    if "compound_tokens" in kwargs:
        kwargs["compound_tokens"] = [
            (c["ids"], c["weights"]) if isinstance(c, dict) else c for c in kwargs["compound_tokens"]
        ]
    set_gelu(info["gelu"])
    try:
        first = build(
            GOLDEN / case / "config.json",
            checkpoint_path=GOLDEN / case / info["checkpoint"],
            model=info["model"],
            application=info["application"],
            **kwargs,
        )
    finally:
        set_gelu("erf")
    first.save_pretrained(tmp_path)
    # The folder alone says what the model is, but for options of the call.
    said = {"keep_tokens", "compound_tokens", "cross_position_bias"}
    options = {name: value for name, value in kwargs.items() if name not in said}
    second = build(tmp_path, application=info["application"], **options)
    assert first.config.family == second.config.family
    equal(values(first), values(second))
    with np.load(GOLDEN / case / "inputs.npz") as inputs:
        batch = [inputs[name] for name in info["inputs"]]
    for a, b in zip(run(first.model, batch), run(second.model, batch), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("family", ["bert", "albert", "electra", "nezha", "roformer", "gpt2"])
def test_huggingface_to_tensorflow(family, tmp_path):
    """And the other way: a folder, written as a TensorFlow checkpoint."""
    heads = {"bert": {"with_nsp": True}, "albert": {"with_nsp": True}, "electra": {"with_discriminator": True}}
    options = {"with_mlm": True, **heads.get(family, {})}
    first = tiny(family, **options)
    first.save_pretrained(tmp_path / "folder")
    second = build(tmp_path / "folder", **options)
    second.save_weights_as_checkpoint(tmp_path / "model.ckpt")
    third = build(TINY, model=family, checkpoint_path=tmp_path / "model.ckpt", **options)
    equal(values(first), values(third))


def test_half_precision(tmp_path):
    first = tiny("bert")
    first.save_pretrained(tmp_path, dtype="float16")
    assert {array.dtype.name for array in arrays(tmp_path).values()} == {"float16"}
    assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] == "float16"
    half = {name: array.astype("float16").astype("float32") for name, array in values(first).items()}
    equal(values(build(tmp_path)), half)
