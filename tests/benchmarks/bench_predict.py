"""`predict` of one text of 32 tokens against the model itself, compiled and called with tensors that are there already.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_predict.py [--rounds 31] [--layers 12 --width 768]

A BERT of BERT-base's size with random weights. Rounds take turns, and the ratio is taken round by round: what `predict`
does besides, from arrays to arrays.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from rounds import seconds, spread
from writer import sizes

from bert4keras2.backend import keras
from bert4keras2.models import build_transformer_model


def bare(model: Any, arrays: list[np.ndarray]) -> Callable[[], Any]:
    """Return a call of the compiled model on tensors, which waits for the result."""
    backend = keras.backend.backend()
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    if backend == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(lambda *x: model(list(x), training=False), jit_compile=True)
        return lambda: compiled(*tensors).numpy()
    if backend == "jax":
        import jax

        trained, others = (
            [v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)
        )
        compiled = jax.jit(lambda a, b, x: model.stateless_call(a, b, x, training=False)[0])
        return lambda: compiled(trained, others, tensors).block_until_ready()
    import torch

    def call() -> Any:
        with torch.no_grad():
            return model(tensors, training=False)

    return call


def main() -> None:
    arguments = sizes(__doc__, 31).parse_args()
    model = build_transformer_model(
        vocab_size=arguments.vocabulary,
        hidden_size=arguments.width,
        num_hidden_layers=arguments.layers,
        num_attention_heads=12,
        intermediate_size=4 * arguments.width,
    )
    ids = np.random.RandomState(0).randint(1, arguments.vocabulary, (1, 32)).astype("int32")
    arrays = [ids, np.zeros_like(ids)]
    call = bare(model, arrays)

    ways = (lambda: model.predict(arrays, verbose=0), call)
    for function in ways:
        function(), function()
    pairs = [tuple(1e3 * seconds(function) for function in ways) for _ in range(arguments.rounds)]
    predict, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{keras.backend.backend()}: predict {predict:.1f} ms, the model alone {alone:.1f} ms, ratio {spread(pairs)}")


if __name__ == "__main__":
    main()
