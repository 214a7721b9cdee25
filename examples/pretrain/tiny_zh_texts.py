"""The texts of train and unlabelled parts of data sets, for the second stage of `tiny-zh`: no label, no held-out text.

python examples/pretrain/tiny_zh_texts.py DATASETS texts.txt
"""

import argparse
import json
from pathlib import Path

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
HELD_OUT = ("dev", "test", "valid")  # parts of the names of files whose texts are left out wherever they occur


def read(path, fields):
    """Return the texts of some fields of a file, blanks taken together."""
    found = []
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        row = json.loads(line) if path.suffix == ".json" else line.split("\t")
        for field in fields:
            text = row.get(field) if isinstance(row, dict) else row[field] if field < len(row) else None
            if isinstance(text, str) and text.strip():
                found.append(" ".join(text.split()))
    return found


def main():
    """Write the texts, one a line, and print how many each source gave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, help="folder with the data sets")
    parser.add_argument("output", type=Path, help="where to write the texts")
    args = parser.parse_args()

    held_out = set()
    for folder, _, fields in SOURCES:
        for path in sorted((args.datasets / folder).iterdir()):
            if any(part in path.name for part in HELD_OUT):
                held_out.update(read(path, fields))
    kept = {}
    for folder, names, fields in SOURCES:
        before = len(kept)
        for name in names:
            kept |= dict.fromkeys(text for text in read(args.datasets / folder / name, fields) if text not in held_out)
        print(f"{folder}: {len(kept) - before:,} texts")
    write_text(args.output, "".join(text + "\n" for text in kept))
    print(f"{len(kept):,} texts in {args.output}; {len(held_out):,} dev and test texts are not among them")


if __name__ == "__main__":
    main()
