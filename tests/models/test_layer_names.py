"""The names that scripts pass to get_layer."""

from __future__ import annotations

import numpy as np
import pytest
from cases import LAYERS, batch, randomize, run
from test_config import make

from bert4keras2.backend import Model

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:.*does not use.*")]

# Names of the heads and of what stands around the blocks, by family; blocks as in BERT but where listed.
HEADS = ["Pooler", "Pooler-Dense", "NSP-Proba"]
MLM = ["MLM-Dense", "MLM-Norm", "MLM-Bias", "MLM-Activation"]
V2 = ["Embedding-Norm", *HEADS, "Output-Mapping", "Output-MLM-Activation"]
BLOCK = [f"Transformer-{{}}-{kind}{part}" for kind in ("MultiHeadSelfAttention", "FeedForward")
         for part in ("", "-Dropout", "-Add", "-Norm")]  # fmt: skip
NAMES = {
    "bert": (["Embedding-Position", "Embedding-Norm", *HEADS, *MLM], BLOCK),
    "albert": (["Embedding-Position", "Embedding-Norm", *HEADS, *MLM], [name.replace("-{}", "") for name in BLOCK]),
    "albert_unshared": (["Embedding-Position", "Embedding-Norm", *HEADS, *MLM], BLOCK),
    "nezha": (["Embedding-Relative-Position", "Embedding-Norm", *HEADS, *MLM], BLOCK),
    "electra": (
        ["Embedding-Position", "Embedding-Norm", *MLM, "Discriminator-Dense", "Discriminator-Prediction"],
        BLOCK,
    ),
    "roformer": (["Embedding-Norm", *HEADS, *MLM], BLOCK),
    "roformer_v2": (V2, BLOCK),
    "gau_alpha": (V2, [f"Transformer-{{}}-GatedAttentionUnit{part}" for part in ("", "-Dropout", "-Add", "-Norm")]),
    "gpt": (["Embedding-Position", *HEADS, "LM-Activation"], BLOCK),
    "gpt2": (["Embedding-Position", "Output-Norm", "Output-Dropout", "LM-Activation"], BLOCK),
    "gpt2_ml": (
        ["Embedding-Position", "Embedding-Norm", "LM-Activation"],
        [*BLOCK[:3], *BLOCK[4:7], "Transformer-{}-FeedForward-Norm-0", "Transformer-{}-FeedForward-Norm-1"],
    ),
}


@pytest.mark.parametrize("family", NAMES)
def test_layer_names(family):
    """The names that scripts pass to get_layer, each a node of the graph."""
    around, block = NAMES[family]
    model = make(
        model=family,
        dropout_rate=0.1,
        embedding_size=8,
        with_nsp="NSP-Proba" in around,
        with_mlm=True,
        with_discriminator=family == "electra",
        custom_position_ids=family != "nezha",
    )
    inputs = [tensor.name for tensor in model.inputs]
    segments = [] if family.startswith("gpt2") else ["Input-Segment"]
    assert inputs == ["Input-Token", *segments, *(["Input-Position"] if family != "nezha" else [])]
    names = [*inputs, "Embedding-Token", "Embedding-Dropout", "Embedding-Mapping", *around]
    names += ["Embedding-Segment"] if segments else []
    names += [name.format(i) for i in range(LAYERS) for name in block]
    for name in names:
        layer = model.get_layer(name)
        assert Model(model.inputs, layer._inbound_nodes[-1].output_tensors) is not None


def test_layer_names_of_t5():
    t5 = make(model="t5.1.1", dropout_rate=0.1, embedding_size=8, return_keras_model=False)
    names = ["Embedding-Token", "Decoder-Transformer-0-MultiHeadCrossAttention-Norm", "Decoder-Output-Scale"]
    names += ["Decoder-Output-Mapping", "Decoder-Output-LM"]
    for side in ("Encoder", "Decoder"):
        names += [f"{side}-{name.format(i)}" for i in range(LAYERS) for name in BLOCK]
        names += [f"{side}-Embedding-{part}" for part in ("Dropout", "Mapping", "Relative-Position")]
        names += [f"{side}-Input-Token", f"{side}-Output-Norm", f"{side}-Output-Dropout"]
    for name in names:
        assert Model(t5.model.inputs, t5.model.get_layer(name).output) is not None


def test_halves_of_t5_share_the_layers_of_the_whole():
    t5 = make(model="t5", return_keras_model=False)
    randomize(t5.model)
    arrays = batch(t5)
    for array in arrays.values():
        array[:, -3:] = 5  # a stand-alone decoder sees no mask of the context
    memory = run(t5.encoder, [arrays["Encoder-Input-Token"]])[0]
    expected = run(t5.model, arrays)[0]
    np.testing.assert_allclose(run(t5.decoder, [memory, arrays["Decoder-Input-Token"]])[0], expected, atol=1e-5)
    assert t5.encoder is t5.encoder and len(t5.decoder.inputs) == 2
