"""hgenv resume: a run goes on from its last checkpoint."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import tyro

from hgenv import interpreter
from hgenv.cli.commands import AGENT
from hgenv.cli.options import parse
from hgenv.cli.run import Run, RunOptions, played, players
from hgenv.episode import Ledger
from hgenv.fields import Threads, check
from hgenv.options import build, flat
from hgenv.registry import load, unknown
from hgenv.run import Budget, Row, check_served, seconds_of
from hgenv.runs.folder import CHECKPOINT, METRICS, RunFolder, ending, made, read_config, read_rows
from hgenv.runs.logs import LogName
from hgenv.runs.logs import check as check_logs
from hgenv.workers import check as check_workers


@dataclasses.dataclass(frozen=True)
class ResumeOptions:
    """A run goes on from its last checkpoint, to the bit as if it had not been cut short."""

    folder: tyro.conf.Positional[str]
    """Folder of the run."""
    figures: bool | None = None
    """Draw the run's figures and write its page when it is over; None: as it was told to."""
    log: tuple[LogName, ...] | None = None
    """Tools to which rows and figures go from now on; None: as before."""
    workers: str | None = None
    """Where probes run from now on; None: as before."""
    render_workers: Threads | None = None
    """Threads that draw ahead from now on; None: as before."""

    def __post_init__(self) -> None:
        check(self)
        check_logs(self.log or ())
        if self.workers is not None:
            check_workers(self.workers)


@dataclasses.dataclass(frozen=True)
class NewBudget(Budget):
    """When the run ends; if any limit is given, those given are all that hold."""

    def __post_init__(self) -> None:
        check(self)


def command(words: list[str]) -> int:
    s = parse("resume", words, resume=ResumeOptions, budget=NewBudget)
    path = Path(s.resume.folder)
    config = read_config(path, of_run=True)
    budget = _budget(path, config, s.budget)
    for module in config["imports"]:
        load(module)
    name, known = config["optimizer_name"], players()
    if name not in known:
        raise ValueError(f"{path}: {unknown('optimizer', name, known)}")
    if s.resume.log is not None:
        config["run"]["log"] = s.resume.log
    options = build(RunOptions, config["run"])
    if s.resume.figures is not None:
        options = dataclasses.replace(options, figures=s.resume.figures)
    config["training"] |= {
        name: value for name in ("workers", "render_workers") if (value := vars(s.resume)[name]) is not None
    }
    env, player = made(config), build(known[name], config["optimizer"])
    if name != AGENT:
        check_served(env, player)
    if not (path / CHECKPOINT).exists():
        options.begin(env)
    _say_what_differs(config["versions"])
    config |= {"budget": flat(budget)}
    with RunFolder.again(path, config, options.checkpoint_seconds, options.checkpoint_steps) as folder:
        return played(Run(env, name, player, budget, options, folder))


def _budget(path: Path, config: dict[str, Any], given: NewBudget) -> Budget:
    """The limits that hold. Raises ValueError if the run has come to their end."""
    limits = dataclasses.asdict(given)
    if any(limit is not None for limit in limits.values()):
        budget = Budget(**limits)
        over = _spent(budget, read_rows(path) if (path / METRICS).exists() else []) >= 1.0
    else:
        limits, budget = config["budget"], build(Budget, config["budget"])
        over = bool(ending(path))
    if over:
        said = " ".join(f"--{name.replace('_', '-')} {limit}" for name, limit in limits.items() if limit is not None)
        raise ValueError(f"{path} has come to the end of {said}: give it more")
    return budget


def _spent(budget: Budget, rows: list[Row]) -> float:
    if not rows:
        return 0.0
    ledger = Ledger(**{f.name: int(rows[-1].get(f.name, 0)) for f in dataclasses.fields(Ledger)})
    return budget.spent(int(rows[-1]["step"]), ledger, seconds_of(rows[-1]))


def _say_what_differs(before: dict[str, str]) -> None:
    """The bits that follow may be others with another version of what they depend on."""
    now = interpreter.versions()
    found = [f"{name} {was}, now {now.get(name)}" for name, was in before.items() if was != now.get(name)]
    if found:
        print(f"hgenv: the run began with {'; '.join(found)}", file=sys.stderr)
