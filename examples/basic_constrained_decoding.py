"""Constrained decoding: what is written stands in a passage, or is the best of given candidates.

    python examples/basic_constrained_decoding.py "什么时候给我发货"
    python examples/basic_constrained_decoding.py --checkpoint FOLDER --weights reader.weights --passage TEXT QUESTION

A constraint lets a model write nothing but runs of a passage; a candidate is chosen by its log-probability. Without
--checkpoint the model is `tiny-zh-sim`, the small one in the package that writes questions which ask the same, and the
passage are the questions that a shop has answers to: which of them was meant? With --checkpoint, a reader in the manner
of UniLM is given passage and question; a pre-trained model needs fine-tuning on questions first.
"""

import argparse
import re

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.decoders import Generator, choose_candidate, substring_constraint
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import load_tokenizer

PASSAGE = "怎样修改登录密码？订单多久能发货？买的东西可以退货吗？怎么开发票？运费由谁出？手机号换了怎么办？"
QUESTIONS = ["什么时候给我发货", "我换手机号了", "邮费谁付", "密码忘了在哪里改"]
EMBEDDED = "tiny-zh-sim"


def load(args):
    """Return a generator with its tokenizer."""
    tokenizer = load_tokenizer(args.checkpoint)
    options = {} if args.checkpoint == EMBEDDED else {"model": args.model}
    model = build_transformer_model(args.checkpoint, application="unilm", **options)
    if args.weights:
        model.load_weights(args.weights)
    return Generator(model, tokenizer)


def main():
    """For each question, print what is written freely, within the passage, and which of its sentences is chosen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", default=QUESTIONS)
    parser.add_argument("--passage", default=PASSAGE, help="what answers have to stand in")
    parser.add_argument("--checkpoint", default=EMBEDDED, help="folder of a pre-trained checkpoint")
    parser.add_argument("--model", default="bert", help="family of the checkpoint")
    parser.add_argument("--weights", help="weights of the fine-tuned reader")
    parser.add_argument("--beams", type=int, default=8, help="search so many answers at a time")
    parser.add_argument("--shortest", type=int, help="least tokens of an answer (default: 6, of a reader 1)")
    args = parser.parse_args()

    generator = load(args)
    tokenizer, reads = generator.tokenizer, args.checkpoint != EMBEDDED
    constraint = substring_constraint(tokenizer.encode(args.passage, maxlen=256)[0][1:-1], tokenizer._token_end_id)
    how = {"strategy": "beam", "num_beams": args.beams, "min_length": args.shortest or (1 if reads else 6)}
    candidates = re.findall("[^。？！]+[。？！]?", args.passage)
    print(args.passage)
    for question in args.questions:
        prompt = question
        if reads:  # [CLS] passage [SEP] question [SEP], all in segment 0; the answer is segment 1
            ids = tokenizer.encode(args.passage, question, maxlen=256)[0]
            prompt = (ids, [0] * len(ids))
        free = generator.generate(prompt, max_new_tokens=16)
        answer = generator.generate(prompt, max_new_tokens=16, constraint=constraint, **how)
        chosen = choose_candidate(generator, prompt, candidates)
        print(f"{question}\n  freely             {free.text}")
        print(f"  within the passage {answer.text}  (log-probability {answer.score:.2f})")
        print(f"  of its sentences   {candidates[chosen.index]}  (probability {chosen.probabilities.max():.2f})")


if __name__ == "__main__":
    main()
