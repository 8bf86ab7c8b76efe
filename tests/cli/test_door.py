"""Somebody else's task, optimizer and estimator: by entry points, by --import, as module:id."""

import csv
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import hgenv
from hgenv import registry
from hgenv.runs import open_run
from hgenv.tasks.toy_shading import ToyShading
from optimizers import OPTIMIZERS, Fixed
from optimizers import register as register_optimizer

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "toy_package"
PARTS = ["better-of-two", "--env", "toy/Ramps-v0", "--gradient", "signs", "--gradient-sigma", "0.2", "--reach", "0.1"]
SHORT = ["--max-steps", "2", "--train-steps", "2", "--no-figures"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the toy package."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("toy")
    shutil.copytree(TOY, folder / "source")  # pip builds where the sources are
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(folder / "source")], check=True)
    return folder / "site"


def play(*words: str, path: Path | None = None, cwd: Path | None = None, status: int = 0) -> str:
    """What `hgenv` prints in a process that has another folder of packages."""
    found = os.pathsep.join([*([str(path)] if path else []), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "hgenv", *words], capture_output=True, text=True, cwd=cwd,
        env=os.environ | {"PYTHONPATH": found},
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_an_installed_package_is_listed_run_and_compared(installed: Path, tmp_path: Path) -> None:
    found = json.loads(play("list", "--json", path=installed))
    assert "toy/Ramps-v0" in found["environments"]
    assert "better-of-two" in found["optimizers"]
    assert "signs" in found["estimators"]
    assert "toy/Ramps-v0" not in play("list"), "it is not there without the package"
    out = tmp_path / "run"
    assert "2 steps" in play("run", *PARTS, *SHORT, "--out", str(out), path=installed)
    config = json.loads((out / "config.json").read_text())
    assert (config["optimizer"]["reach"], config["training"]["gradient"]) == (0.1, "signs")
    assert config["imports"] == []
    assert "the network's start" in play("baselines", "--env", "toy/Ramps-v0", path=installed)
    words = ["--optimizers", "mine=better-of-two --gradient signs", "--seeds", "2", "--max-steps", "2"]
    words += ["--random-fixed", "0", "--retrain-steps", "--out", "b", "--", "--train-steps", "2"]
    play("bench", "toy/Ramps-v0", *words, path=installed, cwd=tmp_path)
    with (tmp_path / "b" / "cells.csv").open(newline="") as file:
        assert {row["optimizer"] for row in csv.DictReader(file)} == {"fixed", "random-beta", "mine"}
    words = ["--settings", "signs", "--ages", "20", "--estimates", "2", "--references", "2", "--long-references", "0"]
    assert "| signs |" in play("bench", "fidelity", "toy/Ramps-v0", *words, path=installed, cwd=tmp_path)


@pytest.mark.slow
def test_a_folder_of_modules_comes_in_by_import(tmp_path: Path) -> None:
    shutil.copytree(TOY / "toy_parts", tmp_path / "toy_parts")
    imports = [word for part in ("task", "optimizer", "estimator") for word in ("--import", f"toy_parts.{part}")]
    assert "toy/Ramps-v0" in play("list", *imports, cwd=tmp_path)
    named = [word.replace("toy/", "toy_parts.task:toy/") for word in PARTS]
    play("run", *named, *SHORT, "--out", "run", *imports[2:], cwd=tmp_path)
    found = json.loads((tmp_path / "run" / "config.json").read_text())["imports"]
    assert found == ["toy_parts.optimizer", "toy_parts.estimator", "toy_parts.task"]
    words = ["--optimizers", "random-beta", "--seeds", "2", "--max-steps", "2", "--random-fixed", "0", "--out", "b"]
    words = ["bench", "toy/Ramps-v0", *words, "--retrain-steps", *imports]
    play(*words, cwd=tmp_path)
    assert "| random-beta |" in (tmp_path / "b" / "report.md").read_text()
    assert "was made with the imports" in play(*words, "--import", "json", cwd=tmp_path, status=2)


@pytest.mark.slow
def test_a_run_of_an_imported_file_opens_from_anywhere(tmp_path: Path) -> None:
    source = (TOY / "toy_parts" / "task.py").read_text().replace("toy/Ramps-v0", "toy/FileRamps-v0")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "ramps_in_a_file.py").write_text(source)
    words = ["--import", "ramps_in_a_file.py", "--env", "toy/FileRamps-v0", "--side", "6"]
    play("run", "random-search", *words, *SHORT, "--out", "run", cwd=tmp_path / "here")
    opened = open_run(tmp_path / "here" / "run")
    assert opened.env.task.side == 6  # type: ignore[attr-defined]
    assert opened.rows[-1]["step"] == 2
    assert opened.restore().metrics("test")["loss"] == opened.snapshot["test.loss"]
    assert "beta.gif" in play("film", str(tmp_path / "here" / "run"), "--frames", "2", cwd=tmp_path)


def test_what_cannot_be_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken_part.py").write_text("1 / 0\n")
    with pytest.raises(ValueError, match=r"broken_part.py cannot be imported: ZeroDivisionError: division by zero"):
        registry.load(str(tmp_path / "broken_part.py"))
    (tmp_path / "json.py").write_text("")
    with pytest.raises(ValueError, match="there is a module 'json' already"):
        registry.load(str(tmp_path / "json.py"))
    (tmp_path / "this.py").write_text("")
    with pytest.raises(ValueError, match=r"this.py is found first, rename the file"):
        registry.load(str(tmp_path / "this.py"))
    assert sys.path[0] != str(tmp_path), "its files must not hide modules of the same name"
    with pytest.raises(ValueError, match="cannot be imported: ModuleNotFoundError"):
        registry.load("no.such.module")


def test_a_broken_package_does_not_close_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("broken", "no_such_module", "hgenv.nonsense")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry.load_plugins.cache_clear()
    with pytest.warns(UserWarning, match="no_such_module of None cannot be loaded"):
        registry.load_plugins("hgenv.nonsense")
    registry.load_plugins.cache_clear()


@pytest.fixture
def registered() -> Iterator[None]:
    """What a test registers is gone after it."""
    tasks, optimizers = dict(hgenv.TASKS._classes), dict(OPTIMIZERS)
    yield
    hgenv.TASKS._classes.clear()
    hgenv.TASKS._classes.update(tasks)
    OPTIMIZERS.clear()
    OPTIMIZERS.update(optimizers)


@pytest.mark.usefixtures("registered")
def test_registering_again_replaces_and_another_class_gets_a_word() -> None:
    def cell(doc: str) -> tuple[type, type]:
        class Mine(ToyShading):
            __doc__ = doc

        class Still(Fixed):
            __doc__ = doc

        return hgenv.register("toy/Mine-v0")(Mine), register_optimizer("still")(Still)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cell("First.")
        task, optimizer = cell("Second.")
    assert hgenv.TASKS["toy/Mine-v0"] is task
    assert hgenv.TASKS.summary("toy/Mine-v0") == "Second."
    assert OPTIMIZERS["still"] is optimizer
    with pytest.warns(UserWarning, match=r"toy/Mine-v0 was .*Mine and is now hgenv.tasks.toy_shading.ToyShading"):
        hgenv.register("toy/Mine-v0")(ToyShading)
    with pytest.warns(UserWarning, match=r"still was .*Still and is now optimizers.fixed.Fixed"):
        register_optimizer("still")(Fixed)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("toyshading", "hgenv/ToyShading-v0"),
        ("hgenv/ToyShadng-v0", "hgenv/ToyShading-v0"),
        ("Face", "hgenv/FaceDepth-v0"),
    ],
)
def test_near_names_are_offered(name: str, near: str) -> None:
    with pytest.raises(KeyError, match=f"did you mean {near}"):
        registry.find(name)


def test_the_toy_parts_pass_the_shipped_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    testing = pytest.importorskip("hgenv.testing")
    monkeypatch.syspath_prepend(str(TOY))
    from toy_parts.optimizer import BetterOfTwo
    from toy_parts.task import Ramps

    testing.check_task(Ramps())
    testing.check_optimizer(BetterOfTwo)
