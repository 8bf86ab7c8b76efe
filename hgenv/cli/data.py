"""hgenv data: the datasets that can be read, and what a folder has of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import tyro

from hgenv.cli.options import AsJson
from hgenv.data import catalogue, fetch
from hgenv.fields import Natural
from hgenv.registry import unknown


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """The datasets that can be read."""

    folder: tyro.conf.Positional[str | None] = None
    """Folder in which, and two levels below, they are looked for and read."""
    datasets: tuple[str, ...] = ()
    """Their names; all if none is given."""
    most: Natural = 1_000_000
    """Read at most so many houses and models of a dataset, evenly over all: a whole ShapeNetCore takes hours."""
    json: AsJson = False
    """Print JSON."""
    fetch: str | None = None
    """Download a freely licensed set into hgenv's cache, if it is not there, and print its folder: sweethome."""


def command(words: list[str]) -> int:
    """Exit status 1 if what was found is broken, or what was asked for by name is not there."""
    s = tyro.cli(DataOptions, args=words, prog="hgenv data")
    if s.fetch is not None:
        return _fetched(s.fetch)
    known = [dataset.name for dataset in catalogue.DATASETS]
    for name in s.datasets:
        if name not in known:
            raise ValueError(unknown("dataset", name, known))
    folder = None if s.folder is None else Path(s.folder)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    reports = []
    for one in catalogue.report(folder, s.datasets or known, s.most):
        reports.append(one)
        if not s.json:
            print(printable(_paragraph(one, folder)), end="\n\n", flush=True)
    if s.json:
        print(json.dumps([_plain(one) for one in reports], indent=1))
    return 1 if any(one.broken or (one.missing and s.datasets) for one in reports) else 0


def _fetched(name: str) -> int:
    if name not in fetch.SETS:
        raise ValueError(unknown("set that can be fetched", name, fetch.SETS))
    one = fetch.SETS[name]
    print(f"{name}: {one.terms}\n  option  {one.option}\n  folder  {fetch.fetch(name)}")
    return 0


def _paragraph(report: catalogue.Report, folder: Path | None) -> str:
    dataset = report.dataset
    lines = [f"{dataset.name}: {dataset.what}", f"  option    {dataset.option}"]
    lines += [f"  expected  {dataset.expected.removeprefix('expected ')}", f"  terms     {dataset.terms}"]
    lines += [f"  not found in {folder}"] if report.missing else []
    for place in report.places or ():
        lines += [f"  found     {place.folder}: {place.content}"] if place.content else []
        lines += [f"  PROBLEM   {place.folder}: {problem}" for problem in place.problems]
    return "\n".join(lines)


def printable(text: str) -> str:
    """Text in which parts of names that are no characters are escaped: no stream would take them."""
    return text.encode(errors="backslashreplace").decode()


def _plain(report: catalogue.Report) -> dict[str, Any]:
    """What JSON can hold."""
    told = {name: getattr(report.dataset, name) for name in ("name", "what", "option", "expected", "terms")}
    places = None if report.places is None else [p._asdict() | {"folder": str(p.folder)} for p in report.places]
    return told | {"places": places}
