"""hgenv bench: optimizers against the controls, and instruments that measure estimates, seconds and renderers."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import tyro

from hgenv.cli import commands
from hgenv.cli.commands import BENCHES
from hgenv.cli.options import BenchBudget, EnvChoice, EnvId, chosen_task, parse, size_of
from hgenv.cli.progress import Progress
from hgenv.cli.run import parse_run, players
from hgenv.env import DataGenEnv
from hgenv.fields import on_disk
from hgenv.options import EnvOptions
from hgenv.registry import find, loaded, unknown
from hgenv.sizes import of_size

T = TypeVar("T")


def command(words: list[str]) -> int:
    if words[:1] in (["-h"], ["--help"]):
        rows = [("ENV [ENV ...]", commands.COMMANDS["bench"].summary), *BENCHES.items()]
        print("\n".join(["usage: hgenv bench WHAT ...", "", *(f"  {what:14} {text}" for what, text in rows)]))
        print("\noptions: hgenv bench WHAT --help")
        return 0
    if not words or words[0].startswith("-"):
        raise ValueError(f"name an environment, or one of {', '.join(BENCHES)}")
    benches = {
        "fidelity": _fidelity, "horizon": _horizon, "linearity": _linearity, "signal": _signal, "variance": _variance,
        "metasmooth": _metasmooth, "speed": _speed, "scaling": _scaling, "render": _render,
    }  # fmt: skip
    if words[0] in benches:
        return benches[words[0]](words[1:])
    try:
        find(words[0])
    except KeyError as error:
        raise ValueError(unknown("environment or bench", words[0], [*BENCHES, *commands.environments()])) from error
    return _compare(words)


def _compare(words: list[str]) -> int:
    from hgenv.bench import compare, playing, report
    from hgenv.bench.plan import Plan
    from hgenv.cli import cells

    choices, cut = players(), words.index("--") if "--" in words else len(words)
    s = parse("bench ENV ...", words[:cut], bench=compare.CompareOptions, budget=BenchBudget)
    imports = [word for what in loaded() for word in ("--import", what)]
    plan = Plan(s.bench, s.budget, words[cut + 1 :], shlex.join(["hgenv", "bench", *imports, *words]))
    todo = plan.cells()
    tasks = {}
    for cell in todo:
        if cell.seed == 0:  # a mistake in an option shows before anything is run
            tasks[cell.env] = parse_run(choices, cell.words).task
    for task in tasks.values():
        if on_disk(task):  # and so does what cannot be read
            DataGenEnv(task)
    status = cells.play(playing.play(plan))
    if status <= 1 or any(compare.finished(cell.folder) for cell in todo):
        print(report.write(plan))
    return status


def _fidelity(words: list[str]) -> int:
    from hgenv.bench import fidelity

    s = _parse_bench("fidelity", words, fidelity.FidelityOptions)
    settings = _settings(s.bench.settings, s.training)
    return _vectors(fidelity.measure(s.task, s.training, settings, s.bench), Path(s.bench.out) / "table.md")


def _horizon(words: list[str]) -> int:
    from hgenv.bench import horizon

    s = _parse_bench("horizon", words, horizon.HorizonOptions)
    settings = _settings(s.bench.vectors().settings, s.training)
    return _vectors(horizon.measure(s.task, s.training, settings, s.bench), Path(s.bench.out) / horizon.TABLE)


def _vectors(measured: Iterable[tuple[int, int]], table: Path) -> int:
    """Measure vectors while it is told how many there are, then print the table."""
    with Progress("vectors") as progress:
        for done, total in measured:
            progress.show(done, total)
    print(table.read_text(encoding="utf-8"), end="")
    return 0


def _settings(texts: Iterable[str], options: EnvOptions) -> dict[str, EnvOptions]:
    """The options of every setting; mistakes show before the work."""
    return {text: _setting(text, options) for text in texts}


def _setting(text: str, options: EnvOptions) -> EnvOptions:
    """The options with the estimator that a setting names."""
    words, known = shlex.split(text), commands.estimators()
    if not words or words[0] not in known:
        raise ValueError(f"setting {text!r} must begin with an estimator: {', '.join(known)}")
    own = ("--gradient-", "--no-gradient-")
    wrong = [word for word in words[1:] if word.startswith("--") and not word.startswith(own)]
    if wrong or any(word.startswith("--gradient-every") for word in words):
        raise ValueError(f"setting {text!r} may have options --gradient-... only, and not --gradient-every")
    found = parse("bench fidelity", ["--gradient", *words], training=EnvOptions).training
    return dataclasses.replace(options, gradient=found.gradient, gradient_every=1)


def _linearity(words: list[str]) -> int:
    from hgenv.bench import linearity

    s = _parse_bench("linearity", words, linearity.LinearityOptions)
    for line in linearity.measure(s.task, s.training, s.bench):
        print(line, flush=True)
    return 0


def _signal(words: list[str]) -> int:
    from hgenv.bench import signal as instrument

    s = _parse_bench("signal", words, instrument.SignalOptions, {"gradient": "perturbed"})
    vectors = instrument.estimates(s.task, s.training, s.bench)
    found = instrument.agreement(_collected("estimates", vectors, s.bench.estimates))
    print(f"mean cosine of two estimates {found.pairs:.3f}, of the means of both halves {found.halves:.2f}")
    return 0


def _variance(words: list[str]) -> int:
    from hgenv.bench import variance

    s = _parse_bench("variance", words, variance.VarianceOptions, {"gradient": "perturbed"})
    estimates = variance.estimates(s.task, s.training, s.bench)
    print(variance.table(variance.components(_collected("trainings", estimates, s.bench.trainings))))
    return 0


def _metasmooth(words: list[str]) -> int:
    from hgenv.bench import metasmooth

    s = _parse_bench("metasmooth", words, metasmooth.MetasmoothOptions)
    values = metasmooth.measured(s.task, s.training, s.bench)
    print(metasmooth.told(_collected("directions", values, s.bench.directions)))
    return 0


def _collected(unit: str, values: Iterable[T], count: int) -> list[T]:
    """All of so many values, while it shows how many there are."""
    found = list[T]()
    with Progress(unit) as progress:
        for value in values:
            found.append(value)
            progress.show(len(found), count)
    return found


def _speed(words: list[str]) -> int:
    from hgenv.bench import speed

    own = {"training": ("workers", "render_workers")}  # the bench has them in the plural
    parsed = partial(_parse_bench, "speed", words, speed.SpeedOptions, environment=EnvId, without=own)
    s = parsed()
    sizes = {size: of_size(type(s.task), size) for size in s.bench.sizes}  # mistakes show before the work
    tasks = {size: parsed(defaults).task for size, defaults in sizes.items()}
    with Progress("pieces") as progress:
        for done, total, piece in speed.measure(s.environment.env, tasks, s.training, s.bench):
            progress.show(done, total, piece)
    print((Path(s.bench.out) / "table.md").read_text(encoding="utf-8"), end="")
    return 0


def _scaling(words: list[str]) -> int:
    from hgenv.bench import scaling, scaling_report

    s = parse("bench scaling", words, bench=scaling_report.ScalingOptions, cluster=scaling.Cluster)
    with Progress("searches") as progress:
        for done, total, search in scaling_report.measure(s.bench, s.cluster):
            progress.show(done, total, search)
    print((Path(s.bench.out) / "report.md").read_text(encoding="utf-8"), end="")
    return 0


def _render(words: list[str]) -> int:
    from hgenv.bench import render_speed

    for line in render_speed.measure(tyro.cli(render_speed.RenderOptions, args=words, prog="hgenv bench render")):
        print(line, flush=True)
    return 0


def _parse_bench(
    name: str,
    words: list[str],
    options: type[Any],
    defaults: Mapping[str, Any] = {},
    environment: type[Any] = EnvChoice,
    without: Mapping[str, Collection[str]] = {},
) -> Any:
    """Options of a bench whose first word may be the id of an environment."""
    named = ["--env", words[0], *words[1:]] if words and not words[0].startswith("-") else words
    return parse(
        f"bench {name} [ENV]", named, {**size_of(named), **defaults}, without, bench=options, environment=environment,
        task=chosen_task(named), training=EnvOptions,
    )  # fmt: skip
