"""Options: what every field may hold, the parts as values and as plain options, and the way there and back."""

import dataclasses
import math
from typing import Annotated, Any

import gymnasium
import numpy as np
import pytest

import hgenv
from hgenv.env import DataGenEnv
from hgenv.fields import AtLeast, AtMost, Over, Under
from hgenv.learning.gradient import ESTIMATORS, Perturbed, Score
from hgenv.learning.networks import HourglassSize
from hgenv.learning.training import INNER_OPTIMIZERS, SGD, Adam
from hgenv.options import EnvOptions, build, flat, in_place, knobs
from hgenv.run import Budget
from hgenv.tasks.shape_normals import ShapeNormals
from hgenv.tasks.toy_shading import ToyShading

TASKS = [hgenv.TASKS[name] for name in hgenv.TASKS if name.startswith("hgenv/")]
PARTS = [EnvOptions, HourglassSize, *ESTIMATORS.values(), *INNER_OPTIMIZERS.values(), *TASKS]
FIELDS = [(cls, field.name) for cls in PARTS for field in dataclasses.fields(cls)]
NUMBERS = [
    (cls, name, getattr(cls(), name)) for cls, name in FIELDS if isinstance(getattr(cls(), name), bool | int | float)
]


@pytest.mark.parametrize(("cls", "name"), FIELDS, ids=lambda v: getattr(v, "__name__", v))
def test_no_field_takes_what_it_cannot_hold(cls: type, name: str) -> None:
    bad: list[Any] = [object(), [], {}, b"x", 1j, np.zeros(2), math.nan, np.float32("nan"), np.inf, np.zeros((50, 50))]
    for value in [*bad, 10**400, -(10**400), 10**5000]:
        with pytest.raises(ValueError, match=name) as refused:
            cls(**{name: value})
        assert len(str(refused.value).splitlines()) == 1
        assert len(str(refused.value)) < 400


@pytest.mark.parametrize("value", [True, 0, -1, math.nan, math.inf, 10**400, "3", np.float64("nan"), np.zeros(1)])
@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Budget)])
def test_a_budget_is_a_positive_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        Budget(**{name: value})
    assert Budget(**{name: np.int64(3)}) == Budget(**{name: 3})  # type: ignore[arg-type]


@pytest.mark.parametrize(("cls", "name", "value"), NUMBERS, ids=lambda v: getattr(v, "__name__", v))
def test_numbers_are_not_text_nor_flags(cls: type, name: str, value: float) -> None:
    wrong = ["1", "x", None, -1]
    wrong += [1, 0.0, "True"] if isinstance(value, bool) else [True, False, np.bool_(True)]
    wrong += [2.5, np.float64(2.0), 2.0] if type(value) is int else []
    for bad in wrong:
        if (cls, name, bad) in {(EnvOptions, "validation_images", None)}:
            continue
        with pytest.raises(ValueError, match=name):
            cls(**{name: bad})


@pytest.mark.parametrize(("cls", "name", "value"), NUMBERS, ids=lambda v: getattr(v, "__name__", v))
def test_numpys_scalars_are_taken_as_pythons(cls: type, name: str, value: float) -> None:
    kinds: dict[type, list[type]] = {bool: [np.bool_], int: [np.int64, np.uint32], float: [np.float32, np.float64]}
    for kind in kinds[type(value)]:
        given = kind(value)
        made = cls(**{name: given})
        assert type(getattr(made, name)) is type(value)
        assert getattr(made, name) == pytest.approx(given)


def test_numpys_scalars_reach_an_environment() -> None:
    env = gymnasium.make(
        "hgenv/ToyShading-v0", resolution=np.int64(8), hidden=np.int32(4), train_steps=np.int64(2),
        weight_average=np.float32(0.5), observe_gradient=np.bool_(True), gradient=np.str_("perturbed"),
        gradient_sigma=np.float32(0.25), inner_learning_rate=np.float64(0.01), inner_freeze=np.bool_(False),
        spread=None, validation_images=np.uint16(4),
    ).unwrapped  # fmt: skip
    assert isinstance(env, DataGenEnv)
    assert env.options.gradient == Perturbed(sigma=0.25)
    assert env.task == ToyShading(hidden=4)
    plain = DataGenEnv(
        ToyShading(hidden=4),
        EnvOptions(gradient=Perturbed(sigma=0.25), inner=Adam(learning_rate=0.01), train_steps=2, weight_average=0.5,
                   observe_gradient=True, validation_images=4),
    )  # fmt: skip
    for one in (env, plain):
        one.reset(seed=0)
    np.testing.assert_array_equal(env.step(env.start)[0], plain.step(plain.start)[0])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"inner": "sgd", "inner_freeze": True}, ValueError, "inner_freeze has no meaning with inner='sgd'"),
        ({"inner": SGD(), "inner_freeze": False}, ValueError, "inner_freeze has no meaning with inner='sgd'"),
        ({"inner": "sgd", "inner_beta1": 0.5}, ValueError, "which has inner_learning_rate, inner_momentum"),
        ({"inner_momentum": 0.5}, ValueError, "inner_momentum has no meaning with inner='adam'"),
        ({"inner": "lion"}, ValueError, "inner must be one of adam, sgd, got 'lion'"),
        ({"inner": None}, ValueError, "inner must be"),
        ({"inner": Adam}, ValueError, "inner must be"),
        ({"gradient": Score}, ValueError, "gradient must be"),
        (
            {"gradient": "image", "gradient_samples": 3},
            ValueError,
            "gradient_samples has no meaning with gradient='image'",
        ),
        ({"gradient_sigma": 0.1}, ValueError, "gradient_sigma has no meaning without gradient"),
        ({"gradient_steps": 2, "gradient": None}, ValueError, "no meaning without gradient"),
        ({"gradient_every": 2}, ValueError, "gradient_every has no meaning without gradient"),
        ({"observe_gradient": True}, ValueError, "observe_gradient needs"),
        ({"gradient": "image", "gradient_steps": 21}, ValueError, "in 1..20"),
        ({"gradient": "image", "spread": "uniform"}, ValueError, "there is no gradient"),
        ({"gradient": Perturbed(), "spread": 0.1}, ValueError, "spreads the samples itself"),
        ({"spread": "wide"}, ValueError, "spread must be"),
        ({"spread": -0.1}, ValueError, "spread must be"),
        ({"weight_average": 1.0}, ValueError, "weight_average must be"),
        ({"coordinates": "some"}, ValueError, "coordinates must be one of 'all', 'continuous'"),
        ({"observed_steps": 0}, ValueError, "observed_steps must be"),
        ({"device": "abacus"}, ValueError, "device 'abacus' cannot be used"),
        ({"device": 3}, ValueError, "device must be text"),
        ({"trainsteps": 3}, TypeError, "did you mean train_steps"),
        ({"inner_learningrate": 3}, ValueError, "inner_learningrate has no meaning"),
    ],
)
def test_misfits_are_refused(given: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build(EnvOptions, given)
    with pytest.raises(error):
        gymnasium.make("hgenv/ToyShading-v0", **given)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"channels": 12}, ValueError, "channels must be a multiple of 8"),
        ({"resolution": 30}, ValueError, "resolution must be a multiple of"),
        ({"hourglass": 3}, ValueError, "hourglass must be"),
        ({"hourglass": None}, ValueError, "hourglass must be"),
        ({"target": "mit-berkeley"}, ValueError, "needs data"),
        ({"hourglass": HourglassSize(), "channels": 16}, TypeError, "channels"),
        ({"chanels": 16}, TypeError, "did you mean channels"),
    ],
)
def test_misfits_of_a_task_are_refused(given: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build(ShapeNormals, given)
    with pytest.raises(error):
        gymnasium.make("hgenv/ShapeNormals-v0", **given)


MADE = [
    *(EnvOptions(gradient=cls()) for cls in ESTIMATORS.values()),
    EnvOptions(gradient=Score(samples=4, exact=True), gradient_every=3, observe_gradient=True),
    EnvOptions(inner=SGD(learning_rate=0.1), spread="uniform", validation_images=None),
    EnvOptions(inner=Adam(freeze=True), spread=0.25),
    *(cls() for cls in TASKS),
    ShapeNormals(hourglass=HourglassSize(channels=16, stem_stride=1), max_depth=2),
]


@pytest.mark.parametrize("made", MADE, ids=repr)
def test_plain_options_make_an_equal_instance(made: Any) -> None:
    plain = flat(made)
    assert all(v is None or isinstance(v, bool | int | float | str) for v in plain.values())
    assert plain.keys() <= knobs(type(made)).keys()
    assert build(type(made), plain) == made


@dataclasses.dataclass(frozen=True)
class Clashing(ToyShading):
    train_steps: int = 3


def test_an_option_that_task_and_environment_share_is_refused() -> None:
    with pytest.raises(TypeError, match="Clashing has the option train_steps"):
        hgenv.env.of_options(Clashing, {})


def test_parts_are_values_by_gymnasiums_door_too() -> None:
    env = gymnasium.make(
        "hgenv/ShapeNormals-v0", hourglass=HourglassSize(channels=16), inner=SGD(), gradient=Score(), inner_momentum=0.5
    ).unwrapped
    assert isinstance(env, DataGenEnv)
    assert env.task == ShapeNormals(hourglass=HourglassSize(channels=16))
    assert env.options == EnvOptions(inner=SGD(momentum=0.5), gradient=Score())


def test_a_misfit_of_a_part_is_named_as_the_option_is() -> None:
    with pytest.raises(ValueError, match=r"^gradient_shared must be True or False, got 'no'$"):
        build(EnvOptions, {"gradient": "image", "gradient_shared": "no"})


def test_nothing_that_runs_elsewhere_is_left_in_place() -> None:
    elsewhere = EnvOptions(workers="3", render_workers=2, render_by="processes")
    assert in_place(elsewhere) == EnvOptions()


def test_bounds_of_different_kinds_differ() -> None:
    """Some Pythons keep one Annotated for equal ones, and a field would have another's bound."""
    assert len({AtLeast(0), Over(0), AtMost(0), Under(0)}) == 4
    assert Annotated[float, AtLeast(0)] != Annotated[float, Over(0)]
