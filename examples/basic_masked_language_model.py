"""Masked language model: fill in the blanks of a sentence.

    python examples/basic_masked_language_model.py --checkpoint CHECKPOINT_FOLDER "科学技术是第一[MASK][MASK][MASK]。"

Without --checkpoint it is the small model in the package, `tiny-zh`. Models of whole-word masking, as it is one, expect
whole words to be missing: write a [MASK] for each character of a word.
"""

import argparse

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import load_tokenizer

SENTENCES = ["电脑[MASK][MASK]很快", "客服[MASK][MASK]很差", "酒店的[MASK][MASK]态度很差"]


def main():
    """Print the likeliest fillings of each blank."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", nargs="*", default=SENTENCES, help="texts with [MASK] where to fill in")
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint with its MLM head")
    parser.add_argument("--model", default="bert", help="family of the checkpoint (bert, roformer, roformer_v2)")
    parser.add_argument("--top", type=int, default=5, help="how many fillings to show")
    args = parser.parse_args()

    tokenizer = load_tokenizer(args.checkpoint, never_split=["[MASK]"])
    model = build_transformer_model(args.checkpoint, model=args.model, with_mlm=True)
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
