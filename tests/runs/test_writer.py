"""One writer a folder, whoever comes at the same time."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from hgenv.runs.folder import RunFolder
from hgenv.runs.writer import BusyError, check_free, is_written, sole_writer

FORK = multiprocessing.get_context("fork")  # of processes that have no thread yet


def race(root: Path, rounds: int, barrier: Barrier, told: Connection) -> None:
    """Ask for the same folder as another process at the same moment, again and again; tell when we got it."""
    won = []
    for k in range(rounds):
        barrier.wait(20)
        try:
            folder = RunFolder.new(root / str(k), {"who": os.getpid()})
            folder.last = {"step": 0.0}  # a run that has begun, and is kept
            won.append(k)
        except (BusyError, FileExistsError):
            folder = None
        barrier.wait(20)
        if folder is not None:
            folder.close()
    told.send(won)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_one_of_two_gets_a_folder(tmp_path: Path) -> None:
    """300 times, at a barrier."""
    barrier, ends = FORK.Barrier(2), [FORK.Pipe() for _ in range(2)]
    both = [FORK.Process(target=race, args=(tmp_path, 300, barrier, theirs)) for _, theirs in ends]
    for process in both:
        process.start()
    wins = [ours.recv() for ours, _ in ends]
    for process in both:
        process.join()
    assert sorted(wins[0] + wins[1]) == list(range(300)), "each folder has one owner, and no more"


def test_a_writer_is_named_while_it_writes(tmp_path: Path) -> None:
    check_free(tmp_path)
    with sole_writer(tmp_path):
        for again in (sole_writer(tmp_path).__enter__, lambda: check_free(tmp_path)):
            with pytest.raises(BusyError, match=f"{tmp_path} is being written by process {os.getpid()} on "):
                again()
    check_free(tmp_path)
    (tmp_path / ".writer").write_text("process 1 on a machine that went down")
    check_free(tmp_path)
    assert not (tmp_path / ".writer").exists()


def test_whether_somebody_writes_is_seen_without_a_change(tmp_path: Path) -> None:
    assert not is_written(tmp_path)
    with sole_writer(tmp_path):
        assert is_written(tmp_path)
    assert not is_written(tmp_path)
    (tmp_path / ".writer").write_text("process 1 on a machine that went down")
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert not is_written(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
