"""The instrument that was an example: do estimates agree?"""

import re

import numpy as np
import pytest

from hgenv.bench import signal
from hgenv.cli import main as cli
from hgenv.learning.gradient import Score
from hgenv.options import EnvOptions
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
