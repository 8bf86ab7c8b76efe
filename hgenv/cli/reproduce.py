"""hgenv reproduce: a table or a figure of the paper, played here, beside the published one."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Literal

import tyro

from hgenv.cli.options import parse
from hgenv.cli.run import parse_run, players
from hgenv.fields import OnDisk, check

What = Literal[
    "table1", "table2", "table3", "table4", "table5", "fig3", "fig4", "fig5", "fig6", "figB1", "figC1", "figC2",
    "figD1", "figE1",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ReproduceOptions:
    """A table of the paper with our rows beside the published ones, or a figure of ours. Options after -- go to every
    run, as the folders of real data, which the scales small and paper need."""

    what: tyro.conf.Positional[What]
    """What to reproduce. Figures of trainings draw the cells of their table."""
    scale: Literal["demo", "small", "paper"] = "demo"
    """demo: minutes, on built-in domains; small: hours, on real samples; paper: the published sizes, for a GPU or a
    cluster."""
    out: OnDisk | None = None
    """Folder of the cells, the page and the values; reproduced/TABLE-SCALE, if not given, or reproduced/FIGURE."""
    workers: str = "auto"
    """Where cells run: so many processes at a time; auto, one a core; ray or ray://HOST:PORT, a Ray cluster."""

    def __post_init__(self) -> None:
        check(self)


def command(words: list[str]) -> int:
    cut = words.index("--") if "--" in words else len(words)
    o, options = parse("reproduce", words[:cut], reproduce=ReproduceOptions).reproduce, words[cut + 1 :]
    from hgenv.bench.statistics import Result
    from hgenv.cli import cells
    from hgenv.domains.domain import baselines
    from hgenv.reproduce import figures, page, playing
    from hgenv.reproduce.scales import SCALES
    from hgenv.reproduce.tables import TABLES

    figure, scale, told = figures.FIGURES.get(o.what), SCALES[o.scale], shlex.join(["hgenv", "reproduce", *words])
    name = figure.table if figure else o.what
    out, status, results = Path(o.out or f"reproduced/{f'{name}-{o.scale}' if name else o.what}"), 0, list[Result]()
    env = figure.env if figure else TABLES[name].env
    common = [*scale.options, *scale.targets.get(env, ())] if name else []
    task = parse_run(players(), ["fixed", "--env", env, *common, *options]).task  # a mistake shows before the work
    if name:
        status = cells.play(playing.play(TABLES[name], scale, out, options, o.workers))
        results = playing.found(TABLES[name], scale, out, options)
    cut_short = status not in (0, 1)
    if figure and cut_short and not results:
        return status
    if figure:
        print(figures.write(out, figure, scale, told, [r for r in results if r.env == figure.env], task))
        return status
    table = TABLES[name]
    answered = any(row.answer for row in table.rows) and not cut_short
    answers = baselines(task.quantity, task.domain, "test") if answered else {}
    rows = page.measured(table, playing.shown(table, scale, results), results, answers)
    print(page.write(out, table, scale, told, rows))
    return status
