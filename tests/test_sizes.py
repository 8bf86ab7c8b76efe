"""Sizes: other defaults of a task's options, of ours and of anybody's tasks; what is given wins over them."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from mistakes import Slopes, changed

import hgenv
from hgenv.cli import main as cli
from hgenv.cli.run import parse_run, players
from hgenv.env import DataGenEnv, make
from hgenv.files import read_json
from hgenv.learning.networks import HourglassSize
from hgenv.options import build
from hgenv.runs import open_run
from hgenv.sizes import of_size, sizes_of, with_size
from hgenv.tasks.shape_normals import ShapeNormals

PAPER = HourglassSize(stacks=2, channels=256, hourglass_depth=4, stem_stride=2)
OURS = [(env, size) for env in sorted(hgenv.TASKS) if env.startswith("hgenv/") for size in sizes_of(hgenv.TASKS[env])]


@pytest.mark.parametrize(("id", "size"), OURS)
def test_every_size_of_our_tasks_can_be_made(id: str, size: str) -> None:
    cls = hgenv.TASKS[id]
    task: Any = build(cls, of_size(cls, size))
    if size == "small":
        assert task == cls()
    elif size == "medium":
        assert (task.resolution, task.hourglass.channels) == (64, 64)
    else:
        assert (task.resolution, task.hourglass) == (128, PAPER)


def test_which_tasks_have_which_sizes() -> None:
    assert {env for env, size in OURS if size == "paper"} == {env for env, _ in OURS} - {"hgenv/ToyShading-v0"}
    assert list(sizes_of(ShapeNormals)) == ["small", "medium", "paper"]


def test_the_pictures_of_every_size_suit_its_network() -> None:
    rooms: Any = build(hgenv.TASKS["hgenv/SceneNormals-v0"], of_size(hgenv.TASKS["hgenv/SceneNormals-v0"], "paper"))
    assert rooms.size == (96, 128)
    assert rooms.size[0] % rooms.hourglass.multiple == rooms.size[1] % rooms.hourglass.multiple == 0


def test_what_is_given_wins_over_the_size() -> None:
    assert with_size(ShapeNormals, "medium", {"channels": 8, "train_steps": 2})["channels"] == 8
    env = gymnasium.make("hgenv/ShapeNormals-v0", size="medium", channels=8, train_steps=2).unwrapped
    assert isinstance(env, DataGenEnv)
    assert env.task == ShapeNormals(resolution=64, hourglass=HourglassSize(channels=8))
    whole = make("hgenv/ShapeNormals-v0", size="paper", hourglass=HourglassSize(channels=16), resolution=32)
    assert whole.task == ShapeNormals(resolution=32, hourglass=HourglassSize(channels=16))


def test_a_size_that_a_task_lacks_is_named_with_those_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="size must be one of small, medium, paper for ShapeNormals, got 'huge'"):
        gymnasium.make("hgenv/ShapeNormals-v0", size="huge")
    with pytest.raises(ValueError, match="size must be one of small for ToyShading, got 'paper'"):
        gymnasium.make("hgenv/ToyShading-v0", size="paper")
    for command in (["run", "fixed"], ["show"], ["baselines"], ["bench", "signal"], ["bench", "fidelity"]):
        assert cli.main([*command, "--env", "hgenv/ToyShading-v0", "--size", "paper"]) == 2
        assert capsys.readouterr().err == "hgenv: error: size must be one of small for ToyShading, got 'paper'\n"


def test_somebodys_task_declares_its_own() -> None:
    own = changed("Sized", sizes={"medium": {"side": 6}, "wall": {"side": 12}})
    assert sizes_of(own) == {"small": {}, "medium": {"side": 6}, "wall": {"side": 12}}
    assert sizes_of(Slopes) == {"small": {}}
    with pytest.raises(TypeError, match=re.escape("Wrong.sizes: wall sets 'sides', which is no option of the task")):
        sizes_of(changed("Wrong", sizes={"wall": {"sides": 12}}))
    with pytest.raises(TypeError, match="has the option size, as every environment has: rename it"):
        sizes_of(changed("Taken", {"size": 3}))
    with_network = dataclasses.make_dataclass(
        "Inherits", [("resolution", int, 32), ("hourglass", HourglassSize, HourglassSize())], bases=(Slopes,),
        frozen=True,
    )  # fmt: skip
    assert list(sizes_of(with_network)) == ["small", "medium", "paper"]


def test_help_shows_the_defaults_of_a_size(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["show", "--size", "paper", "--help"])
    page = " ".join(capsys.readouterr().out.replace("│", "").split())
    for option, default in {"resolution": 128, "stacks": 2, "channels": 256, "hourglass-depth": 4}.items():
        assert re.search(rf"--{option} [A-Z{{}}|a-z]+ .*?\(default: {default}\)", page), option


def test_the_last_word_on_an_option_does_not_depend_on_its_place() -> None:
    for words in (["--size", "paper", "--stacks", "1"], ["--stacks", "1", "--size", "paper"]):
        task = parse_run(players(), ["fixed", *words]).task
        assert task == ShapeNormals(resolution=128, hourglass=dataclasses.replace(PAPER, stacks=1))


def test_a_run_keeps_plain_values_and_goes_on_without_the_word(tmp_path: Path) -> None:
    small = ["--validation-size", "2", "--test-size", "2", "--train-steps", "1", "--batch-size", "1", "--channels", "8"]
    words = ["run", "fixed", "--size", "medium", *small, "--out", str(tmp_path / "run"), "--no-figures"]
    assert cli.main([*words, "--max-steps", "1"]) == 0
    kept = read_json(tmp_path / "run" / "config.json")["task"]
    assert (kept["resolution"], kept["channels"], "size" in kept) == (64, 8, False)
    assert cli.main(["resume", str(tmp_path / "run"), "--max-steps", "2"]) == 0
    opened = open_run(tmp_path / "run")
    assert opened.rows[-1]["step"] == 2
    assert opened.env.task == ShapeNormals(
        resolution=64, validation_size=2, test_size=2, hourglass=HourglassSize(channels=8)
    )
