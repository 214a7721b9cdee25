"""Models agree with Hugging Face's transformers on its folders, in both directions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import randomize, run
from keras import ops

from bert4keras2.backend import Model
from bert4keras2.checkpoints import open_checkpoint
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend
TOLERANCE = 1e-5
SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
}
NARROW = {**SIZES, "embedding_size": 8}
GPT2 = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 20, "bos_token_id": 1}
GPT2 = {**GPT2, "eos_token_id": 1}
# Long enough distances for all kinds of buckets: 9 tokens reach the logarithmic ones of 8 buckets.
T5 = {"vocab_size": 40, "d_model": 16, "d_kv": 6, "d_ff": 24, "num_layers": 2, "num_heads": 2}


@dataclass
class Case:
    """A model of transformers and what it is here.

    Args:
        model: its class there; the configuration's is the same with "Config".
        sizes: arguments of the configuration.
        options: of build_transformer_model, so that outputs are comparable.
        outputs: takes its outputs there and gives those of ours.
        layer: ours, that ends with the last hidden states.
        untied: tokens are scored by a matrix of its own.
    """

    model: str
    sizes: dict[str, Any]
    options: dict[str, Any]
    outputs: Callable[[Any], list[Any]]
    layer: str = "Transformer-1-FeedForward-Norm"
    untied: bool = False


def logits(result):
    return [result.logits]


CASES = {
    "bert": Case(
        "BertForPreTraining",
        SIZES,
        {"with_nsp": True, "with_mlm": "linear"},
        lambda result: [result.seq_relationship_logits.softmax(-1), result.prediction_logits],
    ),
    "bert-variant": Case(
        "BertForMaskedLM",
        {**SIZES, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3, "type_vocab_size": 3},
        {"with_mlm": "linear"},
        logits,
    ),
    "albert": Case(
        "AlbertForPreTraining",
        NARROW,
        {"with_nsp": True, "with_mlm": "linear"},
        lambda result: [result.sop_logits.softmax(-1), result.prediction_logits],
        "Transformer-FeedForward-Norm",
    ),
    "electra": Case(
        "ElectraForPreTraining",
        NARROW,
        {"with_discriminator": "linear"},
        lambda result: [result.logits[..., None]],
    ),
    "electra-generator": Case("ElectraForMaskedLM", NARROW, {"with_mlm": "linear"}, logits),
    "roformer": Case("RoFormerForMaskedLM", SIZES, {"with_mlm": "linear"}, logits),
    "roformer-narrow": Case("RoFormerForMaskedLM", NARROW, {"with_mlm": "linear"}, logits),
    "gpt2": Case("GPT2LMHeadModel", GPT2, {"final_activation": "linear"}, logits, "Output-Norm"),
    "gpt2-variant": Case(
        "GPT2LMHeadModel",
        {**GPT2, "n_inner": 24, "activation_function": "gelu", "layer_norm_epsilon": 1e-3},
        {"final_activation": "linear"},
        logits,
        "Output-Norm",
    ),
    "ernie": Case(
        "ErnieForPreTraining",
        {**SIZES, "use_task_id": True, "task_type_vocab_size": 4},
        {"with_nsp": True, "with_mlm": "linear"},
        lambda result: [result.seq_relationship_logits.softmax(-1), result.prediction_logits],
    ),
    "ernie-without-tasks": Case("ErnieForMaskedLM", SIZES, {"with_mlm": "linear"}, logits),
    # 22 rows hold 20 positions; one row of segments, as released.
    "xlm_roberta": Case(
        "XLMRobertaForMaskedLM",
        {**SIZES, "max_position_embeddings": 22, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
        {"with_mlm": "linear"},
        logits,
    ),
    "xlm_roberta-encoder": Case(
        "XLMRobertaModel",
        {**SIZES, "max_position_embeddings": 22, "type_vocab_size": 1},
        {"with_pool": True},
        lambda result: [result.pooler_output],
    ),
    "roberta": Case("RobertaForMaskedLM", {**SIZES, "max_position_embeddings": 12}, {"with_mlm": "linear"}, logits),
    "t5": Case("T5ForConditionalGeneration", T5, {"with_lm": "linear"}, logits, "Decoder-Output-Norm"),
    # As T5 1.1 was released: gated, scored by a matrix of its own without scaling.
    "t5.1.1": Case(
        "T5ForConditionalGeneration",
        {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        {"with_lm": "linear"},
        logits,
        "Decoder-Output-Norm",
        untied=True,
    ),
    # Small bucket counts, so that short texts reach all of them; tied and scaled although gated.
    "t5.1.1-tied": Case(
        "T5ForConditionalGeneration",
        {**T5, "feed_forward_proj": "gated-silu", "relative_attention_num_buckets": 8}
        | {"relative_attention_max_distance": 6},
        {"with_lm": "linear"},
        logits,
        "Decoder-Output-Norm",
    ),
    "mt5": Case(
        "MT5ForConditionalGeneration",
        {**T5, "layer_norm_epsilon": 1e-3},
        {"with_lm": "linear"},
        logits,
        "Decoder-Output-Norm",
        untied=True,
    ),
    "t5-encoder": Case("T5EncoderModel", T5, {}, lambda result: [result.last_hidden_state], "Encoder-Output-Norm"),
}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="transformers computes with torch")


@pytest.fixture(scope="module")
def transformers(torch):
    library = pytest.importorskip("transformers", reason="models are compared with transformers")
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


@pytest.fixture(scope="module", params=CASES)
def theirs(request, torch, transformers, tmp_path_factory):
    """A case, a random model of transformers, and the folder that it was saved to."""
    case = CASES[request.param]
    cls = getattr(transformers, case.model)
    torch.manual_seed(0)
    model = cls(cls.config_class(**case.sizes)).eval()
    if case.untied:
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    with torch.no_grad():
        # Much larger than usual: what is forgotten then shows.
        for parameter in model.parameters():
            if not parameter.requires_grad:
                continue  # a table of sines
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    return case, model, folder


def texts(case):
    """Return token ids, segment ids and which positions are real; the rows have 9, 8 and 7 tokens."""
    real = np.arange(9)[None] < 9 - np.arange(3)[:, None]
    pad = 1 if "Roberta" in case.model else 0
    tokens = np.where(real, np.random.RandomState(0).randint(pad + 1, 40, (3, 9)), pad)
    last = case.sizes.get("type_vocab_size", 2) > 1
    return tokens, np.where(np.arange(9)[None] > 4, real * last, 0), real


def their_outputs(case, model, torch) -> list[np.ndarray]:
    tokens, segments, real = texts(case)
    arguments = {"input_ids": tokens, "attention_mask": real.astype(int)}
    if case.model.endswith("Generation"):
        answer = tokens[::-1, :7].copy()
        answer[:, 0] = 0  # what decoders start with is the id of padding
        arguments["decoder_input_ids"] = answer
    elif not case.model.startswith(("GPT2", "T5", "MT5")):
        arguments["token_type_ids"] = segments
    with torch.no_grad():
        result = model(**{k: torch.tensor(v) for k, v in arguments.items()}, output_hidden_states=True)
    hidden = getattr(result, "decoder_hidden_states", None) or result.hidden_states
    return [hidden[-1].numpy(), *(output.numpy() for output in case.outputs(result))]


def our_outputs(case, transformer) -> list[np.ndarray]:
    tokens, segments, _ = texts(case)
    arrays = [tokens]
    if len(transformer.model.inputs) > 1:
        answer = tokens[::-1, :7].copy()
        answer[:, 0] = 0
        arrays.append(answer if case.model.endswith("Generation") else segments)
    layer = transformer.layers[case.layer]
    hidden = layer._inbound_nodes[-1].output_tensors[0]
    return run(Model(transformer.model.inputs, [hidden, *transformer.model.outputs]), arrays)


def compare(case, ours, theirs):
    _, _, real = texts(case)
    assert len(ours) == len(theirs)
    for actual, expected in zip(ours, theirs, strict=True):
        assert actual.shape == expected.shape
        mask = real if actual.ndim > 2 and actual.shape[1] == 9 else np.ones(actual.shape[:-1], bool)
        assert np.std(expected[mask]) > 0.01  # something to compare
        np.testing.assert_allclose(actual[mask], expected[mask], atol=TOLERANCE, rtol=0)


def load(case, folder, **kwargs):
    return build_transformer_model(folder, return_keras_model=False, **case.options, **kwargs)


def stored(folder: Path) -> dict[str, np.ndarray]:
    with open_checkpoint(folder) as reader:
        return {name: reader.read(name) for name in reader.names()}


def test_from_transformers(theirs, torch, recwarn):
    """A folder that transformers wrote gives the same numbers here, and nothing in it is left unread."""
    case, model, folder = theirs
    transformer = load(case, folder)
    assert not [str(w.message) for w in recwarn if "does not use" in str(w.message)]
    compare(case, our_outputs(case, transformer), their_outputs(case, model, torch))


def test_pytorch_file(theirs, torch, tmp_path, recwarn):
    """The same from pytorch_model.bin, which repeats tied matrices under all of their names."""
    case, model, folder = theirs
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    first, second = load(case, folder), load(case, tmp_path)
    assert not [str(w.message) for w in recwarn if "does not use" in str(w.message)]
    for a, b in zip(first.model.weights, second.model.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b), err_msg=a.path)


def test_there_and_back(theirs, tmp_path):
    """What transformers wrote is written again bit by bit, under the same names."""
    case, _, folder = theirs
    load(case, folder).save_pretrained(tmp_path)
    before, after = stored(folder), stored(tmp_path)
    computed = {name for name in before if "embed_positions" in name}
    if case.model.endswith("RobertaModel"):  # transformers' class without heads writes no prefix, and reads either
        before = {f"roberta.{name}": array for name, array in before.items()}
    # An untied family repeats the matrix that its source had once.
    assert set(after) - {"lm_head.weight"} == set(before) - {"lm_head.weight"} - computed
    for name in after:
        np.testing.assert_array_equal(after[name], before.get(name, before.get("shared.weight")), err_msg=name)
    again, written = (json.loads((path / "config.json").read_text()) for path in (folder, tmp_path))
    kept = written.keys() & again.keys()
    assert {"vocab_size", "model_type", "architectures"} <= kept
    # The tie that transformers writes for T5 is always true; and GPT-2's usual inner width is spelt out.
    free = {"tie_word_embeddings", "n_inner", "bos_token_id", "eos_token_id", "pad_token_id", "is_decoder"}
    free |= {"task_type_vocab_size"} if not again.get("use_task_id") else set()
    assert {key: written[key] for key in kept - free} == {key: again[key] for key in kept - free}


def test_to_transformers(theirs, torch, transformers, tmp_path):
    """A folder that was written here gives the same numbers in transformers, and lacks nothing."""
    case, _, folder = theirs
    options = {**case.options}
    if case.model == "T5EncoderModel":
        options["model"] = "t5.1.0_encoder"
    config = json.loads((folder / "config.json").read_text())
    if case.untied and config["model_type"] == "t5":
        config["tie_word_embeddings"] = False  # as old versions wrote it
    transformer = build_transformer_model(config, return_keras_model=False, initializer_range=0.2, **options)
    randomize(transformer.model)
    transformer.save_pretrained(tmp_path)
    model, report = getattr(transformers, case.model).from_pretrained(tmp_path, output_loading_info=True)
    # Those are copies of the token embeddings and tables of sines, which transformers makes itself.
    missing = {name for name in report["missing_keys"] if "embed_positions" not in name}
    assert not missing and not report["unexpected_keys"] and not report["mismatched_keys"]
    ours, expected = our_outputs(case, transformer), their_outputs(case, model.eval(), torch)
    compare(case, ours, expected)
    back = load(case, tmp_path)
    for a, b in zip(transformer.model.weights, back.model.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b), err_msg=a.path)
