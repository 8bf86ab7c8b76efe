"""Optuna's samplers: they find what is to be found, keep to themselves, and play again what they were told."""

import subprocess
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from objectives import OPTIMUM, play, toy_regret
from partners import needs_optuna

from hgenv.cli import main as cli
from hgenv.options import EnvOptions
from hgenv.testing import check_optimizer
from optimizers import Optuna

SAMPLERS = ("TPE", "CMA-ES", "GP")


def begun(sampler: Any, steps: int, dimensions: int = 4) -> Optuna:
    """A search that has been told of so many steps, the start being 0.1 everywhere."""
    search = Optuna(sampler=sampler)
    search.init(np.full(dimensions, 0.1), np.random.default_rng(0))
    for _ in range(steps):
        points = search.ask()
        search.tell(points, ((points - OPTIMUM[:dimensions]) ** 2).sum(1))
    return search


@needs_optuna
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_find_the_optimum_of_a_quadratic(sampler: Any) -> None:
    steps = 8 if sampler == "GP" else 60  # each of its asks takes a quarter of a second
    assert np.linalg.norm(play(Optuna(sampler=sampler), steps)[-1] - OPTIMUM) < 0.1


@pytest.mark.slow
@needs_optuna
def test_cma_es_finds_the_optimum_of_toy_shading() -> None:
    """TPE and GP do so as recipes."""
    assert toy_regret(Optuna(sampler="CMA-ES"), EnvOptions(train_steps=10, validation_images=None), 2000) < 0.2


@dataclass
class Cma(Optuna):
    sampler: Any = "CMA-ES"


@dataclass
class Gp(Optuna):
    sampler: Any = "GP"
    evaluations: int = 2


@needs_optuna
@pytest.mark.parametrize("cls", [Cma, pytest.param(Gp, marks=pytest.mark.long)])
def test_samplers_are_right(cls: type[Optuna]) -> None:
    check_optimizer(cls)


@needs_optuna
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dimensions", [1, 4])
def test_the_start_is_the_first_trial_and_a_state_plays_again(sampler: Any, dimensions: int) -> None:
    assert begun(sampler, 0, dimensions).ask()[0].tolist() == [0.1] * dimensions
    search = begun(sampler, 4, dimensions)
    search.ask()  # and was cut short then
    again = Optuna(sampler=sampler)
    again.init(np.zeros(dimensions) + 0.1, np.random.default_rng(9))
    again.load_state_dict(search.state_dict())
    np.testing.assert_array_equal(again.recommend(), search.recommend())
    for one in (search, again):
        one.tell(np.zeros((4, dimensions)), np.arange(4.0))
    np.testing.assert_array_equal(again.ask(), search.ask())


@needs_optuna
def test_another_search_is_not_taken_for_the_one_that_played() -> None:
    search = begun("TPE", 4)
    before = search.recommend()
    with pytest.raises(ValueError, match="Optuna's TPE does not play again what it played"):
        search.load_state_dict(search.state_dict() | {"seed": np.array(5)})
    with pytest.raises(ValueError, match="no state of Optuna"):
        search.load_state_dict({"told": np.zeros((2, 4))})
    np.testing.assert_array_equal(search.recommend(), before)


@needs_optuna
def test_losses_that_are_not_finite_are_failed_trials_and_the_lowest_is_recommended() -> None:
    from optuna.trial import TrialState

    search = begun("CMA-ES", 0)
    points = search.ask()
    search.tell(points, np.array([np.nan, np.inf, -np.inf, np.nan]))
    assert search.recommend().tolist() == [0.1] * 4
    points = search.ask()
    search.tell(points, np.array([3.0, np.nan, 2.0, -np.inf]))
    np.testing.assert_array_equal(search.recommend(), points[2])
    search.tell(search.ask(), np.array([2.5, 3.0, 2.0, np.inf]))
    np.testing.assert_array_equal(search.recommend(), points[2])
    failed = [trial.state == TrialState.FAIL for trial in search._study.trials]
    assert failed == [True] * 4 + [False, True, False, True] + [False, False, False, True]


@needs_optuna
def test_a_study_says_nothing_and_leaves_optuna_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        begun("GP", 4)
    assert (found, *capfd.readouterr()) == ([], "", "")
    assert optuna.logging.get_verbosity() == before


@pytest.mark.parametrize(
    ("missing", "sampler"), [("optuna", "TPE"), pytest.param("cmaes", "CMA-ES", marks=needs_optuna)]
)
def test_without_the_library_it_is_listed_and_says_how_to_install_it(
    missing: str, sampler: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert cli.main(["list"]) == 0
    assert "\n  optuna " in capsys.readouterr().out
    words = ["run", "optuna", "--sampler", sampler, "--env", "hgenv/ToyShading-v0", "--max-steps", "1"]
    assert cli.main([*words, "--no-figures", "--out", str(tmp_path / "run")]) == 2
    wanted = f"hgenv: error: the optimizer optuna needs {missing}: pip install 'hgenv[optuna]'\n"
    assert capsys.readouterr().err == wanted


def test_optimizers_are_imported_without_optuna() -> None:
    code = "import sys, hgenv, optimizers; sys.exit('optuna' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
