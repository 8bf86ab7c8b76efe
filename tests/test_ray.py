"""A cluster of two nodes on this machine: the same bits, also when one of them is killed in the middle."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pieces
import pytest
from kept_rows import rows_of

from hgenv import interpreter
from hgenv.cli.main import main
from hgenv.workers import WorkerError, Workers, workers_of

ray = pytest.importorskip("ray", reason="Ray, which the extra hgenv[ray] brings, is not installed")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("ray"), pytest.mark.slow]
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]
RUN = ["run", "random-search", "--env", "hgenv/ToyShading-v0", "--pairs", "4", "--max-steps", "3", "--no-figures"]
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head, and a second node; both import what this process does."""
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ.update(interpreter.surroundings() | {"RAY_USAGE_STATS_ENABLED": "0"})
    made = Cluster(True, head_node_args={**NODE, "include_dashboard": False, "ray_client_server_port": PORT})
    made.add_node(**NODE)
    os.environ["RAY_ADDRESS"] = made.address
    yield made
    ray.shutdown()
    made.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def workers(cluster: Any) -> Iterator[Workers]:
    with closing(workers_of("ray")) as found:
        yield found


def test_a_cluster_gives_what_is_given_here(workers: Workers) -> None:
    shared = (pieces.Part(1), np.arange(3.0))
    assert workers.count == 2
    assert workers.map(pieces.total, shared, range(7)) == [4.0 + i for i in range(7)]
    before = workers.seconds[0]
    workers.map(pieces.busy, (), [0.1, 0.1, 0.1])
    assert 0.3 <= workers.seconds[0] - before < 1.0


def test_what_is_shared_is_sent_once_to_each_process(workers: Workers) -> None:
    shared = (pieces.Part(201), pieces.Part(202))
    for _ in range(3):
        found = workers.map(pieces.arrivals, shared, range(4))
    assert all(arrived.count(value) == 1 for arrived in found for value in (201, 202))


def test_an_error_comes_back(workers: Workers) -> None:
    with pytest.raises(ValueError, match=r"^no 3 here") as caught:
        workers.map(pieces.refuse, (), range(6))
    assert "in refuse" in "".join(caught.value.__notes__)


def test_a_piece_that_kills_every_process_is_an_error(workers: Workers) -> None:
    with pytest.raises(WorkerError, match="a piece of work failed on the Ray cluster: WorkerCrashedError"):
        workers.map(pieces.die, (), [1])


def test_what_the_object_stores_have_no_room_for_arrives(workers: Workers) -> None:
    """Ray puts it on disk."""
    large = np.ones(20 * 2**20)
    assert large.nbytes > NODE["object_store_memory"]
    assert workers.map(pieces.total, (pieces.Part(1), large), range(3)) == [large.size + 1.0 + i for i in range(3)]


def test_runs_are_the_same_to_the_bit_and_resumed_elsewhere(cluster: Any, tmp_path: Path) -> None:
    assert main([*RUN, "--out", str(tmp_path / "here")]) == 0
    assert main([*RUN, "--workers", "ray", "--out", str(tmp_path / "there")]) == 0
    assert main([*RUN, "--workers", "ray", "--max-steps", "1", "--out", str(tmp_path / "both")]) == 0
    assert main(["resume", str(tmp_path / "both"), "--max-steps", "3", "--workers", "2"]) == 0
    assert rows_of(tmp_path / "here") == rows_of(tmp_path / "there") == rows_of(tmp_path / "both")


def test_a_client_need_not_be_a_node(cluster: Any, tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="ray[client] is not installed")
    command = [*interpreter.COMMAND, "-m", "hgenv", *RUN, "--workers", f"ray://127.0.0.1:{PORT}"]
    subprocess.run([*command, "--out", str(tmp_path / "there")], env=interpreter.surroundings(), check=True)
    assert main([*RUN, "--out", str(tmp_path / "here")]) == 0
    assert rows_of(tmp_path / "here") == rows_of(tmp_path / "there")


def test_cells_of_a_comparison_come_back(cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--optimizers", "score", "--seeds", "2", "--random-fixed", "0", "--retrain-steps", "20"]
    options += ["--max-steps", "2"]
    for where in ("ray", "1"):
        words = ["bench", "hgenv/ToyShading-v0", *options, "--workers", where, "--out", str(tmp_path / where)]
        assert main(words) == 0, capsys.readouterr()
    found = {path.parent.name: rows_of(path.parent) for path in (tmp_path / "ray").rglob("metrics.csv")}
    assert len(found) == 12
    assert found == {path.parent.name: rows_of(path.parent) for path in (tmp_path / "1").rglob("metrics.csv")}


def test_a_node_that_is_killed_in_the_middle_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    run = [*RUN, "--pairs", "16", "--max-steps", "12"]
    assert main([*run, "--out", str(tmp_path / "here")]) == 0
    node, killed = cluster.add_node(**NODE), []

    def kill() -> None:
        while not (tmp_path / "there" / "metrics.csv").is_file() or len(rows_of(tmp_path / "there")) < 3:
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)
        killed.append(len(rows_of(tmp_path / "there")))

    killer = threading.Thread(target=kill)
    killer.start()
    assert main([*run, "--workers", "ray", "--out", str(tmp_path / "there")]) == 0
    killer.join()
    assert killed[0] < 13
    assert rows_of(tmp_path / "here") == rows_of(tmp_path / "there")


def test_no_cluster_is_one_line(tmp_path: Path) -> None:
    words = [*RUN, "--out", str(tmp_path / "run"), "--workers"]
    for where in ("ray", "ray://127.0.0.1:9"):
        surroundings = interpreter.surroundings() | {"RAY_ADDRESS": "127.0.0.1:9"}
        command = [*interpreter.COMMAND, "-m", "hgenv", *words, where]
        told = subprocess.run(command, capture_output=True, text=True, env=surroundings, timeout=240.0)
        assert told.returncode == 2
        assert f"workers='{where}': no Ray cluster is reached" in told.stderr
        assert "Traceback" not in told.stderr
        assert not (tmp_path / "run").exists()
