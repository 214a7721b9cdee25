"""All tasks of CLUE: their scores in one table beside published ones, and the zip for the leaderboard with its check.

    python examples/clue/run_all.py --data-dir DATA --checkpoint CHECKPOINT_FOLDER
    python examples/clue/run_all.py --only afqmc ocnli --epochs 3

Each script runs in a process of its own. What is not named below (--epochs, --learning-rate, --seed, --pooling,
--prefix, --model, --maxlen, --batch-size) goes to all of them. DATA has a folder for each task, as `clue.download`
makes them.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2 import clue

HERE = Path(__file__).parent
# Development sets, base models, in hundredths (github.com/ZhuiyiTechnology/GAU-alpha; kexue.fm/archives/9052).
PUBLISHED = {
    "iflytek": (60.06, 60.64), "tnews": (56.80, 58.06), "afqmc": (72.41, 74.05), "cmnli": (79.56, 81.24),
    "ocnli": (73.93, 76.00), "wsc": (78.62, 87.50), "csl": (83.93, 84.50), "cmrc2018": (56.17, 56.54),
    "c3": (60.54, 67.66), "chid": (85.69, 86.71), "cluener": (79.45, 79.47),
}  # fmt: skip


def run(name, args, rest):
    """Run a task's script, show what it prints, and return its figures by name; None if it fails."""
    output, result = Path(args.output), Path(args.output) / f"{name}_dev.json"
    result.unlink(missing_ok=True)  # of an earlier run
    command = [sys.executable, str(HERE / f"{name}.py"), "--data-dir", str(Path(args.data_dir) / name)]
    command += ["--checkpoint", args.checkpoint, "--output", str(output), *rest]
    start = time.perf_counter()
    if subprocess.run(command, check=False).returncode:
        return None
    return {**json.loads(result.read_text(encoding="utf-8")), "seconds": time.perf_counter() - start}


def table(scores):
    """Return the lines of the table; scores are shown in hundredths, as published ones are."""
    lines = [f"{'task':<9} {'dev':>6} {'baseline':>9} {'BERT':>6} {'RoBERTa-wwm-ext':>16} {'rows':>6} {'seconds':>8}"]
    for name, found in scores.items():
        bert, roberta = PUBLISHED[name]
        if found is None:
            lines.append(f"{name:<9} failed")
            continue
        score, least = 100 * found["score"], 100 * found["baseline"]
        figures = f"{score:6.2f} {least:9.2f} {bert:6.2f} {roberta:16.2f} {found['rows']:6d} {found['seconds']:8.0f}"
        lines.append(f"{name:<9} {figures}")
    return lines


def main():
    """Run the scripts, print the table, pack the predict files and check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PUBLISHED), metavar="TASK", help="some of the eleven tasks")
    parser.add_argument("--data-dir", default=str(HERE.parent / "samples" / "clue"), help="(default: the samples)")
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder or name of a pre-trained model")
    parser.add_argument(
        "--output", default="clue_output", help="folder of predict files and zip (default: clue_output)"
    )
    args, rest = parser.parse_known_args()
    Path(args.output).mkdir(parents=True, exist_ok=True)

    scores = {}
    for name in args.only or PUBLISHED:
        print(f"== {name}", flush=True)
        scores[name] = run(name, args, rest)
    print("", *table(scores), sep="\n")
    print("BERT and RoBERTa-wwm-ext (base models): published scores on the official development sets; that of cmrc2018")
    print("counts the first answer's place only, that of cluener all entities alike instead of the mean of the types.")

    path = clue.zip_predictions(args.output)
    report = clue.check_zip(path, args.data_dir)
    print(f"\n{path}\n{report}")
    return 0 if report.ok and None not in scores.values() else 1


if __name__ == "__main__":
    sys.exit(main())
