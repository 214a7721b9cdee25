"""The peers' sides of `run.py`: transformers on PyTorch, keras-hub, sentence-transformers; as `units_ours.py`."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from rounds import Latest, median_times, peak_memory
from workloads import FORWARDS, SCALES, ids_of, texts_of, vocabulary_of


def transformers_units(scale, texts: list[tuple[str, int]], folder: str, compiled: bool) -> dict:
    """Return the rows of transformers: dynamic padding for texts, AdamW for training."""
    start = time.perf_counter()
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

    found = {} if compiled else {"import": time.perf_counter() - start}
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=scale.vocabulary,
        hidden_size=scale.width,
        num_hidden_layers=scale.layers,
        num_attention_heads=scale.heads,
        intermediate_size=scale.inner,
    )
    BertModel(config).save_pretrained(folder)
    path = os.path.join(folder, "vocab.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(vocabulary_of(scale)))
    tokenizer = BertTokenizerFast(vocab_file=path)
    sentences, latest = [text for text, _ in texts], Latest()

    def encoder():
        model = BertModel.from_pretrained(folder).eval()
        return torch.compile(model, dynamic=True) if compiled else model

    def run(ids):
        with torch.inference_mode():
            tensor = torch.from_numpy(ids).long()
            states = latest(encoder)(input_ids=tensor, attention_mask=torch.ones_like(tensor))
            return states.last_hidden_state.numpy()

    for row, shape in FORWARDS.items():
        ids = ids_of(scale, *shape)
        found[row] = lambda ids=ids: run(ids)
    short = ids_of(scale, 1, 32)
    found["predict 1x32"] = lambda: run(short)

    def vectors(of: list[str]) -> np.ndarray:
        order = np.argsort([-len(text) for text in of])
        found_vectors = np.empty((len(of), scale.width), "float32")
        with torch.inference_mode():
            for at in range(0, len(of), 64):
                rows = order[at : at + 64]
                batch = tokenizer(
                    [of[k] for k in rows], padding=True, truncation=True, max_length=128, return_tensors="pt"
                )
                states, mask = latest(encoder)(**batch).last_hidden_state, batch["attention_mask"][..., None]
                found_vectors[rows] = ((states * mask).sum(1) / mask.sum(1)).numpy()
        return found_vectors

    found["vector of one text"] = lambda: vectors(sentences[:1])
    found["texts to vectors"] = lambda: vectors(sentences)

    def training():
        classifier = BertForSequenceClassification(config).train()
        learner = torch.compile(classifier, dynamic=True) if compiled else classifier
        return classifier, learner, torch.optim.AdamW(classifier.parameters(), 1e-5)

    def step(batch: dict) -> None:
        _, learner, optimizer = latest(training)
        optimizer.zero_grad()
        learner(**batch).loss.backward()
        optimizer.step()

    ids = torch.from_numpy(ids_of(scale, 16, 128)).long()
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.arange(16) % 2}
    found["training step 16x128"] = lambda: step(batch)
    if compiled:
        return found
    found["load"] = lambda: BertModel.from_pretrained(folder)
    found["tokenize"] = lambda: tokenizer(sentences, padding=True, truncation=True, max_length=128)

    def task() -> None:
        with torch.inference_mode():
            latest(training)[0].eval()(**tokenizer(sentences[0], return_tensors="pt")).logits.argmax().item()

    found["task, one text"] = task

    def epoch(order: Sequence[int]) -> None:
        latest(training)[0].train()
        for at in range(0, len(order), 16):
            rows = [texts[k] for k in order[at : at + 16]]
            made = tokenizer(
                [text for text, _ in rows], padding=True, truncation=True, max_length=128, return_tensors="pt"
            )
            step({**made, "labels": torch.tensor([label % 2 for _, label in rows])})

    # As their Trainer does by default, and with batches of similar length, which both libraries can do.
    found["fine-tuning epoch"] = lambda: epoch(np.random.RandomState(0).permutation(len(texts)))
    found["fine-tuning epoch, rows of similar length"] = lambda: epoch(
        sorted(range(len(texts)), key=lambda k: len(texts[k][0]))
    )

    def writer():
        gpt = GPT2Config(
            vocab_size=scale.vocabulary, n_embd=scale.width, n_layer=scale.layers, n_head=scale.heads,
            n_inner=scale.inner, bos_token_id=1, eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        return GPT2LMHeadModel(gpt).eval()

    prompt = torch.from_numpy(ids_of(scale, 1, 20)).long()
    options = {"attention_mask": torch.ones_like(prompt), "min_new_tokens": 1}

    def generate(**given) -> None:
        with torch.inference_mode():
            latest(writer).generate(prompt, **options, **given)

    found["generation, one prompt"] = lambda: generate(do_sample=False, max_new_tokens=scale.tokens)
    found["generation, 10 samples"] = lambda: generate(
        do_sample=True, top_p=0.9, num_return_sequences=10, max_new_tokens=scale.tokens // 2
    )
    return found


def keras_hub_units(scale, texts: list[tuple[str, int]], folder: str) -> dict:
    """Return the rows of keras-hub's BertBackbone."""
    import keras
    from keras_hub.models import BertBackbone

    latest = Latest()

    def encoder():
        return BertBackbone(
            vocabulary_size=scale.vocabulary,
            num_layers=scale.layers,
            num_heads=scale.heads,
            hidden_dim=scale.width,
            intermediate_dim=scale.inner,
        )

    def classifier():
        inner = encoder()
        model = keras.Model(inner.input, keras.layers.Dense(2, activation="softmax")(inner.output["pooled_output"]))
        model.compile(keras.optimizers.AdamW(1e-5), "sparse_categorical_crossentropy")
        return model

    def inputs(ids: np.ndarray) -> dict:
        return {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": np.ones_like(ids)}

    found = {}
    for row, shape in FORWARDS.items():
        ids = ids_of(scale, *shape)
        found[row] = lambda ids=ids: latest(encoder).predict_on_batch(inputs(ids))
    short = ids_of(scale, 1, 32)
    found["predict 1x32"] = lambda: latest(encoder).predict(inputs(short), verbose=0)
    batch, labels = ids_of(scale, 16, 128), np.arange(16) % 2
    found["training step 16x128"] = lambda: latest(classifier).train_on_batch(inputs(batch), labels)
    return found


def sentence_transformers_units(scale, texts: list[tuple[str, int]], folder: str) -> dict:
    """Return the rows of sentence-transformers on the model that transformers writes."""
    transformers_units(scale, texts, folder, False)
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertTokenizerFast

    BertTokenizerFast(vocab_file=os.path.join(folder, "vocab.txt")).save_pretrained(folder)
    word = models.Transformer(folder, max_seq_length=128)
    encoder = SentenceTransformer(modules=[word, models.Pooling(word.get_word_embedding_dimension())], device="cpu")
    sentences = [text for text, _ in texts]
    return {
        "texts to vectors": lambda: encoder.encode(sentences, batch_size=64, show_progress_bar=False),
        "vector of one text": lambda: encoder.encode(sentences[0], show_progress_bar=False),
    }


# {name: (package that has to be installed, its rows)}
PEERS = {
    "transformers": ("transformers", lambda *given: transformers_units(*given, compiled=False)),
    "transformers, compiled": ("transformers", lambda *given: transformers_units(*given, compiled=True)),
    "keras-hub": ("keras_hub", keras_hub_units),
    "sentence-transformers": ("sentence_transformers", sentence_transformers_units),
}


def main() -> None:
    """Measure one peer, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--scale", default="base")
    parser.add_argument("--texts")
    parser.add_argument("--only", default="")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    scale = SCALES[given.scale]
    only = [word for word in given.only.split(",") if word]
    with tempfile.TemporaryDirectory() as folder:
        found = PEERS[given.peer][1](scale, texts_of(scale, given.texts), folder)
        once = {name: value for name, value in found.items() if isinstance(value, float)}
        times = median_times({name: run for name, run in found.items() if name not in once}, only, given.repeats)
        print(json.dumps({**once, **times, "peak": peak_memory()}))


if __name__ == "__main__":
    main()
