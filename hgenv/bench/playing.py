"""The cells of a comparison are played, here or on a cluster, after its plan is kept.

Cells are `hgenv run` processes of one thread, which end with ours. Finished ones are kept and those that were cut short
go on, so that an interrupted comparison continues; one that fails leaves its reason beside its folder, is named in the
report and tried again on request.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hgenv.bench.compare import Cell, CompareOptions, ended, failure_of, finished
from hgenv.bench.errand import Errand, pack, unpack
from hgenv.bench.errand import run as run_errand
from hgenv.bench.plan import Plan
from hgenv.bench.processes import Failure, Processes
from hgenv.files import write_json
from hgenv.registry import loaded
from hgenv.runs.folder import CHECKPOINT, CONFIG, ending, read_config
from hgenv.runs.writer import check_free, sole_writer
from hgenv.workers import workers_of

INTERRUPTED = "interrupted"


class Played(NamedTuple):
    """A cell that is over, which is the `done`th of `total`."""

    done: int
    total: int
    cell: Cell
    failure: Failure | None


def play(plan: Plan) -> Iterator[Played]:
    """Keep the plan and run the cells that are not finished, those that were cut short from where they were.

    Raises ValueError, before anything is run, if a cell was made by another command, or if another process is at work
    in the folder or in a cell's.
    """
    out, o, todo = Path(plan.options.out), plan.options, plan.cells()
    out.mkdir(parents=True, exist_ok=True)
    with sole_writer(out):
        for cell in todo:
            for folder, words in cell.runs():
                check_free(folder)
                _check(folder, words)
        plan.write()
        play = _play_away if o.workers.startswith("ray") else _play_here
        for count, (cell, failure) in enumerate(play(todo, o), 1):
            yield Played(count, len(todo), cell, failure)


def _play_here(todo: list[Cell], o: CompareOptions) -> Iterator[tuple[Cell, Failure | None]]:
    """Every cell in a process of this machine."""
    processes = Processes()
    with ThreadPoolExecutor(workers_of(o.workers).count) as pool:
        futures = {pool.submit(_play_cell, cell, processes, o.retry): cell for cell in todo}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()


def _play_cell(cell: Cell, processes: Processes, retry: bool) -> Failure | None:
    if (failure := failure_of(cell)) is not None and not retry:
        return failure
    commands = _left(cell)
    return _kept(cell, processes.run(commands) if commands else None)


def _play_away(todo: list[Cell], o: CompareOptions) -> Iterator[tuple[Cell, Failure | None]]:
    """Every cell on a machine of a cluster, which needs no file of ours; what is cut short there is lost."""
    errands = {}
    for cell in todo:
        failure = None if o.retry else failure_of(cell)
        commands = [] if failure else _left(cell)
        if commands:
            errands[cell.folder] = Errand(str(cell.folder.parent), commands, _packed(cell))
        else:
            yield cell, failure
    away = [cell for cell in todo if cell.folder in errands]
    with closing(workers_of(o.workers)) as workers:
        for i, brought in workers.each(run_errand, (), list(errands.values())):
            unpack(brought.archive, brought.there, str(away[i].folder.parent))
            yield away[i], _kept(away[i], brought.failure)


def _packed(cell: Cell) -> bytes:
    """What there is of a cell's folders."""
    there = [folder.name for folder, _ in cell.runs() if folder.exists()]
    return pack(str(cell.folder.parent), there)


def _left(cell: Cell) -> list[list[str]]:
    """The commands that are left of a cell; what it has left of earlier ones and cannot be used is removed."""
    cell.folder.parent.mkdir(parents=True, exist_ok=True)
    cell.failure.unlink(missing_ok=True)
    if not finished(cell.folder) and cell.retrained.exists():  # it belongs to a beta that is found anew
        shutil.rmtree(cell.retrained)
    return [words for run in cell.runs() for words in _missing(*run)]


def _kept(cell: Cell, failure: Failure | None) -> Failure | None:
    """Why a cell has failed, kept beside its folder."""
    if failure is not None:
        failure = failure._replace(reason=ended(cell) or failure.reason)
        if not failure.reason.endswith(INTERRUPTED):  # it goes on the next time
            write_json(cell.failure, failure._asdict())
    return failure


def _missing(folder: Path, words: list[str]) -> list[list[str]]:
    """The command that makes a run or goes on with it, unless it is finished; what cannot go on is removed."""
    if finished(folder):
        return []
    if (folder / CHECKPOINT).is_file() and not ending(folder):
        return [["resume", str(folder)]]
    if (folder / CONFIG).is_file():
        shutil.rmtree(folder)
    return [["run", *words, *_last_words(folder)]]


def _last_words(folder: Path) -> list[str]:
    return ["--no-figures", "--out", str(folder)]


def _check(folder: Path, words: list[str]) -> None:
    """Raise ValueError if a run was made by other words than these, or with other imports."""
    if not (folder / CONFIG).is_file():
        return
    config = read_config(folder)
    made = config["words"][: -len(_last_words(folder))]
    if made != words:
        raise ValueError(f"{folder} was made by {shlex.join(made)!r}, not {shlex.join(words)!r}: name another --out")
    if config["imports"] != loaded():
        raise ValueError(f"{folder} was made with the imports {config['imports']}, not {loaded()}: name another --out")
