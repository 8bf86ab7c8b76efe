"""hgenv run: an optimizer or an agent plays an environment; its progress, the folder, the figures."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hgenv.cli import commands
from hgenv.cli.commands import AGENT
from hgenv.cli.interruption import check_interruption, interruption_status
from hgenv.cli.main import told
from hgenv.cli.options import DefaultBudget, EnvChoice, chosen_task, parse, size_of, start_from, value_of
from hgenv.cli.progress import Progress
from hgenv.env import DataGenEnv
from hgenv.fields import Many, Natural, OnDisk, Positive, Seed, check
from hgenv.files import whole
from hgenv.options import EnvOptions, flat
from hgenv.recipes import BEST_DESCENT, BEST_ESTIMATOR, BEST_WITHOUT_DENSITY, RECIPES, expanded
from hgenv.registry import loaded, short, unknown
from hgenv.run import Budget, DivergedError, Row, check_served, seconds_of
from hgenv.run import run as play
from hgenv.runs import agents
from hgenv.runs.folder import OpenRun, RunFolder, described, read_config, read_rows, snapshot_in
from hgenv.runs.logs import LogName, Logs
from hgenv.runs.logs import check as check_logs

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

DIVERGED = 3
"""Exit status of a run that has no end that counts."""


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What to run, and where the results go."""

    out: OnDisk | None = None
    """Folder for the results, new or empty; runs/ENV-OPTIMIZER-sSEED, or runs/ENV-RECIPE-sSEED, if not given."""
    seed: Seed = 0
    """Seed of everything: network, samples, directions."""
    start: OnDisk | None = None
    """Run folder whose best beta is the start, JSON file {"NAME": VALUE} of some coordinates of beta, or "random"."""
    start_seed: Seed | None = None
    """Seed of a random start; None: that of everything else."""
    figures: bool = True
    """Draw the run's figures and write its page, report.html, when it is over."""
    log: tuple[LogName, ...] = ()
    """Tools to which rows and figures go, too, each an extra of its own; nothing is sent that they are not told to."""
    report_every: Many = 5
    """Environment steps between metrics of the whole validation and test splits."""
    checkpoint_seconds: Positive = 60.0
    """Wall seconds between checkpoints, from which `hgenv resume` goes on."""
    checkpoint_steps: Natural | None = None
    """Environment steps between checkpoints, if they come sooner."""
    max_failed_steps: Natural = 10
    """Steps in a row whose loss, weights or gradient are not finite after which the run ends, with exit status 3."""

    def __post_init__(self) -> None:
        check(self)
        check_logs(self.log)
        if self.start_seed is not None and self.start != "random":
            raise ValueError(f"start_seed has no meaning without start='random', got {self.start_seed}")

    def begin(self, env: DataGenEnv) -> None:
        """Let an environment start where the run does."""
        if self.start:
            start_from(env, self.start, self.seed if self.start_seed is None else self.start_seed)


def players() -> dict[str, type[Any]]:
    """What can be run: the optimizers, and the agents."""
    return {**commands.optimizers(), AGENT: agents.AgentOptions}


def parse_run(choices: dict[str, type[Any]], words: list[str]) -> Any:
    """The settings of `hgenv run`. Raises ValueError for an unknown optimizer; tyro exits for options it has not."""
    if not words or words[0].startswith("-"):
        raise ValueError(f"name an optimizer first: one of {', '.join(choices)}")
    if words[0] not in choices:
        raise ValueError(unknown("optimizer", words[0], [*choices, *RECIPES]))
    cls = choices[words[0]]
    if words[0] == AGENT or not cls.uses_gradient or value_of(words, "gradient", None) is not None:
        return _parsed(cls, words, {})
    parsed = _parsed(cls, words, BEST_ESTIMATOR | (BEST_DESCENT if words[0] == "hybrid-gradient" else {}))
    return parsed if parsed.task.layout.has_density else _parsed(cls, words, BEST_WITHOUT_DENSITY)


def _parsed(cls: type[Any], words: list[str], wanted: Mapping[str, Any]) -> Any:
    return parse(
        f"run {words[0]}", words[1:], {**wanted, **size_of(words)}, optimizer=cls, run=RunOptions, budget=DefaultBudget,
        environment=EnvChoice, task=chosen_task(words), training=EnvOptions,
    )  # fmt: skip


def command(words: list[str]) -> int:
    if words[:1] in (["-h"], ["--help"]):
        print("usage: hgenv run OPTIMIZER [options]\n       hgenv run RECIPE [options]")
        for title, known in (("optimizers", commands.players()), ("recipes", commands.recipes())):
            print("\n".join([f"\n{title}:", *(f"  {name:23} {text}" for name, text in known.items())]))
        print("\ntheir options, and those of the environment: hgenv run OPTIMIZER [--env ID] --help")
        return 0
    choices, given = players(), words
    words = expanded(given, choices)
    s = parse_run(choices, words)
    name, chosen = words[0], s.environment.env
    env = DataGenEnv(s.task, s.training if name == AGENT else _demanded(s.training, s.optimizer))
    s.run.begin(env)
    if name != AGENT:
        check_served(env, s.optimizer)
    path = Path(s.run.out or f"runs/{short(chosen)}-{given[0]}-s{s.run.seed}")
    imports = [word for what in loaded() for word in ("--import", what)]
    config: dict[str, Any] = {"command": shlex.join(["hgenv", "run", *given, *imports]), "words": words}
    config |= {"optimizer_name": name} | {part: flat(getattr(s, part)) for part in ("run", "budget", "optimizer")}
    if s.run.start not in (None, "random"):
        config["run"]["start"] = os.path.abspath(s.run.start)
    config |= described(chosen, s.task, env.options)
    with RunFolder.new(path, config, s.run.checkpoint_seconds, s.run.checkpoint_steps) as folder:
        return played(Run(env, name, s.optimizer, s.budget, s.run, folder))


def _demanded(options: EnvOptions, optimizer: Any) -> EnvOptions:
    """The spread that the optimizer needs from the environment, unless the user said otherwise."""
    if optimizer.spread is not None and options.spread is None:
        return dataclasses.replace(options, spread=optimizer.spread)
    return options


class Run(NamedTuple):
    """All that a run is made of; player is an optimizer, or the options of an agent."""

    env: DataGenEnv
    name: str
    player: Any
    budget: Budget
    options: RunOptions
    folder: RunFolder


def played(run: Run) -> int:
    """Play to the end of the budget, or to an interruption. Exit status: DIVERGED if there is no end that counts."""
    folder, key = run.folder, run.env.task.quantity.primary
    with Progress("%") as progress, Logs(run.options.log, folder, progress.say) as logs:
        ended, status = "budget", 0
        try:
            _play(run, progress, logs)
        except KeyboardInterrupt as interruption:
            goes_on = f": hgenv resume {shlex.quote(str(folder.path))} goes on" if folder.last else ""
            progress.say(f"interrupted{goes_on}")
            return interruption_status(interruption)
        except DivergedError as error:
            ended, status = f"diverged: {error}", DIVERGED
        if not status and folder.last["failed_steps"] == folder.last["step"] > 0:
            ended, status = f"diverged: all {folder.last['step']} steps failed", DIVERGED
        if not folder.best:
            ended, status = f"no validation {key} was finite", DIVERGED
        folder.finish(ended)
        if run.options.figures and _shown(run, progress):
            logs.pictures()
    print(_summed_up(folder, key))
    if status:
        print(f"hgenv: {folder.path}: {ended}", file=sys.stderr)
    return status


def _play(run: Run, progress: Progress, logs: Logs) -> None:
    env, folder, key = run.env, run.folder, run.env.task.quantity.primary

    def sink(row: Row) -> None:
        folder.write(env, row)
        logs.row(row)
        spent = run.budget.spent(int(row["step"]), env.ledger, seconds_of(row))
        best = folder.best.get(f"validation.{key}", np.nan)
        note = f"step {row['step']:.0f}, val_loss {row['val_loss']:.4f}, best validation {key} {best:.4g}"
        progress.show(min(100, int(100 * spent)), 100, note)
        check_interruption()

    o = run.options
    common = (o.report_every, folder.checkpoint, o.max_failed_steps)
    if run.name == AGENT:
        agent = agents.made(env, run.player, o.seed)
        try:
            agents.play(env, agent, run.budget, sink, *common)
        except (KeyboardInterrupt, DivergedError):
            _keep(agent, folder)
            raise
        _keep(agent, folder)
        return
    with closing(play(env, run.player, run.budget, o.seed, *common)) as rows:
        for row in rows:
            sink(row)


def _keep(agent: BaseAlgorithm, folder: RunFolder) -> None:
    """The agent as stable-baselines3 saves it, if it has played."""
    if agent.num_timesteps:
        with whole(folder.path / "agent.zip") as partial:
            agent.save(partial)


def _shown(run: Run, progress: Progress) -> bool:
    """Draw the figures, and write the page, of which none can make a run fail that has come to its end; whether there
    are figures."""
    path, made, drawn = run.folder.path, {"page": _page}, set[str]()
    for what, draw in ({"figures": _figures} | made if run.folder.best else made).items():
        try:
            draw(run)
            drawn.add(what)
        except Exception as error:
            progress.say(f"hgenv: the {what} of {path} could not be drawn: {told(error)}")
    return "figures" in drawn


def _figures(run: Run) -> None:
    from hgenv.runs import plot

    plot.of_run(run.env, run.folder.path)


def _page(run: Run) -> None:
    from hgenv.runs import report

    path = run.folder.path
    report.write(OpenRun(run.env, read_rows(path), snapshot_in(path), read_config(path)), path)


def _summed_up(folder: RunFolder, key: str) -> str:
    row, best = folder.last, folder.best
    text = (
        f"{folder.path}: {int(row['step'])} steps, {int(row['train_steps'])} training steps, "
        f"{int(row['renders'])} renders, {row['cpu_seconds']:.0f} CPU s"
    )
    if row["gpu_seconds"]:
        text += f", {row['gpu_seconds']:.0f} GPU s"
    if failed := int(row["failed_steps"]):
        text += f", {failed} failed steps"
    if best:
        text += (
            f"; best validation {key} {best[f'validation.{key}']:.4g} at step {int(best['step'])}, test {key} there "
            f"{best[f'test.{key}']:.4g}"
        )
    return text
