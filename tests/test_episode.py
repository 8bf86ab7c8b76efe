"""The record that a continued run depends on: whole, plain, and committed at once or not at all."""

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor

import hgenv.env
from hgenv.env import DataGenEnv, train_members
from hgenv.episode import Episode, Ledger
from hgenv.learning import learner
from hgenv.learning.gradient import ImageDifference
from hgenv.learning.learner import Learner
from hgenv.learning.members import Members
from hgenv.learning.training import SGD, FlatNetwork, State
from hgenv.options import EnvOptions
from hgenv.tasks.shape_evolution import ShapeEvolution
from hgenv.tasks.toy_shading import ToyShading

QUICK = {"train_steps": 3, "batch_size": 2, "validation_images": 4}
GREW = {"share": 0.9, "max_population": 30, "validation_size": 4, "test_size": 2, "resolution": 16, "channels": 8}


def made(id: str = "hgenv/ToyShading-v0", **changes: Any) -> DataGenEnv:
    given = {
        "train_steps": 3,
        "batch_size": 2,
        "validation_images": 4,
        **(GREW if "Evolution" in id else {}),
        **changes,
    }
    env = gymnasium.make(id, **given).unwrapped
    assert isinstance(env, DataGenEnv)
    env.reset(seed=0)
    return env


def parts(episode: Episode) -> dict[str, Any]:
    """Every field, and every field of a field, but for the signal."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(episode):
        value = getattr(episode, field.name)
        if isinstance(value, State | Members):
            found |= {f"{field.name}.{name}": part for name, part in value._asdict().items()}
        elif isinstance(value, Ledger):
            found |= {f"{field.name}.{name}": part for name, part in vars(value).items()}
        elif field.name in ("task", "first_task"):
            found[field.name] = (value, value.memory)
        elif field.name != "signal":
            found[field.name] = value
    arrays = {name: value.numpy() for name, value in found.items() if isinstance(value, Tensor)}
    moments = {f"moment{i}": part.numpy() for i, part in enumerate(found.pop("weights.moments"))}
    return found | arrays | {f"weights.{name}": part for name, part in moments.items()}


@pytest.mark.parametrize("id", ["hgenv/ToyShading-v0", "hgenv/ShapeEvolution-v0"])
@pytest.mark.parametrize("inner", ["adam", "sgd"])
def test_every_field_goes_through_the_state_and_back(id: str, inner: str) -> None:
    """From a start that was moved, after steps, probes, members, clipping and a gradient: nothing is at its default."""
    options = {
        "gradient": "influence",
        "gradient_steps": 2,
        "gradient_horizon": 90,
        "inner": inner,
        "observe_gradient": True,
    }
    env = made(id, **options)
    layout = env.task.layout
    env.start_from(layout.low + 0.3 * (layout.high - layout.low), spread=np.full(len(layout.low), 0.1))
    env.reset(seed=4)
    env.evaluate(np.stack([env.start, -env.start]))
    train_members(env, np.stack([env.start, -env.start, 0.5 * env.start]), [0, 1, 2])
    action = np.full(len(env.start), 0.3)
    action[:2] = -7.0
    env.step(action)
    env.step(0.5 * action)
    env._episode = dataclasses.replace(env.episode, failed=2, failures=3)
    env.ledger.failed_steps, env.ledger.redrawn = 1, 3
    other = made(id, **options)
    untouched = parts(other.episode)
    other.load_state_dict(env.state_dict())
    fields = {field.name for field in dataclasses.fields(Episode)} - {"signal"}
    first, second = parts(env.episode), parts(other.episode)
    assert {name.partition(".")[0] for name in first} == fields
    first["random_state"] = hgenv.env.random_words(env.np_random)  # which goes on living between episodes
    for name, value in first.items():
        np.testing.assert_equal(second[name], value, err_msg=name)
        assert type(second[name]) is type(value), name
        if not name.endswith("task"):
            assert np.asarray(second[name]).dtype == np.asarray(value).dtype, name
            assert not np.array_equal(untouched.get(name), value), name
    assert env.state_dict().keys() >= fields - {"ledger", "task", "first_task"}
    members, w = env.state_dict()["members"], untouched["average"].size
    np.testing.assert_array_equal(
        members[:, :w], np.stack([env.episode.members.member(i, w).average for i in range(3)])
    )
    plain = env.state_dict().values()
    assert all(isinstance(value, np.ndarray | int) for value in plain)


def test_a_field_more_cannot_be_forgotten() -> None:
    """to_arrays() goes by dataclasses.fields: what is added to the record is kept."""

    @dataclasses.dataclass(frozen=True)
    class Longer(Episode):
        extra: np.ndarray = dataclasses.field(default_factory=lambda: np.arange(3.0))

    now = made().episode
    longer = Longer(**{field.name: getattr(now, field.name) for field in dataclasses.fields(now)})
    assert longer.to_arrays().keys() == now.to_arrays().keys() | {"extra"}


def test_a_state_is_a_copy() -> None:
    env = made()
    state = env.state_dict()
    kept = {name: np.copy(value) for name, value in state.items()}
    env.step(env.start)
    for name, value in kept.items():
        np.testing.assert_array_equal(state[name], value)
    env.load_state_dict(state)
    for value in state.values():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value[...] = np.nan
    assert np.isfinite(env.step(env.start)[1])


@pytest.mark.parametrize("id", ["hgenv/ToyShading-v0", "hgenv/ShapeEvolution-v0"])
def test_a_state_continues_the_run_and_the_resets_after_it(id: str) -> None:
    env, other = made(id), made(id)
    env.reset()
    env.step(env.start)
    other.load_state_dict(env.state_dict())
    for _ in range(2):
        for one, two in zip(env.step(-env.start), other.step(-env.start), strict=True):
            np.testing.assert_equal(one, two)
        for one, two in zip(env.reset(), other.reset(), strict=True):
            np.testing.assert_equal(one, two)


def test_every_entry_that_does_not_fit_is_named_and_changes_nothing() -> None:
    env = made("hgenv/ShapeEvolution-v0")
    env.step(env.start)
    before = env.state_dict()
    for name in before:
        for bad in (
            {k: v for k, v in before.items() if k != name},
            {**before, name: np.zeros((2, 2, 2), np.complex64)},
        ):
            with pytest.raises(ValueError, match=name):
                env.load_state_dict(bad)
    with pytest.raises(ValueError, match="surplus"):
        env.load_state_dict(before | {"surplus": 1})
    np.testing.assert_equal(env.state_dict(), before)


class Stop(BaseException):
    """As a KeyboardInterrupt, at a place of choice."""


PLACES = {
    "render": (ShapeEvolution, "sample"),
    "gradient": (learner, "losses_and_gradient"),
    "average": (Learner, "averaged"),
    "update": (SGD, "update"),
    "forward": (FlatNetwork, "predict"),
    "validation": (Learner, "outcome"),
    "estimate": (ImageDifference, "estimate"),
    "commit": (ShapeEvolution, "commit"),
    "report": (ShapeEvolution, "report"),
}


@pytest.mark.parametrize("place", [name for name in PLACES if name != "report"])
def test_a_step_that_is_interrupted_commits_nothing(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every call in a step: the state, the ledger and the step taken next are as if there had been none."""
    options = {"gradient": "image", "gradient_steps": 2, "gradient_directions": 1, "inner": "sgd"}
    env, untouched = (made("hgenv/ShapeEvolution-v0", **options) for _ in range(2))
    owner, name = PLACES[place]
    original, calls = getattr(owner, name), 0
    before, info, signal = env.state_dict(), env.info(), env.episode.signal
    for fatal in range(100):
        count = 0

        def counted(*arguments: Any, fatal: int = fatal, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count > fatal:
                raise Stop
            return original(*arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, counted)
            try:
                env.step(0.5 * env.start)
            except Stop:
                calls += 1
            else:
                break
        np.testing.assert_equal(env.state_dict(), before)
        np.testing.assert_equal(env.info(), info)
        assert env.episode.signal is signal
    assert calls > 0
    for one, two in zip(env.step(-env.start), untouched_twice(untouched), strict=True):
        np.testing.assert_equal(one, two)


def untouched_twice(env: DataGenEnv) -> tuple:
    """The step that the interrupted one was let go at last, and the next."""
    env.step(0.5 * env.start)
    return env.step(-env.start)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("place", ["render", "gradient", "update", "forward", "probe"])
def test_probes_that_are_interrupted_cost_nothing(place: str, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do networks that are kept, and they are as they were."""

    def evaluated(env: DataGenEnv) -> np.ndarray:
        return train_members(env, actions, [1, 0]) if kept else env.evaluate(actions)

    env, untouched = (made("hgenv/ShapeEvolution-v0", inner="sgd") for _ in range(2))
    owner, name = {**PLACES, "probe": (Learner, "validate")}[place]
    original, count = getattr(owner, name), 0

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == 2:
            raise Stop
        return original(*arguments, **named)

    actions = np.full((2, 12), 0.3)
    actions[:, :2], actions[1, 2] = 0.0, -0.3  # two compositions of what is there, neither of them trivial
    for one in (env, untouched):
        evaluated(one)
    before = env.state_dict()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, counted)
        with pytest.raises(Stop):
            evaluated(env)
    np.testing.assert_equal(env.state_dict(), before)
    np.testing.assert_array_equal(evaluated(env), evaluated(untouched))


def test_a_reset_that_fails_leaves_the_last_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    env = made()
    env.step(env.start)
    before = parts(env.episode)
    with monkeypatch.context() as patch:
        patch.setattr(ToyShading, "network", lambda _: torch.nn.BatchNorm2d(1))
        with pytest.raises(ValueError, match="BatchNorm"):
            env.reset(seed=9)
    np.testing.assert_equal(parts(env.episode), before)
    assert np.isfinite(env.step(env.start)[1])


def test_options_are_as_they_were_given() -> None:
    options = EnvOptions(train_steps=3)
    env = DataGenEnv(ToyShading(), options)
    env.reset(seed=0)
    env.step(env.start)
    assert env.options == EnvOptions(train_steps=3)
