"""A table is played as comparisons, one an environment, whose cells can be cut short and go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hgenv.bench import playing as cells
from hgenv.bench.compare import CONTROLS, CompareOptions
from hgenv.bench.plan import Plan
from hgenv.bench.playing import Played
from hgenv.bench.statistics import Result, read
from hgenv.registry import short
from hgenv.reproduce.scales import Scale
from hgenv.reproduce.tables import BETAS, PaperTable, Row
from hgenv.run import Budget


def plans(table: PaperTable, scale: Scale, out: Path, options: Sequence[str], workers: str) -> Iterator[Plan]:
    """The comparisons in turn: play one before asking for the next, which may depend on it."""
    rows = first(table, scale)
    for env in dict.fromkeys(row.env or table.env for row in rows if row.words):
        yield _plan(table, scale, out, options, workers, env, rows)
    if table.then is not None:
        played = list(results(_plan(table, scale, out, options, workers, table.env, rows)))
        yield _plan(table, scale, out, options, workers, table.env, (*rows, *table.then(played)))


def play(table: PaperTable, scale: Scale, out: Path, options: Sequence[str], workers: str) -> Iterator[Played]:
    """Play all cells of a table that are not over."""
    for plan in plans(table, scale, out, options, workers):
        yield from cells.play(plan)


def found(table: PaperTable, scale: Scale, out: Path, options: Sequence[str]) -> list[Result]:
    """The results of all cells of a table that are over."""
    known = {r.folder: r for plan in plans(table, scale, out, options, "1") for r in results(plan)}
    return list(known.values())


def first(table: PaperTable, scale: Scale) -> tuple[Row, ...]:
    """The rows that begin."""
    return table.rows[: scale.betas] if table.rows is BETAS else table.rows


def shown(table: PaperTable, scale: Scale, found: Sequence[Result]) -> tuple[Row, ...]:
    """The rows of the table, as far as its results say which."""
    return first(table, scale) if table.then is None else table.then(found)


def results(plan: Plan) -> Iterator[Result]:
    """Those of all cells that are over."""
    return (result for result in map(read, plan.cells()) if result is not None)


def _plan(
    table: PaperTable, scale: Scale, out: Path, options: Sequence[str], workers: str, env: str, rows: Sequence[Row]
) -> Plan:
    """The comparison of the rows that an environment plays."""
    methods = [f"{row.label}={row.words}" for row in rows if row.words and (row.env or table.env) == env]
    labels = tuple(method for method in methods if method.partition("=")[0] not in CONTROLS)
    compared = CompareOptions(
        (env,), str(out / short(env)), labels, scale.seeds, random_fixed=0, retrain_steps=(),
        report_every=scale.report_every, workers=workers,
    )  # fmt: skip
    common = [*scale.options, *scale.targets.get(env, ()), *options]
    return Plan(compared, Budget(max_train_steps=scale.train_steps), common, "hgenv reproduce")
