"""report.html of a comparison: how far it is, and of every setting what its cells have come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.bench.charts import Colours, colours, curves, horizon_profiles, runtime_profiles, spreads_of
from hgenv.bench.compare import CONTROLS, GOOD, RANDOM_FIXED, Cell, failure_of
from hgenv.bench.found import Finds
from hgenv.bench.plan import Plan
from hgenv.bench.states import counts, state
from hgenv.bench.statistics import Result, horizons_of
from hgenv.bench.tables import Table, shown
from hgenv.files import write_text
from hgenv.pages.chart import ASSETS, chart, charts
from hgenv.pages.markup import Html, escaped, folded, link
from hgenv.pages.page import page
from hgenv.pages.picture import picture, png
from hgenv.pages.table import table
from hgenv.runs.folder import METRICS
from hgenv.runs.report import PAGE
from hgenv.runs.writer import is_written

WIDTH = 800
"""Pixels that a strip of samples is about to have."""
_SPREAD = "Every seed is a dot; bars are the intervals of the table, cut off where they leave the range of all values."


class Setting(NamedTuple):
    """An environment and where runs start: its cells, and what is known of them. finds: None without a result;
    pictures: PNGs of figures by their captions."""

    title: str
    cells: list[Cell]
    results: list[Result]
    tables: list[Table]
    finds: Finds | None
    pictures: dict[Path, str]


class Summary(NamedTuple):
    """What is said of several settings together."""

    title: str
    tables: list[Table]
    pictures: dict[Path, str]


def write(out: Path, plan: Plan, settings: Sequence[Setting], summaries: Sequence[Summary]) -> Path:
    """Write the page into the folder of the comparison, whose cells are below it; returns its path."""
    cells = [cell for setting in settings for cell in setting.cells]
    colour = colours([cell.label for cell in cells])
    sections = {"": _head(out, plan, cells)}
    sections |= {setting.title: _setting(out, setting, colour) for setting in settings}
    sections |= {one.title: Html(_tables(one.tables) + _pictures(one.pictures)) for one in summaries}
    sections["Not measured"] = _failures(cells)
    body = [(f"<h2>{escaped(name)}</h2>\n" if name else "") + part for name, part in sections.items() if part]
    path = out / PAGE
    write_text(path, page("hgenv bench", "\n".join(body), ASSETS))
    return path


def _head(out: Path, plan: Plan, cells: Sequence[Cell]) -> Html:
    """How far it is, and the command."""
    found = counts(cells)
    known = {name: count for name, count in found.items() if count or name == "done"}
    facts = "".join(f"<div><dt>{name}</dt><dd>{count} of {len(cells)}</dd></div>" for name, count in known.items())
    if found["done"] + found["failed"] == len(cells):
        said = "All cells are over."
    elif is_written(out):
        said = "It goes on; this page shows what it has come to so far."
    else:
        said = "It was cut short. The same command goes on."
    return Html(
        f"<h1>Optimizers of beta, compared</h1>\n<p>{said}</p>\n<dl class='facts'>{facts}</dl>"
        f"<pre>{escaped(plan.command)}</pre>"
    )


def _setting(out: Path, setting: Setting, colour: Colours) -> Html:
    """All that is known of an environment from such starts."""
    compared = [r for r in setting.results if r.label != RANDOM_FIXED]
    parts = [_table(one) for one in setting.tables[:1]] or [Html("<p>No cell is over.</p>")]
    if compared:
        spread = "\n".join(spreads_of(compared, colour))
        parts.append(Html(f'<div class="charts">{spread}</div><p class="quiet">{_SPREAD}</p>'))
        parts.append(chart(curves(compared, colour)))
        drawn = [draw(compared, colour) for draw in (horizon_profiles, runtime_profiles)]
        parts.append(charts(one for one in drawn if one is not None))
    parts.append(_seeds(out, setting))
    parts += [folded(one.title, _table(one, named=False)) for one in setting.tables[1:]]
    if setting.finds:
        parts += [_beta(setting.finds), _samples(setting.finds)]
    return Html("\n".join(parts))


def _tables(many: Sequence[Table]) -> Html:
    return Html("\n".join(map(_table, many)))


def _table(one: Table, named: bool = True) -> Html:
    title = f"<h3>{escaped(one.title)}</h3>" if named else ""
    rows = [[shown(cell) for cell in row] for row in one.rows]
    note = f"<p class='quiet'>{escaped(one.note)}</p>" if one.note else ""
    return Html(title + table(one.header, rows, (*CONTROLS, GOOD)) + note)


def _pictures(pictures: dict[Path, str]) -> Html:
    return Html("\n".join(picture(path.read_bytes(), caption) for path, caption in pictures.items()))


def _seeds(out: Path, setting: Setting) -> Html:
    """Every cell's value, in the run and after the longest training from scratch."""
    known = {(r.label, r.seed): r for r in setting.results}
    metric, horizons = (setting.results[0].metric if setting.results else ""), horizons_of(setting.results)
    note = "A value leads to its run's page, which <code>hgenv report FOLDER</code> makes, or else to its rows."
    parts = ["<h3>Every seed</h3>", _by_seed(out, setting.cells, f"test {metric}".strip(), known, _test)]
    parts.append(f"<p class='quiet'>{note}</p>")
    if horizons:
        again = _by_seed(out, setting.cells, f"retrained {horizons[-1]}", known, _again(horizons[-1]))
        parts.append(folded(f"Every seed, retrained for {horizons[-1]} steps", again))
    return Html("\n".join(parts))


Seen = Callable[[Cell, Result], tuple[float, Path]]


def _test(cell: Cell, r: Result) -> tuple[float, Path]:
    return r.test, cell.folder


def _again(horizon: int) -> Seen:
    return lambda cell, r: (r.retrained(horizon), cell.retrained)


def _by_seed(out: Path, cells: Sequence[Cell], name: str, known: dict[tuple[str, int], Result], seen: Seen) -> Html:
    """Labels by seeds: a value that leads to its run, or how far the cell is."""
    seeds = sorted({cell.seed for cell in cells})
    by_label: dict[str, dict[int, Html]] = {}
    for cell in cells:
        result = known.get((cell.label, cell.seed))
        value, folder = seen(cell, result) if result else (np.nan, cell.folder)
        said = Html(f"- {state(cell)}") if np.isnan(value) else link(shown(value), _address(out, folder))
        by_label.setdefault(cell.label, {})[cell.seed] = said
    rows = [[label, *(mine.get(seed, "") for seed in seeds)] for label, mine in by_label.items()]
    return table([name, *(f"seed {seed}" for seed in seeds)], rows, (*CONTROLS, GOOD))


def _address(out: Path, folder: Path) -> str:
    """Of a run's page, or of its rows, from the comparison's page."""
    return (folder.relative_to(out) / (PAGE if (folder / PAGE).is_file() else METRICS)).as_posix()


def _beta(finds: Finds) -> Html:
    """Every coordinate as the best seed of each has found it, from where, and what it means."""
    known = [one for one in finds.labels if one.result.label != CONTROLS[1]]  # random beta has none of its own
    if not known:
        return Html()
    names, first = [f"{one.result.label}, seed {one.result.seed}" for one in known], known[0].start
    rows = []
    for i, p in enumerate(finds.layout.parameters):
        values = [_found(one.beta[i], one.start[i], first[i]) for one in known]
        rows.append([p.name, f"{first[i]:.4g}", *values, f"{p.low:.4g} to {p.high:.4g}", p.meaning])
    header = ["coordinate", f"start of {names[0]}", *names, "range", "meaning"]
    said = "Beta before and after, of each one's best seed by validation"
    return folded(said, table(header, rows, tall=len(rows) > 20))


def _found(value: float, start: float, first: float) -> str:
    """A value, and where it came from unless that is where the first came from."""
    return f"{value:.4g}" if start == first else f"{value:.4g}, from {start:.4g}"


def _samples(finds: Finds) -> Html:
    """The target domain, a start, and what the best seed of each has found."""
    strips = finds.strips()
    return Html("<h3>Samples at what was found</h3>" + "\n".join(_strip(strip, said) for said, strip in strips.items()))


def _strip(strip: NDArray[np.uint8], caption: str) -> Html:
    return picture(png(strip), caption, max(1, WIDTH // strip.shape[1]))


def _failures(cells: Sequence[Cell]) -> Html:
    """Why cells could not be run, and the end of what they wrote."""
    failed = [(cell, failure) for cell in cells if (failure := failure_of(cell)) is not None]
    if not failed:
        return Html()
    rows = [(cell.folder.name, cell.env, cell.starts, failure.reason) for cell, failure in failed]
    told = [
        folded(f"what {cell.folder.name} wrote", f"<pre>{escaped(failure.output)}</pre>")
        for cell, failure in failed
        if failure.output
    ]
    return Html(table(("cell", "environment", "starts", "reason"), rows) + "\n".join(told))
