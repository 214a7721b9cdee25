"""Sentiment of reviews: fine-tune a classifier on tab-separated files (text, label), and report test accuracy.

    python examples/task_sentiment.py --checkpoint CHECKPOINT_FOLDER --train sentiment.train.data \
        --valid sentiment.valid.data --test sentiment.test.data --train-rows 3000

Without --checkpoint it starts from the small model in the package, `tiny-zh`; without files it tells food from health
in 160 of the sample sentences. --random starts from random weights, to compare.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.layers import GlobalAveragePooling1D
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam, PiecewiseLinear
from bert4keras2.snippets import DataGenerator, open, sequence_padding
from bert4keras2.tokenizers import load_tokenizer

SAMPLES = Path(__file__).parent / "samples" / "topics.tsv"
TINY_RATE = 5e-4  # small models take larger steps


def load_data(path, limit=None):
    """Return (text, label) pairs of a file with a text, a tab and 0 or 1 on each line."""
    samples = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text, _, label = line.rstrip("\n").rpartition("\t")
            if label not in ("0", "1"):
                raise ValueError(f"{path}, line {number}: expected a text, a tab and 0 or 1, found {line!r}")
            samples.append((text, int(label)))
    return samples[:limit]


class data_generator(DataGenerator):
    """Batches of padded token ids, segment ids and labels."""

    def __init__(self, data, tokenizer, maxlen, prefix, **kwargs):
        super().__init__(data, **kwargs)
        self.tokenizer, self.maxlen, self.prefix = tokenizer, maxlen, prefix

    def collate(self, batch):
        encoded = [self.tokenizer.encode(self.prefix + text, maxlen=self.maxlen) for text, _ in batch]
        tokens, segments = (sequence_padding([row[k] for row in encoded], multiple=16) for k in (0, 1))
        return [tokens, segments], np.array([label for _, label in batch])


def evaluate(model, generator):
    """Return the accuracy on a generator's samples."""
    predicted = model.predict(generator.fortest(), steps=len(generator), verbose=0).argmax(1)
    return float(np.mean(predicted == [label for _, label in generator.data]))


def main():
    """Train, keep the best epoch, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for split in ("train", "valid", "test"):
        parser.add_argument(f"--{split}", help=f"file of the {split} split")
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint")
    parser.add_argument("--random", action="store_true", help="the same model with random weights, to compare")
    parser.add_argument("--model", default="bert", help="family of the checkpoint (bert, roformer, roformer_v2)")
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    parser.add_argument("--train-rows", type=int, help="use only so many training rows")
    parser.add_argument("--maxlen", type=int, default=128, help="longest text, in tokens")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--weights", default="best_sentiment.weights", help="where to keep the best epoch")
    args = parser.parse_args()
    set_seed(42)

    if args.train and args.valid and args.test:
        data = [load_data(args.train, args.train_rows), load_data(args.valid), load_data(args.test)]
    elif args.train or args.valid or args.test:
        parser.error("give all of --train, --valid and --test, or none for the sample sentences")
    else:
        rows = [line.split("\t") for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line]
        rows = [(text, int(label == "健康")) for label, text in rows if label in ("美食", "健康")]
        data = [rows[:104], rows[104:120], rows[120:]]
        args.epochs = max(args.epochs, 8)
        print("No files given: food against health in 160 sample sentences, 40 of them held out.")
    tokenizer = load_tokenizer(args.checkpoint)
    encoder = build_transformer_model(args.checkpoint, model=args.model)
    if args.random:
        print("With --random: nothing of the checkpoint's weights is used.")
        encoder = keras.models.clone_model(encoder)  # the same layers, drawn anew
    rate = args.learning_rate or (TINY_RATE if args.checkpoint == "tiny-zh" else 5e-5)

    options = {"tokenizer": tokenizer, "maxlen": args.maxlen, "prefix": args.prefix, "batch_size": args.batch_size}
    train = data_generator(data[0], **options, bucket_window=20)
    valid, test = (data_generator(rows, **options) for rows in data[1:])
    x = keras.layers.Dropout(0.1)(GlobalAveragePooling1D()(encoder.output))
    model = keras.models.Model(encoder.inputs, keras.layers.Dense(2, activation="softmax")(x))
    steps = args.epochs * len(train)
    model.compile(
        Adam(PiecewiseLinear(rate, {max(1, steps // 10): 1, steps: 0.1})),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    best, start = -1.0, time.perf_counter()
    for epoch in range(args.epochs):
        model.fit(train.forfit(), steps_per_epoch=len(train), epochs=1)
        accuracy = evaluate(model, valid)
        if accuracy > best:
            best = accuracy
            model.save_weights(args.weights)
        print(f"epoch {epoch + 1}: validation accuracy {accuracy:.4f}, best {best:.4f}")
    model.load_weights(args.weights)
    seconds = time.perf_counter() - start
    print(f"test accuracy {evaluate(model, test):.4f} on {len(data[2])} texts; trained in {seconds:.0f} s")


if __name__ == "__main__":
    main()
