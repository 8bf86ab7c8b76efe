"""The report of a comparison: cells.csv, report.md, figures, and one self-contained page, report.html."""

from __future__ import annotations

import base64
import csv
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from hgenv.bench.compare import CONTROLS, RANDOM_FIXED, Cell, failure_of
from hgenv.bench.statistics import Result, interquartile_mean, interval, median_and_band, ranks, read
from hgenv.files import whole, write_text
from hgenv.pages.page import page
from hgenv.registry import short
from hgenv.run import cost_axes
from hgenv.runs.folder import open_run, start_at
from hgenv.runs.plot import target_samples

Rows = list[list[str]]


def write(out: Path, cells: list[Cell], command: str) -> Path:
    """Write the report of all finished cells; returns the page. Raises ValueError if none is finished."""
    results = [result for result in map(read, cells) if result is not None]
    if not results:
        raise ValueError(f"no cell in {out} is finished")
    _write_cells(out / "cells.csv", results)
    text, body = [f"    {command}\n"], [f"<h1>Optimizers of beta, compared</h1><pre>{html.escape(command)}</pre>"]
    note = _note(results)
    text.append(note + "\n")
    body.append(f"<p>{html.escape(note)}</p>")
    for env in dict.fromkeys(cell.env for cell in cells):
        for starts in dict.fromkeys(cell.starts for cell in cells):
            mine = [r for r in results if (r.env, r.starts) == (env, starts)]
            if mine:
                _section(out, env, starts, mine, text, body)
    _overall(results, text, body)
    _failed_steps(results, text, body)
    _failures(cells, text, body)
    write_text(out / "report.md", "\n".join(text))
    path = out / "report.html"
    write_text(path, page("hgenv bench", "\n".join(body)))
    return path


def _note(results: list[Result]) -> str:
    return (
        "Interquartile means over seeds with 95 % bootstrap intervals in brackets. Test: of the snapshot with the best "
        "validation metric. Retrained: after training from scratch on the beta found. To the control's error: median "
        "cost until the test metric of the best validated snapshot is at fixed beta's final one, and how many seeds "
        "reach it. Snapshots are taken every so many environment steps, which cost more where there are probes. "
        f"Measured on {len(results)} finished cells."
    )


def _section(
    out: Path, env: str, starts: str, results: list[Result], text: list[str], body: list[str]
) -> None:  # fmt: skip
    metric, slug = results[0].metric, short(env) + ("" if starts == "default" else f"-{starts}-starts")
    title = f"{env}, {starts} starts"
    compared = [r for r in results if r.label != RANDOM_FIXED]
    labels = list(dict.fromkeys(r.label for r in compared))
    text.append(f"\n## {title}\n")
    body.append(f"<h2>{html.escape(title)}</h2>")
    if compared:
        header, rows = _table(compared, metric)
        _add_table(header, rows, text, body)
    others = sorted((r for r in results if r.label == RANDOM_FIXED), key=lambda r: r.test)
    if others:
        header = [f"random fixed beta, of {len(others)}", f"test {metric}", f"retrained {metric}"]
        chosen = {"best": others[0], "median": others[(len(others) - 1) // 2], "worst": others[-1]}
        rows = [[name, f"{r.test:.4g}", _number(r.last_retrained)] for name, r in chosen.items()]
        _add_table(header, rows, text, body)
    if not compared:
        return
    shown = {
        "intervals": ("Interquartile means and 95 % intervals.", _intervals(compared, labels)),
        "curves": (
            f"Test {metric} of the best validated snapshot: median, lowest and highest seed.",
            _curves(compared, labels),
        ),
        "samples": ("The target domain, the start, and what the first seed of each found.", _samples(compared, labels)),
    }
    for name, (title, figure) in shown.items():
        path = out / f"{slug}-{name}.png"
        with whole(path) as partial:
            figure.savefig(partial, dpi=90)
        text.append(f"\n![{title}]({path.name})")
        body.append(_picture(path, title))


def _axes(results: list[Result]) -> dict[str, str]:
    """What the costs of these are measured by, with titles."""
    return cost_axes(r.last for r in results)


def best_first(results: list[Result]) -> list[str]:
    """The labels by the interquartile mean of their test metrics."""
    tests: dict[str, list[float]] = {}
    for r in results:
        tests.setdefault(r.label, []).append(r.test)
    return sorted(tests, key=lambda label: interquartile_mean(np.array(tests[label])))


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4g}"


def _spread(values: Sequence[float]) -> str:
    finite = np.array([v for v in values if not np.isnan(v)])
    if not len(finite):
        return "-"
    mean, low, high = interval([finite])
    return f"{mean:.4g} [{low:.4g}, {high:.4g}]"


def _table(results: list[Result], metric: str) -> tuple[list[str], Rows]:
    rank, axes = ranks(results), _axes(results)
    level = interquartile_mean(np.array([r.test for r in results if r.label == "fixed"] or [np.nan]))
    header = ["optimizer", f"test {metric}", f"retrained {metric}", "rank", *axes.values()]
    header += [f"{name} to {level:.4g}" for name in axes.values()]
    rows = []
    for label in best_first(results):
        mine = [r for r in results if r.label == label]
        row = [label, _spread([r.test for r in mine]), _spread([r.last_retrained for r in mine])]
        row.append(f"{rank[label]:.1f}" if label in rank else "-")
        row += [f"{np.median([r.last[axis] for r in mine]):.0f}" for axis in axes]
        rows.append(row + [_reached([r.cost_to(level)[axis] for r in mine]) for axis in axes])
    return header, rows


def _reached(costs: list[float]) -> str:
    finite = [cost for cost in costs if np.isfinite(cost)]
    count = f"({len(finite)} of {len(costs)})"
    return f"{np.median(costs):.3g} {count}" if len(finite) > len(costs) / 2 else f"- {count}"


def _overall(results: list[Result], text: list[str], body: list[str]) -> None:
    """Over all environments: test metrics relative to fixed beta's, and ranks."""
    results = [r for r in results if r.label != RANDOM_FIXED]
    envs = list(dict.fromkeys(r.env for r in results))
    if len(envs) < 2:
        return
    # An optimizer that cannot play one of them has no place among those that can.
    results = [r for r in results if {o.env for o in results if o.label == r.label} == set(envs)]
    control = {env: [r.test for r in results if r.env == env and r.label == "fixed"] for env in envs}
    rank, means = ranks(results), dict[str, tuple[float, float, float]]()
    for label in dict.fromkeys(r.label for r in results):
        strata = []
        for env in envs:
            values = np.array([r.test for r in results if r.env == env and r.label == label])
            if len(values) and control[env]:
                strata.append(values / interquartile_mean(np.array(control[env])))
        if len(strata) == len(envs):
            means[label] = interval(strata)
    rows = [
        [label, f"{mean:.3f} [{low:.3f}, {high:.3f}]", f"{rank[label]:.1f}" if rank else "-"]
        for label, (mean, low, high) in sorted(means.items(), key=lambda item: item[1])
    ]
    text.append("\n## All environments\n")
    body.append("<h2>All environments</h2>")
    _add_table(["optimizer", "test metric over fixed beta's mean (taken as exact)", "rank"], rows, text, body)


def _failures(cells: list[Cell], text: list[str], body: list[str]) -> None:
    failed = [[cell.folder.name, failure.reason] for cell in cells if (failure := failure_of(cell)) is not None]
    if failed:
        text.append("\n## Not measured\n")
        body.append("<h2>Not measured</h2>")
        _add_table(["cell", "reason"], failed, text, body)


def _failed_steps(results: list[Result], text: list[str], body: list[str]) -> None:
    """Runs with steps that were not committed, as something in them was not finite."""
    rows = [[r.folder.name, f"{r.last.get('failed_steps', 0):.0f} of {r.last['step']:.0f}"] for r in results]
    rows = [row for row, r in zip(rows, results, strict=True) if r.last.get("failed_steps", 0)]
    if rows:
        text.append("\n## Failed steps\n")
        body.append("<h2>Failed steps</h2>")
        _add_table(["cell", "steps that were not finite, and not committed"], rows, text, body)


def _add_table(header: list[str], rows: Rows, text: list[str], body: list[str]) -> None:
    lines = ["| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in row) + " |" for row in (header, *rows)]
    text.append("\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]]) + "\n")
    body.append('<div class="wide"><table><tr>' + "".join(f"<th>{html.escape(cell)}</th>" for cell in header) + "</tr>")
    for row in rows:
        kind = ' class="control"' if row[0] in CONTROLS else ""
        body.append(f"<tr{kind}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
    body.append("</table></div>")


def _picture(path: Path, title: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    alt = html.escape(title)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{alt}"><figcaption>{alt}</figcaption></figure>'


def _write_cells(path: Path, results: list[Result]) -> None:
    axes = _axes(results)
    with whole(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["env", "optimizer", "starts", "seed", "metric", "test", "retrained", *axes, "best_step"])
        for r in results:
            costs = [r.last[axis] for axis in axes]
            writer.writerow(
                [r.env, r.label, r.starts, r.seed, r.metric, r.test, r.last_retrained, *costs, r.best["step"]]
            )


_COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9")
_CONTROLS = {"fixed": "black", "random-beta": "grey"}


def _style(labels: list[str], label: str) -> dict[str, Any]:
    """The controls are thick, black and grey; when the colours are used up, dashes distinguish."""
    if label in _CONTROLS:
        return {"color": _CONTROLS[label], "lw": 2.5}
    place = [name for name in labels if name not in _CONTROLS].index(label)
    return {"color": _COLOURS[place % len(_COLOURS)], "ls": ("-", "--", ":")[place // len(_COLOURS) % 3], "lw": 1.3}


def _intervals(results: list[Result], labels: list[str]) -> Figure:
    """Test and retrained metric of every optimizer, best first, every seed a dot."""
    figure = Figure(figsize=(10, 0.9 + 0.28 * len(labels)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    order = best_first(results)[::-1]  # the best is above
    for panel, what in zip(panels, ("test", "last_retrained"), strict=True):
        for y, label in enumerate(order):
            values = np.array([getattr(r, what) for r in results if r.label == label])
            values = values[~np.isnan(values)]
            if len(values):
                mean, low, high = interval([values])
                colour = _style(labels, label)["color"]
                panel.plot([low, high], [y, y], color=colour, lw=5, alpha=0.4, solid_capstyle="butt")
                panel.plot(values, np.full(len(values), y), ".", color=colour, ms=4)
                panel.plot([mean], [y], "|", color=colour, ms=12, mew=2)
        panel.set_xlabel(f"{what} {results[0].metric}")
        panel.grid(alpha=0.3, axis="x")
    panels[0].set_yticks(range(len(order)), order)
    return figure


def _samples(results: list[Result], labels: list[str], count: int = 12) -> Figure:
    """Images and ground truth of the target domain, of the start and at the beta that each optimizer found."""
    strips: dict[str, NDArray[np.uint8]] = {}
    for label in labels:
        first = next(r for r in results if r.label == label)
        opened = open_run(first.folder)
        env = opened.env
        strips = strips or {
            "target domain": target_samples(env, count, count), "start": env.contact_sheet(env.start, count, count)
        }  # fmt: skip
        start_at(env, opened.snapshot)
        strips[label] = env.contact_sheet(env.start, count, count)
    lines = -(-len(strips) // 2)
    figure = Figure(figsize=(14, 1.45 * lines), layout="constrained")
    grid = figure.subplots(lines, 2, squeeze=False).T.ravel()
    for panel, (name, strip) in zip(grid, strips.items(), strict=False):
        panel.imshow(strip, interpolation="nearest")
        panel.set_title(name, fontsize=9, loc="left")
    for panel in grid:
        panel.set_axis_off()
    return figure


def _curves(results: list[Result], labels: list[str]) -> Figure:
    """Median and band against every axis (the paper's Fig. 4)."""
    figure, axes = Figure(figsize=(14, 5), layout="constrained"), _axes(results)
    panels = figure.subplots(1, len(axes), sharey=True)
    for panel, (axis, title) in zip(panels, axes.items(), strict=True):
        for label in labels:
            style = _style(labels, label)
            x, middle, low, high = median_and_band([r for r in results if r.label == label], axis)
            panel.plot(x, middle, label=label, **style)
            panel.fill_between(x, low, high, color=style["color"], alpha=0.06, lw=0)
        panel.set_xlabel(title)
        panel.set_xscale("log")
        panel.grid(alpha=0.3)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    finals = np.array([r.test for r in results])
    top = max(finals.max(), np.percentile(np.concatenate([r.curve["test"][1:] for r in results]), 75))
    panels[0].set_ylim(finals.min() - 0.03 * (top - finals.min()), top + 0.03 * (top - finals.min()))
    panels[0].set_ylabel(f"test {results[0].metric}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure
