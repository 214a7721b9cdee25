"""Masked language model: fill in the blanks of a sentence.

    python examples/basic_masked_language_model.py --checkpoint CHECKPOINT_FOLDER "科学技术是第一[MASK][MASK][MASK]。"

Without --checkpoint a tiny model is trained for some seconds on the sample sentences beside the examples; it learns
which characters are frequent and a few words, not language.
"""

import argparse
from pathlib import Path

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.snippets import DataGenerator, sequence_padding
from bert4keras2.tokenizers import Tokenizer, load_tokenizer

SAMPLES = Path(__file__).parent / "samples" / "topics.tsv"
SENTENCES = ["这家店的味[MASK]不错", "球[MASK]进了决赛", "手机的电[MASK]不耐用"]
TINY = {
    "hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 192,
    "max_position_embeddings": 64,
}  # fmt: skip


class data_generator(DataGenerator):
    """Batches in which 15 % of the characters are to be restored (80 % masked, 10 % random, 10 % left)."""

    def __init__(self, data, tokenizer, **kwargs):
        super().__init__(data, **kwargs)
        self.tokenizer = tokenizer

    def collate(self, batch):
        tokens = sequence_padding([self.tokenizer.encode(text, maxlen=64)[0] for text in batch], multiple=8)
        real = (tokens > self.tokenizer.mask_id) | (tokens == self.tokenizer.unk_id)
        chosen = real & (np.random.rand(*tokens.shape) < 0.15)
        dice = np.random.rand(*tokens.shape)
        inputs = np.where(chosen & (dice < 0.8), self.tokenizer.mask_id, tokens)
        random_ids = np.random.randint(self.tokenizer.mask_id + 1, self.tokenizer.vocab_size, tokens.shape)
        inputs = np.where(chosen & (dice >= 0.9), random_ids, inputs)
        return [inputs, np.zeros_like(inputs)], tokens, chosen.astype("float32")


def tiny_model(epochs):
    """Return a tokenizer of single characters and a tiny model trained on the sample sentences."""
    lines = [line.split("\t")[1] for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line]
    characters = sorted(set("".join(lines).lower()) - set(" "))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]
    tokenizer = Tokenizer({token: i for i, token in enumerate(vocabulary)}, do_lower_case=True, never_split=["[MASK]"])
    model = build_transformer_model(TINY, vocab_size=len(vocabulary), with_mlm=True)
    # The weights of a batch pick the masked positions: the loss is their mean.
    model.compile(Adam(2e-3), "sparse_categorical_crossentropy", weighted_metrics=["sparse_categorical_accuracy"])
    generator = data_generator(lines, tokenizer, batch_size=32, bucket_window=20)
    model.fit(generator.forfit(), steps_per_epoch=len(generator), epochs=epochs, verbose=2)
    return tokenizer, model


def main():
    """Print the likeliest fillings of each blank."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", nargs="*", default=SENTENCES, help="texts with [MASK] where to fill in")
    parser.add_argument("--checkpoint", help="folder of a pre-trained checkpoint with its MLM head")
    parser.add_argument("--model", default="bert", help="family of the checkpoint (bert, roformer, roformer_v2)")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the samples (only without a checkpoint)")
    parser.add_argument("--top", type=int, default=5, help="how many fillings to show")
    args = parser.parse_args()
    set_seed(0)

    if args.checkpoint:
        tokenizer = load_tokenizer(args.checkpoint, never_split=["[MASK]"])
        model = build_transformer_model(args.checkpoint, model=args.model, with_mlm=True)
    else:
        print("No --checkpoint: a tiny model, trained for some seconds on 640 sentences.")
        tokenizer, model = tiny_model(args.epochs)

    if not args.checkpoint:
        print("It has learned which characters are frequent, and no sense: the fillings are poor.")
    for sentence in args.sentences:
        token_ids, segment_ids = tokenizer.encode_batch([sentence])
        blanks = np.flatnonzero(token_ids[0] == tokenizer.mask_id)
        if not len(blanks):
            print(f"{sentence}: nothing to fill in, write [MASK] where a token is missing")
            continue
        probabilities = model.predict([token_ids, segment_ids], verbose=0)[0, blanks]
        print(sentence)
        for row in probabilities:
            best = row.argsort()[::-1][: args.top]
            print("   ", "  ".join(f"{tokenizer.id_to_token(int(i))} {row[i]:.2f}" for i in best))


if __name__ == "__main__":
    main()
