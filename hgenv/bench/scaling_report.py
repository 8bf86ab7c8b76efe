"""hgenv bench scaling: searches on more and more workers, simulated from measured costs: table, CSV and figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import tyro
from matplotlib.figure import Figure

from hgenv.bench.costs import Costs, cells, hybrid_gradient, probing, read_costs
from hgenv.bench.scaling import Cluster, Search, simulate
from hgenv.fields import Many, Natural, OnDisk, Positive, Processes, Seed, check
from hgenv.files import whole, write_text

SHOWN = (1, 16, 128, 1000)
"""Numbers of workers in the report; the CSV has all."""


@dataclass(frozen=True)
class ScalingOptions:
    """What searches would cost on many workers, simulated from measured costs."""

    costs: tyro.conf.Positional[OnDisk]
    """The speed.csv of `hgenv bench speed`."""
    size: str = "paper"
    """The size in it that is meant."""
    train_steps: Many = 10**6
    """Training steps of a search, its probes included."""
    round_steps: Natural = 20
    """Training steps of an environment step or a probe."""
    probes: tuple[Natural, ...] = (64, 1024)
    """Probes an environment step."""
    cells: Natural = 100
    """Runs of a comparison."""
    teraflops: tuple[Positive, ...] = (10.0, 30.0, 100.0)
    """What a GPU is assumed to achieve, in 10^12 floating-point operations a second."""
    render_workers: Natural = 4
    """Cores beside each GPU that render ahead; a worker without a GPU is one core, which does all."""
    workers: tuple[Processes, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
    """Numbers of workers."""
    rounds: Natural = 8
    """Draws of a search's round; their mean stands for all its rounds."""
    seed: Seed = 0
    """Seed of stragglers and failures."""
    out: OnDisk = "scaling"
    """Folder of report.md, scaling.csv and scaling.png."""

    def __post_init__(self) -> None:
        check(self)
        if not (self.probes and self.workers):
            raise ValueError("name at least one of probes and of workers")


class Row(NamedTuple):
    """A search on so many workers; hours are of wall time, machine_hours those of all workers, busy the share of them
    that is spent on tasks, speedup against one worker."""

    machine: str
    search: str
    workers: int
    hours: float
    machine_hours: float
    busy: float
    network_bytes: float
    speedup: float


def measure(o: ScalingOptions, cluster: Cluster) -> Iterator[tuple[int, int, str]]:
    """Simulate all and write the report; yields (done, in all, what is next)."""
    costs, rows = read_costs(Path(o.costs), o.size), list[Row]()
    todo = [(machine, search) for machine, own in machines(costs, o).items() for search in searches(own, o, machine)]
    for done, (machine, search) in enumerate(todo):
        yield done, len(todo), f"{machine}, {search.name}"
        rows += _rows(machine, search, o, cluster)
    folder = Path(o.out)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "scaling.csv", _as_csv(rows))
    write_text(folder / "report.md", report(rows, costs, o, cluster))
    with whole(folder / "scaling.png") as path:
        figure(rows).savefig(path, dpi=110)


def machines(costs: Costs, o: ScalingOptions) -> dict[str, Costs]:
    """Costs of a core as measured, and of GPUs by what they achieve."""
    return {"core": costs} | {f"GPU, {t:g} TFLOP/s": costs.at(1e12 * t) for t in o.teraflops}


def searches(costs: Costs, o: ScalingOptions, machine: str) -> list[Search]:
    """What is simulated on a kind of machine."""
    common = (costs, o.train_steps, o.round_steps, 0 if machine == "core" else o.render_workers)
    return [*hybrid_gradient(*common), *(probing(*common, count) for count in o.probes), cells(*common, o.cells)]


def _rows(machine: str, search: Search, o: ScalingOptions, cluster: Cluster) -> Iterator[Row]:
    alone = simulate(search, cluster, 1, o.rounds, o.seed).wall
    for count in o.workers:
        found = simulate(search, cluster, count, o.rounds, o.seed)
        hours = found.wall / 3600.0
        yield Row(
            machine, search.name, count, hours, count * hours, found.busy / (count * found.wall), found.bytes,
            alone / found.wall,
        )  # fmt: skip


def _as_csv(rows: list[Row]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Row._fields, *rows])
    return text.getvalue()


def report(rows: list[Row], costs: Costs, o: ScalingOptions, cluster: Cluster) -> str:
    """Markdown: what is measured, what is assumed, what follows."""
    measured = [f"{name} {value:.4g}" for name, value in costs._asdict().items()]
    assumed = [f"{f.name} {getattr(cluster, f.name):.4g}" for f in fields(cluster)]
    text = [
        f"# {o.train_steps} training steps on many workers, simulated", "",
        f"Measured, of a batch on one core, in seconds: {', '.join(measured)}.", "",
        f"Assumed: {', '.join(assumed)}; {o.round_steps} training steps a round, {o.render_workers} cores a GPU that "
        "render.", "",
        "| machine | search | workers | hours | machine hours | busy | network | speedup |", "|---" * 8 + "|",
    ]  # fmt: skip
    text += [_line(row) for row in rows if row.workers in SHOWN]
    text += ["", "Seconds of a training step and its pictures, by the number of cores that render ahead:", ""]
    counts = (0, 1, 2, 4)
    text += ["| machine | " + " | ".join(map(str, counts)) + " |", "|---" * (1 + len(counts)) + "|"]
    for machine, own in machines(costs, o).items():
        text.append("| " + " | ".join([machine, *(f"{own.ahead(count):.3g}" for count in counts)]) + " |")
    return "\n".join(text) + "\n"


def _line(row: Row) -> str:
    cells = [
        row.machine, row.search, str(row.workers), f"{row.hours:.3g}", f"{row.machine_hours:.3g}",
        f"{100 * row.busy:.0f} %", f"{row.network_bytes / 1e12:.3g} TB", f"{row.speedup:.3g}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def figure(rows: list[Row]) -> Figure:
    """Wall hours against workers, a panel a search; dotted: as if one worker's hours were divided."""
    names = list(dict.fromkeys(row.search for row in rows))
    drawn = Figure(figsize=(3.4 * len(names), 4.0), layout="constrained")
    panels: Any = drawn.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        for number, machine in enumerate(dict.fromkeys(row.machine for row in rows)):
            mine = [row for row in rows if (row.search, row.machine) == (name, machine)]
            workers, hours = [row.workers for row in mine], [row.hours for row in mine]
            panel.plot(workers, hours, "o-", ms=3, color=f"C{number}", label=machine)
            ideal = [mine[0].hours * mine[0].speedup / count for count in workers]
            panel.plot(workers, ideal, ":", lw=1, color=f"C{number}")
        panel.set(xscale="log", yscale="log", xlabel="workers", title=name)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("wall hours")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return drawn
