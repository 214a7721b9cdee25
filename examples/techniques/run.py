"""The evidence table: what each technique is worth on real data, one command, one Markdown table.

    python examples/techniques/run.py --data DATASETS --checkpoint tiny-zh --results techniques.jsonl
    python examples/techniques/run.py --only "STS-B" --limit 200 --seeds 1       # a quick look

Each row is run with several seeds, each run in a process of its own, which also tells its memory. Every run is written
to the results file as it ends; a second call goes on where the first one stopped, and with --table alone it prints what
is there. DATASETS has the folders similarity (STS-B, LCQMC, PAWSX), fewclue and clue with the published files.

A further subject is a file beside this one that calls `common.register(Row(...))`; name it in SUBJECTS.
"""

import argparse
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

SUBJECTS = ("classification", "sentences", "prompts", "multitask")
HEADER = ("task", "technique", "mean (range)", "against the baseline", "CPU ms a step", "memory MB", "seeds")


def load_rows():
    """Return {name: row} of all subjects."""
    sys.path.insert(0, str(Path(__file__).parent))
    for subject in SUBJECTS:
        import_module(subject)
    return import_module("common").ROWS


def run_one(name, args):
    """Run a row with one seed in this process and print what came of it as JSON."""
    import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow

    rows, common = load_rows(), import_module("common")
    settings = common.Settings(Path(args.data), args.checkpoint, args.prefix, args.limit, args.seed)
    try:
        found = rows[name].run(settings)
    except (OSError, ValueError) as error:  # a data set or a head of the checkpoint that is not there
        found = {"error": f"{type(error).__name__}: {error}"[:300]}
    print("RESULT " + json.dumps({**found, "memory_mb": largest_memory()}))


def in_child(name, seed, args):
    """Return the results of a row with one seed, run in a process of its own, with its largest memory."""
    command = [sys.executable, __file__, "--one", name, "--seed", str(seed), "--data", args.data]
    command += ["--checkpoint", args.checkpoint, "--prefix", args.prefix]
    command += ["--limit", str(args.limit)] if args.limit else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        out, errors = child.communicate()
    lines = [line[7:] for line in out.splitlines() if line.startswith("RESULT ")]
    return json.loads(lines[-1]) if lines else {"error": errors.strip()[-300:] or f"exit status {child.returncode}"}


def largest_memory():
    """Return the largest memory of this process in MB, None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20))


def read_results(path):
    """Return {(row, seed, checkpoint, limit): result} of a results file."""
    if not os.path.isfile(path):
        return {}
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                one = json.loads(line)
            except ValueError:  # the line that a stopped run left
                continue
            found[one["row"], one["seed"], one["checkpoint"], one["limit"]] = one["result"]
    return found


def markdown(rows, results, checkpoint, limit):
    """Return the table of what there is."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
    means = {}
    for name, row in rows.items():
        own = [found for (one, _, *told), found in results.items() if one == name and told == [checkpoint, limit]]
        scores = [found["score"] for found in own if "score" in found]
        if not scores:
            if own:
                lines.append(f"| {row.task} | {row.technique} | {own[0]['error'].splitlines()[0][:60]} | | | | 0 |")
            continue
        means[name] = sum(scores) / len(scores)
        spread = f" ({min(scores):.4f} to {max(scores):.4f})" if len(scores) > 1 else ""
        base = means.get(f"{row.task} / {row.baseline}")
        gain = f"{means[name] - base:+.4f}" if base is not None else ""
        steps = [found["step_ms"] for found in own if found.get("step_ms")]
        step = f"{sum(steps) / len(steps):.0f}" if steps else ""
        memory = [found["memory_mb"] for found in own if found.get("memory_mb")]
        used = f"{max(memory)}" if memory else ""
        lines.append(
            f"| {row.task} | {row.technique} | {means[name]:.4f}{spread} | {gain} | {step} | {used} | {len(scores)} |"
        )
    return "\n".join(lines)


def main():
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/datasets", help="folder of the data sets")
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder or name of the model")
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    parser.add_argument("--results", default="techniques.jsonl", help="file that runs are kept in")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="use so many rows of each split at most")
    parser.add_argument("--only", nargs="*", default=[], help="rows whose name holds one of these")
    parser.add_argument("--table", action="store_true", help="run nothing, print the table")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_one(args.one, args)
        return
    rows, results = load_rows(), read_results(args.results)
    if not Path(args.data).is_dir():
        raise SystemExit(f"There is no folder {args.data!r}: pass --data with the data sets")
    chosen = [row for name, row in rows.items() if not args.only or any(part in name for part in args.only)]
    for row in [] if args.table else chosen:
        for seed in range(min(args.seeds, row.seeds or args.seeds)):
            key = (row.name, seed, args.checkpoint, args.limit)
            if key in results:
                continue
            results[key] = in_child(row.name, seed, args)
            told = dict(zip(("row", "seed", "checkpoint", "limit"), key, strict=True))
            with open(args.results, "a", encoding="utf-8") as file:  # begins a line: a stopped run may have left half
                file.write("\n" + json.dumps({**told, "result": results[key]}, ensure_ascii=False) + "\n")
            print(f"{row.name}, seed {seed}: {results[key]}", file=sys.stderr)
    print(markdown(rows, results, args.checkpoint, args.limit))


if __name__ == "__main__":
    main()
