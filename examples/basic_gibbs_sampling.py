"""Sentences from a masked language model by Gibbs sampling: mask one token, draw it anew, again and again.

    python examples/basic_gibbs_sampling.py --checkpoint CHECKPOINT_FOLDER --steps 10000 --burn-in 1000 --masks 16

Without --checkpoint it is the small model in the package, `tiny-zh`: phrases hold together, whole sentences do not.
"""

import argparse

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.decoders import gibbs_sample
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import load_tokenizer

TEXT = "今天天气不错，我们去公园走走吧。"


def main():
    """Print some states of the chain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", default=TEXT, help="what to start from")
    parser.add_argument("--masks", type=int, help="start from so many [MASK] instead of a text")
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint with its MLM head")
    parser.add_argument("--model", default="bert", help="family of the checkpoint")
    parser.add_argument("--steps", type=int, default=200, help="tokens to draw")
    parser.add_argument("--burn-in", type=int, default=50, help="steps before the first text that is shown")
    parser.add_argument("--show", type=int, default=5, help="how many texts to show")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, help="of drawing")
    args = parser.parse_args()

    tokenizer = load_tokenizer(args.checkpoint)
    model = build_transformer_model(args.checkpoint, model=args.model, with_mlm=True)
    every = max(1, (args.steps - args.burn_in) // args.show)
    found = gibbs_sample(
        model, tokenizer, args.masks or args.text, args.steps,
        temperature=args.temperature, seed=args.seed, burn_in=args.burn_in, every=every,
    )  # fmt: skip
    for number, text in enumerate(found[: args.show], 1):
        print(f"step {args.burn_in + number * every}: {text}")


if __name__ == "__main__":
    main()
