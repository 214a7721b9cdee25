"""Sentences of the same meaning, with SimBERT or RoFormer-Sim: sample many, rank them by their vectors.

    python examples/basic_gen_synonyms.py --checkpoint CHECKPOINT_FOLDER --model roformer_sim "微信和支付宝哪个好？"

One model does both: it writes sentences as UniLM, and its pooler gives the vector of a sentence. Without --checkpoint
the model is tiny and has random weights: what it prints are characters by chance, which shows the way alone.
"""

import argparse

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import set_seed
from bert4keras2.decoders import Generator, gen_synonyms
from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import Tokenizer, load_tokenizer

SENTENCES = ["微信和支付宝哪个好？", "上海到杭州坐高铁要多久"]
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def main():
    """Print the nearest of the sampled sentences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", nargs="*", default=SENTENCES, help="texts to find synonyms of")
    parser.add_argument("--checkpoint", help="folder of a SimBERT or RoFormer-Sim checkpoint")
    parser.add_argument("--model", default="simbert", help="simbert or roformer_sim (default: simbert)")
    parser.add_argument("--samples", type=int, default=100, help="how many sentences to draw for each text")
    parser.add_argument("--show", type=int, default=20, help="how many of them to print")
    parser.add_argument("--top-p", type=float, help="draw from tokens of this total probability, not from 5")
    parser.add_argument("--maxlen", type=int, default=64, help="longest sentence, in tokens")
    parser.add_argument("--seed", type=int, help="of drawing")
    args = parser.parse_args()

    if args.checkpoint:
        tokenizer = load_tokenizer(args.checkpoint)
        model = build_transformer_model(args.checkpoint, model=args.model)
    else:
        print("No --checkpoint: the model is tiny and untrained. It writes characters by chance, which mean nothing.")
        set_seed(0)
        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set("".join(SENTENCES)))]
        tokenizer = Tokenizer({token: i for i, token in enumerate(tokens)})
        model = build_transformer_model(TINY, vocab_size=len(tokens), model=args.model)
        args.maxlen, args.show = min(args.maxlen, 16), min(args.show, 3)

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
