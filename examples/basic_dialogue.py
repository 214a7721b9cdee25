"""Dialogue of several turns with NEZHA-GPT or CDial-GPT; what was said before counts.

    python examples/basic_dialogue.py --checkpoint CHECKPOINT_FOLDER --chat
    python examples/basic_dialogue.py --model cdial_gpt --checkpoint CHECKPOINT_FOLDER "你好" "今天做什么"

Without --checkpoint a tiny model is trained for some seconds on a dozen made-up talks: it repeats what it has read.
"""

import argparse

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.decoders import Dialogue, Generator, dialogue_prompt
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.snippets import sequence_padding
from bert4keras2.tokenizers import Tokenizer, load_tokenizer

TURNS = ["你好", "今天天气怎么样", "那出去走走吧"]
TALKS = [
    ["你好", "你好呀", "今天天气怎么样", "外面出太阳了", "那出去走走吧", "好，我换双鞋"],
    ["你好", "你好呀", "你吃饭了吗", "还没有，正饿着", "一起去吃面吧", "好，我请客"],
    ["早上好", "早，睡得好吗", "睡得很好", "那就好"],
    ["在吗", "在，什么事", "周末有空吗", "周六有空", "一起看电影吧", "好，看什么片子"],
    ["今天天气怎么样", "下雨了", "那出去走走吧", "带上伞再去"],
    ["你吃饭了吗", "刚吃完", "吃的什么", "番茄鸡蛋面"],
    ["我有点累", "早点休息吧", "还有作业没写完", "明天再写也来得及"],
    ["你喜欢什么运动", "我喜欢跑步", "每天跑多远", "大概五公里"],
    ["你家的猫呢", "在沙发上睡觉", "它叫什么名字", "叫小黑"],
    ["明天几点出发", "早上七点", "在哪里见", "地铁站门口"],
    ["这本书好看吗", "很好看，你也读读", "借我看看吧", "明天带给你"],
    ["晚上好", "晚上好，下班了吗", "刚到家", "辛苦了"],
]
TINY = {
    "hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 192,
    "max_position_embeddings": 96, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip


def loss(y_true, y_pred):
    """Return the mean cross-entropy of all tokens that are not padding; both speakers' words count."""
    counts = keras.ops.cast(keras.ops.not_equal(y_true, 0), "float32")
    return keras.ops.sum(keras.losses.sparse_categorical_crossentropy(y_true, y_pred) * counts) / keras.ops.sum(counts)


def tiny_model(name, epochs):
    """Return a tokenizer of single characters and a tiny model trained on the talks."""
    characters = sorted(set("".join("".join(talk) for talk in TALKS)))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[speaker1]", "[speaker2]", *characters]
    tokenizer = Tokenizer({token: i for i, token in enumerate(tokens)})
    model = build_transformer_model(TINY, vocab_size=len(tokens), model=name)
    style = "speakers" if name == "cdial_gpt" else "segments"
    rows = [dialogue_prompt(tokenizer, talk, style, reply=False) for talk in TALKS]
    ids, segments = (sequence_padding([row[k] for row in rows]) for k in (0, 1))
    targets = np.concatenate([ids[:, 1:], 0 * ids[:, :1]], 1)
    model.compile(Adam(2e-3), loss)
    history = model.fit([ids, segments], targets, batch_size=12, epochs=epochs, verbose=0)
    print(f"trained {epochs} epochs on {len(TALKS)} talks, loss {history.history['loss'][-1]:.3f}")
    return tokenizer, model


def main():
    """Talk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("turns", nargs="*", default=TURNS, help="what to say")
    parser.add_argument("--checkpoint", help="folder of a dialogue checkpoint")
    parser.add_argument("--model", default="nezha_gpt", help="nezha_gpt or cdial_gpt (default: nezha_gpt)")
    parser.add_argument("--chat", action="store_true", help="read turns from the keyboard; an empty one ends")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the talks (only without a checkpoint)")
    parser.add_argument("--top-k", type=int, default=5)
    parser.add_argument("--seed", type=int, help="of drawing")
    args = parser.parse_args()
    set_seed(0)

    if args.checkpoint:
        tokenizer, model = load_tokenizer(args.checkpoint), build_transformer_model(args.checkpoint, model=args.model)
    else:
        print("No --checkpoint: a tiny model that knows a dozen talks. Ask it nothing else.")
        tokenizer, model = tiny_model(args.model, args.epochs)
        args.top_k = 1
    dialogue = Dialogue(Generator(model, tokenizer), top_k=args.top_k, seed=args.seed)
    if args.chat:
        while text := input("> ").strip():
            print(dialogue.say(text))
        return
    for text in args.turns:
        print(f"> {text}")
        print(dialogue.say(text))


if __name__ == "__main__":
    main()
