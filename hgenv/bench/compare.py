"""Environments x optimizers x seeds at an equal budget: the cells of a comparison, each a run folder of its own."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import tyro

from hgenv.bench.processes import Failure
from hgenv.fields import AtLeast, AtMost, Many, Natural, OnDisk, check
from hgenv.files import read_json
from hgenv.recipes import FROM_SCRATCH, PAPER_GRADIENT, expanded
from hgenv.registry import find, short
from hgenv.run import Budget
from hgenv.runs.folder import ending
from hgenv.workers import check as check_workers

FIXED = "fixed"
CONTROLS = (FIXED, "random-beta")
_SEARCH, _EVOLUTION = "random-search --train-steps 10 --variant BRS --step 5", "evolution --train-steps 10"
METHODS = (
    f"random-search={_SEARCH}", f"random-search-initial={_SEARCH}{FROM_SCRATCH}",
    f"evolution={_EVOLUTION}", f"evolution-initial={_EVOLUTION}{FROM_SCRATCH}",
    "cma", "cma-initial", "tbpsa", "tbpsa-initial", "one-plus-one", "one-plus-one-initial",
    "population-based=population-based --train-steps 10", "learning-to-simulate", "reinforce", "random-step",
    "hybrid-gradient", f"paper={PAPER_GRADIENT}", "image", "influence", "score", "mixed", "perturbed",
    "ppo", "sac", "td3",
)  # fmt: skip
GOOD = "good"
RANDOM_FIXED = "random-fixed"
# What defines a cell: an option of every run would set it for the controls and the retraining too.
_OURS = ("env", "out", "seed", "report-every", "figures", "no-figures")
_BUDGET = tuple(field.name.replace("_", "-") for field in dataclasses.fields(Budget))
_STARTS = ("start", "start-seed")


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """Optimizers against the controls at an equal budget. Options after -- go to every run."""

    envs: tyro.conf.Positional[tuple[str, ...]] = ("hgenv/ToyShading-v0",)
    """Environment ids."""
    out: OnDisk = "bench"
    """Folder of the cells and the report."""
    optimizers: tuple[str, ...] = METHODS
    """LABEL=OPTIMIZER OPTIONS..., or a recipe, or the label of one of the defaults; fixed and random-beta are always
    there."""
    seeds: Annotated[int, AtLeast(2), AtMost(10_000)] = 5
    """Seeds of each, at least 2."""
    random_fixed: Annotated[int, AtLeast(0), AtMost(10_000)] = 10
    """Random betas that are kept: their best, median and worst are reported (the paper's Table 1). 0 for none."""
    good: tuple[str, ...] = ()
    """What is known to be good, one an environment: as --start of a run. Kept fixed it is `good`, whose score is 1."""
    starts: tuple[Literal["default", "random"], ...] = ("default",)
    """From where: the start of the environment, and betas from anywhere, of which start k is the same for all."""
    retrain_steps: tuple[Natural, ...] = (1000,)
    """Horizons: training steps from scratch, on seeds of their own, after which each found beta is scored; none for no
    such training."""
    report_every: Many = 5
    """Environment steps between scores."""
    workers: str = "auto"
    """Where cells run: so many processes at a time; auto, one a core; ray or ray://HOST:PORT, a Ray cluster."""
    retry: bool = False
    """Try cells again that have failed."""

    def __post_init__(self) -> None:
        check(self)
        check_workers(self.workers)
        if len(set(self.starts)) != len(self.starts) or not self.starts:
            raise ValueError(f"starts must be default, random or both, got {' '.join(self.starts)!r}")
        if not self.envs:
            raise ValueError("name at least one environment")
        for env in self.envs:
            find(env)
        if len({short(env) for env in self.envs}) < len(self.envs):
            raise ValueError(f"environments must differ in what follows the slash, got {', '.join(self.envs)}")
        if self.good and len(self.good) != len(self.envs):
            raise ValueError(f"good names one start for each of {len(self.envs)} environments, got {len(self.good)}")
        labels = [label for label, _ in self.methods()]
        for label in labels:
            if not re.fullmatch(r"[A-Za-z0-9._-]+", label) or label.endswith(".failed"):
                raise ValueError(f"{label!r} cannot be a label: give optimizers as LABEL=OPTIMIZER OPTIONS...")
        if len({*labels, GOOD, RANDOM_FIXED}) < len(labels) + 2:
            reserved = f"{GOOD} and {RANDOM_FIXED}"
            raise ValueError(f"labels must differ from each other and from {reserved}, got {', '.join(labels)}")
        for label, words in self.methods():
            if label in CONTROLS and words != [label]:
                raise ValueError(f"{label} is a control: give {' '.join(words)!r} another label")
            self._check_words(label, words)

    def _check_words(self, label: str, words: list[str]) -> None:
        if not words:
            raise ValueError(f"{label}= names no optimizer")
        of_tasks = [field.name for env in self.envs for field in dataclasses.fields(find(env))]  # type: ignore[arg-type]
        refused = {*_OURS, *_BUDGET, "size", *(name.replace("_", "-") for name in of_tasks)} & _options(words)
        if refused:
            raise ValueError(f"{label}: --{min(refused)} must be the same for all: the bench's own, or after --")

    def methods(self) -> list[tuple[str, list[str]]]:
        """Label and words of every optimizer, the controls first."""
        from optimizers import OPTIMIZERS

        presets, found = dict(text.split("=", 1) for text in METHODS if "=" in text), []
        for text in self.optimizers:
            label, equals, words = text.partition("=")
            if not equals or " " in label:  # an optimizer's name, or options that hold a "="
                label, words = text, presets.get(text, text)
            found.append((label, expanded(shlex.split(words), OPTIMIZERS)))
        controls = [(name, [name]) for name in CONTROLS if name not in [label for label, _ in found]]
        return controls + found


def _options(words: list[str]) -> set[str]:
    """Names of the options among words, without their dashes."""
    return {word[2:].partition("=")[0].replace("_", "-") for word in words if word.startswith("--")}


class Cell(NamedTuple):
    """One run: where it goes, the words after `hgenv run`, and those of the training from scratch, if there is one,
    which is scored after so many training steps."""

    env: str
    starts: str
    label: str
    seed: int
    folder: Path
    words: list[str]
    again: list[str]
    horizons: tuple[int, ...]

    @property
    def retrained(self) -> Path:
        """The folder of the training from scratch on what this cell found."""
        return self.folder.with_name(self.folder.name + "-retrained")

    def runs(self) -> list[tuple[Path, list[str]]]:
        """The folder and the words of its run, and of the training from scratch."""
        return [(self.folder, self.words), *([(self.retrained, self.again)] if self.again else [])]

    @property
    def failure(self) -> Path:
        """The file that says why the cell could not be run, if it could not: JSON, a Failure."""
        return self.folder.with_name(self.folder.name + ".failed.json")


def cells(o: CompareOptions, budget: Budget, common: list[str]) -> list[Cell]:
    """All cells, seed by seed, so that whatever is finished can be compared.

    Raises ValueError if an option of every run is one that defines a cell.
    """
    refused = {*_OURS, *_BUDGET, *_STARTS} & _options(common)
    if refused:
        raise ValueError(f"--{min(refused)} cannot go to every run; --start can be an option of an optimizer")
    limits = {name: value for name, value in dataclasses.asdict(budget).items() if value is not None}
    ending = [word for name, value in limits.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return [_cell(o, ending, common, *what) for what in _plan(o)]


_START = [FIXED, "--start"]
RANDOM_STARTS = "random-starts"
"""Folder of the cells with random starts, within that of the environment's."""


def _plan(o: CompareOptions) -> Iterator[tuple[str, str, str, int, list[str]]]:
    """Environment, starts, label, seed, and words of the optimizer."""
    for seed in range(o.seeds):
        for starts in o.starts:
            yield from ((env, starts, label, seed, words) for label, words in o.methods() for env in o.envs)
            good = zip(o.envs, o.good, strict=True) if o.good else ()
            yield from ((env, starts, GOOD, seed, [*_START, start]) for env, start in good)
    if o.starts == ("default",):  # else fixed beta from random starts is the same
        for seed in range(o.random_fixed):
            yield from ((env, "default", RANDOM_FIXED, seed, [*_START, "random"]) for env in o.envs)


def _cell(
    o: CompareOptions, ending: list[str], common: list[str], env: str, starts: str, label: str, seed: int,
    words: list[str],
) -> Cell:  # fmt: skip
    where = [RANDOM_STARTS] if starts == "random" else []
    folder = Path(o.out, short(env), *where, f"{label}-s{seed}")
    own = "start" in _options(words)  # as a reference has, whatever the others start from
    begin = ["--start", "random", "--start-seed", str(seed)] if starts == "random" and not own else []
    options = ["--env", env, *ending, "--seed", str(seed), *begin, "--report-every", str(o.report_every)]
    # Random beta has no beta of its own to train on: it is trained anew as it is.
    player = ["random-beta"] if words[0] == "random-beta" else [*_START, str(folder), *_spread(words)]
    again = []
    if o.retrain_steps:
        limit = ["--max-train-steps", str(max(o.retrain_steps)), "--seed", str(100 + seed)]
        again = [*player, "--env", env, *limit, "--report-every", "5", *common]
    return Cell(env, starts, label, seed, folder, [*words, *options, *common], again, o.retrain_steps)


def _spread(words: list[str]) -> list[str]:
    """The spread of a method's samples about its beta, which is part of what it has found: its own, or the answer's."""
    at = [i for i, word in enumerate(words) if word.partition("=")[0] == "--spread"]
    return [word for i in at for word in words[i : i + (1 if "=" in words[i] else 2)]] or ["--spread", "found"]


def failure_of(cell: Cell) -> Failure | None:
    """Why a cell could not be run, if it could not."""
    return Failure(**read_json(cell.failure)) if cell.failure.is_file() else None


def finished(folder: Path) -> bool:
    """Whether a run has come to the end of its budget."""
    return ending(folder) == "budget"


def ended(cell: Cell) -> str:
    """How a cell ended that did not come to the end of its budget; nothing if it was cut short."""
    return next((end for folder, _ in cell.runs() if (end := ending(folder)) not in ("", "budget")), "")
