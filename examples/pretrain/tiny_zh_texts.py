"""The texts of train and unlabelled parts of data sets, for the second stage of `tiny-zh`: no label, no held-out text.

python examples/pretrain/tiny_zh_texts.py DATASETS texts.txt
"""

import argparse
import json
from pathlib import Path

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.files import write_text

# (data set, its files for training, the fields that are texts): JSON Lines, or tab-separated columns by number.
SOURCES = [
    ("clue/afqmc", ["train.json"], ["sentence1", "sentence2"]),
    ("clue/ocnli", ["train.10k.json"], ["sentence1", "sentence2"]),
    ("fewclue/bustm", ["train_few_all.json", "unlabeled.json"], ["sentence1", "sentence2"]),
    ("fewclue/tnews", ["train_few_all.json", "unlabeled.json"], ["sentence"]),
    ("fewclue/eprstmt", ["train_few_all.json", "unlabeled.json"], ["sentence"]),
    ("sentiment", ["sentiment.train.data"], [0]),
    ("similarity/STS-B", ["sts-b-train.txt"], [0, 1]),
]
HELD_OUT = ("dev", "test", "valid", "trial")  # in the names of files whose texts are left out wherever they occur


def strings(value):
    """Yield all texts of a JSON value, blanks taken together."""
    if isinstance(value, str):
        yield " ".join(value.split())
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def rows(path):
    """Yield the rows of a file: JSON values, or the columns of lines with tabs."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix != ".json":
        yield from (dict(enumerate(line.split("\t"))) for line in text.split("\n"))
        return
    try:
        yield from (json.loads(line) for line in text.split("\n") if line.strip())
    except json.JSONDecodeError:  # one value over many lines
        yield json.loads(text)


def held_out_texts(datasets):
    """Return the texts of all dev and test files."""
    paths = [path for path in sorted(datasets.rglob("*.*")) if any(part in path.name for part in HELD_OUT)]
    return {text for path in paths for row in rows(path) for text in strings(row)}


def main():
    """Write the texts, one a line, and print how many each source gave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, help="folder with the data sets")
    parser.add_argument("output", type=Path, help="where to write the texts")
    args = parser.parse_args()

    held_out = held_out_texts(args.datasets)
    kept = {}
    for folder, names, fields in SOURCES:
        before = len(kept)
        for name in names:
            for row in rows(args.datasets / folder / name):
                found = [text for field in fields if field in row for text in strings(row[field])]
                kept |= dict.fromkeys(text for text in found if text and text not in held_out)
        print(f"{folder}: {len(kept) - before:,} texts")
    write_text(args.output, "".join(text + "\n" for text in kept))
    print(f"{len(kept):,} texts in {args.output}; none of {len(held_out):,} dev and test texts is among them")


if __name__ == "__main__":
    main()
