"""Questions that ask the same, for `tiny-zh-sim`: labelled pairs of training sets, and what is near in a corpus.

    python examples/pretrain/tiny_zh_pairs.py CORPUS DATASETS pairs.jsonl

writes JSON Lines of groups, {"text": ..., "same": [...]}. As for SimBERT (kexue.fm/archives/7427), most come from a
search: the nearest questions of each question by the vectors of a model. Some sentences stand beside themselves: from
them words are learnt that no pair has.
"""

import argparse
import gzip
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
from tiny_zh_texts import held_out_texts, rows, strings

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.embeddings import SentenceEncoder, search
from bert4keras2.files import write_text

CORPUS = ("headlines_questions.txt.gz", "dialogue.txt.gz")
UNLABELLED = ("fewclue/bustm/unlabeled.json",)
# Files of pairs with labels, and from which label on two texts mean the same.
LABELLED = [
    ("clue/afqmc/train.json", ("sentence1", "sentence2", "label"), 1),
    ("fewclue/bustm/train_few_all.json", ("sentence1", "sentence2", "label"), 1),
    ("similarity/STS-B/sts-b-train.txt", (0, 1, 2), 4),
]
SENTENCE = re.compile(r"[^。？！?!]+[？！?!]?")
TOPIC = re.compile(r"^[a-z]+ ")  # Toutiao's headlines begin with the name of their section
ODD = re.compile(r"[\[\]【】《》“”@#:：…*]")
QUESTION = re.compile("？|什么|怎么|吗$|哪|如何|为什么|为啥|多少|谁|能不能|可不可以|咋|啥")
SHORTEST, LONGEST = 5, 24  # characters


def sentences(path):
    """Yield the short sentences of a file of the corpus, without marks of quotation and the like."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            for found in SENTENCE.findall(line):
                text = TOPIC.sub("", found.strip()).replace("?", "？")
                if SHORTEST <= len(text) <= LONGEST and not ODD.search(text):
                    yield text


def labelled(datasets, held_out):
    """Yield pairs of texts that training sets call the same."""
    for name, (first, second, label), least in LABELLED:
        for row in rows(datasets / name):
            if label in row and str(row[label]).isdigit() and int(row[label]) >= least:
                pair = [" ".join(row[field].split()) for field in (first, second)]
                if pair[0] != pair[1] and not held_out & set(pair) and max(map(len, pair)) <= LONGEST:
                    yield pair


def near(texts, least, most):
    """Yield each text with those of the others that are nearest, the nearest first, as far as any are near enough."""
    vectors = SentenceEncoder.load("tiny-zh", normalize=True, maxlen=32, batch_size=256).encode(texts)
    scores, found = search(vectors, vectors, most + 1, metric="dot")
    for number, text in enumerate(texts):
        others = found[number][(scores[number] >= least) & (found[number] != number)]
        if len(others):
            yield text, [texts[other] for other in others]


def main():
    """Write the groups, and print how many came from where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder with the corpus")
    parser.add_argument("datasets", type=Path, help="folder with the data sets")
    parser.add_argument("output", type=Path, help="where to write the groups")
    parser.add_argument("--least", type=float, default=0.88, help="cosine of two questions that count as the same")
    parser.add_argument("--most", type=int, default=4, help="others of a question")
    parser.add_argument("--copies", type=int, default=30000, help="sentences that stand beside themselves")
    args = parser.parse_args()

    held_out = held_out_texts(args.datasets)
    corpus = dict.fromkeys(text for name in CORPUS for text in sentences(args.corpus / name) if text not in held_out)
    more = {text for name in UNLABELLED for row in rows(args.datasets / name) for text in strings(row)}
    questions = [text for text in corpus if QUESTION.search(text)]
    questions += sorted(text for text in more - held_out - set(questions) if SHORTEST <= len(text) <= LONGEST)

    groups, counts = [], Counter()
    for first, second in labelled(args.datasets, held_out):
        groups.append((first, [second]))
        counts["pairs with labels"] += 1
    for text, others in near(questions, args.least, args.most):
        groups.append((text, others))
        counts["questions with near ones"] += 1
    alone = sorted(set(corpus) - {text for text, _ in groups})
    for index in np.random.default_rng(0).permutation(len(alone))[: args.copies]:
        groups.append((alone[index], [alone[index]]))
        counts["sentences beside themselves"] += 1
    lines = (json.dumps({"text": text, "same": same}, ensure_ascii=False) + "\n" for text, same in groups)
    write_text(args.output, "".join(lines))
    print(f"{len(questions):,} questions were compared;", ", ".join(f"{n:,} {name}" for name, n in counts.items()))


if __name__ == "__main__":
    main()
