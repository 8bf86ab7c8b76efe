"""The tables of commands and benches, and what can be named on the command line; cheap to import."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from hgenv.recipes import RECIPES
from hgenv.registry import TASKS, declared, load_plugins

if TYPE_CHECKING:
    from optimizers import Optimizer

AGENT = "sb3"


class Command(NamedTuple):
    """words: what it takes. The module in hgenv.cli has `command(words) -> exit status`."""

    module: str
    words: str
    summary: str


COMMANDS = {
    "list": Command("listing", "[-v]", "what there is: environments, optimizers, recipes, estimators; -v: beta"),
    "show": Command("show", "", "contact sheets of an environment's samples and its target domain"),
    "baselines": Command("baselines", "", "metrics of answers that need no learning"),
    "data": Command("data", "[FOLDER]", "the datasets: what is expected where, on what terms, and what a folder has"),
    "run": Command("run", "OPTIMIZER", "optimise beta; writes a run folder. sb3: an agent of stable-baselines3"),
    "resume": Command("resume", "RUN", "a run goes on from its last checkpoint, with more budget if it is given"),
    "report": Command("report", "FOLDER", "the page of a run or a bench, report.html in it; also while it goes on"),
    "plot": Command("plot", "RUN [RUN ...]", "learning curves of runs in one figure"),
    "film": Command("film", "RUN", "a GIF of beta's distributions and samples over a run"),
    "export": Command("export", "FORMAT FOLDER ...", "runs for other tools: rows as CSV or Parquet, a study of Optuna"),
    "generate": Command("generate", "RUN", "a dataset of what a run has found: pictures, ground truth, beta"),
    "bench": Command("bench", "ENV [ENV ...]", "optimizers against the controls at an equal budget: tables, figures"),
    "reproduce": Command("reproduce", "WHAT", "a table of the paper, played beside the published one, or a figure"),
    "dashboard": Command("dashboard", "[FOLDER ...]", "a local page of runs as they go, and a playground of beta"),
    "doctor": Command("doctor", "", "what is installed and whether it works"),
    "completion": Command("completion", "SHELL", "a script that lets bash, zsh or fish complete commands and names"),
}  # fmt: skip
BENCHES = {
    "fidelity": "estimates of the gradient against brute force",
    "horizon": "how far a gradient sees, against brute force over trainings of several lengths",
    "linearity": "the paper's scalar against the exact difference of influence",
    "signal": "whether estimates of the gradient agree with each other at one beta",
    "variance": "what estimates vary by: samples, validation images, directions",
    "metasmooth": "whether training is a smooth function of beta",
    "speed": "seconds of training, rendering, probes and steps, by size and by workers",
    "scaling": "what searches would cost on many workers, simulated from measured seconds",
    "render": "images per core-second of the renderer and of others",
}
EXPORTS = {
    "csv": "all rows of all runs as one long table of text",
    "parquet": "the same table, smaller and with types",
    "optuna": "what the runs have found as trials of Optuna studies, one an environment, in a file of SQLite",
}
USAGE = "usage: hgenv COMMAND ..."
ENDING = """
Every command explains its options with --help. Every command takes --import MODULE or --import FILE.py, as often as
needed: tasks, optimizers and estimators that it registers are there. Packages that declare them in the entry points
hgenv.tasks, hgenv.optimizers and hgenv.estimators need no --import.
"""


def usage() -> str:
    """The page of `hgenv --help`."""
    rows = []
    for name, command in COMMANDS.items():
        rows.append((f"{name} {command.words}", command.summary))
        rows += [(f"bench {bench}", summary) for bench, summary in BENCHES.items() if name == "bench"]
    return "\n".join([USAGE, "", *(f"  {words:22}  {summary}" for words, summary in rows), ENDING])


def environments() -> dict[str, str]:
    """A line on every environment by id, other packages' included."""
    load_plugins("hgenv.tasks")
    return {env: TASKS.summary(env) for env in TASKS}


def optimizers() -> dict[str, type[Optimizer]]:
    """The optimizers by name, other packages' included."""
    try:
        from optimizers import OPTIMIZERS
    except ImportError as error:
        raise ValueError(f"the package `optimizers` that is found first is not hgenv's: {error}") from error
    load_plugins("hgenv.optimizers")
    return OPTIMIZERS


def players() -> dict[str, str]:
    """A line on everything that `hgenv run` takes, by name."""
    found = {name: summary(cls) for name, cls in optimizers().items()}
    return found | {AGENT: "An agent of stable-baselines3: PPO, SAC or TD3."}


def recipes() -> dict[str, str]:
    """A line on every recipe by name, but for those whose name is another package's optimizer's."""
    known = optimizers()
    return {name: f"{one.source}: {one.words}" for name, one in RECIPES.items() if name not in known}


def estimators() -> dict[str, str]:
    """A line on every estimator of the gradient by name, other packages' included. It does not import torch itself."""
    load_plugins("hgenv.estimators")
    found = {name: one.summary for name, one in declared("learning/gradient.py", "register_estimator").items()}
    loaded = sys.modules.get("hgenv.learning.gradient")
    return found | ({name: summary(cls) for name, cls in loaded.ESTIMATORS.items()} if loaded else {})


def summary(cls: type) -> str:
    """The first line of a class's docstring."""
    return (cls.__doc__ or "").strip().partition("\n")[0]
