"""The table of commands: what is cheap stays cheap, every command has its help, completion, progress."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import hgenv
from hgenv.cli import commands, completion, progress
from hgenv.cli import main as cli
from hgenv.recipes import RECIPES
from optimizers import OPTIMIZERS

HEAVY = ("torch", "scipy", "numba", "tyro", "matplotlib", "stable_baselines3", "nevergrad", "optuna")
SEEN = f"""
import sys
from hgenv.cli.main import main
status = main(sys.argv[1:])
print([name for name in {HEAVY} if name in sys.modules], status, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["--version"], ["list"], ["list", "--json"], ["lst"], ["completion", "bash"]]
)
def test_what_needs_no_training_does_not_import_it(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", SEEN, *words], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == f"[] {2 if words == ['lst'] else 0}"


def test_help_names_every_command_and_bench(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["-h"], ["--help"]):
        assert cli.main(words) == 0
        page = capsys.readouterr().out
        assert all(f"\n  {name}" in page for name in commands.COMMANDS)
        assert all(f"\n  bench {name}" in page for name in commands.BENCHES)
        assert max(map(len, page.splitlines())) <= 120
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"hgenv {hgenv.__version__}\n"


@pytest.mark.parametrize("name", sorted(commands.COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):  # of the parsers of options
        cli.main([name, "--help"])
    assert f"usage: hgenv {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(commands.BENCHES))
def test_every_bench_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", name, "--help"])
    assert f"usage: hgenv bench {name}" in capsys.readouterr().out


@pytest.mark.parametrize("env", sorted(hgenv.TASKS))
def test_an_optimizers_own_options_come_first(env: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "reinforce", "--env", env, "--gradient", "score", "--help"])
    page = capsys.readouterr().out
    groups = ["optimizer options", "run options", "budget options", "environment options", "task options"]
    groups.append("training options")
    found = [re.search(rf"^[╭─ ]*{group} ", page, re.MULTILINE) for group in groups]
    places = [title.start() for title in found if title]
    assert len(places) == len(groups)
    assert places == sorted(places)
    assert page.index("--baseline-decay") < places[1], "an option of the optimizer"
    assert page.index("--gradient-samples") > places[-1], "an option of the estimator"
    assert "Annotated" not in page
    assert "AtLeast" not in page
    assert "Literal" not in page


def test_a_reader_that_has_seen_enough_is_no_mistake() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "hgenv", "list"], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_list_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    names = [*hgenv.TASKS, *OPTIMIZERS, "sb3", *RECIPES, "image", "perturbed"]
    assert all(f"\n  {name} " in text for name in names)
    assert cli.main(["list", "-v", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    toy = found["environments"]["hgenv/ToyShading-v0"]
    assert [c["name"] for c in toy["beta"]] == ["light.mean", "light.std", "convex.probability"]
    assert toy["beta"][2]["discrete"] is True
    assert toy["summary"] in text
    assert set(found["optimizers"]) == {*OPTIMIZERS, "sb3"}
    assert found["recipes"]["meta-sim"]["source"] == "Meta-Sim (Kar et al. 2019)"


def test_baselines_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["baselines", "--json", "--validation-size", "4", "--test-size", "4"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["env"] == "hgenv/ShapeNormals-v0"
    assert found["validation"].keys() == found["test"].keys() >= {"dome", "the network's start"}
    assert all(answer["mae"] > 0 for answer in found["test"].values())


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["ba"], ["baselines"]),
        (["run", "hyb"], ["hybrid-gradient"]),
        (["run", "s"], ["sac", "sb3", "score"]),
        (["bench", "hgenv/Toy"], ["hgenv/ToyShading-v0"]),
        (["bench", "sp"], ["speed"]),
        (["bench", "signal", "hgenv/F"], ["hgenv/FaceDepth-v0"]),
        (["run", "fixed", "--env", "hgenv/Sc"], ["hgenv/SceneNormals-v0"]),
        (["run", "fixed", "--gradient", "per"], ["perturbed"]),
        (["data", "--js"], ["--json"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["plot", "runs/"], []),
    ],
)
def test_completion_knows_commands_and_names(words: list[str], some: list[str]) -> None:
    assert completion.candidates(words) == some


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_accept_their_scripts(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    subprocess.run([shell, "-n", str(script)], check=True)
    if shell == "bash":
        ask = f"""hgenv() {{ {sys.executable} -m hgenv "$@"; }}; source {script}
            COMP_WORDS=(hgenv run hyb); COMP_CWORD=2; _hgenv; echo "${{COMPREPLY[@]}}" """
        done = subprocess.run([shell, "-c", ask], capture_output=True, text=True, check=True)
        assert done.stdout == "hybrid-gradient\n"


def test_progress_is_a_plain_line_now_and_then_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress.Progress("cells") as shown:
        for done in range(1, 8):
            now[0] += progress.EVERY / 2
            shown.show(done, 7, f"number {done}")
        shown.say("all is well")
    assert capsys.readouterr().err.splitlines() == [
        "2 of 7 cells: number 2", "4 of 7 cells: number 4", "6 of 7 cells: number 6", "all is well"
    ]  # fmt: skip


def test_progress_is_a_bar_on_a_terminal(tmp_path: Path) -> None:
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 160, 0, 0))
    words = ["run", "fixed", "--env", "hgenv/ToyShading-v0", "--max-steps", "3", "--no-figures"]
    command = [sys.executable, "-m", "hgenv", *words, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, stderr=follower, stdout=subprocess.DEVNULL)
    os.close(follower)
    seen = b""
    with suppress(OSError):  # how a terminal says that nobody writes to it any more
        while part := os.read(leader, 10_000):
            seen += part
    os.close(leader)
    assert done.returncode == 0
    assert re.search(r"100%\|.*\| 100 of 100 % .*best validation mae \d", seen.decode())
