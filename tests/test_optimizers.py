"""The contract of every registered optimizer, and what other libraries' do with it."""

import dataclasses
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from objectives import OPTIMUM, play, toy_regret
from partners import playable

from hgenv.learning.gradient import Perturbed
from hgenv.options import EnvOptions
from optimizers import (
    OPTIMIZERS,
    Evolution,
    Fixed,
    HybridGradient,
    Nevergrad,
    Optimizer,
    Optuna,
    PopulationBased,
    RandomSearch,
    Reinforce,
    register,
)
from optimizers.descent import Rule

NAMES = playable(OPTIMIZERS)
CONTROLS = ("fixed", "random-beta", "random-step")
SEARCHING = playable(OPTIMIZERS.keys() - set(CONTROLS))


@pytest.mark.parametrize("name", NAMES)
def test_recommends_the_start_before_the_first_tell(name: str) -> None:
    optimizer, start = OPTIMIZERS[name](), np.array([0.1, 0.2, 0.3, 0.4])
    optimizer.init(start, np.random.default_rng(0))
    np.testing.assert_array_equal(optimizer.recommend(), start)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_path_and_a_constant_in_the_loss_does_not_matter(name: str) -> None:
    path = play(OPTIMIZERS[name](), 20)
    np.testing.assert_array_equal(path, play(OPTIMIZERS[name](), 20))
    np.testing.assert_allclose(path, play(OPTIMIZERS[name](), 20, shift=3.0), atol=1e-9)


@pytest.mark.parametrize("name", SEARCHING)
def test_finds_the_optimum_of_a_quadratic(name: str) -> None:
    optimizer = OPTIMIZERS[name]()
    steps = 400 if len(optimizer_asks(name)) or optimizer.uses_gradient else 1600  # four points a step, or one
    steps = 50 if name == "optuna" else steps  # each of its asks takes longer than the last
    assert np.linalg.norm(play(optimizer, steps)[-1] - OPTIMUM) < 0.1


def optimizer_asks(name: str) -> np.ndarray:
    optimizer = OPTIMIZERS[name]()
    optimizer.init(np.zeros(4), np.random.default_rng(0))
    return optimizer.ask()


GOLDEN = Path(__file__).parent / "golden_trajectories.json"


@pytest.mark.parametrize("name", NAMES)
def test_trajectories_are_the_golden_ones(name: str, request: pytest.FixtureRequest) -> None:
    """The found points of eight steps on the quadratic: `pytest --regenerate-golden -n 0` writes them anew."""
    path = [point.tolist() for point in play(OPTIMIZERS[name](), 8)]
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if request.config.getoption("--regenerate-golden"):
        GOLDEN.write_text(json.dumps(golden | {name: path}, indent=1, sort_keys=True) + "\n")
    else:
        np.testing.assert_allclose(path, golden[name], atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHING)
def test_finds_the_optimum_of_toy_shading(name: str) -> None:
    optimizer = OPTIMIZERS[name]()
    gradient = Perturbed() if optimizer.uses_gradient else None
    options = EnvOptions(train_steps=10, gradient=gradient, validation_images=None)
    assert toy_regret(optimizer, options, 4000) < 0.2


@pytest.mark.parametrize("rule", get_args(Rule))
def test_all_rules_find_the_optimum(rule: Rule) -> None:
    for optimizer in (HybridGradient(rule=rule), RandomSearch(rule=rule, decay_after=100.0)):
        assert np.linalg.norm(play(optimizer, 400)[-1] - OPTIMUM) < 0.1


@pytest.mark.parametrize("variant", ["BRS", "V1", "V1-t"])
def test_all_variants_find_the_optimum(variant: str) -> None:
    search = RandomSearch(variant=variant, pairs=4, best=2, nu=0.05, step=0.05)
    assert np.linalg.norm(play(search, 500)[-1] - OPTIMUM) < 0.1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_survives_a_loss_and_gradient_that_are_not_finite(name: str, bad: float) -> None:
    optimizer = OPTIMIZERS[name]()
    optimizer.init(np.zeros(4), np.random.default_rng(0))
    for _ in range(3):
        points = optimizer.ask()
        if len(points):
            optimizer.tell(points, np.full(len(points), bad))
        x = optimizer.recommend()
        assert np.isfinite(x).all()
        if optimizer.uses_steps:
            optimizer.tell(x[None], np.array([bad]), np.full(4, bad))
    assert np.isfinite(optimizer.recommend()).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_survives_a_bad_step_among_good_ones(name: str, bad: float) -> None:
    """All of one step's losses are bad, and one of the next."""
    optimizer = OPTIMIZERS[name]()
    optimizer.init(np.zeros(4), np.random.default_rng(0))
    for step in range(6):
        points = optimizer.ask()
        losses = np.arange(1.0, 1 + len(points))
        losses[: {2: None, 3: 1}.get(step, 0)] = bad
        if len(points):
            optimizer.tell(points, losses)
        x = optimizer.recommend()
        assert np.isfinite(x).all()
        if optimizer.uses_steps:
            optimizer.tell(x[None], np.array([bad if step in (2, 3) else 1.0]), np.full(4, bad if step == 2 else 1.0))
    assert np.isfinite(optimizer.found()).all()


FIELDS = [(name, field.name) for name, cls in OPTIMIZERS.items() for field in dataclasses.fields(cls)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_hyper_parameters_are_what_their_annotations_say(name: str, field: str) -> None:
    cls = OPTIMIZERS[name]
    for bad in (object(), [], b"x", 1j, np.zeros((50, 50)), np.nan, np.inf, 10**400, 10**5000, np.float32("inf"), 1e30):
        with pytest.raises(ValueError, match=f"{field} must be") as refused:
            cls(**{field: bad})
        assert len(str(refused.value).splitlines()) == 1
    value = getattr(cls(), field)
    if isinstance(value, bool | int | float):
        for bad in ("1", None, *([1, "no"] if isinstance(value, bool) else [True, np.bool_(True)])):
            if (field, bad) != ("decay_after", None):
                with pytest.raises(ValueError, match=f"{field} must be"):
                    cls(**{field: bad})
        assert type(getattr(cls(**{field: np.array(value)[()]}), field)) is type(value)


@pytest.mark.parametrize("name", ["CMA", "DiagonalCMA", "DE", "PSO", "OnePlusOne", "ES", "TBPSA"])
def test_nevergrads_optimizers_improve_and_repeat_themselves(name: str) -> None:
    path = play(Nevergrad(name=name), 100)
    assert np.linalg.norm(path[-1] - OPTIMUM) < 0.7 * np.linalg.norm(OPTIMUM)
    np.testing.assert_array_equal(path, play(Nevergrad(name=name), 100))
    assert any((a != b).any() for a, b in zip(path, play(Nevergrad(name=name), 100, seed=1), strict=True))


def test_an_optimizer_of_nevergrads_that_fails_is_named() -> None:
    search = Nevergrad(name="LHSSearch", plan=6)
    search.init(np.zeros(4), np.random.default_rng(0))
    search.tell(search.ask(), np.arange(4.0))
    with pytest.raises(ValueError, match=r"nevergrad's LHSSearch failed: .*budget"):
        search.ask()


@pytest.mark.parametrize(("name", "message"), [("Nonsense", "has no optimizer"), ("Cobyla", "several points")])
def test_nevergrads_that_cannot_play_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Nevergrad(name=name).init(np.zeros(4), np.random.default_rng(0))


@pytest.mark.parametrize("name", ["Powell", "SQP", "BO"])
def test_nevergrads_that_take_a_point_at_a_time_play_and_go_on(name: str) -> None:
    search, again = (Nevergrad(name=name, evaluations=1, plan=20) for _ in range(2))
    path = play(search, 12)
    again.init(np.zeros(4), np.random.default_rng(0))
    again.load_state_dict(search.state_dict())
    np.testing.assert_array_equal(again.recommend(), path[-1])
    np.testing.assert_array_equal(again.ask(), search.ask())


def test_another_nevergrad_is_not_taken_for_the_one_that_played() -> None:
    search = Nevergrad(name="CMA")
    play(search, 3)
    state = search.state_dict() | {"seed": np.array(5)}
    before = search.recommend()
    with pytest.raises(ValueError, match="CMA does not play again what it played"):
        search.load_state_dict(state)
    with pytest.raises(ValueError, match="no state of Nevergrad"):
        search.load_state_dict({"told": np.zeros((2, 4))})
    np.testing.assert_array_equal(search.recommend(), before)


def test_a_state_that_does_not_fit_is_refused() -> None:
    policy = Reinforce()
    policy.init(np.zeros(4), np.random.default_rng(0))
    state = policy.state_dict()
    assert state.keys() >= {"_rng", "_baseline?", "_of_mean._count", "_costs"}
    for wrong, message in (
        ({"_mean": None}, "lacks '_mean' of Reinforce"),
        ({"_other.x": 1}, "'_other', which Reinforce has not"),
        ({"tell": 1}, "'tell', which Reinforce has not"),
        ({"_rng": "{}"}, "_rng is no state of PCG64"),
    ):
        given = {name: value for name, value in (state | wrong).items() if value is not None}
        with pytest.raises(ValueError, match=message):
            policy.load_state_dict(given)
    assert {name: array.tolist() for name, array in policy.state_dict().items()} == {
        name: array.tolist() for name, array in state.items()
    }


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (PopulationBased, {"members": 1}),
        (PopulationBased, {"replaced": 5}),
        (PopulationBased, {"sigma": 0.0}),
        (RandomSearch, {"variant": "V2"}),
        (RandomSearch, {"pairs": 0}),
        (RandomSearch, {"best": 3}),
        (HybridGradient, {"rule": "sgd"}),
        (HybridGradient, {"step": -1.0}),
        (HybridGradient, {"decay": 1.0}),
        (Reinforce, {"samples": 0}),
        (Reinforce, {"samples": 1, "baseline_decay": 0.0}),
        (Reinforce, {"play": "both"}),
        (Reinforce, {"rule": "sgd"}),
        (Evolution, {"children": 0}),
        (Evolution, {"mutation": 2.0}),
        (RandomSearch, {"rule": "sgd"}),
        (Nevergrad, {"evaluations": 0}),
        (Optuna, {"evaluations": 0}),
        (Optuna, {"sampler": "Random"}),
    ],
)
def test_bad_hyper_parameters_are_refused(cls: type[Optimizer], options: dict) -> None:
    with pytest.raises(ValueError, match="got"):
        cls(**options)


def test_what_is_registered_again_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silently by the class of the same name, as a notebook's cell that runs anew; with a warning by another."""
    monkeypatch.setitem(OPTIMIZERS, "fixed", Fixed)
    anew = type("Fixed", (Fixed,), {"__module__": Fixed.__module__})
    register("fixed")(anew)  # warnings are errors
    assert OPTIMIZERS["fixed"] is anew
    with pytest.warns(UserWarning, match=r"fixed was optimizers\.fixed\.Fixed and is now .*RandomSearch"):
        register("fixed")(RandomSearch)
    assert OPTIMIZERS["fixed"] is RandomSearch
