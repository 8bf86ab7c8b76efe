"""The report of a comparison: cells.csv, report.md, figures, and one self-contained page, report.html."""

from __future__ import annotations

import base64
import csv
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from hgenv.bench import figures, tables
from hgenv.bench.compare import CONTROLS, GOOD, RANDOM_FIXED, Cell
from hgenv.bench.intervals import INTERVALS
from hgenv.bench.statistics import Result, horizons_of, read, standing
from hgenv.bench.tables import Content, Table, shown
from hgenv.files import whole, write_text
from hgenv.pages.page import page
from hgenv.registry import short
from hgenv.run import cost_axes


def write(out: Path, cells: list[Cell], command: str) -> Path:
    """Write the report of all finished cells; returns the page. Raises ValueError if none is finished."""
    results = [result for result in map(read, cells) if result is not None]
    if not results:
        raise ValueError(f"no cell in {out} is finished")
    _write_cells(out / "cells.csv", results)
    settings = list(dict.fromkeys((cell.env, cell.starts) for cell in cells))
    by_setting = {s: mine for s in settings if (mine := [r for r in results if (r.env, r.starts) == s])}
    sections = [_of_setting(out, *setting, mine) for setting, mine in by_setting.items()]
    sections += [
        _overall(out, starts, [r for r in results if r.starts == starts])
        for starts in dict.fromkeys(starts for _, starts in by_setting)
    ]
    sections.append(Section("What went wrong", [*tables.failed_steps(results), *tables.failures(cells)], {}))
    sections = [section for section in sections if section.tables]
    note = f"Measured on {len(results)} finished cells."
    write_text(out / "report.md", "\n".join([f"    {command}\n\n{note}\n", *map(_markdown, sections)]))
    path, heading = out / "report.html", "Optimizers of beta, compared"
    body = f"<h1>{heading}</h1><pre>{html.escape(command)}</pre><p>{note}</p>"
    write_text(path, page("hgenv bench", "\n".join([body, *map(_html, sections)])))
    return path


class Section(NamedTuple):
    """Tables, and pictures by their files, with captions."""

    title: str
    tables: list[Table]
    pictures: dict[Path, str]


def _suffix(starts: str) -> str:
    """Of the names of files."""
    return "" if starts == "default" else f"-{starts}-starts"


def _of_setting(out: Path, env: str, starts: str, results: list[Result]) -> Section:
    compared, metric = [r for r in results if r.label != RANDOM_FIXED], results[0].metric
    drawn: dict[str, tuple[str, Callable[[list[Result]], Figure | None]]] = {
        "intervals": (f"{INTERVALS} Every seed is a dot.", figures.intervals),
        "curves": (f"Test {metric} of the best validated snapshot: median, lowest and highest seed.", figures.curves),
        "profiles": ("Share of the targets that runs have reached at a cost.", figures.runtime_profiles),
        "samples": ("The target domain, the start, and what the first seed of each found.", figures.samples),
    }
    pictures = {}
    for name, (caption, draw) in drawn.items() if compared else ():
        if (figure := draw(compared)) is not None:
            pictures[_saved(out / f"{short(env)}{_suffix(starts)}-{name}.png", figure)] = caption
    return Section(f"{env}, {starts} starts", tables.of_environment(results), pictures)


def _overall(out: Path, starts: str, results: list[Result]) -> Section:
    found = standing(results)
    caption = (
        "Mean ranks over environments; what a bar joins does not differ by the critical difference (Nemenyi, 5 %)."
    )
    path = out / f"critical-differences{_suffix(starts)}.png"
    pictures = {_saved(path, figures.critical_differences(found)): caption} if found else {}
    return Section(f"All environments, {starts} starts", tables.overall(results), pictures)


def _saved(path: Path, figure: Figure) -> Path:
    with whole(path) as partial:
        figure.savefig(partial, dpi=90)
    return path


def _markdown(section: Section) -> str:
    text = [f"\n## {section.title}\n"]
    for table in section.tables:
        lines = [_line(row) for row in (table.header, *map(_texts, table.rows))]
        text.append("\n".join([f"### {table.title}\n", lines[0], "|---" * len(table.header) + "|", *lines[1:]]) + "\n")
        text += [f"{table.note}\n"] if table.note else []
    return "\n".join([*text, *(f"![{caption}]({path.name})\n" for path, caption in section.pictures.items())])


def _texts(row: Sequence[Content]) -> list[str]:
    return [shown(cell) for cell in row]


def _line(row: list[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |"


def _html(section: Section) -> str:
    text = [f"<h2>{html.escape(section.title)}</h2>"]
    for table in section.tables:
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.header)
        text.append(f'<h3>{html.escape(table.title)}</h3><div class="wide"><table><tr>{head}</tr>')
        for row in map(_texts, table.rows):
            kind = ' class="control"' if row[0] in (*CONTROLS, GOOD) else ""
            text.append(f"<tr{kind}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
        text.append(f"</table></div><p>{html.escape(table.note)}</p>")
    return "\n".join([*text, *(_picture(path, caption) for path, caption in section.pictures.items())])


def _picture(path: Path, title: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    alt = html.escape(title)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{alt}"><figcaption>{alt}</figcaption></figure>'


def _write_cells(path: Path, results: list[Result]) -> None:
    axes, horizons = cost_axes(r.last for r in results), horizons_of(results)
    header = ["env", "starts", "optimizer", "seed", "metric", "test", *(f"retrained_{end}" for end in horizons)]
    with whole(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*header, *axes, "best_step", "narrowness"])
        for r in results:
            values = [r.env, r.starts, r.label, r.seed, r.metric, r.test, *map(r.retrained, horizons)]
            writer.writerow([*values, *(r.last[axis] for axis in axes), r.best["step"], r.narrowness])
