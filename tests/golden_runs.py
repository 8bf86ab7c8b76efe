"""The record of bits: short runs of every environment by every method, as they were before the house was rebuilt.

`python tests/golden_runs.py [FOLDER]` writes the record anew; do that only for a change that says why results change.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path

import torch
from kept_rows import rows_of

from hgenv.interpreter import versions

RECORD = Path(__file__).parent / "golden"
TASKS = {
    "ToyShading-v0": ["--validation-size", "12", "--test-size", "8"],
    "ShapeNormals-v0": ["--resolution", "16", "--channels", "8", "--validation-size", "6", "--test-size", "4"],
    "ShapeEvolution-v0": ["--resolution", "16", "--channels", "8", "--validation-size", "6", "--test-size", "4"],
    "FaceDepth-v0": ["--resolution", "16", "--channels", "8"],
    "TextureIntrinsics-v0": ["--resolution", "16", "--channels", "8"],
    "SceneNormals-v0": [
        "--resolution", "32", "--hourglass-depth", "2", "--channels", "8", "--rooms", "2", "--pretrain-steps", "4",
        "--validation-size", "4", "--test-size", "4",
    ],
}  # fmt: skip
METHODS = {
    "fixed": ["fixed"],
    **{name: ["hybrid-gradient", "--gradient", name] for name in ("image", "influence", "score", "mixed", "perturbed")},
    "random-search": ["random-search"],
    "evolution": ["evolution"],
    "reinforce": ["reinforce", "--samples", "2"],
}
NO_DENSITY = {"ShapeEvolution-v0": ("score", "mixed")}
# Options that change what is computed, on the cheapest environment.
VARIANTS = {
    "paper": [
        "hybrid-gradient", "--gradient", "image", "--gradient-weights", "last", "--gradient-scaling", "paper", "--rule",
        "rmsprop", "--decay-after", "None", "--no-gradient-shared", "--gradient-directions", "2",
    ],
    "pairs": ["hybrid-gradient", "--gradient", "perturbed", "--gradient-group", "pair", "--gradient-exact"],
    "first-order": ["hybrid-gradient", "--gradient", "influence", "--no-gradient-curvature"],
    "curvature": ["hybrid-gradient", "--gradient", "score", "--gradient-curvature", "--gradient-samples", "6"],
    "seldom": ["hybrid-gradient", "--gradient", "mixed", "--gradient-every", "2", "--gradient-half", "image"],
    "sgd": ["hybrid-gradient", "--gradient", "image", "--inner", "sgd", "--inner-learning-rate", "0.1"],
    "frozen": ["hybrid-gradient", "--gradient", "image", "--inner-freeze", "--gradient-steps", "2"],
    "spread": ["hybrid-gradient", "--gradient", "influence", "--spread", "0.2", "--coordinates", "continuous"],
    "random-beta": ["random-beta"],
    "random-step": ["random-step"],
    "probes": ["reinforce", "--play", "probes", "--reward", "level", "--learn-sigma"],
    "cma": ["nevergrad", "--name", "CMA"],
    "sac": ["sb3", "--algorithm", "SAC", "--warmup", "1", "--observe-gradient", "--gradient", "perturbed"],
}  # fmt: skip
COMMON = [
    "--train-steps", "4", "--batch-size", "4", "--validation-images", "4", "--report-every", "2", "--max-steps", "3",
    "--seed", "11", "--no-figures",
]  # fmt: skip


def cells() -> list[tuple[str, str]]:
    """(environment, method) of every run of the record."""
    found = [(env, m) for env in TASKS for m in METHODS if m not in NO_DENSITY.get(env, ())]
    return found + [("ToyShading-v0", name) for name in VARIANTS]


def play(env: str, method: str, out: Path) -> list[dict[str, str]]:
    """The rows of one run, without its seconds."""
    from hgenv.cli.main import main

    words = {**METHODS, **VARIANTS}[method]
    status = main(["run", *words, "--env", f"hgenv/{env}", *TASKS[env], *COMMON, "--out", str(out)])
    assert status == 0, f"{env} {method}"
    return rows_of(out)


def machine() -> dict[str, str]:
    """What bits depend on besides the code: sums run in another order on another kind of processor."""
    return {name: versions()[name] for name in ("torch", "numpy", "cpu_capability", "arithmetic")}


def read(env: str, method: str) -> list[dict[str, str]]:
    """The recorded rows."""
    with (RECORD / f"{env}-{method}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.json").write_text(json.dumps(machine(), indent=1) + "\n")
    with tempfile.TemporaryDirectory() as runs:
        for env, method in cells():
            rows = play(env, method, Path(runs) / f"{env}-{method}")
            with (folder / f"{env}-{method}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RECORD)
