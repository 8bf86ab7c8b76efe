"""What a run has found is a point or a distribution, and is kept and trained on as what it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hgenv.cli.main import main as invoke
from hgenv.env import DataGenEnv
from hgenv.options import EnvOptions
from hgenv.run import Budget, run, spread_of
from hgenv.runs.folder import open_run, read_rows
from hgenv.snapshot import load_snapshot
from hgenv.tasks.toy_shading import ToyShading
from optimizers.reinforce import Reinforce

TOY = "hgenv/ToyShading-v0"
LEARNS = ["reinforce", "--learn-sigma", "--sigma", "0.3", "--samples", "2", "--step", "0.2"]
SHORT = ["--env", TOY, "--train-steps", "2", "--report-every", "4", "--no-figures"]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose answer is a distribution."""
    out = tmp_path_factory.mktemp("answers") / "learned"
    assert invoke(["run", *LEARNS, *SHORT, "--max-steps", "12", "--out", str(out)]) == 0
    return out


def test_a_distribution_is_in_the_rows_and_in_the_snapshot(learned: Path) -> None:
    rows, layout = read_rows(learned), ToyShading().layout
    np.testing.assert_allclose(spread_of(layout, rows[0]), 0.3)
    assert not np.allclose(spread_of(layout, rows[-1]), 0.3), "it has learned nothing"
    snapshot = load_snapshot(learned)
    best = rows[int(snapshot["step"])]
    np.testing.assert_array_equal(snapshot["spread"], spread_of(layout, best))


def test_a_distribution_is_trained_on_as_one(learned: Path, tmp_path: Path) -> None:
    again, resumed = tmp_path / "again", tmp_path / "resumed"
    words = ["run", "fixed", *SHORT, "--start", str(learned), "--spread", "found"]
    assert invoke([*words, "--max-steps", "2", "--out", str(again)]) == 0
    opened, found = open_run(again), load_snapshot(learned)
    np.testing.assert_array_equal(opened.env.box.start_spread, found["spread"])
    np.testing.assert_allclose(opened.rows[-1]["beta.light.mean"], found["beta"][0])
    np.testing.assert_array_equal(spread_of(opened.env.task.layout, opened.rows[-1]), found["spread"])
    np.testing.assert_array_equal(open_run(again).restore().box.start_spread, found["spread"])
    assert invoke([*words, "--max-steps", "1", "--out", str(resumed)]) == 0
    assert invoke(["resume", str(resumed), "--max-steps", "2"]) == 0
    assert val_losses(resumed) == val_losses(again)
    narrow = tmp_path / "narrow"
    assert invoke([*words[:-2], "--max-steps", "2", "--out", str(narrow)]) == 0
    assert val_losses(narrow) != val_losses(again)
    assert not any(name.startswith("spread.") for name in read_rows(narrow)[0])


def val_losses(folder: Path) -> list[float]:
    return [row["val_loss"] for row in read_rows(folder)]


def test_a_point_that_was_found_stays_a_point(tmp_path: Path) -> None:
    point, found, plain = tmp_path / "point", tmp_path / "found", tmp_path / "plain"
    assert invoke(["run", "random-search", *SHORT, "--max-steps", "2", "--out", str(point)]) == 0
    assert "spread" not in load_snapshot(point)
    words = ["run", "fixed", *SHORT, "--start", str(point), "--max-steps", "2"]
    assert invoke([*words, "--spread", "found", "--out", str(found)]) == 0
    assert invoke([*words, "--out", str(plain)]) == 0
    assert val_losses(found) == val_losses(plain)


def test_samples_have_the_standard_deviations_that_were_found() -> None:
    """Those that do not move have none; probes are spread as steps are."""
    wide = np.array([0.2, 0.05, 0.1])
    env = DataGenEnv(ToyShading(), EnvOptions(train_steps=1, batch_size=2000, spread="found", gradient=None))
    layout = env.task.layout
    env.start_from(layout.from_action(np.zeros(3)), spread=wide)
    env.reset(seed=0)
    seen = []
    draw = type(env.task).sample

    def spy(self: ToyShading, beta: np.ndarray, noise: object) -> object:
        seen.append(layout.to_action(beta))
        return draw(self, beta, noise)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ToyShading, "sample", spy)
        env.step(env.start)
        env.evaluate(env.start[None])
    assert len(seen) == 2
    for actions in seen:
        np.testing.assert_allclose(actions.std(0), wide, rtol=0.1)
        np.testing.assert_allclose(actions.mean(0), 0.0, atol=0.02)


def test_a_bad_spread_is_refused_and_nothing_changes() -> None:
    env = DataGenEnv(ToyShading(), EnvOptions(train_steps=1, spread="found"))
    env.reset(seed=0)
    box, episode = env.box, env.episode
    for bad, said in (
        ([0.1], r"spread must be \(3,\) finite"),
        ([0.1, -0.1, 0.1], "0 or more"),
        ([np.nan] * 3, "finite"),
    ):
        with pytest.raises(ValueError, match=said):
            env.start_from(env.task.layout.initial, spread=bad)
    assert env.box is box
    assert env.episode is episode


def test_a_snapshot_with_a_broken_spread_is_named(learned: Path, tmp_path: Path) -> None:
    content = dict(np.load(learned / "best.npz"))
    for bad in (content["spread"][:2], -content["spread"], content["spread"] * np.inf):
        np.savez(tmp_path / "best.npz", **content | {"spread": bad})
        with pytest.raises(ValueError, match=r"best\.npz is not a snapshot of a run: spread"):
            load_snapshot(tmp_path)


def test_a_distribution_in_a_run_of_the_interface() -> None:
    """Without a folder, and with frozen coordinates, which have no spread."""
    policy = Reinforce(learn_sigma=True, sigma=0.2)
    env = DataGenEnv(ToyShading(), EnvOptions(train_steps=1, coordinates="continuous"))
    row = next(run(env, policy, Budget(max_steps=1)))
    moves = np.isin(np.arange(3), env.box.movable)
    np.testing.assert_allclose(spread_of(env.task.layout, row), np.where(moves, 0.2, 0.0))
    assert (
        spread_of(env.task.layout, next(run(env, dataclasses.replace(policy, learn_sigma=False), Budget(max_steps=1))))
        is None
    )
