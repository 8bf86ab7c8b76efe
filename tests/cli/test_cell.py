"""A cell of a comparison says why it failed through a channel of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hgenv.bench.processes import Processes
from hgenv.cli import cell


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["lst"], "unknown command 'lst'"),
        (["run", "fixed", "--no-such-option", "1"], "the options of `hgenv run fixed` were refused"),
        (["run", "fixed", "--seed", "-1"], "seed must be"),
        (["data", "--datasets", "nothing"], "unknown dataset 'nothing'"),
    ],
)
def test_reasons_are_in_words(words: list[str], reason: str) -> None:
    status, found = cell.play([["list"], words, ["never", "reached"]])
    assert status == 2
    assert found.startswith(reason)


def test_standard_output_is_for_the_answer_alone() -> None:
    command = [sys.executable, "-m", "hgenv.cli.cell"]
    done = subprocess.run([*command, json.dumps([["list"], ["--version"]])], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    done = subprocess.run([*command, json.dumps([["list"], ["lst"]])], capture_output=True, text=True)
    assert done.returncode == 2
    assert json.loads(done.stdout)["reason"].startswith("unknown command 'lst'; did you mean list?")
    assert "Traceback" in done.stderr


def test_a_process_that_is_killed_has_its_reason_too(tmp_path: Path) -> None:
    (tmp_path / "deadly_part.py").write_text("import os, signal, sys\nprint('the end', file=sys.stderr, flush=True)\n")
    with (tmp_path / "deadly_part.py").open("a") as file:
        file.write("os.kill(os.getpid(), signal.SIGKILL)\n")
    failure = Processes().run([["list", "--import", str(tmp_path / "deadly_part.py")]])
    assert failure == ("killed by signal 9", "the end\n")
    assert Processes().run([["list"]]) is None
