"""The command line: list, show, baselines, run, plot, film, bench, doctor. Options are fields of dataclasses."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from hgenv.agents import AgentOptions, play
from hgenv.beta import Layout
from hgenv.env import DataGenEnv
from hgenv.options import EnvOptions
from hgenv.run import Budget, Row, RunFolder, check_served, load_snapshot, read_rows, run, versions
from hgenv.task import TASKS, Task, find

DEFAULT_ENV = "hgenv/ShapeNormals-v0"
AGENT = "sb3"
USAGE = """hgenv COMMAND ...

  list [-v]               the environments; with -v every coordinate of beta
  show                    contact sheets of an environment's samples and its target domain
  baselines               scores that need no learning
  run OPTIMIZER           optimise beta; writes a run folder
  run sb3                 the same by an agent of stable-baselines3
  plot RUN [RUN ...]      learning curves of runs in one figure
  film RUN                a GIF of beta's distributions and samples over a run
  bench ENV [ENV ...]     optimizers against the controls at an equal budget: tables, figures, a page
  bench fidelity          estimates of the gradient against brute force
  bench linearity         the paper's scalar against the exact difference of influence
  bench render            images per core-second of the renderer and of others
  doctor                  what is installed and whether it works

Every command explains its options with --help.
"""
Settings = TypeVar("Settings")


@dataclasses.dataclass(frozen=True)
class EnvChoice:
    """Which environment."""

    env: str = DEFAULT_ENV
    """Environment id; its own options follow from it."""


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


@dataclasses.dataclass(frozen=True)
class DefaultBudget(Budget):
    """When the run ends: at the first limit reached; 60 CPU seconds if none is given."""

    def __post_init__(self) -> None:
        if all(getattr(self, f.name) is None for f in dataclasses.fields(self)):
            object.__setattr__(self, "max_seconds", 60.0)
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class ShowOptions:
    """Contact sheets."""

    out: str = "show.png"
    """PNG to write: samples above, target domain below."""
    count: int = 24
    """Pictures of each kind."""
    start: str | None = None
    """What is shown instead of the start: a run folder, a JSON file of beta, or "random"."""


@dataclasses.dataclass(frozen=True)
class PlotOptions:
    """Learning curves."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders."""
    metric: str = "mae"
    """Column to plot, without its split: mae, median, n_mae, ... or loss, as the runs' tasks have it."""
    out: str = "curves.png"
    """PNG to write."""


@dataclasses.dataclass(frozen=True)
class FilmOptions:
    """A film of one run."""

    run: tyro.conf.Positional[str]
    """Run folder."""
    out: str = "beta.gif"
    """GIF to write."""
    frames: int = 24
    """Moments of the run that it shows."""

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ValueError(f"a film needs at least 2 frames, got {self.frames}")


@dataclasses.dataclass(frozen=True)
class ListOptions:
    """The environments."""

    verbose: tyro.conf.FlagCreatePairsOff[bool] = dataclasses.field(default=False)
    """Every coordinate of beta: range, start, meaning (-v)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 2 for a mistake of the user's, 130 for an interruption."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {
        "list": _list, "show": _show, "baselines": _baselines, "run": _run, "plot": _plot, "film": _film,
        "bench": _bench, "doctor": _doctor,
    }  # fmt: skip
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if words[0] not in commands:
        return _fail(f"unknown command {words[0]!r}; known: {', '.join(commands)}")
    torch.set_num_threads(1)  # two threads on two busy cores were several times slower
    try:
        return commands[words[0]](words[1:])
    except (ValueError, KeyError, TypeError, OSError) as error:
        if os.environ.get("HGENV_TRACEBACK"):  # for those who look for the cause
            raise
        return _fail(str(error.args[0] if isinstance(error, KeyError) else error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _fail(message: str) -> int:
    print(f"hgenv: error: {message}", file=sys.stderr)
    return 2


def _parse(prog: str, words: list[str], **parts: Any) -> Any:
    """Parse words into one dataclass whose fields are the given dataclasses, their options side by side."""
    owners: dict[str, str] = {}
    for part, cls in parts.items():
        for field in dataclasses.fields(cls):
            if field.name in owners:
                raise ValueError(
                    f"--{field.name} would be an option of both {owners[field.name]} and {part}: rename one"
                )
            owners[field.name] = part
    settings = dataclasses.make_dataclass(
        "Settings", [(k, v, dataclasses.field(default_factory=v)) for k, v in parts.items()]
    )
    return tyro.cli(settings, args=words, prog=f"hgenv {prog}", description="", config=(tyro.conf.OmitArgPrefixes,))


def _chosen_task(words: list[str]) -> type[Task]:
    """The task named by --env, whose fields are options too."""
    for i, word in enumerate(words):
        if word == "--env" and i + 1 < len(words):
            return find(words[i + 1])
        if word.startswith("--env="):
            return find(word.removeprefix("--env="))
    return find(DEFAULT_ENV)


def _list(words: list[str]) -> int:
    verbose = tyro.cli(
        ListOptions, args=["--verbose" if word == "-v" else word for word in words], prog="hgenv list"
    ).verbose
    for name, task in sorted(TASKS.items()):
        layout = task().layout
        print(f"{name:28} beta {len(layout.names):4}  {(task.__doc__ or '').splitlines()[0]}")
        for p, discrete in zip(layout.parameters, layout.discrete, strict=True) if verbose else ():
            kind = "discrete" if discrete else "continuous"
            print(f"    {p.name:28} [{p.low:6.2f}, {p.high:6.2f}]  start {p.initial:6.2f}  {kind:10}  {p.meaning}")
    return 0


def _show(words: list[str]) -> int:
    from hgenv import plot  # here and below: what only some commands need is imported by them

    s = _parse("show", words, env=EnvChoice, task=_chosen_task(words), training=EnvOptions, show=ShowOptions)
    if not s.show.out.endswith(".png"):
        raise ValueError(f"--out must end in .png, got {s.show.out!r}")
    env = DataGenEnv(s.task, s.training)
    if s.show.start:
        _start_from(env, s.show.start, seed=0)
    ours, target = env.contact_sheet(env.start, s.show.count, 12), plot.target_samples(env, s.show.count)
    plot.write_png(Path(s.show.out), np.concatenate([ours, np.full((4, ours.shape[1], 3), 255, np.uint8), target]), 2)
    print(f"{s.show.out}: {s.show.count} samples above, the target domain below; each with its ground truth under it")
    return 0


def _start_from(env: DataGenEnv, where: str, seed: int) -> None:
    """Start at a run's best, at what a JSON file says, or anywhere ("random", which depends on the seed)."""
    layout = env.task.layout
    if where == "random":
        env.start_from(layout.from_action(np.random.default_rng([seed, 2]).uniform(-1.0, 1.0, len(layout.low))))
    elif where.endswith(".json"):
        env.start_from(_read_beta(layout, Path(where)))
    else:
        snapshot = load_snapshot(Path(where))
        env.start_from(snapshot["beta"], snapshot.get("state.memory"))


def _read_beta(layout: Layout, path: Path) -> NDArray[np.float64]:
    """Physical beta: the start with the coordinates changed that a JSON file names."""
    try:
        given = json.loads(path.read_text())
        values = {str(name): float(value) for name, value in given.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} must hold {{"NAME": NUMBER, ...}}: {error}') from error
    unknown = values.keys() - set(layout.names)
    if unknown:
        raise ValueError(f"{path} names {sorted(unknown)}, which beta does not have; see hgenv list -v")
    beta = np.array([values.get(name, start) for name, start in zip(layout.names, layout.initial, strict=True)])
    if not np.all((beta >= layout.low) & (beta <= layout.high)):
        raise ValueError(f"{path} has values outside their range; see hgenv list -v")
    return beta


def _baselines(words: list[str]) -> int:
    s = _parse("baselines", words, env=EnvChoice, task=_chosen_task(words))
    for split in ("validation", "test"):
        for name, metrics in s.task.baselines(split).items():
            print(f"{split:10}  {name:16}" + "".join(f"  {k} {v:.4g}" for k, v in metrics.items()))
    return 0


def _players() -> dict[str, type[Any]]:
    """What can be run: the optimizers, and the agents."""
    try:
        from optimizers import OPTIMIZERS
    except ImportError as error:
        raise ValueError(f"the package `optimizers` that is found first is not hgenv's: {error}") from error
    return {**OPTIMIZERS, AGENT: AgentOptions}


def _parse_run(players: dict[str, type[Any]], words: list[str]) -> Any:
    """The settings of `hgenv run`. Raises ValueError for an unknown optimizer; tyro exits for options it has not."""
    if not words or words[0] not in players:
        raise ValueError(f"name an optimizer: one of {', '.join(players)}; got {words[0] if words else 'none'!r}")
    return _parse(
        f"run {words[0]}", words[1:], run=RunOptions, budget=DefaultBudget, env=EnvChoice, task=_chosen_task(words),
        training=EnvOptions, optimizer=players[words[0]],
    )  # fmt: skip


def _run(words: list[str]) -> int:
    players = _players()
    if words[:1] in (["-h"], ["--help"]):
        print(f"usage: hgenv run OPTIMIZER [options]\n\noptimizers: {', '.join(players)}")
        print("their options, and those of the environment: hgenv run OPTIMIZER --help")
        return 0
    s = _parse_run(players, words)
    name, cls = words[0], players[words[0]]
    env = DataGenEnv(s.task, s.training if name == AGENT else _demanded(s.training, cls))
    if s.run.start:
        _start_from(env, s.run.start, s.run.seed)
    if name != AGENT:
        check_served(env, s.optimizer)
    path = Path(s.run.out or f"runs/{s.env.env.split('/')[-1]}-{name}-s{s.run.seed}")
    config: dict[str, Any] = {"command": shlex.join(["hgenv", "run", *words]), "optimizer_name": name}
    config |= {part: dataclasses.asdict(getattr(s, part)) for part in ("run", "budget", "env", "task", "optimizer")}
    folder = RunFolder(path, config | {"training": dataclasses.asdict(env.options)})

    def drive(sink: Callable[[Row], None]) -> None:
        if name == AGENT:
            play(env, s.optimizer, s.budget, s.run.seed, s.run.report_every, sink)
        else:
            for row in run(env, s.optimizer, s.budget, s.run.seed, s.run.report_every):
                sink(row)

    return _record(env, drive, s.budget, s.run, folder)


def _demanded(options: EnvOptions, optimizer: Any) -> EnvOptions:
    """What the optimizer needs from the environment, unless the user said otherwise."""
    if optimizer.uses_gradient and options.gradient is None:
        options = dataclasses.replace(options, gradient="perturbed")
    if optimizer.spread is not None and options.spread is None:
        options = dataclasses.replace(options, spread=optimizer.spread)
    return options


def _record(
    env: DataGenEnv, drive: Callable[[Callable[[Row], None]], None], budget: Budget, options: RunOptions,
    folder: RunFolder,
) -> int:  # fmt: skip
    """Drive a run whose rows go to its folder and to a progress bar; then figures and a line that sums it up."""
    key, status = env.task.primary, 0
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
        return status or _fail(f"no validation {key} of the run was finite: there is no snapshot and no figure")
    if options.figures:
        from hgenv import plot

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


def _plot(words: list[str]) -> int:
    from hgenv import plot

    s = tyro.cli(PlotOptions, args=words, prog="hgenv plot")
    if not s.runs:
        raise ValueError("name at least one run folder")
    plot.curves([Path(folder) for folder in s.runs], s.metric, Path(s.out))
    print(s.out)
    return 0


def _film(words: list[str]) -> int:
    from hgenv import history

    s = tyro.cli(FilmOptions, args=words, prog="hgenv film")
    if not s.out.endswith(".gif"):
        raise ValueError(f"--out must end in .gif, got {s.out!r}")
    rows, config = read_rows(Path(s.run)), json.loads((Path(s.run) / "config.json").read_text())
    env = DataGenEnv(find(config["env"]["env"])(**config["task"]), EnvOptions(**config["training"]))
    if not rows:
        raise ValueError(f"{s.run} has no row yet")
    env.start_from([rows[0][f"beta.{name}"] for name in env.task.layout.names])  # frozen coordinates stay there
    history.film(env, rows, Path(s.out), s.frames)
    print(s.out)
    return 0


def _bench(words: list[str]) -> int:
    benches = {"fidelity": _bench_fidelity, "linearity": _bench_linearity, "render": _bench_render}
    if words and words[0] in benches:
        return benches[words[0]](words[1:])
    if not words or "/" not in words[0]:
        usage = f"hgenv bench ENV [ENV ...] [options], or hgenv bench {'|'.join(benches)} [options]"
        if words[:1] in (["-h"], ["--help"]):
            print(f"usage: {usage}\n\noptions: hgenv bench ENV --help")
            return 0
        raise ValueError(f"expected {usage}; got {words[0] if words else 'nothing'!r}")
    return _bench_compare(words)


def _bench_compare(words: list[str]) -> int:
    from hgenv.bench import compare, report

    cut = words.index("--") if "--" in words else len(words)
    s = _parse("bench ENV ...", words[:cut], bench=compare.CompareOptions, budget=DefaultBudget)
    common, out, failed = words[cut + 1 :], Path(s.bench.out), 0
    todo, players = compare.cells(s.bench, s.budget, common), _players()
    for cell in todo:
        if cell.seed == 0:  # a mistake in an option shows before anything is run
            _parse_run(players, cell.words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it must not leave cells behind
    status = 0
    with tqdm(unit="cell", disable=None) as bar:
        try:
            for done, total, name in compare.play(s.bench, s.budget, common):
                bar.total = total
                bar.update(done - bar.n)
                if ":" in name:
                    failed += 1
                    bar.write(f"not measured: {name}", file=sys.stderr)
        except KeyboardInterrupt:
            print("interrupted: finished cells are kept", file=sys.stderr)
            status = 130
    if status == 0 or any(compare.finished(cell.folder) for cell in todo):
        print(report.write(out, todo, shlex.join(["hgenv", "bench", *words])))
    return status or (1 if failed else 0)


def _bench_fidelity(words: list[str]) -> int:
    from hgenv.bench import fidelity

    s = _parse_bench("fidelity", words, fidelity.FidelityOptions)
    with tqdm(unit="vector", disable=None) as bar:
        for done, total in fidelity.measure(s.task, s.training, s.bench):
            bar.total = total
            bar.update(done - bar.n)
    print((Path(s.bench.out) / "table.md").read_text(), end="")
    return 0


def _parse_bench(name: str, words: list[str], options: type[Any]) -> Any:
    """Options of a bench whose first word may be the id of an environment."""
    named = ["--env", words[0], *words[1:]] if words and not words[0].startswith("-") else words
    return _parse(
        f"bench {name} [ENV]", named, env=EnvChoice, task=_chosen_task(named), training=EnvOptions, bench=options
    )


def _bench_linearity(words: list[str]) -> int:
    from hgenv.bench import linearity

    s = _parse_bench("linearity", words, linearity.LinearityOptions)
    for line in linearity.measure(s.task, s.training, s.bench):
        print(line, flush=True)
    return 0


def _bench_render(words: list[str]) -> int:
    from hgenv.bench import render_speed

    for line in render_speed.measure(tyro.cli(render_speed.RenderOptions, args=words, prog="hgenv bench render")):
        print(line)
    return 0


def _doctor(words: list[str]) -> int:
    s = _parse("doctor", words, env=EnvChoice, task=_chosen_task(words))
    for name, version in versions().items():
        print(f"{name:12} {version}")
    print(f"{'cores':12} {os.cpu_count()}")
    print(f"{'cuda':12} {'yes' if torch.cuda.is_available() else 'no (not needed)'}")
    env = DataGenEnv(s.task, EnvOptions(gradient="image", train_steps=2, differentiated_steps=1))
    env.reset(seed=0)
    _, _, _, _, info = env.step(env.start)
    finite = bool(np.isfinite(info["hybrid_gradient"]).all())
    print(f"{s.env.env}: one step with its gradient: {'works' if finite else 'gradient is not finite'}")
    return 0 if finite else 1
