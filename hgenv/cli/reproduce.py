"""hgenv reproduce: a table of the paper, played here, beside the published one."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Literal

import tyro

from hgenv.cli.interruption import interruption_status
from hgenv.cli.options import parse
from hgenv.cli.progress import Progress
from hgenv.cli.run import parse_run, players
from hgenv.fields import OnDisk, check


@dataclasses.dataclass(frozen=True)
class ReproduceOptions:
    """A table of the paper with our rows beside the published ones. Options after -- go to every run, as the folders of
    real data, which the scales small and paper need."""

    what: tyro.conf.Positional[Literal["table1", "table2", "table3", "table4", "table5"]]
    """What to reproduce."""
    scale: Literal["demo", "small", "paper"] = "demo"
    """demo: minutes, on built-in domains; small: hours, on real samples; paper: the published sizes, for a GPU or a
    cluster."""
    out: OnDisk | None = None
    """Folder of the cells, the page and the values; reproduced/WHAT-SCALE, if not given."""
    workers: str = "auto"
    """Where cells run: so many processes at a time; auto, one a core; ray or ray://HOST:PORT, a Ray cluster."""

    def __post_init__(self) -> None:
        check(self)


def command(words: list[str]) -> int:
    cut = words.index("--") if "--" in words else len(words)
    o = parse("reproduce", words[:cut], reproduce=ReproduceOptions).reproduce
    from hgenv.bench import playing as cells
    from hgenv.bench.statistics import Result
    from hgenv.domains.domain import baselines
    from hgenv.reproduce import page
    from hgenv.reproduce.playing import plans, results, shown
    from hgenv.reproduce.scales import SCALES
    from hgenv.reproduce.tables import TABLES

    table, scale = TABLES[o.what], SCALES[o.scale]
    out = Path(o.out or f"reproduced/{o.what}-{o.scale}")
    found, status = dict[Path, Result](), 0
    choices = players()
    with Progress("cells") as progress:
        try:
            for plan in plans(table, scale, out, words[cut + 1 :], o.workers):
                task = parse_run(choices, plan.cells()[0].words).task
                for done, total, cell, failure in cells.play(plan):
                    progress.show(done, total, cell.folder.name)
                    if failure is not None:
                        status = 1
                        progress.say(f"not measured: {cell.folder.name}: {failure.reason}")
                found |= {result.folder: result for result in results(plan)}
        except KeyboardInterrupt as interruption:
            progress.say("interrupted: the same command goes on")
            status = interruption_status(interruption)
    told = shlex.join(["hgenv", "reproduce", *words])
    answers = baselines(task.quantity, task.domain, "test") if any(row.answer for row in table.rows) else {}
    mine = list(found.values())
    print(page.write(out, table, scale, told, page.measured(table, shown(table, scale, mine), mine, answers)))
    return status
