"""Sentences from a masked language model by Gibbs sampling: mask one token, draw it anew, again and again.

    python examples/basic_gibbs_sampling.py --checkpoint CHECKPOINT_FOLDER --steps 10000 --burn-in 1000 --masks 16

Without --checkpoint the model is tiny and has random weights: what comes out are characters by chance.
"""

import argparse

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import set_seed
from bert4keras2.decoders import gibbs_sample
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import Tokenizer, load_tokenizer

TEXT = "今天天气不错，我们去公园走走吧。"
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def main():
    """Print some states of the chain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", default=TEXT, help="what to start from")
    parser.add_argument("--masks", type=int, help="start from so many [MASK] instead of a text")
    parser.add_argument("--checkpoint", help="folder of a pre-trained checkpoint with its MLM head")
    parser.add_argument("--model", default="bert", help="family of the checkpoint")
    parser.add_argument("--steps", type=int, default=200, help="tokens to draw")
    parser.add_argument("--burn-in", type=int, default=50, help="steps before the first text that is shown")
    parser.add_argument("--show", type=int, default=5, help="how many texts to show")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, help="of drawing")
    args = parser.parse_args()

    if args.checkpoint:
        tokenizer = load_tokenizer(args.checkpoint)
        model = build_transformer_model(args.checkpoint, model=args.model, with_mlm=True)
    else:
        print("No --checkpoint: the model is tiny and untrained. It draws characters by chance, which mean nothing.")
        set_seed(0)
        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(args.text.lower()) - set(" "))]
        tokenizer = Tokenizer({token: i for i, token in enumerate(tokens)}, do_lower_case=True)
        model = build_transformer_model(TINY, vocab_size=len(tokens), with_mlm=True)
    every = max(1, (args.steps - args.burn_in) // args.show)
    found = gibbs_sample(
        model, tokenizer, args.masks or args.text, args.steps,
        temperature=args.temperature, seed=args.seed, burn_in=args.burn_in, every=every,
    )  # fmt: skip
    for number, text in enumerate(found[: args.show], 1):
        print(f"step {args.burn_in + number * every}: {text}")


if __name__ == "__main__":
    main()
