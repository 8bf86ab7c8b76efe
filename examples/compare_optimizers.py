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

METHODS = {"fixed": "fixed", "random-beta": "random-beta", "good-beta": "fixed --start docs/results/good-beta.json",
           "random-search": "random-search --train-steps 10 --variant BRS --step 5",
           "paper": "hybrid-gradient --gradient image --gradient-weights last --rule rmsprop --decay-after None",
           "perturbed-last": "hybrid-gradient --gradient perturbed --gradient-weights last"}  # fmt: skip
METHODS |= {g: f"hybrid-gradient --gradient {g}" for g in ("image", "influence", "score", "mixed", "perturbed")}
COLUMNS = ["test.mae", "test.median", "test.within_22", "train_steps", "equal_steps", "seconds_to_level", "retrained"]


def cell(folder: Path, words: list[str]) -> list[dict[str, float]]:
    """The rows of one run, which is played only if its folder does not hold it yet."""
    if not (folder / "predictions.png").exists():  # the last file that a run writes
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "hgenv", "run", *words, "--out", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [row for row in read_rows(folder) if "test.mae" in row]


def summary(rows: list[dict[str, float]], again: list[dict[str, float]], steps: float, level: float) -> dict:
    """The best validated row, with what it took and what retraining gives."""
    reached = [row["cpu_seconds"] for row in rows if row["test.mae"] <= level]
    return best_row(rows, "mae") | {
        "train_steps": rows[-1]["train_steps"], "seconds_to_level": min(reached, default=np.nan),
        "equal_steps": best_row([row for row in rows if row["train_steps"] <= steps], "mae")["test.mae"],
        "retrained": best_row(again, "mae")["test.mae"],
    }  # fmt: skip


def interval(values: list[float]) -> str:
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values)
    return f"{np.mean(values):.1f} ± {half:.1f}" if np.isfinite(values).all() else "not by all"


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--seconds", default="60")
parser.add_argument("--seeds", type=int, default=5, help="at least 2")
parser.add_argument("--retrain", default="1000", help="training steps from scratch")
parser.add_argument("--steps", type=float, default=1200, help="training steps of the column equal_steps")
parser.add_argument("--level", type=float, default=18.0, help="test error of the column seconds_to_level")
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
print("| optimizer |", " | ".join(COLUMNS), "| retrained, each seed |\n" + "|---" * (len(COLUMNS) + 2) + "|")
for name in o.methods:
    rows = [summary(found[name, s].result(), again[name, s].result(), o.steps, o.level) for s in range(o.seeds)]
    cells = [interval([row[column] for row in rows]) for column in COLUMNS]
    print(f"| {name} |", " | ".join(cells), "|", ", ".join(f"{row['retrained']:.1f}" for row in rows), "|")
