"""How good is each estimate of the gradient? Measured against brute force, at networks of several ages.

The reference is the change of the validation loss itself: central differences along every coordinate, each loss being
that of a whole training on common seeds. "Short" trains one environment step from the network as it is; "long" trains
from scratch. Everything that is measured is a vector with its cost, one line of vectors.csv; the table follows from it.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import scipy.stats
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hgenv.bench.aged import aged, aged_for, with_other_samples
from hgenv.env import DataGenEnv
from hgenv.fields import MOST, AtLeast, Length, Natural, OnDisk, Seed, check
from hgenv.files import append, as_csv, read_json, whole, write_json, write_text
from hgenv.learning.directions import cosine
from hgenv.options import EnvOptions, flat, in_place
from hgenv.run import measured_step
from hgenv.runs.writer import LOCK, WRITER, sole_writer
from hgenv.task import Task
from hgenv.workers import workers_of

Array = NDArray[np.float64]
SETTINGS = (
    "image", "image --gradient-sigma 0.2", "influence", "influence --gradient-sigma 0.04", "score",
    "score --gradient-curvature", "score --gradient-weights last", "mixed",
    "mixed --gradient-half image --gradient-sigma 0.04", "perturbed", "perturbed --gradient-weights last",
    "perturbed --gradient-group pair",
)  # fmt: skip
COSTS = ("renders", "train_steps", "differentiated_steps", "influences", "validation_forwards")


@dataclasses.dataclass(frozen=True)
class FidelityOptions:
    """Estimates of the gradient against brute force."""

    out: OnDisk = "fidelity"
    """Folder for vectors.csv, table.md and figure.png; what it holds already is not measured again."""
    settings: tuple[str, ...] = SETTINGS
    """Estimators with their options, in the words of the command line: "NAME --gradient-OPTION VALUE ..."."""
    ages: tuple[Natural, ...] = (20, 400)
    """Training steps at the start beta before the gradient is estimated."""
    estimates: Annotated[int, AtLeast(2), MOST] = 32
    """Estimates a setting and age."""
    references: Natural = 8
    """Repetitions of the short reference; an even number."""
    delta: Length = 0.1
    """Length of the reference's differences, where each coordinate of the box is 2 long."""
    long_steps: tuple[Natural, ...] = (300,)
    """Training steps from scratch of the long references."""
    long_references: Annotated[int, AtLeast(0), MOST] = 4
    """Repetitions of each; an even number, 0 for none."""
    seed: Seed = 0
    """Seed of everything."""

    def __post_init__(self) -> None:
        check(self)
        if not (self.settings and self.ages):
            raise ValueError("name at least one setting and one age")
        if self.references % 2 or self.long_references % 2:
            raise ValueError("references and long_references must be even: they are split in halves")


class Job(NamedTuple):
    """One vector: kind is "short", "long" or a setting; age in training steps (of long, those from scratch)."""

    kind: str
    age: int
    repeat: int


def measure(
    task: Task, options: EnvOptions, settings: Mapping[str, EnvOptions], o: FidelityOptions
) -> Iterator[tuple[int, int]]:
    """Measure what the folder lacks, then write table and figure; yields (vectors done, vectors in all)."""
    yield from vectors(task, options, settings, o)
    folder = Path(o.out)
    rows = read(folder)
    write_text(folder / "table.md", table(rows, o))
    with whole(folder / "figure.png") as path:
        figure(rows, o).savefig(path, dpi=110)


def vectors(
    task: Task, options: EnvOptions, settings: Mapping[str, EnvOptions], o: FidelityOptions
) -> Iterator[tuple[int, int]]:
    """Measure what the folder lacks; yields (vectors done, vectors in all).

    settings: of every setting of `o` the options with its estimator; options: those of the references.
    """
    for age in o.ages:
        if age % options.train_steps:
            raise ValueError(f"ages must be multiples of train_steps ({options.train_steps}), got {age}")
    folder = Path(o.out)
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder):
        _prepare(folder, _config(task, in_place(options), o))
        yield from _measured(folder, task, options, settings, o)


def _measured(
    folder: Path, task: Task, options: EnvOptions, settings: Mapping[str, EnvOptions], o: FidelityOptions
) -> Iterator[tuple[int, int]]:
    jobs = [Job("short", age, k) for age in o.ages for k in range(o.references)]
    jobs += [Job("long", steps, k) for steps in o.long_steps for k in range(o.long_references)]
    jobs += [Job(text, age, k) for text in settings for age in o.ages for k in range(o.estimates)]
    done = {Job(row["kind"], int(row["age"]), int(row["repeat"])) for row in read(folder)}
    missing = [job for job in jobs if job not in done]
    yield len(jobs) - len(missing), len(jobs)
    if missing:
        with closing(workers_of(options.workers)) as workers:
            found = workers.each(_vector, (task, in_place(options), dict(settings), o), missing)
            for count, (_, row) in enumerate(found, 1):
                _append(folder / "vectors.csv", row)
                yield len(jobs) - len(missing) + count, len(jobs)


def _config(task: Task, options: EnvOptions, o: FidelityOptions) -> dict[str, Any]:
    """All that a vector depends on, but its own setting, age and repetition."""
    ours = {"delta": o.delta, "seed": o.seed}
    return {"task": type(task).__qualname__} | flat(task) | flat(options.without_gradient()) | ours


def _prepare(folder: Path, config: dict[str, Any]) -> None:
    """Begin, or check that the folder is of the same measurement and drop a last line that was cut short."""
    path, vectors = folder / "config.json", folder / "vectors.csv"
    config = json.loads(json.dumps(config))
    if path.exists():
        old = read_json(path)
        for name in sorted(old.keys() | config.keys()):
            if old.get(name) != config.get(name):
                raise ValueError(
                    f"{folder} was measured with {name}={old.get(name)}, not {config.get(name)}: name another --out"
                )
    elif {path.name for path in folder.iterdir()} - {LOCK, WRITER}:
        raise FileExistsError(f"{folder} exists and is not a measurement of fidelity: name another folder with --out")
    write_json(path, config)
    if vectors.is_file():
        lines = vectors.read_text().splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            write_text(vectors, "".join(lines[:-1]))


def _append(path: Path, row: dict[str, Any]) -> None:
    new = not path.exists() or path.stat().st_size == 0
    append(path, as_csv([*([row.keys()] if new else []), row.values()]))


def read(folder: Path) -> list[dict[str, str]]:
    """The lines of vectors.csv, if there is one."""
    path = folder / "vectors.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _vector(
    task: Task, options: EnvOptions, settings: Mapping[str, EnvOptions], o: FidelityOptions, job: Job
) -> dict[str, Any]:
    """One line of vectors.csv."""
    options = in_place(settings.get(job.kind, options))
    whole = dataclasses.replace(options.without_gradient(), validation_images=None)
    if job.kind == "long":
        env = DataGenEnv(task, dataclasses.replace(whole, train_steps=job.age))
        env.reset(seed=o.seed + 1 + job.repeat)  # other samples than those of the short reference
        return _line(job, env, partial(_brute_force, env, o.delta))
    if job.kind == "short":
        env, state = aged(task, whole, job.age, o.seed)
        env.load_state_dict(state | {"evaluations": job.repeat})
        return _line(job, env, partial(_brute_force, env, o.delta))
    env = DataGenEnv(task, options)
    env.reset(seed=o.seed)
    assert options.gradient is not None
    state = aged_for(options.gradient, task, whole, job.age, o.seed)
    env.load_state_dict(with_other_samples(state, job.repeat))
    return _line(job, env, lambda: measured_step(env, env.start)["hybrid_gradient"])


def _line(job: Job, env: DataGenEnv, gradient: Callable[[], Array]) -> dict[str, Any]:
    before, begin = dataclasses.replace(env.ledger), time.process_time()
    vector = gradient()
    cost = {name: getattr(env.ledger, name) - getattr(before, name) for name in COSTS}
    seconds = {"cpu_seconds": time.process_time() - begin}
    return job._asdict() | cost | seconds | {f"g{i}": value for i, value in enumerate(vector)}


def _brute_force(env: DataGenEnv, delta: Length) -> Array:
    """dL/d(action) at the start by central differences of whole trainings on common seeds.

    Raises ValueError where there is none, as what lies about the start is trivial to the task, or training diverges.
    """
    x = np.tile(env.start, (len(env.start), 1))
    plus, minus = np.clip(x + delta * np.eye(len(x)), -1, 1), np.clip(x - delta * np.eye(len(x)), -1, 1)
    losses = env.evaluate(np.concatenate([plus, minus]))
    if not np.isfinite(losses).all():
        name = env.task.layout.names[env.box.movable[int(np.argmin(np.isfinite(losses))) % len(x)]]
        raise ValueError(f"the loss {delta:g} beside the start along {name} is not finite: it has no difference there")
    return (losses[: len(x)] - losses[len(x) :]) / np.diagonal(plus - minus)


class Group(NamedTuple):
    """All vectors (n, d) of one kind and age, and their mean costs."""

    vectors: Array
    costs: dict[str, float]


def grouped(rows: list[dict[str, str]]) -> dict[tuple[str, int], Group]:
    """Vectors by (kind, age)."""
    found: dict[tuple[str, int], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        found[row["kind"], int(row["age"])].append(row)
    for group in found.values():
        group.sort(key=lambda row: int(row["repeat"]))
    return {
        key: Group(
            np.array([[float(v) for name, v in row.items() if name[0] == "g" and name[1:].isdigit()] for row in group]),
            {name: float(np.mean([float(row[name]) for row in group])) for name in (*COSTS, "cpu_seconds")},
        )
        for key, group in found.items()
    }


class Quality(NamedTuple):
    """What a group of estimates is worth against a reference R; the pairs are means with 95 % half-widths.

    cosine: of one estimate with R. cosine_of_mean: of the mean of all. slope: <estimate, R> / <R, R>, 1 if unbiased in
    length along R. noise: root mean square distance of an estimate from their mean, over |R|.
    """

    cosine: tuple[float, float]
    cosine_of_mean: float
    slope: tuple[float, float]
    noise: float


def quality(estimates: Array, halves: tuple[Array, Array]) -> Quality:
    """Estimates (n, d) against the means of two independent halves of the reference (d,) each.

    <R, R> is the product of the halves, which the reference's own noise does not inflate; slope and noise are NaN where
    it is not positive, as the halves then have nothing in common.
    """
    reference = 0.5 * (halves[0] + halves[1])
    squared = float(halves[0] @ halves[1])
    squared = squared if squared > 0 else np.nan
    mean = estimates.mean(0)
    noise = np.sqrt(np.sum((estimates - mean) ** 2) / (len(estimates) - 1) / squared)
    return Quality(
        _interval(np.array([cosine(e, reference) for e in estimates])),
        cosine(mean, reference),
        _interval(estimates @ reference / squared),
        float(noise),
    )


def _interval(values: Array) -> tuple[float, float]:
    """Mean and half-width of its 95 % confidence interval (Student's t)."""
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values)
    return float(values.mean()), float(half)


def between(one: Group, other: Group) -> float:
    """The cosine of their means."""
    return cosine(one.vectors.mean(0), other.vectors.mean(0))


def long_references(groups: Mapping[tuple[str, int], Group], o: FidelityOptions) -> dict[int, Group]:
    """Those that there are, by their training steps."""
    return {steps: groups["long", steps] for steps in o.long_steps if ("long", steps) in groups}


def halves(group: Group) -> tuple[Array, Array]:
    """Means over the even and over the odd repetitions."""
    return group.vectors[::2].mean(0), group.vectors[1::2].mean(0)


def table(rows: list[dict[str, str]], o: FidelityOptions) -> str:
    """Markdown: for each age the references' own agreement, then every setting."""
    groups, lines = grouped(rows), []
    long = long_references(groups, o)
    for steps, group in long.items():
        lines.append(
            f"Long reference ({steps} steps from scratch, {len(group.vectors)} repetitions): "
            f"cosine of its halves {cosine(*halves(group)):.2f}, {group.costs['cpu_seconds']:.0f} CPU s each\n"
        )
    for age in o.ages:
        short = groups["short", age]
        lines.append(
            f"\nNetwork of {age} training steps. Short reference (one environment step, {len(short.vectors)} "
            f"repetitions): cosine of its halves {cosine(*halves(short)):.2f}, {short.costs['cpu_seconds']:.1f} CPU s "
            "each"
            + "".join(
                f"; cosine with that of {steps} steps {between(short, group):.2f}" for steps, group in long.items()
            )
            + "\n"
        )
        far = "".join(f" {steps} steps: cosine of the mean |" for steps in long)
        lines.append(
            f"| setting | cosine | cosine of the mean | slope | noise |{far} renders | "
            "differentiated steps | influences | CPU s |\n" + "|---" * (9 + len(long)) + "|"
        )
        for setting in o.settings:
            group = groups[setting, age]
            q, c = quality(group.vectors, halves(short)), group.costs
            far = "".join(f" {between(group, one):.2f} |" for one in long.values())
            lines.append(
                f"| {setting} | {q.cosine[0]:.2f} ± {q.cosine[1]:.2f} | {q.cosine_of_mean:.2f} | "
                f"{q.slope[0]:.2f} ± {q.slope[1]:.2f} | {q.noise:.1f} |{far} {c['renders']:.0f} | "
                f"{c['differentiated_steps']:.0f} | {c['influences']:.0f} | {c['cpu_seconds']:.2f} |"
            )
    return "\n".join(lines) + "\n"


def figure(rows: list[dict[str, str]], o: FidelityOptions) -> Figure:
    """Cosine with the references: of one estimate against what it costs, and of the mean of all."""
    groups = grouped(rows)
    long = long_references(groups, o)
    high = 0.8 / (1 + len(long))
    picture = Figure(figsize=(13, 0.5 + 0.4 * len(o.settings) * len(o.ages)), layout="constrained")
    panels = picture.subplots(len(o.ages), 2, squeeze=False, sharex="col")
    for (left, right), age in zip(panels, o.ages, strict=True):
        parts = halves(groups["short", age])
        for y, setting in enumerate(o.settings):
            group = groups[setting, age]
            q = quality(group.vectors, parts)
            left.errorbar(group.costs["cpu_seconds"], q.cosine[0], q.cosine[1], fmt="o", color=f"C{y % 10}")
            left.annotate(
                setting,
                (group.costs["cpu_seconds"], q.cosine[0]),
                fontsize=7,
                xytext=(4, 4),
                textcoords="offset points",
            )
            bars = {"one environment step": q.cosine_of_mean}
            bars |= {f"{steps} steps from scratch": between(group, one) for steps, one in long.items()}
            for place, (said, value) in enumerate(bars.items()):
                at = y + 0.4 - high * (place + 0.5)
                right.barh(at, value, high, color=f"C{place}", label=None if y else said)
        left.set(ylabel="cosine of one estimate", title=f"network of {age} training steps")
        right.set_yticks(range(len(o.settings)), o.settings, fontsize=8)
        right.set(title="mean of all estimates")
        agreement = max(cosine(*parts), 0.0)  # what a perfect estimate would reach against a reference so noisy
        right.axvline(np.sqrt(2 * agreement / (1 + agreement)), color="C0", ls=":", lw=1, label="as far as it can tell")
    panels[-1][0].set_xlabel("CPU seconds an environment step, its training included")
    panels[-1][1].set_xlabel("cosine with brute force")
    panels[0][1].legend(fontsize=8)
    return picture
