"""Short text classification in plain Keras: generator, model, evaluator; on TNEWS (15 classes of news headlines).

    python examples/basic_classification.py --data-dir DATA/tnews --checkpoint CHECKPOINT_FOLDER

writes the predict file that the leaderboard takes; clue/tnews.py does the same by `bert4keras2.tasks`. Without
--data-dir it trains on the sample sentences beside the
examples, without --checkpoint from the small model in the package, `tiny-zh`: that takes well under a minute. --random
starts from random weights instead, and shows what the pre-training is worth.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.clue import TNEWS_LABELS, find_split, read_tnews, write_predictions
from bert4keras2.layers import FirstToken, GlobalAveragePooling1D
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam, PiecewiseLinear
from bert4keras2.snippets import DataGenerator, sequence_padding
from bert4keras2.tokenizers import load_tokenizer

SAMPLES = Path(__file__).parent / "samples" / "topics.tsv"
NEW_SENTENCES = [
    "主队补时绝杀，球迷冲进了球场",
    "这家小馆子的红烧肉肥而不腻",
    "基金又跌了，要不要割肉",
    "新手机的芯片跑分翻了一倍",
]
TINY_RATE = 5e-4


class data_generator(DataGenerator):
    """Batches of padded token ids, segment ids and labels; lengths are multiples of 8, so that few shapes occur."""

    def __init__(self, data, tokenizer, maxlen, prefix="", **kwargs):
        super().__init__(data, **kwargs)
        self.tokenizer, self.maxlen, self.prefix = tokenizer, maxlen, prefix

    def __iter__(self, random=False):
        batch = []
        for is_end, sample in self.sample(random):
            batch.append(sample)
            if len(batch) == self.batch_size or is_end:
                encoded = [self.tokenizer.encode(self.prefix + text, maxlen=self.maxlen) for text, *_ in batch]
                tokens = sequence_padding([ids for ids, _ in encoded], multiple=8)
                segments = sequence_padding([ids for _, ids in encoded], multiple=8)
                yield [tokens, segments], np.array([label for _, label, _ in batch])
                batch = []


class Evaluator(keras.callbacks.Callback):
    """Keep the weights of the epoch with the best accuracy on the validation set."""

    def __init__(self, generator, path):
        super().__init__()
        self.generator, self.path, self.best = generator, str(path), -1.0

    def on_epoch_end(self, epoch, logs=None):
        accuracy = evaluate(self.model, self.generator)
        if accuracy > self.best:
            self.best = accuracy
            self.model.save_weights(self.path)
        print(f"epoch {epoch + 1}: validation accuracy {accuracy:.4f}, best {self.best:.4f}")


def predict(model, generator):
    """Return the predicted class of each sample."""
    return model.predict(generator.fortest(), steps=len(generator), verbose=0).argmax(1)


def evaluate(model, generator):
    """Return the accuracy on a generator's samples."""
    return float(np.mean(predict(model, generator) == [label for _, label, _ in generator.data]))


def embedded_data():
    """Return train, validation and test samples of the embedded sentences, and the names of their classes."""
    rows = [line.split("\t") for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line]
    names = sorted({label for label, _ in rows})
    samples = [(text, names.index(label), str(i)) for i, (label, text) in enumerate(rows)]
    cut = len(samples) * 8 // 10
    return samples[: cut - 64], samples[cut - 64 : cut], samples[cut:], names


def main():
    """Train, keep the best epoch, report, write the predict file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder of TNEWS (train.json, dev.json, test.json, or FewCLUE's names)")
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint")
    parser.add_argument("--random", action="store_true", help="the same model with random weights, to compare")
    parser.add_argument("--model", default="bert", help="family of the checkpoint (bert, roformer, roformer_v2)")
    parser.add_argument("--pooling", choices=["cls", "mean"], default="mean", help="sentence vector (default: mean)")
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    parser.add_argument("--maxlen", type=int, default=64, help="longest text, in tokens")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", default="tnews11_predict.json", help="where to write the predictions")
    parser.add_argument("--weights", default="best_tnews.weights", help="where to keep the best epoch")
    args = parser.parse_args()
    set_seed(args.seed)

    if args.data_dir:
        train, valid, test = (read_tnews(find_split(args.data_dir, split)) for split in ("train", "valid", "test"))
        names, classes = list(TNEWS_LABELS), list(TNEWS_LABELS.values())
    else:
        train, valid, test, names = embedded_data()
        classes = names
        print(f"No --data-dir: {len(train)} of the embedded sample sentences train, {len(test)} are held out.")
    tokenizer = load_tokenizer(args.checkpoint)
    encoder = build_transformer_model(args.checkpoint, model=args.model)
    if args.random:
        print("With --random: nothing of the checkpoint's weights is used.")
        encoder = keras.models.clone_model(encoder)  # the same layers, drawn anew
    # Small models take larger steps.
    rate = args.learning_rate or (TINY_RATE if args.checkpoint == "tiny-zh" else 5e-5)
    epochs = args.epochs

    options = {"tokenizer": tokenizer, "maxlen": args.maxlen, "prefix": args.prefix, "batch_size": args.batch_size}
    train_generator = data_generator(train, **options, bucket_window=20)
    valid_generator, test_generator = (data_generator(data, **options) for data in (valid, test))

    pooling = FirstToken() if args.pooling == "cls" else GlobalAveragePooling1D()
    x = keras.layers.Dropout(0.1)(pooling(encoder.output))
    model = keras.models.Model(encoder.inputs, keras.layers.Dense(len(names), activation="softmax")(x))
    steps = epochs * len(train_generator)
    schedule = PiecewiseLinear(rate, {max(1, steps // 10): 1, steps: 0.1})
    model.compile(
        optimizer=Adam(schedule, weight_decay_rate=0.01, exclude_from_weight_decay=["Norm|bias"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    evaluator = Evaluator(valid_generator, args.weights)
    start = time.perf_counter()
    model.fit(train_generator.forfit(), steps_per_epoch=len(train_generator), epochs=epochs, callbacks=[evaluator])
    print(f"trained in {time.perf_counter() - start:.0f} s")
    model.load_weights(args.weights)

    if any(label for _, label, _ in test):  # the official test set has no labels, which are read as the first one
        accuracy = evaluate(model, test_generator)
        print(f"held-out accuracy {accuracy:.4f} ({len(test)} texts, chance {1 / len(names):.4f})")
    labels = predict(model, test_generator)
    write_predictions(args.output, [{"id": i, "label": names[k]} for (_, _, i), k in zip(test, labels, strict=True)])
    print(f"predictions of the test set: {args.output}")
    for sentence in NEW_SENTENCES:
        inputs = [np.array([ids]) for ids in tokenizer.encode(args.prefix + sentence, maxlen=args.maxlen)]
        probabilities = model.predict(inputs, verbose=0)[0]
        print(f"  {sentence} -> {classes[probabilities.argmax()]} ({probabilities.max():.2f})")


if __name__ == "__main__":
    main()
