"""A comparison as its folder is, made in a second: cells are one run of the toy, with errors of their own."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from dashboards import STEPS, TOY, play

from hgenv.bench.compare import Cell, CompareOptions
from hgenv.bench.plan import Plan
from hgenv.files import write_json
from hgenv.run import Budget

HORIZONS = (4, 16)


def planned(
    out: Path, optimizers: Sequence[str] = ("cma",), seeds: int = 2, starts: Sequence[str] = ("default", "random")
) -> Plan:
    """Kept in its folder."""
    out.mkdir(exist_ok=True)
    o = CompareOptions(
        (TOY,),
        str(out),
        tuple(optimizers),
        seeds,
        random_fixed=0,
        starts=tuple(starts),
        retrain_steps=HORIZONS,  # type: ignore[arg-type]
    )
    plan = Plan(o, Budget(max_steps=STEPS), ["--batch-size", "2"], "hgenv bench a & b")
    plan.write()
    return plan


def finish(cell: Cell, source: Path, factor: float) -> None:
    """The cell is over: its errors are so many times those of the run."""
    for folder, _ in cell.runs():
        shutil.copytree(source, folder)
        with (folder / "metrics.csv").open(newline="") as file:
            header, *rows = list(csv.reader(file))
        for i, name in enumerate(header):
            if name.endswith(".mae"):
                for row in rows:
                    row[i] = row[i] and str(factor * float(row[i]))
        with (folder / "metrics.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])


def fail(cell: Cell, reason: str) -> None:
    write_json(cell.failure, {"reason": reason, "output": "its last <words>"})


def half_finished(out: Path) -> Plan:
    """With default starts one cell of fixed beta is cut short and one of cma has failed; with random ones none has
    begun."""
    plan = planned(out)
    play(out / "source")
    for cell in plan.cells():
        if cell.starts == "default" and cell.seed == 0:
            finish(cell, out / "source", {"fixed": 1.0, "random-beta": 0.9, "cma": 0.5}[cell.label])
        elif cell.starts == "default" and cell.label == "cma":
            fail(cell, "no <memory>")
        elif cell.starts == "default" and cell.label == "fixed":
            play(cell.folder, 2, ended="")
    shutil.rmtree(out / "source")
    return plan
