"""Sentiment of reviews with adversarial training, a gradient penalty, or virtual adversarial training.

    python examples/task_sentiment_adversarial.py --technique fgm --checkpoint CHECKPOINT_FOLDER \
        --train sentiment.train.data --valid sentiment.valid.data --test sentiment.test.data

"fgm" and "gp" learn from labelled texts. "vat" is semi-supervised: it learns from the first `--labelled` of them, and
takes the others without their labels. Without --checkpoint it starts from the small model in the package, `tiny-zh`;
without files it tells food from health in 160 sample sentences: too few to tell which technique is better.
"""

import argparse
from pathlib import Path

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.layers import GlobalAveragePooling1D
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.snippets import DataGenerator, open, sequence_padding
from bert4keras2.tokenizers import load_tokenizer
from bert4keras2.training import adversarial_training, gradient_penalty, virtual_adversarial_training

SAMPLES = Path(__file__).parent / "samples" / "topics.tsv"
# Published for BERT-base: the length of the move (fgm, vat), the weight of the penalty (gp).
EPSILON = {"fgm": 0.5, "gp": 1.0, "vat": 1.0}
TINY_RATE = 5e-4  # small models take larger steps


def load_data(path):
    """Return (text, label) pairs of a file with a text, a tab and 0 or 1 on each line."""
    samples = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text, _, label = line.rstrip("\n").rpartition("\t")
            if label not in ("0", "1"):
                raise ValueError(f"{path}, line {number}: expected a text, a tab and 0 or 1, found {line!r}")
            samples.append((text, int(label)))
    return samples


def load_samples():
    """Return training, validation and test pairs of the sample sentences."""
    rows = [line.split("\t") for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line]
    rows = [(text, int(label == "健康")) for label, text in rows if label in ("美食", "健康")]
    return [rows[:104], rows[104:120], rows[120:]]


class data_generator(DataGenerator):
    """Batches of padded token ids, segment ids and labels."""

    def __init__(self, data, tokenizer, maxlen, **kwargs):
        super().__init__(data, **kwargs)
        self.tokenizer, self.maxlen = tokenizer, maxlen

    def collate(self, batch):
        encoded = [self.tokenizer.encode(text, maxlen=self.maxlen) for text, _ in batch]
        tokens, segments = (sequence_padding([row[k] for row in encoded], multiple=16) for k in (0, 1))
        return [tokens, segments], np.array([label for _, label in batch])


def fitting_epsilon(model, technique):
    """Return an epsilon in proportion to the token vectors: those of small models may be shorter than BERT's.

    A move is a length, so it grows with theirs; the penalty is of a gradient by them, whose square falls with theirs.
    """
    length = float(np.linalg.norm(model.get_layer("Embedding-Token").get_weights()[0], axis=1).mean())
    return {"fgm": 0.35 * length, "gp": 0.5 * length**2, "vat": 0.25 * length}[technique]


def evaluate(model, generator):
    """Return the accuracy on a generator's samples."""
    predicted = model.predict(generator.fortest(), steps=len(generator), verbose=0).argmax(1)
    return float(np.mean(predicted == [label for _, label in generator.data]))


def main():
    """Train, keep the best epoch, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--technique", default="fgm", choices=["none", "fgm", "gp", "vat"])
    for split in ("train", "valid", "test"):
        parser.add_argument(f"--{split}", help=f"file of the {split} split")
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint")
    parser.add_argument("--model", default="bert", help="family of the checkpoint (bert, roformer, roformer_v2)")
    parser.add_argument(
        "--epsilon", type=float, help="size of the perturbation, weight of the penalty (default: what fits)"
    )
    parser.add_argument("--labelled", type=int, help="labelled texts; the others are used without labels (vat)")
    parser.add_argument("--maxlen", type=int, default=128, help="longest text, in tokens")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--weights", default="best_sentiment.weights", help="where to keep the best epoch")
    args = parser.parse_args()
    set_seed(42)

    if args.train and args.valid and args.test:
        data = [load_data(args.train), load_data(args.valid), load_data(args.test)]
    elif args.train or args.valid or args.test:
        parser.error("give all of --train, --valid and --test, or none for the sample sentences")
    else:
        data = load_samples()
        print("No files given: food against health in 160 sample sentences, 40 of them held out.")
    tokenizer, encoder = load_tokenizer(args.checkpoint), build_transformer_model(args.checkpoint, model=args.model)
    tiny = args.checkpoint == "tiny-zh"
    rate = TINY_RATE if tiny else 2e-5

    options = {"tokenizer": tokenizer, "maxlen": args.maxlen, "batch_size": args.batch_size}
    count = args.labelled or (len(data[0]) // 2 if args.technique == "vat" else len(data[0]))
    train, valid, test = (data_generator(rows, **options) for rows in (data[0][:count], *data[1:]))
    output = keras.layers.Dense(2, activation="softmax")(GlobalAveragePooling1D()(encoder.output))
    model = keras.models.Model(encoder.inputs, output)
    model.compile(Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])

    epsilon = args.epsilon
    if epsilon is None and args.technique != "none":
        epsilon = fitting_epsilon(model, args.technique) if tiny else EPSILON[args.technique]
    if args.technique == "fgm":
        adversarial_training(model, "Embedding-Token", epsilon)
    elif args.technique == "gp":
        gradient_penalty(model, "Embedding-Token", epsilon)
    elif args.technique == "vat":
        others = data_generator(data[0][count:], **options)
        virtual_adversarial_training(
            model,
            "Embedding-Token",
            epsilon,
            xi=2 * epsilon if tiny else 10.0,
            unlabelled=others.forfit(),
            # Adam makes steps of one size, however small the divergence is: large ones would drown what labels teach.
            optimizer=Adam(rate / 10 if tiny else rate / 2),
        )

    best = -1.0
    for epoch in range(args.epochs):
        model.fit(train.forfit(), steps_per_epoch=len(train), epochs=1)
        accuracy = evaluate(model, valid)
        if accuracy > best:
            best = accuracy
            model.save_weights(args.weights)
        print(f"epoch {epoch + 1}: validation accuracy {accuracy:.4f}, best {best:.4f}")
    model.load_weights(args.weights)
    labelled = f", trained on {count} labelled ones" if args.technique == "vat" or args.labelled else ""
    print(f"{args.technique}: test accuracy {evaluate(model, test):.4f} on {len(data[2])} texts{labelled}")


if __name__ == "__main__":
    main()
