"""What an encoder is worth: vectors without training, and fine-tuning on few rows.

    python examples/pretrain/measure.py DATASETS --checkpoint tiny-zh
    python examples/pretrain/measure.py DATASETS --checkpoint tiny-zh --random
    python examples/pretrain/measure.py DATASETS --checkpoint me5_small_zh --prefix "query: " --learning-rate 5e-5

prints a Markdown row for each data set: Spearman's correlation of cosines and labels, or the accuracy on test rows.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.layers import GlobalAveragePooling1D
from bert4keras2.metrics import accuracy, spearman
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam, PiecewiseLinear
from bert4keras2.snippets import DataGenerator, sequence_padding
from bert4keras2.tokenizers import load_tokenizer

# name -> file, and the columns (tab-separated) or keys (JSON Lines) of both texts and the label
PAIRS = {
    "STS-B": ("similarity/STS-B/sts-b-test.txt", (0, 1, 2)),
    "LCQMC": ("similarity/LCQMC/test.txt", (0, 1, 2)),
    "BUSTM": ("fewclue/bustm/test_public.json", ("sentence1", "sentence2", "label")),
    "AFQMC": ("clue/afqmc/dev.json", ("sentence1", "sentence2", "label")),
    "PAWS-X": ("similarity/PAWSX/test_2k.tsv", (1, 2, 3)),
}
# name -> files to train on and to test with, columns of text and label, rows to train on
CLASSES = {
    "TNEWS": ("fewclue/tnews/train_few_all.json", "fewclue/tnews/test_public.json", ("sentence", "label"), None),
    "sentiment": ("sentiment/sentiment.train.data", "sentiment/sentiment.test.data", (0, 1), 3000),
}


def read(path, fields):
    """Return rows of some fields of a file; lines without all of them (a header) are left out."""
    rows = []
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        row = json.loads(line) if path.suffix == ".json" else dict(enumerate(line.split("\t")))
        if all(field in row for field in fields) and str(row[fields[-1]]).replace(".", "").isdigit():
            rows.append([row[field] for field in fields])
    return rows


def similarity(encoder, rows):
    """Return Spearman's correlation of the cosines of pairs with their labels."""
    first, second = (encoder.encode([row[k] for row in rows], progress=False) for k in (0, 1))
    return spearman((first * second).sum(1), np.array([float(row[2]) for row in rows]))


class Texts(DataGenerator):
    """Batches of token ids, segment ids and class numbers."""

    def collate(self, batch):
        encoded = [self.tokenizer.encode(self.prefix + text, maxlen=128) for text, _ in batch]
        return [sequence_padding([row[k] for row in encoded], multiple=16) for k in (0, 1)], np.array(
            [y for _, y in batch]
        )


def fine_tuned(encoder, tokenizer, prefix, train, test, rate, epochs):
    """Return the accuracy on test rows after some epochs."""
    names = sorted({str(label) for _, label in train})
    data = [[(text, names.index(str(label))) for text, label in rows] for rows in (train, test)]
    parts = []
    for rows in data:
        parts.append(Texts(rows, batch_size=32, bucket_window=20))
        parts[-1].tokenizer, parts[-1].prefix = tokenizer, prefix
    x = keras.layers.Dropout(0.1)(GlobalAveragePooling1D()(encoder.output))
    model = keras.Model(encoder.inputs, keras.layers.Dense(len(names), activation="softmax")(x))
    steps = epochs * len(parts[0])
    model.compile(
        Adam(PiecewiseLinear(rate, {steps // 10: 1, steps: 0}), weight_decay_rate=0.01),
        "sparse_categorical_crossentropy",
    )
    model.fit(parts[0].forfit(), steps_per_epoch=len(parts[0]), epochs=epochs, verbose=0)
    found = model.predict(parts[1].fortest(), steps=len(parts[1]), verbose=0).argmax(1)
    return accuracy([label for _, label in data[1]], found)


def main():
    """Print a row for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, help="folder with the data sets")
    parser.add_argument("--checkpoint", default="tiny-zh")
    parser.add_argument("--random", action="store_true", help="the same model with random weights")
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each fine-tuning")
    parser.add_argument("--precision", default="float32", help="policy of Keras, such as mixed_bfloat16")
    parser.add_argument("--only", nargs="*", default=[*PAIRS, *CLASSES], choices=[*PAIRS, *CLASSES])
    args = parser.parse_args()

    keras.config.set_dtype_policy(args.precision)
    tokenizer = load_tokenizer(args.checkpoint)

    def build():
        model = build_transformer_model(args.checkpoint, progress=False)
        if args.random:
            model = keras.models.clone_model(model)  # draws anew
        return model

    set_seed(0)
    encoder = SentenceEncoder(build(), tokenizer, prefix=args.prefix, normalize=True)
    for name in args.only:
        start = time.perf_counter()
        if name in PAIRS:
            rows = read(args.datasets / PAIRS[name][0], PAIRS[name][1])
            figure, count = f"{similarity(encoder, rows):.4f}", f"{len(rows)} pairs"
        else:
            train, test, fields, limit = CLASSES[name]
            train, test = read(args.datasets / train, fields)[:limit], read(args.datasets / test, fields)
            found = []
            for seed in range(args.seeds):
                set_seed(seed)
                found.append(fine_tuned(build(), tokenizer, args.prefix, train, test, args.learning_rate, args.epochs))
            figure = f"{np.mean(found):.4f}" + (f" ({min(found):.4f} to {max(found):.4f})" if len(found) > 1 else "")
            count = f"{len(train)} rows, {len(test)} to test"
        seconds = time.perf_counter() - start
        print(f"| {name} | {count} | {figure} | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
