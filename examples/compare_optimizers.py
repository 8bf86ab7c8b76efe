"""Compare optimizers at equal CPU seconds, then retrain every found beta from scratch; prints a Markdown table.

Cells are `hgenv run` processes of one thread; finished ones are kept, so that an interrupted comparison continues.
Options after `--` go to every run; other options need another --out. Intervals are 95 % of Student's t over seeds.
"""

import argparse
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import scipy.stats

from hgenv.run import best_row, read_rows

METHODS = {"fixed": "fixed", "random-beta": "random-beta", "random-search": "random-search --train-steps 10",
           "basic-random-search": "random-search --train-steps 10 --variant BRS --step 5",
           "hybrid-gradient": "hybrid-gradient", "momentum": "hybrid-gradient --rule momentum --step 0.1"}  # fmt: skip
COLUMNS = ["test.mae", "test.median", "test.within_11", "test.within_22", "test.within_30", "test.n_mae", "train_steps"]


def cell(folder: Path, words: list[str]) -> dict[str, float]:
    """The best validated row of one run, which is played only if its folder does not hold it yet."""
    if not (folder / "predictions.png").exists():  # the last file that a run writes
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "hgenv", "run", *words, "--out", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = read_rows(folder)
    return best_row(rows, "mae") | {"train_steps": rows[-1]["train_steps"]}


def interval(rows: list[dict[str, float]], column: str) -> str:
    values = np.array([row[column] for row in rows])
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values)
    digits = 3 if column == "test.n_mae" else 0 if column == "train_steps" else 1
    return f"{values.mean():.{digits}f} ± {half:.{digits}f}"


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--seconds", default="60")
parser.add_argument("--seeds", type=int, default=5, help="at least 2")
parser.add_argument("--retrain", default="1000", help="training steps from scratch")
parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
parser.add_argument("options", nargs="*")
o = parser.parse_args()
found, again = {}, {}
with ThreadPoolExecutor(2) as pool:
    for seed in range(o.seeds):
        for name in o.methods:
            words = [*METHODS[name].split(), "--max-seconds", o.seconds, "--seed", str(seed), "--report-every", "5"]
            found[name, seed] = pool.submit(cell, o.out / f"{name}-s{seed}", words + o.options)
    for (name, seed), run in found.items():
        run.result()
        control = name if name == "random-beta" else "fixed"  # random beta has no beta of its own
        words = [control, "--max-train-steps", o.retrain, "--seed", str(100 + seed), "--report-every", "20", *o.options]
        start = ["--start", str(o.out / f"{name}-s{seed}")]
        again[name, seed] = pool.submit(cell, o.out / f"{name}-s{seed}-retrained", words + start)
print("| optimizer |", " | ".join(COLUMNS), "| retrained test.mae |\n" + "|---" * (len(COLUMNS) + 2) + "|")
for name in o.methods:
    first, second = ([cells[name, s].result() for s in range(o.seeds)] for cells in (found, again))
    print(f"| {name} |", " | ".join(interval(first, c) for c in COLUMNS), f"| {interval(second, 'test.mae')} |")
print("\n| optimizer | seed | test.mae | retrained test.mae |\n|---|---|---|---|")
for (name, seed), run in found.items():
    print(f"| {name} | {seed} | {run.result()['test.mae']:.2f} | {again[name, seed].result()['test.mae']:.2f} |")
