"""hgenv run: an optimizer or an agent plays an environment; its progress, the folder, the figures."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hgenv.cli import commands
from hgenv.cli.commands import AGENT
from hgenv.cli.options import DefaultBudget, EnvChoice, chosen_task, parse, start_from
from hgenv.cli.progress import Progress
from hgenv.env import DataGenEnv
from hgenv.fields import Many, Seed, check
from hgenv.options import EnvOptions, flat
from hgenv.registry import loaded, short, unknown
from hgenv.run import Row, check_served, run
from hgenv.runs import agents
from hgenv.runs.folder import RunFolder, described

Sink = Callable[[Row], None]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What to run, and where the results go."""

    out: str | None = None
    """Folder for the results, new or empty; runs/ENV-OPTIMIZER-sSEED if not given."""
    seed: Seed = 0
    """Seed of everything: network, samples, directions."""
    start: str | None = None
    """Run folder whose best beta is the start, JSON file {"NAME": VALUE} of some coordinates of beta, or "random"."""
    figures: bool = True
    """Draw the run's figures when it is over."""
    report_every: Many = 5
    """Environment steps between metrics of the whole validation and test splits."""

    def __post_init__(self) -> None:
        check(self)


def players() -> dict[str, type[Any]]:
    """What can be run: the optimizers, and the agents."""
    return {**commands.optimizers(), AGENT: agents.AgentOptions}


def parse_run(choices: dict[str, type[Any]], words: list[str]) -> Any:
    """The settings of `hgenv run`. Raises ValueError for an unknown optimizer; tyro exits for options it has not."""
    if not words or words[0].startswith("-"):
        raise ValueError(f"name an optimizer first: one of {', '.join(choices)}")
    if words[0] not in choices:
        raise ValueError(unknown("optimizer", words[0], choices))
    cls = choices[words[0]]
    wanted = {"gradient": "perturbed"} if words[0] != AGENT and cls.uses_gradient else {}
    return parse(
        f"run {words[0]}", words[1:], wanted, optimizer=cls, run=RunOptions, budget=DefaultBudget,
        environment=EnvChoice, task=chosen_task(words), training=EnvOptions,
    )  # fmt: skip


def command(words: list[str]) -> int:
    if words[:1] in (["-h"], ["--help"]):
        print("usage: hgenv run OPTIMIZER [options]\n\noptimizers:")
        print("\n".join(f"  {name:18} {text}" for name, text in commands.players().items()))
        print("\ntheir options, and those of the environment: hgenv run OPTIMIZER [--env ID] --help")
        return 0
    choices = players()
    s = parse_run(choices, words)
    name, chosen = words[0], s.environment.env
    env = DataGenEnv(s.task, s.training if name == AGENT else _demanded(s.training, s.optimizer))
    if s.run.start:
        start_from(env, s.run.start, s.run.seed)
    if name != AGENT:
        check_served(env, s.optimizer)
    path = Path(s.run.out or f"runs/{short(chosen)}-{name}-s{s.run.seed}")
    imports = [word for what in loaded() for word in ("--import", what)]
    config: dict[str, Any] = {"command": shlex.join(["hgenv", "run", *words, *imports]), "words": words}
    config |= {"optimizer_name": name} | {part: flat(getattr(s, part)) for part in ("run", "budget", "optimizer")}
    folder = RunFolder(path, config | described(chosen, s.task, env.options))
    status = _record(env, name, s, folder)
    if not folder.best:
        if status:
            return status
        raise ValueError(f"no validation {env.task.quantity.primary} of the run was finite: there is no snapshot")
    if s.run.figures:
        from hgenv.runs import plot

        plot.of_run(env, folder.path)
    if not status:
        folder.finish()
    print(_summed_up(folder, env.task.quantity.primary))
    return status


def _demanded(options: EnvOptions, optimizer: Any) -> EnvOptions:
    """The spread that the optimizer needs from the environment, unless the user said otherwise."""
    if optimizer.spread is not None and options.spread is None:
        return dataclasses.replace(options, spread=optimizer.spread)
    return options


def _record(env: DataGenEnv, name: str, s: Any, folder: RunFolder) -> int:
    """Play; the rows go to the folder and the progress. Exit status: 130 if it was interrupted, which keeps all."""
    key = env.task.quantity.primary
    with Progress("%") as progress:

        def sink(row: Row) -> None:
            folder.write(env, row)
            spent = s.budget.spent(int(row["step"]), env.ledger, row["cpu_seconds"])
            best = folder.best.get(f"validation.{key}", np.nan)
            note = f"step {row['step']:.0f}, val_loss {row['val_loss']:.4f}, best validation {key} {best:.4g}"
            progress.show(min(100, int(100 * spent)), 100, note)

        try:
            if name == AGENT:
                _play_agent(env, s, folder.path, sink)
            else:
                for row in run(env, s.optimizer, s.budget, s.run.seed, s.run.report_every):
                    sink(row)
        except KeyboardInterrupt:
            progress.say("interrupted: what was written until now is kept")
            return 130
    return 0


def _play_agent(env: DataGenEnv, s: Any, path: Path, sink: Sink) -> None:
    agent = agents.made(env, s.optimizer, s.run.seed)
    try:
        agents.play(env, agent, s.budget, s.run.report_every, sink)
    finally:  # interrupted as well
        agent.save(path / "agent.zip")


def _summed_up(folder: RunFolder, key: str) -> str:
    row, best = folder.last, folder.best
    return (
        f"{folder.path}: {int(row['step'])} steps, {int(row['train_steps'])} training steps, "
        f"{int(row['renders'])} renders, {row['cpu_seconds']:.0f} CPU s; best validation {key} "
        f"{best[f'validation.{key}']:.4g} at step {int(best['step'])}, test {key} there {best[f'test.{key}']:.4g}"
    )
