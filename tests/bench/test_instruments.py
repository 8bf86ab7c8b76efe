"""Instruments: do estimates agree, what do they vary by, is training smooth?"""

import dataclasses
import re

import numpy as np
import pytest
import torch

from hgenv.bench import metasmooth, signal, variance
from hgenv.bench.aged import aged, aged_for
from hgenv.beta.noise import stream_keys
from hgenv.cli import main as cli
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import ImageDifference, Score
from hgenv.learning.response import KEPT
from hgenv.options import EnvOptions
from hgenv.step import loss_by_weights
from hgenv.tasks.toy_shading import ToyShading


def test_agreement_by_hand() -> None:
    vectors = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0], [0.0, 0.0]])
    found = signal.agreement(vectors)
    assert found.pairs == pytest.approx(1 / 6), "of six pairs one agrees"
    assert found.halves == pytest.approx(np.sqrt(0.5))
    assert signal.agreement(np.zeros((4, 2))) == (0.0, 0.0)


def test_estimates_on_the_toy_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "signal", "hgenv/ToyShading-v0", "--estimates", "20"]) == 0
    assert re.search(
        r"^mean cosine of two estimates 0\.[4-9]\d+, of the means of both halves 0\.9", capsys.readouterr().out
    )
    assert cli.main(["bench", "signal", "hgenv/ToyShading-v0", "--gradient", "None"]) == 2
    assert "name an estimator" in capsys.readouterr().err
    assert cli.main(["bench", "signal", "--estimates", "2"]) == 2
    assert "estimates must be an integer and >= 4" in capsys.readouterr().err


def test_estimates_are_of_every_step_at_the_start() -> None:
    options = EnvOptions(gradient=Score(), gradient_every=3, train_steps=2)
    found = list(signal.estimates(ToyShading(), options, signal.SignalOptions(estimates=4)))
    assert np.shape(found) == (4, 3)
    assert np.isfinite(found).all()


def test_components_of_variance_are_those_that_were_drawn() -> None:
    """On simulated estimates, averaged over 300 tables: variances 4, 2 and 1 a coordinate about a gradient."""
    rng, gradient = np.random.default_rng(0), np.array([1.0, -2.0, 0.5])
    found = []
    for _ in range(300):
        training = 2.0 * rng.standard_normal((6, 1, 1, 3))
        validation = np.sqrt(2.0) * rng.standard_normal((6, 4, 1, 3))
        found.append(variance.components(gradient + training + validation + rng.standard_normal((6, 4, 3, 3))))
    mean, error = np.mean(found, 0), np.std(found, 0) / np.sqrt(300)
    wanted = [12.0, 6.0, 3.0, float(gradient @ gradient)]
    assert np.all(np.abs(mean - wanted) < 3.5 * error), (mean, error)
    assert np.all(error < 0.06 * np.array(wanted) + 0.1)


def test_variance_is_told_by_its_sources(capsys: pytest.CaptureFixture[str]) -> None:
    short = ["hgenv/ToyShading-v0", "--age", "40", "--trainings", "3", "--validations", "2", "--directions", "2"]
    shares = {}
    for name in ("perturbed", "image"):
        assert cli.main(["bench", "variance", *short, "--gradient", name]) == 0
        lines = capsys.readouterr().out.splitlines()
        shares[name] = {line.split(" | ")[0][2:]: float(line.split(" | ")[1]) for line in lines[2:5]}
        assert sum(shares[name].values()) == pytest.approx(1.0, abs=0.002)
    assert shares["perturbed"]["directions"] == 0.0 < shares["image"]["directions"], "its directions are its samples'"
    assert cli.main(["bench", "variance", *short[:1], "--age", "41"]) == 2
    assert "must be a multiple of train_steps (20), got 41" in capsys.readouterr().err
    assert cli.main(["bench", "variance", "--gradient", "None"]) == 2


def test_an_estimate_of_the_instrument_is_that_of_a_step() -> None:
    """With the validation images that a step has had, and its directions."""
    options = EnvOptions(train_steps=4, gradient=ImageDifference(steps=2, horizon=50), validation_images=None)
    env = DataGenEnv(ToyShading(), options)
    env.reset(seed=0)
    gradient = env.step(env.start)[4]["hybrid_gradient"]
    now = env.episode
    rows = env.task.domain.batch("validation")
    again = loss_by_weights(env._learner, options, options.gradient, now, rows)
    torch.testing.assert_close(again, env.signal.by_weights)
    rng = np.random.default_rng(stream_keys(now.seed, "direction", 1, 4))
    np.testing.assert_allclose(options.gradient.estimate(env.signal, env.generate, rng), gradient)


def test_metasmoothness_by_hand() -> None:
    t0, t1, t2 = np.array([[0.0, 0.0, 0.0, 1.0], [1.0, -1.0, 2.0, 1.0], [3.0, -2.0, 1.0, 1.0]])
    assert metasmooth.metasmoothness(t0, t1, t2) == pytest.approx((3 + 2 - 1) / 6), "the third turns back"
    assert metasmooth.metasmoothness(t0, t0, t0) == 1.0


def test_training_is_smoother_with_larger_eps_root(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for root in ("0", "1e-2"):
        words = ["bench", "metasmooth", "hgenv/ToyShading-v0", "--steps", "60", "--inner-eps-root", root]
        assert cli.main(words) == 0
        found.append(float(re.search(r"metasmoothness (\S+) ± \d", capsys.readouterr().out).group(1)))
    assert -1.0 <= found[0] < found[1] <= 1.0


def test_an_aged_network_has_the_gradients_of_a_horizon() -> None:
    """As many as are kept, at its own weights, so that an estimate depends on the horizon as in a run."""
    options, o = EnvOptions(train_steps=4), variance.VarianceOptions(age=8, trainings=2, validations=2, directions=2)
    env, state = aged(ToyShading(), options, 8, 0)
    wanted = aged_for(Score(horizon=9), ToyShading(), options, 8, 0)
    assert wanted["gradients"].shape == (KEPT, len(env.episode.weights.weights))
    assert "gradients" not in state
    np.testing.assert_array_equal(wanted["weights"], state["weights"])
    near, far = (
        np.array(list(variance.estimates(ToyShading(), dataclasses.replace(options, gradient=Score(horizon=h)), o)))
        for h in (None, 10_000)
    )
    assert np.isfinite(far).all()
    assert not np.allclose(near, far, rtol=0.05)
