"""Sentences of the same meaning: sample many, rank them by their vectors, as SimBERT and RoFormer-Sim do.

    python examples/basic_gen_synonyms.py "微信和支付宝哪个好？"
    python examples/basic_gen_synonyms.py --checkpoint CHECKPOINT_FOLDER --model roformer_sim

One model does both: it writes sentences as UniLM, and its pooler gives the vector of a sentence. Without --checkpoint
it is `tiny-zh-sim`, the small one in the package: it exchanges words and turns of phrase, and not always well.
"""

import argparse

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.decoders import Generator, gen_synonyms
from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import load_tokenizer

SENTENCES = ["微信和支付宝哪个好？", "怎么才能学好英语", "附近有什么好吃的餐馆"]
EMBEDDED = "tiny-zh-sim"


def main():
    """Print the nearest of the sampled sentences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", nargs="*", default=SENTENCES, help="texts to find synonyms of")
    parser.add_argument("--checkpoint", default=EMBEDDED, help="folder of a SimBERT or RoFormer-Sim checkpoint")
    parser.add_argument("--model", default="simbert", help="what it is: simbert or roformer_sim (default: simbert)")
    parser.add_argument("--samples", type=int, default=100, help="how many sentences to draw for each text")
    parser.add_argument("--show", type=int, default=8, help="how many of them to print")
    parser.add_argument("--top-p", type=float, help="draw from tokens of this total probability, not from 5")
    parser.add_argument("--maxlen", type=int, default=64, help="longest sentence, in tokens")
    parser.add_argument("--seed", type=int, help="of drawing")
    args = parser.parse_args()

    options = {"application": "unilm", "with_pool": True} if args.checkpoint == EMBEDDED else {"model": args.model}
    tokenizer = load_tokenizer(args.checkpoint)
    model = build_transformer_model(args.checkpoint, **options)
    generator = Generator(model, tokenizer, maxlen=args.maxlen)
    encoder = SentenceEncoder(model, tokenizer, pooling="pooler", maxlen=args.maxlen)
    how = {"top_p": args.top_p} if args.top_p else {"top_k": 5}
    for sentence in args.sentences:
        found = gen_synonyms(generator, encoder, sentence, args.samples, args.show, args.maxlen, seed=args.seed, **how)
        print(f"{sentence} ({len(found)} of {args.samples} samples)")
        for text, score in found:
            print(f"  {score:.4f}  {text}")


if __name__ == "__main__":
    main()
