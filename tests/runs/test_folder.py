"""The folder of a run is opened from anywhere: what its environment reads lies by absolute paths."""

import json
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import hgenv
from hgenv import registry
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import Score
from hgenv.learning.training import SGD
from hgenv.options import EnvOptions
from hgenv.run import Budget, run
from hgenv.runs import open_run
from hgenv.runs.folder import RunFolder, described
from hgenv.runs.writer import BusyError
from hgenv.tasks.toy_shading import ToyShading
from optimizers import Fixed, RandomSearch

FILED = """
from dataclasses import dataclass
from hgenv import register
from outside import Grey

@register("filed/Grey-v0")
@dataclass(frozen=True)
class FiledGrey(Grey):
    pass
"""


def played(folder: Path, id: str, env: DataGenEnv, optimizer: object, steps: int = 3) -> dict:
    """A run that is kept, and the environment's state at its best validation."""
    kept, best, state = RunFolder.new(folder, described(id, env.task, env.options)), np.inf, {}
    for row in run(env, optimizer, Budget(max_steps=steps), report_every=1):  # type: ignore[arg-type]
        kept.write(env, row)
        if row[f"validation.{env.task.quantity.primary}"] < best:
            best, state = row[f"validation.{env.task.quantity.primary}"], env.state_dict()
    kept.finish("budget")
    kept.close()
    return state


@pytest.mark.usefixtures("outside")
def test_a_run_is_opened_from_another_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a task of a file and data, both named relative to where the run was started."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    (here / "filed_grey.py").write_text(FILED)
    np.save(here / "grey.npy", np.linspace(0.3, 0.4, 5))
    monkeypatch.chdir(here)
    registry.load("filed_grey.py")
    env = DataGenEnv(registry.find("filed/Grey-v0")(data="grey.npy"), EnvOptions(train_steps=2))  # type: ignore[call-arg]
    state = played(Path("run"), "filed/Grey-v0", env, Fixed())
    config = json.loads((here / "run" / "config.json").read_text())
    assert config["task"]["data"] == str(here / "grey.npy")
    assert str(here / "filed_grey.py") in config["imports"]

    monkeypatch.chdir(there)
    for forget in (lambda: None, lambda: forgotten("filed/Grey-v0", "filed_grey")):
        forget()
        opened = open_run(Path("..") / "here" / "run")
        assert type(opened.env.task).__name__ == "FiledGrey"
        assert len(opened.env.task.domain.batch("test").image) == 5
        restored = opened.restore()
        np.testing.assert_equal(restored.state_dict(), state)
        assert np.isfinite(restored.step(restored.start)[1])


def forgotten(id: str, module: str) -> None:
    """As in another process."""
    del hgenv.TASKS._classes[id], sys.modules[module]


def test_an_opened_run_has_the_environment_the_rows_and_the_snapshot(tmp_path: Path) -> None:
    options = EnvOptions(
        gradient=Score(samples=4, exact=True), inner=SGD(learning_rate=0.02), train_steps=2, spread=0.2,
        validation_images=None, coordinates="continuous",
    )  # fmt: skip
    env = DataGenEnv(ToyShading(hidden=4), options)
    env.start_from([0.5, 0.3, 0.6])
    state = played(tmp_path / "run", "hgenv/ToyShading-v0", env, RandomSearch(pairs=1, best=1))
    opened = open_run(str(tmp_path / "run"))
    assert opened.env.options == options
    assert opened.env.task == ToyShading(hidden=4)
    np.testing.assert_allclose(opened.env.box.start, env.box.start, atol=1e-12)
    assert [row["step"] for row in opened.rows] == [0, 1, 2, 3]
    assert opened.rows[-1] == pytest.approx(json.loads((tmp_path / "run" / "summary.json").read_text())["last"])
    np.testing.assert_equal(opened.restore().state_dict(), state)
    best = min(opened.rows, key=lambda row: row["validation.mae"])
    assert opened.env.metrics("validation")["mae"] == pytest.approx(best["validation.mae"])


def test_what_is_not_a_run_is_named(tmp_path: Path, outside: ModuleType) -> None:
    with pytest.raises(FileNotFoundError, match="folder of a run"):
        open_run(tmp_path)
    env = DataGenEnv(outside.Grey(), EnvOptions(train_steps=2))
    kept = RunFolder.new(tmp_path / "run", described("outside/Grey-v0", env.task, env.options))
    (tmp_path / "run" / "metrics.csv").write_text("step,val_loss\n0,")
    with pytest.raises(ValueError, match="no row yet"):
        open_run(tmp_path / "run")
    env.reset(seed=0)
    row = {"step": 0.0, "beta.brightness.value": 0.25}
    (tmp_path / "run" / "metrics.csv").unlink()
    kept.write(env, row)
    opened = open_run(tmp_path / "run")
    assert opened.snapshot == {}
    assert opened.rows == [row]
    with pytest.raises(ValueError, match="no snapshot"):
        opened.restore()
    with pytest.raises(BusyError, match=f"is being written by process {os.getpid()} on "):
        RunFolder.new(tmp_path / "run", {})
    kept.close()
    with pytest.raises(
        FileExistsError, match=f"not empty: go on with the run in it by hgenv resume {tmp_path / 'run'}"
    ):
        RunFolder.new(tmp_path / "run", {})


def test_a_new_folder_without_a_row_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        with RunFolder.new(tmp_path / name, {}):
            assert (tmp_path / name / "config.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert not list((tmp_path / "empty").iterdir())
