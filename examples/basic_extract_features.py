"""Sentence vectors: tokenise, encode, compare.

    python examples/basic_extract_features.py --checkpoint CHECKPOINT_FOLDER 今天天气不错 今天天气很好 我想吃火锅

Without --checkpoint it is the small model in the package, `tiny-zh`.
"""

import argparse

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras
from bert4keras2.layers import GlobalAveragePooling1D
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import load_tokenizer

SENTENCES = ["今天天气不错，适合出门走走", "外面天气真好，想去公园散步", "这家店的火锅汤底太咸了"]


def main():
    """Print the shapes of the hidden states and the similarities of the sentences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", nargs="*", default=SENTENCES, help="texts to compare")
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint")
    parser.add_argument("--model", default="bert", help="family of the checkpoint (bert, roformer, roformer_v2)")
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    args = parser.parse_args()

    tokenizer = load_tokenizer(args.checkpoint)
    encoder = build_transformer_model(args.checkpoint, model=args.model)

    token_ids, segment_ids = tokenizer.encode_batch([args.prefix + s for s in args.sentences], maxlen=128)
    hidden = encoder.predict([token_ids, segment_ids], verbose=0)
    print(f"token ids {token_ids.shape}, hidden states {hidden.shape} (sentences, tokens, width)")

    # The vector of a sentence: the mean over its real positions; padding is left out by the mask of the embeddings.
    pooled = keras.models.Model(encoder.inputs, GlobalAveragePooling1D()(encoder.output))
    vectors = pooled.predict([token_ids, segment_ids], verbose=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for i, first in enumerate(args.sentences):
        for j in range(i + 1, len(args.sentences)):
            print(f"  cosine {vectors[i] @ vectors[j]:.3f}  {first}  |  {args.sentences[j]}")


if __name__ == "__main__":
    main()
