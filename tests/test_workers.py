"""Pieces of work in other processes give what they give here; whatever dies is begun again or named."""

import copy
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pieces
import pytest
from kept_rows import rows_of
from processes import interruptible

from hgenv import interpreter
from hgenv.cli.main import main
from hgenv.workers import ATTEMPTS, Here, Processes, WorkerError, Workers, check, workers_of


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with closing(Processes(2)) as workers:
        yield workers


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether a process ends within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_processes_give_what_is_given_here(two: Workers) -> None:
    shared, items = (pieces.Part(1), np.arange(3.0)), list(range(7))
    assert two.map(pieces.total, shared, items) == Here().map(pieces.total, shared, items) == [4.0 + i for i in items]
    assert two.map(pieces.total, shared, []) == []


def test_both_processes_work_and_their_seconds_are_counted(two: Workers) -> None:
    assert len(set(two.map(pieces.process, (), range(8)))) == 2
    assert os.getpid() not in two.map(pieces.process, (), range(2))
    before = two.seconds[0]
    two.map(pieces.busy, (), [0.2, 0.2, 0.2])
    assert 0.6 <= two.seconds[0] - before < 1.0


def test_what_is_shared_is_sent_once_while_it_is_the_same(two: Workers) -> None:
    first, second, third = (pieces.Part(i) for i in (101, 102, 103))
    for _ in range(3):
        two.map(pieces.arrivals, (first, second), range(4))
    found = two.map(pieces.arrivals, (first, third), range(4))
    assert all(arrived.count(value) == 1 for arrived in found for value in (101, 102, 103))


def test_an_error_comes_back_with_where_it_came_from(two: Workers) -> None:
    with pytest.raises(ValueError, match=r"^no 3 here") as caught:
        two.map(pieces.refuse, (), range(6))
    assert "in refuse" in "".join(caught.value.__notes__)
    with pytest.raises(RuntimeError, match="LocalError: 1 and 1"):
        two.map(pieces.refuse_locally, (), [1])
    assert two.map(pieces.refuse, (), [1, 2]) == [1, 2]


def test_what_cannot_be_sent_is_named(two: Workers) -> None:
    with pytest.raises(ValueError, match="cannot be sent to other processes, with workers=1 it need not be"):
        two.map(pieces.total, (lambda: None, 1), [1])
    with pytest.raises((RuntimeError, AttributeError), match="lambda"):
        two.map(pieces.give_lambda, (), [1])


def test_pieces_of_a_process_that_dies_are_begun_again(two: Workers, tmp_path: Path) -> None:
    assert two.map(pieces.die_once, (tmp_path,), range(8)) == list(range(8))
    assert len(list(tmp_path.iterdir())) == 4


def test_a_piece_that_kills_every_process_is_an_error(two: Workers) -> None:
    with pytest.raises(WorkerError, match=rf"{ATTEMPTS} processes have died .* exit code -9"):
        two.map(pieces.die, (), [1])
    assert two.map(pieces.refuse, (), [1]) == [1]


def test_who_stops_listening_stops_the_work(tmp_path: Path) -> None:
    with closing(Processes(2)) as workers:
        found = workers.each(pieces.die_once, (tmp_path,), range(0, 200, 2))
        next(found)
        found.close()
        assert workers.map(pieces.refuse, (), [1, 2]) == [1, 2]


@pytest.mark.slow
def test_a_run_is_the_same_with_workers_that_are_killed_and_resumed_with_others(tmp_path: Path) -> None:
    run = ["run", "random-search", "--env", "hgenv/ToyShading-v0", "--pairs", "3", "--no-figures"]
    assert main([*run, "--max-steps", "4", "--out", str(tmp_path / "here")]) == 0
    killed: list[int] = []

    def kill() -> None:
        while len(killed) < 3:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGKILL)
                killed.append(child.pid or 0)
            time.sleep(0.3)

    killer = threading.Thread(target=kill)
    killer.start()
    assert main([*run, "--max-steps", "2", "--workers", "3", "--out", str(tmp_path / "there")]) == 0
    killer.join()
    words = ["resume", str(tmp_path / "there"), "--max-steps", "4", "--workers", "2", "--render-workers", "1"]
    assert main(words) == 0
    assert rows_of(tmp_path / "here") == rows_of(tmp_path / "there")


SCRIPT = """
import sys
from pathlib import Path
import pieces
from hgenv.workers import Processes
if __name__ == "__main__":
    Processes(2).map(pieces.sleep, (Path(sys.argv[1]),), range(2))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_ours(number: signal.Signals, tmp_path: Path) -> None:
    script, marks = tmp_path / "script.py", tmp_path / "marks"
    script.write_text(SCRIPT)
    marks.mkdir()
    command = [*interpreter.COMMAND, str(script), str(marks)]
    with interruptible(command, env=interpreter.surroundings()) as process:
        end = time.monotonic() + 60.0
        while len(list(marks.iterdir())) < 2:
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(30.0)
    assert all(gone(int(mark.name)) for mark in marks.iterdir())


def test_a_copy_has_processes_of_its_own(two: Workers) -> None:
    with closing(copy.deepcopy(two)) as other:
        assert not set(other.map(pieces.process, (), range(6))) & set(two.map(pieces.process, (), range(6)))


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5", "1025", "many", "ray:", "ray://", "ray://host", "http://host:1", "٣"]
)
def test_workers_must_make_sense(text: str) -> None:
    with pytest.raises(ValueError, match="workers must be 1 to 1024, 'auto', 'ray' or 'ray://HOST:PORT', got"):
        check(text)


def test_workers_of_a_text() -> None:
    assert isinstance(workers_of("1"), Here)
    assert workers_of("3").count == 3
    assert workers_of("auto").count == len(os.sched_getaffinity(0))


def test_nothing_more_is_imported_for_one() -> None:
    code = "import sys, hgenv.workers as w; w.workers_of('1'); print('ray' in sys.modules, 'torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=interpreter.surroundings())
    assert found.stdout.split() == ["False", "False"]
