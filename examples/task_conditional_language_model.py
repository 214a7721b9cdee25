"""Conditional language model: sentences of a wanted class, which steers every layer normalization.

    python examples/task_conditional_language_model.py --checkpoint CHECKPOINT_FOLDER --data sentiment.data

The data hold a text, a tab and 0 or 1 on each line. The class is an input of its own; its embedding shifts and scales
the layer normalizations (kexue.fm/archives/7124), so no token of the text says it. Without --checkpoint it starts from
the small model in the package, `tiny-zh`, without --data it learns from 160 sample sentences about food and health.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.decoders import Generator
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.snippets import DataGenerator, open, sequence_padding
from bert4keras2.tokenizers import load_tokenizer

SAMPLES = Path(__file__).parent / "samples" / "topics.tsv"
TOPICS = ["美食", "健康"]


def load_data(path):
    """Return (text, class) pairs of a file with a text, a tab and 0 or 1 on each line."""
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").rpartition("\t") for line in file]
    return [(text, int(label)) for text, _, label in rows if label in ("0", "1")]


class data_generator(DataGenerator):
    """Batches of ids, segments and classes; the targets are the ids, one place to the left."""

    def __init__(self, data, tokenizer, maxlen, **kwargs):
        super().__init__(data, **kwargs)
        self.tokenizer, self.maxlen = tokenizer, maxlen

    def collate(self, batch):
        ids = sequence_padding([self.tokenizer.encode(text, maxlen=self.maxlen)[0] for text, _ in batch], multiple=8)
        targets = np.concatenate([ids[:, 1:], 0 * ids[:, :1]], 1)
        return [ids, 0 * ids, np.array([[label] for _, label in batch])], targets


def loss(y_true, y_pred):
    """Return the mean cross-entropy of all tokens that are not padding."""
    counts = keras.ops.cast(keras.ops.not_equal(y_true, 0), "float32")
    return keras.ops.sum(keras.losses.sparse_categorical_crossentropy(y_true, y_pred) * counts) / keras.ops.sum(counts)


def main():
    """Train, compare the classes' losses, generate for each class."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint")
    parser.add_argument("--model", default="bert", help="family of the checkpoint (bert, roformer)")
    parser.add_argument("--data", help="file of text, tab, 0 or 1")
    parser.add_argument("--maxlen", type=int, default=128, help="longest text, in tokens")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--samples", type=int, default=4, help="texts to draw for each class")
    parser.add_argument("--top-p", type=float, default=0.95)
    args = parser.parse_args()
    set_seed(0)

    if args.data:
        data, names = load_data(args.data), ["0", "1"]
    else:
        rows = [line.split("\t") for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line]
        data, names = [(text, TOPICS.index(label)) for label, text in rows if label in TOPICS], TOPICS
        print(f"No --data: {len(data)} sample sentences of the classes {', '.join(names)}.")
    tokenizer = load_tokenizer(args.checkpoint)
    rate = 1e-3 if args.checkpoint == "tiny-zh" else 1e-5  # small models take larger steps

    label = keras.layers.Input((1,), dtype="int32", name="label")
    condition = keras.layers.Flatten()(keras.layers.Embedding(2, 128, name="label-embedding")(label))
    model = build_transformer_model(
        args.checkpoint, model=args.model, application="lm", layer_norm_cond=condition, additional_input_layers=label
    )
    model.compile(Adam(rate), loss)
    batches = data_generator(data, tokenizer, args.maxlen, batch_size=args.batch_size, bucket_window=20)
    start = time.perf_counter()
    history = model.fit(batches.forfit(), steps_per_epoch=len(batches), epochs=args.epochs, verbose=0)
    losses = history.history["loss"]
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f} in {args.epochs} epochs, {time.perf_counter() - start:.0f} s")

    inputs, targets = batches.collate(data[:200])
    right = model.evaluate(inputs, targets, verbose=0)
    wrong = model.evaluate([*inputs[:2], 1 - inputs[2]], targets, verbose=0)
    print(f"loss of the training sentences with their class {right:.3f}, with the other class {wrong:.3f}")

    generator = Generator(model, tokenizer)
    start_ids = [tokenizer._token_start_id]
    for number, name in enumerate(names):
        found = generator.generate(
            [start_ids], max_new_tokens=min(40, args.maxlen), extra=[np.array([[number]])],
            strategy="sample", num_return=max(2, args.samples), top_p=args.top_p, seed=1,
        )[0]  # fmt: skip
        print(name)
        for one in found[: args.samples]:
            print(f"  {one.text}")


if __name__ == "__main__":
    main()
