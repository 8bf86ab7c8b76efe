"""hgenv run: an optimizer or an agent plays an environment; a progress bar, the folder, the figures."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hgenv.cli.options import DefaultBudget, EnvChoice, chosen_task, parse, start_from
from hgenv.env import DataGenEnv
from hgenv.options import EnvOptions, flat
from hgenv.run import Budget, Row, check_served, run
from hgenv.runs.agents import AgentOptions, play
from hgenv.runs.folder import RunFolder, described

AGENT = "sb3"


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What to run, and where the results go."""

    out: str | None = None
    """Folder for the results, new or empty; runs/ENV-OPTIMIZER-sSEED if not given."""
    seed: int = 0
    """Seed of everything: network, samples, directions."""
    start: str | None = None
    """Run folder whose best beta is the start, JSON file {"NAME": VALUE} of some coordinates of beta, or "random"."""
    figures: bool = True
    """Draw the run's figures when it is over."""
    report_every: int = 5
    """Environment steps between scores on the whole validation and test splits."""

    def __post_init__(self) -> None:
        if self.seed < 0 or self.report_every < 1:
            raise ValueError(f"need seed >= 0 and report_every >= 1, got {self.seed} and {self.report_every}")


def players() -> dict[str, type[Any]]:
    """What can be run: the optimizers, and the agents."""
    try:
        from optimizers import OPTIMIZERS
    except ImportError as error:
        raise ValueError(f"the package `optimizers` that is found first is not hgenv's: {error}") from error
    return {**OPTIMIZERS, AGENT: AgentOptions}


def parse_run(choices: dict[str, type[Any]], words: list[str]) -> Any:
    """The settings of `hgenv run`. Raises ValueError for an unknown optimizer; tyro exits for options it has not."""
    if not words or words[0] not in choices:
        raise ValueError(f"name an optimizer: one of {', '.join(choices)}; got {words[0] if words else 'none'!r}")
    cls = choices[words[0]]
    wanted = {"gradient": "perturbed"} if cls is not AgentOptions and cls.uses_gradient else {}
    return parse(
        f"run {words[0]}", words[1:], wanted, optimizer=cls, run=RunOptions, budget=DefaultBudget, env=EnvChoice,
        task=chosen_task(words), training=EnvOptions,
    )  # fmt: skip


def command(words: list[str]) -> int:
    choices = players()
    if words[:1] in (["-h"], ["--help"]):
        print(f"usage: hgenv run OPTIMIZER [options]\n\noptimizers: {', '.join(choices)}")
        print("their options, and those of the environment: hgenv run OPTIMIZER --help")
        return 0
    s = parse_run(choices, words)
    name, cls = words[0], choices[words[0]]
    env = DataGenEnv(s.task, s.training if name == AGENT else _demanded(s.training, cls))
    if s.run.start:
        start_from(env, s.run.start, s.run.seed)
    if name != AGENT:
        check_served(env, s.optimizer)
    path = Path(s.run.out or f"runs/{s.env.env.split('/')[-1]}-{name}-s{s.run.seed}")
    config: dict[str, Any] = {"command": shlex.join(["hgenv", "run", *words]), "optimizer_name": name}
    config |= {part: flat(getattr(s, part)) for part in ("run", "budget", "optimizer")}
    config |= described(s.env.env, s.task, env.options)
    folder = RunFolder(path, config)

    def drive(sink: Callable[[Row], None]) -> None:
        if name == AGENT:
            play(env, s.optimizer, s.budget, s.run.seed, s.run.report_every, sink)
        else:
            for row in run(env, s.optimizer, s.budget, s.run.seed, s.run.report_every):
                sink(row)

    return _record(env, drive, s.budget, s.run, folder)


def _demanded(options: EnvOptions, optimizer: Any) -> EnvOptions:
    """The spread that the optimizer needs from the environment, unless the user said otherwise."""
    if optimizer.spread is not None and options.spread is None:
        return dataclasses.replace(options, spread=optimizer.spread)
    return options


def _record(
    env: DataGenEnv, drive: Callable[[Callable[[Row], None]], None], budget: Budget, options: RunOptions,
    folder: RunFolder,
) -> int:  # fmt: skip
    """Drive a run whose rows go to its folder and to a progress bar; then figures and a line that sums it up."""
    key, status = env.task.quantity.primary, 0
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}", disable=None) as bar:

        def sink(row: Row) -> None:
            folder.write(env, row)
            bar.update(min(100, int(100 * budget.spent(int(row["step"]), env.ledger, row["cpu_seconds"]))) - bar.n)
            if f"test.{key}" in row:
                best = folder.best.get(f"validation.{key}", np.nan)
                bar.set_postfix_str(f"val_loss {row['val_loss']:.4f} best validation {best:.4g}")

        try:
            drive(sink)
        except KeyboardInterrupt:
            print("interrupted: what was written until now is kept", file=sys.stderr)
            status = 130
    if not folder.best:
        if status:
            return status
        raise ValueError(f"no validation {key} of the run was finite: there is no snapshot and no figure")
    if options.figures:
        from hgenv.runs import plot

        plot.of_run(env, folder.path)
    if not status:
        folder.finish()
    row, best = folder.last, folder.best
    print(
        f"{folder.path}: {int(row['step'])} steps, {int(row['train_steps'])} training steps, "
        f"{int(row['renders'])} renders, {row['cpu_seconds']:.0f} CPU s; best validation {key} "
        f"{best[f'validation.{key}']:.4g} at step {int(best['step'])}, test {key} there {best[f'test.{key}']:.4g}"
    )
    return status
