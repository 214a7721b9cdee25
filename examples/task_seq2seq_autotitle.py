"""Titles: fine-tune a model that reads a text and writes its title, then search the best title with beams.

    python examples/task_seq2seq_autotitle.py --checkpoint CHECKPOINT_FOLDER --train train.tsv --valid valid.tsv
    python examples/task_seq2seq_autotitle.py --model t5_pegasus --checkpoint CHECKPOINT_FOLDER ...

Files hold a title, a tab and a text on each line (as CSL has them). One stack, such as BERT, is trained as UniLM: the
text is seen from everywhere, the title from left to right, and only the title counts in the loss. t5_pegasus and mt5
have an encoder and a decoder. Without --checkpoint it starts from the small model in the package, `tiny-zh`, t5_pegasus
from random weights; without files it trains on 200 made-up news beside the examples, in about a minute.
"""

import argparse
import random
import time
from pathlib import Path

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.decoders import Generator
from bert4keras2.layers import Loss
from bert4keras2.metrics import exact_match, rouge_l
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.snippets import DataGenerator, open, sequence_padding
from bert4keras2.tokenizers import SpTokenizer, Tokenizer, load_tokenizer

SAMPLES = Path(__file__).parent / "samples" / "titles.tsv"
TINY = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "max_position_embeddings": 128,
}  # fmt: skip


def load_data(path):
    """Return (title, text) pairs of a file."""
    with open(path, encoding="utf-8") as file:
        return [tuple(line.rstrip("\n").split("\t")[:2]) for line in file if "\t" in line]


class data_generator(DataGenerator):
    """Batches for either kind of model: ids and segments of text and title together, or ids of one and the other."""

    def __init__(self, data, tokenizer, seq2seq, maxlen, title_maxlen, **kwargs):
        super().__init__(data, **kwargs)
        self.tokenizer, self.seq2seq = tokenizer, seq2seq
        self.maxlen, self.title_maxlen = maxlen, title_maxlen

    def collate(self, batch):
        if self.seq2seq:
            texts = [self.tokenizer.encode(text, maxlen=self.maxlen)[0] for _, text in batch]
            titles = [self.tokenizer.encode(title, maxlen=self.title_maxlen)[0] for title, _ in batch]
            if getattr(self.tokenizer, "_token_start", None) is None:
                titles = [[0, *title] for title in titles]  # mT5's decoder starts from padding
            return [sequence_padding(rows, multiple=8) for rows in (texts, titles)], None
        encoded = []
        for title, text in batch:
            ids, segments = self.tokenizer.encode(text, maxlen=self.maxlen)
            # What follows the first [SEP] is the title, in segment 1.
            answer = self.tokenizer.encode(title, maxlen=self.title_maxlen)[0][1:]
            encoded.append((ids + answer, segments + [1] * len(answer)))
        return [sequence_padding([row[k] for row in encoded], multiple=8) for k in (0, 1)], None


class CrossEntropy(Loss):
    """The mean cross-entropy of the tokens that are to be written, each predicted from those before it.

    Inputs are ids, a mask over them (segments of UniLM, or the ids themselves) and the model's probabilities.
    """

    def compute_loss(self, inputs, mask=None):
        ids, counts, probabilities = inputs
        target, counts = ids[:, 1:], keras.ops.cast(keras.ops.not_equal(counts[:, 1:], 0), "float32")
        loss = keras.losses.sparse_categorical_crossentropy(target, probabilities[:, :-1])
        hit = keras.ops.cast(
            keras.ops.equal(keras.ops.argmax(probabilities[:, :-1], -1), keras.ops.cast(target, "int64")), "float32"
        )
        total = keras.ops.maximum(keras.ops.sum(counts), 1.0)
        self.add_metric(keras.ops.sum(hit * counts) / total, name="accuracy")
        return keras.ops.sum(loss * counts) / total


def trainable(model, seq2seq):
    """Return a model with the loss inside it, of the same weights."""
    first, second = model.inputs[:2]
    ids, counts = (second, second) if seq2seq else (first, second)
    return keras.models.Model(model.inputs, CrossEntropy(output_axis=2)([ids, counts, model.outputs[-1]]))


def tiny(data, name):
    """Return a tokenizer of single characters and an untrained model."""
    characters = sorted(set("".join("".join(row) for row in data).lower()) - set(" \t"))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]
    tokenizer = Tokenizer({token: i for i, token in enumerate(vocabulary)}, do_lower_case=True)
    return tokenizer, {"config_path": TINY, "vocab_size": len(vocabulary), "model": name}


def main():
    """Train, keep the best epoch, print titles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint", help="folder of a pre-trained checkpoint (default: tiny-zh; none for t5_pegasus)"
    )
    parser.add_argument("--model", default="bert", help="bert, roformer, ... (UniLM), or t5_pegasus, mt5")
    parser.add_argument("--train", help="file of title, tab, text")
    parser.add_argument("--valid", help="file of title, tab, text")
    parser.add_argument("--maxlen", type=int, default=96, help="most tokens of a text (CSL: 256)")
    parser.add_argument("--title-maxlen", type=int, default=32, help="most tokens of a title")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--weights", default="best_autotitle.weights", help="where to keep the best epoch")
    args = parser.parse_args()
    set_seed(42)
    random.seed(42)

    if bool(args.train) != bool(args.valid):
        parser.error("give both --train and --valid, or none for the samples")
    if args.train:
        train, valid = load_data(args.train), load_data(args.valid)
    else:
        train, valid = load_data(SAMPLES)[:200], load_data(SAMPLES)[200:]
        print(f"No files given: {len(train)} made-up news train, {len(valid)} are held out.")
    seq2seq = "t5" in args.model
    small = not args.checkpoint
    if small and not seq2seq:
        tokenizer, build = load_tokenizer("tiny-zh"), {"config_path": "tiny-zh", "model": args.model}
        epochs, rate = args.epochs or 10, args.learning_rate or 5e-4
    elif args.checkpoint:
        # T5-PEGASUS's vocabulary has words of jieba in it; mT5's models are SentencePiece.
        words = {"pre_tokenize": "jieba"} if args.model == "t5_pegasus" else {}
        tokenizer, build = (
            load_tokenizer(args.checkpoint, **words),
            {"config_path": args.checkpoint, "model": args.model},
        )
        epochs, rate = args.epochs or 20, args.learning_rate or (2e-4 if seq2seq else 1e-5)
    else:
        print("No --checkpoint: the model is tiny and starts from random weights.")
        tokenizer, build = tiny(train, args.model)
        epochs, rate = args.epochs or 30, args.learning_rate or 1e-2
    model = build_transformer_model(**build, **({} if seq2seq else {"application": "unilm"}))
    starts = {"start_id": 0} if isinstance(tokenizer, SpTokenizer) and seq2seq else {}
    generator = Generator(model, tokenizer, maxlen=args.maxlen, **starts)

    def titles(texts):
        """Return the titles of texts."""
        options = {"strategy": "beam", "num_beams": args.beams} if args.beams > 1 else {}
        return [one.text for one in generator.generate(texts, max_new_tokens=args.title_maxlen, **options)]

    options = {"maxlen": args.maxlen, "title_maxlen": args.title_maxlen, "batch_size": args.batch_size}
    batches = data_generator(train, tokenizer, seq2seq, **options, bucket_window=20)
    training = trainable(model, seq2seq)
    training.compile(Adam(rate))
    best, start = -1.0, time.perf_counter()
    for epoch in range(epochs):
        training.fit(batches.forfit(), steps_per_epoch=len(batches), epochs=1, verbose=2)
        if small and epoch + 1 < epochs:
            continue  # searching takes longer than an epoch of the tiny model
        found = titles([text for _, text in valid])
        score = rouge_l(found, [title for title, _ in valid])
        if score > best:
            best = score
            model.save_weights(args.weights)
        print(f"epoch {epoch + 1}: validation ROUGE-L {score:.4f}, best {best:.4f}")
    model.load_weights(args.weights)
    print(f"trained in {time.perf_counter() - start:.0f} s")
    texts = [text for _, text in valid]
    found, truth = titles(texts), [title for title, _ in valid]
    copies = [text[: len(title)] for title, text in valid]
    print(f"held-out ROUGE-L {rouge_l(found, truth):.4f}, exact {exact_match(found, truth):.4f} on {len(valid)} texts")
    print(f"the beginning of each text as its title: ROUGE-L {rouge_l(copies, truth):.4f}")
    for text, title in list(zip(texts, found, strict=True))[:4]:
        print(f"  {text} -> {title}")


if __name__ == "__main__":
    main()
