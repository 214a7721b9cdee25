"""This library's side of `run.py`, in a process of its own: prints {row: seconds, "peak": MiB} as JSON."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import tempfile
import time

import numpy as np
from rounds import Latest, median_times, peak_memory
from workloads import FORWARDS, SCALES, ids_of, texts_of, vocabulary_of


def units(scale, texts: list[tuple[str, int]], folder: str, with_onnx: bool) -> dict:
    """Return {row: a function that does one thing}, and of what happens once the seconds it took."""
    start = time.perf_counter()
    from bert4keras2 import build_transformer_model, load_tokenizer, set_seed

    found = {"import": time.perf_counter() - start}
    from bert4keras2.backend import keras
    from bert4keras2.decoders import Generator
    from bert4keras2.embeddings import SentenceEncoder
    from bert4keras2.optimizers import Adam
    from bert4keras2.tasks import EntityTagger, TextClassifier
    from bert4keras2.tokenizers import save_vocab

    set_seed(0)
    sizes = {
        "vocab_size": scale.vocabulary,
        "hidden_size": scale.width,
        "num_hidden_layers": scale.layers,
        "num_attention_heads": scale.heads,
        "intermediate_size": scale.inner,
        "max_position_embeddings": 512,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "model_type": "bert",
    }
    built = build_transformer_model(sizes, return_keras_model=False)
    built.save_pretrained(folder)
    save_vocab(os.path.join(folder, "vocab.txt"), {token: k for k, token in enumerate(vocabulary_of(scale))})
    del built
    found["load"] = lambda: build_transformer_model(folder)
    tokenizer, sentences, latest = load_tokenizer(folder), [text for text, _ in texts], Latest()
    found["tokenize"] = lambda: tokenizer.encode_batch(sentences, maxlen=128)

    def encoder():
        return build_transformer_model(folder)

    for row, shape in FORWARDS.items():
        ids = ids_of(scale, *shape)
        found[row] = lambda ids=ids: latest(encoder).predict_on_batch([ids, 0 * ids])
    short = ids_of(scale, 1, 32)
    found["predict 1x32"] = lambda: latest(encoder).predict([short, 0 * short], verbose=0)

    def vectors():
        return SentenceEncoder.load(folder, maxlen=128)

    found["vector of one text"] = lambda: latest(vectors).encode(sentences[0])
    found["texts to vectors"] = lambda: latest(vectors).encode(sentences, progress=False)

    def vectors_by_onnx():
        return SentenceEncoder.load(folder, maxlen=128, engine="onnx")

    if with_onnx and importlib.util.find_spec("tf2onnx") is not None:
        found["vector of one text, ONNX"] = lambda: latest(vectors_by_onnx).encode(sentences[0])
        found["texts to vectors, ONNX"] = lambda: latest(vectors_by_onnx).encode(sentences, progress=False)

    def classifier():
        inner = build_transformer_model(folder)
        model = keras.models.Model(inner.inputs, keras.layers.Dense(2, activation="softmax")(inner.output[:, 0]))
        model.compile(Adam(1e-5), "sparse_categorical_crossentropy")
        return model

    batch, labels = ids_of(scale, 16, 128), np.arange(16) % 2
    found["training step 16x128"] = lambda: latest(classifier).train_on_batch([batch, 0 * batch], labels)

    def task():
        return TextClassifier.from_checkpoint(folder, labels=["0", "1"], dropout=0.0)

    found["task, one text"] = lambda: latest(task).predict(sentences[0])
    rows = [(text, str(label % 2)) for text, label in texts]
    # Batches are of similar length here; a peer's may be of any (the first row) or not (the second).
    found["fine-tuning epoch"] = lambda: latest(task).fit(rows, epochs=1, batch_size=16, verbose=0)
    found["fine-tuning epoch, rows of similar length"] = found["fine-tuning epoch"]

    def generator():
        return Generator(build_transformer_model({**sizes, "model_type": "gpt2"}, model="gpt2"), end_id=None)

    prompt, tokens = ids_of(scale, 1, 20)[0].tolist(), scale.tokens
    found["generation, one prompt"] = lambda: latest(generator).generate([prompt], max_new_tokens=tokens)
    found["generation, 10 samples"] = lambda: latest(generator).generate(
        [prompt], strategy="sample", num_return=10, top_p=0.9, seed=1, max_new_tokens=tokens // 2
    )

    def tagger():
        return EntityTagger.from_checkpoint(folder, labels=["A", "B"], head="crf", maxlen=128)

    found["entities of texts"] = lambda: latest(tagger).predict(sentences, progress=False)
    return found


def main() -> None:
    """Measure, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="base")
    parser.add_argument("--texts")
    parser.add_argument("--only", default="")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    scale = SCALES[given.scale]
    only = [word for word in given.only.split(",") if word]
    with tempfile.TemporaryDirectory() as folder:
        with_onnx = not only or any(word in "texts to vectors of one text, ONNX" for word in only)
        found = units(scale, texts_of(scale, given.texts), folder, with_onnx)
        once = {name: value for name, value in found.items() if isinstance(value, float)}
        once = {name: value for name, value in once.items() if not only or any(word in name for word in only)}
        several = {name: run for name, run in found.items() if name not in once and not isinstance(run, float)}
        print(json.dumps({**once, **median_times(several, only, given.repeats), "peak": peak_memory()}))


if __name__ == "__main__":
    main()
