"""Recipes: every one can be run, finds what is to be found, and is what the page says."""

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from objectives import OPTIMUM, play, toy_regret
from partners import playable

from hgenv.bench.compare import CompareOptions
from hgenv.cli import main as cli
from hgenv.cli.run import parse_run, players
from hgenv.learning.gradient import Estimator, Perturbed, Score
from hgenv.recipes import RECIPES, expanded
from optimizers import OPTIMIZERS

TOY = ["--env", "hgenv/ToyShading-v0"]
PAGE = Path(__file__).parents[1] / "docs" / "optimizers.md"
LONG = (
    "gp", "tpe", "cma", "cma-initial", "tbpsa", "tbpsa-initial", "one-plus-one", "one-plus-one-initial", "image",
    "influence", "score", "mixed", "autosimulate",
)  # fmt: skip
"""What is slow on the toy, or much like another; and cma, which finds its optimum from some seeds only."""


def names(agents: bool, long: Collection[str] = ()) -> list:
    """Recipes as parameters of a test: those of agents, or of optimizers, of which some take long."""
    found = []
    for name, recipe in RECIPES.items():
        optimizer = recipe.words.split()[0]
        if (optimizer not in OPTIMIZERS) == agents:
            marks = [mark for one in playable([optimizer]) for mark in one.marks]
            found.append(pytest.param(name, marks=marks + [pytest.mark.long] * (name in long)))
    return found


@pytest.mark.parametrize("name", names(agents=False, long=["gp"]))
def test_recipes_find_the_optimum_of_a_quadratic(name: str) -> None:
    optimizer = parse_run(players(), expanded([name, *TOY], OPTIMIZERS)).optimizer
    steps = {"meta-sim": 800, "learning-to-simulate": 1600, "tpe": 50, "gp": 8}.get(name, 400)
    assert np.linalg.norm(play(optimizer, steps)[-1] - OPTIMUM) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", names(agents=False, long=LONG))
def test_recipes_find_the_optimum_of_toy_shading(name: str) -> None:
    s = parse_run(players(), expanded([name, *TOY, "--validation-images", "None"], OPTIMIZERS))
    steps = 6000 if s.training.probes == "initial" else 2000
    steps = 1000 if name == "dataset-policy-gradient" else steps  # which it differentiates through
    seeds = range(3) if name == "cma-initial" else [0]  # which finds it slowly from one seed of three
    assert np.median([toy_regret(s.optimizer, s.training, steps, seed) for seed in seeds]) < 0.2


@pytest.mark.parametrize("name", names(agents=True))
def test_recipes_of_agents_have_the_right_words(name: str) -> None:
    assert parse_run(players(), expanded([name, *TOY], OPTIMIZERS)).optimizer.algorithm == name.upper()


def test_later_words_override_and_an_optimizer_goes_first() -> None:
    words = expanded(["meta-sim", *TOY, "--sigma", "0.2", "--distribution-matching=3"], OPTIMIZERS)
    s = parse_run(players(), words)
    assert (s.optimizer.sigma, s.optimizer.samples, s.training.distribution_matching) == (0.2, 1, 3.0)
    assert expanded(["meta-sim", "--seed", "1"], {"meta-sim"}) == ["meta-sim", "--seed", "1"]
    assert expanded([], OPTIMIZERS) == []
    s = parse_run(players(), expanded(["dataset-policy-gradient", *TOY, "--no-gradient-exact"], OPTIMIZERS))
    assert (s.training.gradient.exact, s.training.gradient.curvature) == (False, True)
    assert not RECIPES.keys() & players().keys(), "a name is one thing"


def test_a_recipe_is_run_and_kept_as_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*TOY, "--max-steps", "2", "--train-steps", "2", "--no-figures"]
    assert cli.main(["run", "autosimulate", *words]) == 0
    config = json.loads((tmp_path / "runs" / "ToyShading-v0-autosimulate-s0" / "config.json").read_text())
    assert config["command"].startswith("hgenv run autosimulate --env")
    assert config["words"] == [*RECIPES["autosimulate"].words.split(), *words]
    assert (config["optimizer_name"], config["training"]["gradient"]) == ("hybrid-gradient", "score")
    assert cli.main(["resume", "runs/ToyShading-v0-autosimulate-s0", "--max-steps", "3"]) == 0


def test_a_comparison_knows_them() -> None:
    methods = dict(CompareOptions(optimizers=("meta-sim", "x=autosimulate --step 0.1")).methods())
    assert methods["meta-sim"] == RECIPES["meta-sim"].words.split()
    assert methods["x"] == [*RECIPES["autosimulate"].words.split(), "--step", "0.1"]
    with pytest.raises(ValueError, match="--seed must be the same for all"):
        CompareOptions(optimizers=("x=autosimulate --seed 3",))


def test_the_page_says_what_they_are() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    for name, (words, source, differs) in RECIPES.items():
        assert f"| `{name}` | {source} | `{words}` | {differs} |".replace("  ", " ") in rows


def test_a_name_that_is_nearly_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "metasim", *TOY]) == 2
    assert "did you mean meta-sim?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], (Score(natural=True, horizon=30_000), "average", 0.25)),
        (["--gradient-horizon", "None", "--step", "0.1"], (Score(natural=True), "average", 0.1)),
        (["--gradient", "score"], (Score(), "momentum", 0.05)),
        (["--env", "hgenv/ShapeEvolution-v0"], (Perturbed(horizon=30_000), "momentum", 0.05)),
    ],
)
def test_the_best_estimator_runs_where_none_is_named(words: list[str], expected: tuple[Estimator, str, float]) -> None:
    s = parse_run(players(), ["hybrid-gradient", *words])
    assert (s.training.gradient, s.optimizer.rule, s.optimizer.step) == expected
