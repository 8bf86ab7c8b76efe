"""The report of a comparison: cells.csv, report.md with its figures, and one self-contained page, report.html."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from hgenv.bench import figures, page, tables
from hgenv.bench.compare import RANDOM_FIXED, Cell
from hgenv.bench.found import Finds, finds
from hgenv.bench.intervals import INTERVALS
from hgenv.bench.page import Setting, Summary
from hgenv.bench.plan import Plan
from hgenv.bench.states import counts
from hgenv.bench.statistics import Result, horizons_of, read, standing
from hgenv.bench.tables import Content, Table, shown
from hgenv.files import whole, write_text
from hgenv.registry import short
from hgenv.run import cost_axes


def write(plan: Plan) -> Path:
    """Write the report of all cells that are over, at any time; returns the page.

    No lock is needed. Raises ValueError for a cell that is broken.
    """
    out, cells = Path(plan.options.out), plan.cells()
    results = [result for result in map(read, cells) if result is not None]
    _write_cells(out / "cells.csv", results)
    settings = []
    for key in dict.fromkeys((cell.env, cell.starts) for cell in cells):
        theirs = [cell for cell in cells if (cell.env, cell.starts) == key]
        settings.append(_setting(out, *key, theirs, [r for r in results if (r.env, r.starts) == key]))
    summaries = [_overall(out, starts, [r for r in results if r.starts == starts]) for starts in plan.options.starts]
    summaries.append(Summary("Failed steps", tables.failed_steps(results), {}))
    summaries = [one for one in summaries if one.tables]
    _write_markdown(out / "report.md", plan, settings, summaries)
    return page.write(out, plan, settings, summaries)


def _write_markdown(path: Path, plan: Plan, settings: list[Setting], summaries: list[Summary]) -> None:
    cells = plan.cells()
    said = ", ".join(f"{count} {name}" for name, count in counts(cells).items() if count)
    sections: list[Setting | Summary] = [*settings, *summaries, Summary("Not measured", tables.failures(cells), {})]
    parts = [_markdown(one.title, one.tables, one.pictures) for one in sections if one.tables]
    write_text(path, "\n".join([f"    {plan.command}\n\nOf {len(cells)} cells: {said}.\n", *parts]))


def _suffix(starts: str) -> str:
    """Of the names of files."""
    return "" if starts == "default" else f"-{starts}-starts"


def _setting(out: Path, env: str, starts: str, cells: list[Cell], results: list[Result]) -> Setting:
    title, compared = f"{short(env)}, {starts} starts", [r for r in results if r.label != RANDOM_FIXED]
    if not results:
        return Setting(title, cells, [], [], None, {})
    found = finds(compared) if compared else None
    pictures = _draw(out / f"{short(env)}{_suffix(starts)}", compared, found) if found else {}
    return Setting(title, cells, results, tables.of_environment(results), found, pictures)


def _draw(begin: Path, compared: list[Result], found: Finds) -> dict[Path, str]:
    """The figures of a setting: their files, whose names begin so, with captions."""
    drawn = {
        "intervals": (f"{INTERVALS} Every seed is a dot.", figures.intervals(compared)),
        "curves": (
            f"Test {compared[0].metric} of the best validated snapshot: median, lowest and highest seed.",
            figures.curves(compared),
        ),
        "profiles": ("Share of the targets that runs have reached at a cost.", figures.runtime_profiles(compared)),
        "horizons": (
            "Interquartile means after a training from scratch on what was found. Every seed is a dot.",
            figures.horizon_profiles(compared),
        ),
        "samples": (
            "The target domain, a start, and what the best seed of each by validation has found.",
            figures.samples(found.strips()),
        ),
    }
    return {
        _saved(begin.with_name(f"{begin.name}-{name}.png"), figure): caption
        for name, (caption, figure) in drawn.items()
        if figure is not None
    }


def _overall(out: Path, starts: str, results: list[Result]) -> Summary:
    found = standing(results)
    caption = (
        "Mean ranks over environments; what a bar joins does not differ by the critical difference (Nemenyi, 5 %)."
    )
    path = out / f"critical-differences{_suffix(starts)}.png"
    pictures = {_saved(path, figures.critical_differences(found)): caption} if found else {}
    return Summary(f"All environments, {starts} starts", tables.overall(results), pictures)


def _saved(path: Path, figure: Figure) -> Path:
    with whole(path) as partial:
        figure.savefig(partial, dpi=90)
    return path


def _markdown(title: str, content: list[Table], pictures: dict[Path, str]) -> str:
    text = [f"\n## {title}\n"]
    for table in content:
        lines = [_line(row) for row in (table.header, *map(_texts, table.rows))]
        text.append("\n".join([f"### {table.title}\n", lines[0], "|---" * len(table.header) + "|", *lines[1:]]) + "\n")
        text += [f"{table.note}\n"] if table.note else []
    return "\n".join([*text, *(f"![{caption}]({path.name})\n" for path, caption in pictures.items())])


def _texts(row: Sequence[Content]) -> list[str]:
    return [shown(cell) for cell in row]


def _line(row: list[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |"


def _write_cells(path: Path, results: list[Result]) -> None:
    axes, horizons = cost_axes(r.last for r in results), horizons_of(results)
    header = ["env", "starts", "optimizer", "seed", "metric", "test", *(f"retrained_{end}" for end in horizons)]
    with whole(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*header, *axes, "best_step", "narrowness"])
        for r in results:
            values = [r.env, r.starts, r.label, r.seed, r.metric, r.test, *map(r.retrained, horizons)]
            writer.writerow([*values, *(r.last[axis] for axis in axes), r.best["step"], r.narrowness])
