"""Constrained decoding: answers that stand in a passage, and the best of given candidates.

    python examples/basic_constrained_decoding.py --checkpoint CHECKPOINT_FOLDER --weights reader.weights

A reader in the manner of UniLM is given passage and question and writes an answer; a constraint lets it write nothing
but runs of the passage. A candidate is chosen by its log-probability, as a chess program of language models chooses
among the legal moves. A pre-trained model needs fine-tuning on questions first. Without --checkpoint a tiny model with
random weights shows the way: its answers are substrings of the passage, but not the right ones.
"""

import argparse

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import set_seed
from bert4keras2.decoders import Generator, choose_candidate, substring_constraint
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import Tokenizer, load_tokenizer

PASSAGE = "大熊猫主要生活在四川、陕西和甘肃的山里，每天要花十几个小时吃竹子。"
QUESTIONS = ["大熊猫生活在哪里？", "大熊猫吃什么？"]
# Squares from a to i and 0 to 9, from where to where: the legal moves at some point of a game of Chinese chess.
GAME = "h2e2h9g7"
MOVES = ["h0g2", "b0c2", "b2c2", "g3g4", "c3c4", "a0a1", "i0i1", "e2e6"]
TINY = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 128,
}  # fmt: skip


def reader(args):
    """Return a tokenizer and a model that reads passage and question."""
    if args.checkpoint:
        tokenizer = load_tokenizer(args.checkpoint)
        model = build_transformer_model(args.checkpoint, model=args.model, application="unilm")
        if args.weights:
            model.load_weights(args.weights)
        return tokenizer, model
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(args.passage + "".join(QUESTIONS)))]
    model = build_transformer_model(TINY, vocab_size=len(tokens), application="unilm")
    return Tokenizer({token: i for i, token in enumerate(tokens)}), model


def read(args):
    """Answer questions with runs of the passage."""
    tokenizer, model = reader(args)
    generator = Generator(model, tokenizer)
    passage = tokenizer.encode(args.passage, maxlen=256)[0][1:-1]
    constraint = substring_constraint(passage, tokenizer._token_end_id)
    beam = {"strategy": "beam", "num_beams": args.beams} if args.beams > 1 else {}
    print(args.passage)
    for question in QUESTIONS:
        # [CLS] passage [SEP] question [SEP], all in segment 0; the answer is segment 1.
        ids = tokenizer.encode(args.passage, question, maxlen=256)[0]
        prompt = (ids, [0] * len(ids))
        free = generator.generate(prompt, max_new_tokens=12)
        answer = generator.generate(prompt, max_new_tokens=12, constraint=constraint, **beam)
        print(f"  {question}\n    free:        {free.text}\n    constrained: {answer.text} ({answer.score:.2f})")


def play():
    """Choose a move."""
    tokens = ["[PAD]", *"0123456789abcdefghi"]
    model = build_transformer_model(TINY, vocab_size=len(tokens), application="lm", segment_vocab_size=0)

    def encode(moves):
        """Return ids with a token a character."""
        return [tokens.index(character) for character in moves]

    # A game starts with the padding's id. No tokenizer: prompt and candidates are ids.
    choice = choose_candidate(Generator(model), [0, *encode(GAME)], [encode(move) for move in MOVES])
    print(f"after {GAME} the untrained player takes {MOVES[choice.index]}:")
    for i in choice.probabilities.argsort()[::-1][:4]:
        print(f"  {MOVES[i]}  {choice.probabilities[i]:.3f}  log-probability {choice.scores[i]:.2f}")


def main():
    """Read, then play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("passage", nargs="?", default=PASSAGE)
    parser.add_argument("--checkpoint", help="folder of a pre-trained checkpoint")
    parser.add_argument("--model", default="bert", help="family of the checkpoint")
    parser.add_argument("--beams", type=int, default=1, help="search so many answers at a time (default: greedy)")
    parser.add_argument("--weights", help="weights of the fine-tuned reader")
    args = parser.parse_args()
    set_seed(0)
    if not args.checkpoint:
        print("No --checkpoint: the models are tiny and untrained, so answers and moves are arbitrary.")
    read(args)
    play()


if __name__ == "__main__":
    main()
