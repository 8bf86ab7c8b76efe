"""Distributions and samples over a run: quantiles against scipy, figures and films."""

import gymnasium
import numpy as np
import pytest
import scipy.stats
from PIL import Image

import hgenv
from hgenv.cli import main as cli
from hgenv.csg.grammar import ShapeBeta
from hgenv.runs import beta_figures as history


def test_panels_are_the_quantiles_and_probabilities_of_beta() -> None:
    layout = ShapeBeta()
    rng = np.random.default_rng(0)
    betas = layout.from_action(rng.uniform(-1, 1, (5, 29)))
    found = {panel.name: panel for panel in history.panels(layout, betas)}
    assert len(found) == 3 + 3 + 3 + 5
    value = dict(zip(layout.names, betas.T, strict=True))
    weights = np.stack([value[f"primitive.{name}"] for name in layout.primitive.names])
    np.testing.assert_allclose(found["primitive"].values, weights / weights.sum(0), atol=0.004)
    np.testing.assert_allclose(found["expand"].values[1], value["expand.probability"], atol=0.004)
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])[:, None]
    expected = scipy.stats.norm.ppf(levels, value["translation.mean.y"], value["translation.std.y"])
    np.testing.assert_allclose(found["translation y"].values, expected)
    radius = scipy.stats.lognorm.ppf(
        levels, value["sphere_radius.std"], scale=np.exp(value["sphere_radius.mean"])
    )  # fmt: skip
    np.testing.assert_allclose(found["sphere_radius"].values, radius)


@pytest.mark.parametrize("id", sorted(hgenv.TASKS))
def test_every_layout_has_its_panels(id: str) -> None:
    layout = hgenv.TASKS[id]().layout
    panels = list(history.panels(layout, np.stack([layout.low, layout.high])))
    assert all(panel.values.shape[1] == 2 and np.isfinite(panel.values).all() for panel in panels)


def test_moments_hold_first_and_last() -> None:
    rows = [{"step": float(k)} for k in range(10)]
    assert [row["step"] for row in history.moments(rows, 4)] == [0, 3, 6, 9]
    assert history.moments(rows[:2], 6) == rows[:2]


def test_samples_of_a_constant_beta_do_not_change() -> None:
    env = gymnasium.make("hgenv/ToyShading-v0").unwrapped
    assert isinstance(env, hgenv.DataGenEnv)
    layout = env.task.layout
    beta = {f"beta.{name}": value for name, value in zip(layout.names, layout.initial, strict=True)}
    picture = history.samples(env, [beta, beta, beta | {"beta.light.mean": 0.9}], columns=4, count=3)
    first, second, third = np.split(picture, 3)
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


def test_a_film_has_its_frames(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    run, gif = str(tmp_path / "run"), tmp_path / "beta.gif"
    words = ["--env", "hgenv/ToyShading-v0", "--max-steps", "6", "--out", run]
    assert cli.main(["run", "random-search", *words]) == 0
    assert cli.main(["film", run, "--out", str(gif), "--frames", "4"]) == 0
    with Image.open(gif) as film:
        assert film.n_frames == 4
        assert film.width >= 900
        first = np.asarray(film.convert("RGB"))
        film.seek(3)
        assert (first != np.asarray(film.convert("RGB"))).any()
    assert gif.stat().st_size < 1_000_000
    assert cli.main(["film", run, "--out", "film.png"]) == 2
    assert cli.main(["film", "/nowhere", "--out", str(gif)]) == 2
    assert "/nowhere" in capsys.readouterr().err
