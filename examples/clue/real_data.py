"""Real data sets, from files to a table: what an encoder reaches beside an answer that needs no model.

    python examples/clue/real_data.py DATASETS --checkpoint me5_small_zh --prefix "query: " --only sentiment cluener
    python examples/clue/real_data.py DATASETS --only bustm eprstmt --seeds 3
    python examples/clue/real_data.py DATASETS --table

Each run adds a line to the file of results, and is not repeated if it is there; --table prints all of them. --resume
lets one that broke off go on with its unfinished epoch. DATASETS
has a folder for each collection: clue, fewclue, ner, sentiment, similarity.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
from real_sets import RECIPES

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.tasks import MultipleChoice, TextClassifier


def baseline(task, train, test):
    """Return the score of an answer that needs no model: the most frequent label, or a guess; else None."""
    if isinstance(task, TextClassifier) and task.kind == "single":
        most = Counter(row[-1] for row in train).most_common(1)[0][0]
        return sum(row[-1] == most for row in test) / len(test)
    return sum(1 / len(row[2]) for row in test) / len(test) if isinstance(task, MultipleChoice) else None


def run(name, args, seed):
    """Train and evaluate one task; return the line of its results."""
    load, kind, options, epochs, most = RECIPES[name]
    train, test = load(args.datasets)
    order = np.random.default_rng(seed).permutation(len(train))[: args.rows or most]
    train = [train[place] for place in order]
    set_seed(seed)
    options = {**options, "prefix": args.prefix}
    if args.tokenize_chinese_chars:
        options["tokenizer_options"] = {"tokenize_chinese_chars": True}
    if kind in (TextClassifier, MultipleChoice):
        options["pooling"] = "mean"
    task = kind.from_checkpoint(args.checkpoint, **options)
    start = time.perf_counter()
    rates = {"learning_rate": args.learning_rate, "head_rate": args.head_rate}
    # A run that broke off goes on with the epoch that it had not finished.
    kept = args.results.parent / f"{args.results.stem}-{name}-{Path(args.checkpoint).name}-{seed}"
    backup = [keras.callbacks.BackupAndRestore(str(kept))] if args.resume else []
    task.fit(train, epochs=args.epochs or epochs, batch_size=args.batch_size, verbose=2, callbacks=backup, **rates)
    seconds = time.perf_counter() - start
    metrics = task.evaluate(test, progress=False).metrics
    line = {"task": name, "checkpoint": Path(args.checkpoint).name, "seed": seed, "metrics": metrics}
    line |= {"baseline": baseline(task, train, test), "train": len(train), "test": len(test)}
    return line | {"epochs": args.epochs or epochs, "seconds": round(seconds), "backend": keras.backend.backend()}


def show(path):
    """Print the table of all results."""
    heads = ["task", "rows: train / test", "epochs", "without a model", "encoder", "score (range of seeds)", "minutes"]
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    groups = {}
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        groups.setdefault((line["task"], line["checkpoint"], line["train"], line["epochs"]), []).append(line)
    for group in sorted(groups, key=lambda group: (list(RECIPES).index(group[0]), group[1])):
        lines = groups[group]
        first, *others = lines[0]["metrics"]
        scores = [line["metrics"][first] for line in lines]
        text = f"{first} {np.mean(scores):.3f}"
        if len(scores) > 1:
            text += f" ({min(scores):.3f} to {max(scores):.3f}, {len(scores)} seeds)"
        if "em" in others:
            text += f", em {np.mean([line['metrics']['em'] for line in lines]):.3f}"
        minutes = np.mean([line["seconds"] for line in lines]) / 60
        least = f"{lines[0]['baseline']:.3f}" if lines[0]["baseline"] else "-"
        cells = [group[0], f"{group[2]:,} / {lines[0]['test']:,}", group[3], least]
        print("| " + " | ".join(map(str, [*cells, group[1], text, f"{minutes:.1f}"])) + " |")


def main():
    """Run what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, help="folder of the data sets")
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder or name of a pre-trained model")
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    parser.add_argument("--tokenize-chinese-chars", action="store_true", help="of a SentencePiece model, for entities")
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), metavar="TASK", help="some of the tasks")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each task (default: 1)")
    parser.add_argument("--rows", type=int, help="rows to train on")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, help="(default: a usual one for the model's width)")
    parser.add_argument("--head-rate", type=float, help="what multiplies it for the head (default: the task's)")
    parser.add_argument("--precision", default="float32", help="policy of Keras, such as mixed_bfloat16")
    parser.add_argument("--results", type=Path, default=Path("real_data.jsonl"))
    parser.add_argument("--resume", action="store_true", help="keep each epoch, and go on from there")
    parser.add_argument("--table", action="store_true", help="only print what there is")
    args = parser.parse_args()
    keras.config.set_dtype_policy(args.precision)
    lines = args.results.read_text(encoding="utf-8").splitlines() if args.results.exists() else []
    done = {(line["task"], line["checkpoint"], line["seed"]) for line in map(json.loads, lines)}
    for name in () if args.table else args.only or RECIPES:
        for seed in range(args.seeds):
            if (name, Path(args.checkpoint).name, seed) not in done:
                line = run(name, args, seed)
                print(line, flush=True)
                with open(args.results, "a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
    show(args.results)


if __name__ == "__main__":
    main()
