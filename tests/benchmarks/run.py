"""All that users wait for, in one table, against the peers that are installed.

    python tests/benchmarks/run.py [--peers [NAME ...]] [--rounds 5] [--backend tensorflow] [--threads 2] \
        [--only forward,train]

Each round runs each library in a process of its own, in turns; what is printed is medians over the rounds, ratios
round by round (peer / this library: above 1 the peer takes longer), the most memory of each process, and for rows that
the machine's products or memory limit, the share of that limit, which is measured in the same rounds. Weights are
random, of BERT-base's size. `--texts FILE` takes real texts (rows with tabs, or JSON Lines with "sentence" and
"label") for tokenization, vectors and the epoch; `--scale tiny` shows that all runs, and nothing else.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import statistics
from pathlib import Path

from rounds import child, in_turns, ratio
from units_peers import PEERS
from workloads import SCALES, limit

HERE = Path(__file__).resolve().parent
OURS, MACHINE = "bert4keras2", "machine"
MEASURE_MACHINE = "import json; from machine import limits; print(json.dumps(limits()))"


def sides(given: argparse.Namespace) -> dict:
    """Return {name: a function that measures in a process of its own}."""
    threads = {}
    if given.threads:
        count = str(given.threads)
        threads = {"OMP_NUM_THREADS": count, "TF_NUM_INTRAOP_THREADS": count, "OPENBLAS_NUM_THREADS": count}
    options = ["--scale", given.scale, "--repeats", str(given.repeats), "--only", given.only]
    options += ["--texts", str(Path(given.texts).resolve())] if given.texts else []
    base = {"PYTHONPATH": f"{HERE.parents[1]}:{HERE}", **threads}

    def side(command: list[str], **environment: str):
        return lambda: child(command, {**base, **environment}, str(HERE))

    found = {OURS: side(["units_ours.py", *options], KERAS_BACKEND=given.backend)}
    for name, (package, _) in PEERS.items():
        if given.peers is None or (given.peers and name not in given.peers):
            continue
        if importlib.util.find_spec(package) is None:
            print(f"{name}: {package} is not installed, left out")
        else:
            found[name] = side(["units_peers.py", name, *options], KERAS_BACKEND=given.backend)
    return {**found, MACHINE: side(["-c", MEASURE_MACHINE])}


def table(rounds: list[dict[str, dict]], scale) -> list[list[str]]:
    """Return the rows of a table: name, this library's milliseconds, share of the limit, ratio to each peer."""
    names = [name for name in rounds[0] if name not in (OURS, MACHINE)]
    machine = {key: statistics.median(one[MACHINE][key] for one in rounds) for key in ("gemm", "memory")}
    found = [["", "ms", "share of the limit", *(f"{name} / here" for name in names)]]
    for row in rounds[0][OURS]:
        if row == "peak":
            continue
        seconds = statistics.median(one[OURS][row] for one in rounds)
        least = limit(scale, row, machine)
        ratios = [ratio(rounds, row, name, OURS) for name in names]
        share = "" if least is None else f"{least / seconds:.0%}"
        found.append([row, f"{1e3 * seconds:.1f}", share, *("" if x is None else f"{x:.2f}" for x in ratios)])
    peaks = [statistics.median(one[name]["peak"] for one in rounds) for name in (OURS, *names)]
    found.append(["most memory, MiB", f"{peaks[0]:.0f}", "", *(f"{peak:.0f}" for peak in peaks[1:])])
    return found


def picture(rows: list[list[str]], path: str) -> None:
    """Draw the ratios to the peers as points, on an axis on which twice and half are as far from level."""
    import matplotlib.pyplot as plt

    head, body = rows[0], [row for row in rows[1:-1] if any(row[3:])]
    figure, axes = plt.subplots(figsize=(9, 0.35 * len(body) + 1.5))
    for peer, marker in zip(range(3, len(head)), "osD^", strict=False):
        found = [(float(row[peer]), place) for place, row in enumerate(body) if row[peer]]
        axes.plot(*zip(*found, strict=True), marker, markersize=7, label=head[peer].removesuffix(" / here"))
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_yticks(range(len(body)), [row[0] for row in body])
    axes.grid(axis="y", linewidth=0.4)
    axes.invert_yaxis()
    axes.set_xlabel("time of the peer / time here (right of 1 the peer takes longer)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measure in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS, metavar="NAME", help="measure these peers, too; all without names"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5, help="calls of each row within a round")
    parser.add_argument("--backend", default="tensorflow", choices=("tensorflow", "jax", "torch"))
    parser.add_argument(
        "--threads", type=int, help="threads of one operation; those that the libraries choose if not given"
    )
    parser.add_argument("--only", default="", help="words that names of rows have, with commas between")
    parser.add_argument("--texts", help="file of texts and labels")
    parser.add_argument("--scale", choices=SCALES, default="base")
    parser.add_argument("--picture", help="file for a picture of the ratios (matplotlib)")
    given = parser.parse_args()
    rounds = in_turns(sides(given), given.rounds)
    rows = table(rounds, SCALES[given.scale])
    machine = {key: statistics.median(one[MACHINE][key] for one in rounds) for key in ("gemm", "memory")}
    print(
        f"{platform.processor() or platform.machine()}: {machine['gemm'] / 1e9:.0f} GFLOP/s in products of matrices,"
        f" {machine['memory'] / 1e9:.1f} GB/s read from memory; {given.backend}, {given.rounds} rounds,"
        f" {given.threads or 'usual'} threads"
    )
    for number, row in enumerate(rows):
        print("| " + " | ".join(row) + " |")
        if not number:
            print("| " + " | ".join("---" for _ in row) + " |")
    if given.picture:
        picture(rows, given.picture)


if __name__ == "__main__":
    main()
