"""The table of tiny configurations that drives the model tests: families, applications and options."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from bert4keras2.models import build_transformer_model

VOCABULARY, LENGTH, LAYERS = 40, 9, 2
BASE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    # Larger than usual, so that differences between positions are far above rounding.
    "initializer_range": 0.3,
}
FAMILIES = ("bert", "roformer", "roformer_v2", "nezha", "gau_alpha")
CONDITION = 5  # width of the condition in the cases that have one

# name -> arguments of build_transformer_model beyond BASE; "condition" asks for conditional layer normalization.
CASES: dict[str, dict[str, Any]] = {
    **{
        f"{family}-{application}": {"model": family, "application": application}
        for family in FAMILIES
        for application in ("encoder", "lm", "unilm")
    },
    "bert-heads": {"with_pool": True, "with_nsp": True, "with_mlm": True, "dropout_rate": 0.1},
    "bert-mlm-linear": {"with_mlm": "linear", "attention_dropout_rate": 0.1},
    "bert-narrow-embedding": {"embedding_size": 8, "with_mlm": True},
    "bert-residual-scores": {"residual_attention_scores": True},
    "bert-residual-scores-lm": {"residual_attention_scores": True, "application": "lm"},
    "bert-no-segments": {"segment_vocab_size": 0, "application": "lm"},
    "bert-shared-segments": {"shared_segment_embeddings": True},
    "bert-positions": {"custom_position_ids": True},
    "bert-hierarchical": {"hierarchical_position": True, "max_position_embeddings": 4},
    "bert-conditional": {"condition": True, "layer_norm_cond_hidden_size": 4, "layer_norm_cond_hidden_act": "gelu"},
    "roformer-heads": {"model": "roformer", "with_pool": True, "with_mlm": True},
    "roformer-narrow-embedding": {"model": "roformer", "embedding_size": 8, "with_mlm": True},
    "roformer-residual-unilm": {"model": "roformer", "residual_attention_scores": True, "application": "unilm"},
    "roformer_v2-heads": {"model": "roformer_v2", "with_mlm": "linear", "embedding_size": 8},
    "albert-heads": {"model": "albert", "with_nsp": True, "with_mlm": True, "embedding_size": 8},
    "albert-unilm": {"model": "albert", "application": "unilm"},
    "albert_unshared-mlm": {"model": "albert_unshared", "with_mlm": True, "embedding_size": 8},
    "nezha-heads": {"model": "nezha", "with_pool": True, "with_mlm": True, "max_relative_position": 3},
    "nezha-shared-segments": {"model": "nezha", "application": "lm", "shared_segment_embeddings": True},
    "electra-discriminator": {"model": "electra", "with_discriminator": True, "embedding_size": 8},
    "electra-generator": {"model": "electra", "with_mlm": "linear"},
    "gau_alpha-heads": {"model": "gau_alpha", "with_pool": True, "with_mlm": "linear", "attention_key_size": 6},
    "gau_alpha-squared": {"model": "gau_alpha", "normalization": "squared_relu"},
    "gpt-lm": {"model": "gpt", "application": "lm"},
    "gpt-unilm": {"model": "gpt", "application": "unilm", "final_activation": "linear"},
    "gpt-speakers": {"model": "cdial_gpt", "application": "lm"},
    "gpt2-lm": {"model": "gpt2", "application": "lm"},
    "gpt2-conditional": {"model": "gpt2", "condition": True},
    "gpt2_ml-lm": {"model": "gpt2_ml", "application": "lm", "embedding_size": 8},
    "simbert": {"model": "simbert"},
    "ernie-tasks": {"model": "ernie", "task_vocab_size": 4, "task_id": 2, "with_mlm": True},
    "xlm_roberta-mlm": {"model": "xlm_roberta", "with_mlm": True, "with_pool": True},
    "xlm_roberta-lm": {"model": "xlm_roberta", "application": "lm", "max_position_embeddings": 26},
    "t5.1.0": {"model": "t5"},
    "t5.1.0-decoder": {"model": "t5.1.0_decoder", "embedding_size": 8},
    "t5.1.1": {"model": "t5.1.1", "hidden_act": ["gelu", "linear"], "attention_head_size": 6},
    "t5.1.1-encoder": {"model": "t5.1.1_encoder", "hidden_act": ["gelu", "linear"]},
    "mt5-states": {"model": "mt5.1.1", "with_lm": False, "cross_position_bias": False, "condition": True},
    "roformer_v2-gated": {"model": "roformer_v2", "hidden_act": ["gelu", "linear"], "attention_key_size": 4},
}


def build(name: str, **kwargs: Any):
    """Return the transformer of a case with random weights, the biases among them."""
    options = {**BASE, **CASES[name], **kwargs}
    if options.pop("condition", False):
        condition = keras.Input((CONDITION,), name=f"{options.get('prefix', '')}Input-Condition")
        options.update(layer_norm_cond=condition, additional_input_layers=condition)
    transformer = build_transformer_model(return_keras_model=False, **options)
    randomize(transformer.model)
    return transformer


def randomize(model: Any, seed: int = 0) -> None:
    """Give the variables that start at zero or one other values: a bias that is forgotten then shows."""
    random = np.random.RandomState(seed)
    for variable in model.weights:
        value = np.array(keras.ops.convert_to_numpy(variable))
        if variable.trainable and np.ptp(value) == 0:
            variable.assign(value + 0.1 * random.standard_normal(value.shape))


def batch(transformer: Any, length: int = LENGTH, rows: int = 3, seed: int = 1) -> dict[str, np.ndarray]:
    """Return arrays for the inputs of a model, by name; row r ends with r padded positions."""
    random = np.random.RandomState(seed)
    visible = real(length, rows)
    pad = transformer.config.pad_id
    tokens = np.where(visible, np.maximum(random.randint(1, VOCABULARY, (rows, length)), pad + 1), pad)
    segments = (np.arange(length) >= length // 2)[None] * visible
    positions = np.tile(np.arange(length)[::-1] % 7, (rows, 1))
    answer = random.randint(1, VOCABULARY, (rows, length)) * visible
    arrays = {"Input-Token": tokens, "Input-Segment": segments, "Input-Position": positions}
    arrays |= {"Encoder-Input-Token": tokens, "Decoder-Input-Token": answer}
    arrays = {name: array.astype("int32") for name, array in arrays.items()}
    arrays["Input-Condition"] = random.standard_normal((rows, CONDITION)).astype("float32")
    arrays["Input-Context"] = random.standard_normal((rows, LENGTH, BASE["hidden_size"])).astype("float32")
    names = [tensor.name for tensor in transformer.model.inputs]
    return {name: arrays[name.removeprefix(transformer.config.prefix)] for name in names}


def real(length: int = LENGTH, rows: int = 3) -> np.ndarray:
    """Return (rows, length) booleans: which positions of `batch` are no padding."""
    return np.arange(length)[None] < length - np.arange(rows)[:, None]


def step(model: Any, arrays: dict[str, np.ndarray], optimizer: Any, targets: list[np.ndarray]) -> float:
    """Train on one batch and return the loss; without a graph, which would take seconds for each model."""
    x = list(arrays.values())
    model.compile(optimizer, "mse", run_eagerly=keras.backend.backend() == "tensorflow")
    y = targets if len(targets) > 1 else targets[0]
    return model.train_on_batch(x if len(x) > 1 else x[0], y, return_dict=True)["loss"]


def run(model: Any, arrays: dict[str, np.ndarray] | list[np.ndarray]) -> list[np.ndarray]:
    """Return a model's outputs in inference mode as float32 arrays."""
    values = list(arrays.values()) if isinstance(arrays, dict) else arrays
    tensors = [keras.ops.convert_to_tensor(value) for value in values]
    outputs = model(tensors if len(tensors) > 1 else tensors[0], training=False)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")) for output in outputs]
