"""What is not finite: a step that fails commits nothing, poisons nothing, and is counted."""

import dataclasses
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

import hgenv
from hgenv import Batch, DataGenEnv, EnvOptions
from hgenv.beta.noise import Noise, stream_keys
from hgenv.domains import Domain, Pictures
from hgenv.episode import Failure
from hgenv.learning import SGD, Adam, ImageDifference
from hgenv.quantities import Normals
from hgenv.task import REDRAWS
from hgenv.tasks.shape_evolution import ShapeEvolution
from hgenv.tasks.toy_shading import ToyShading

PLAYED = {"steps", "action", "losses", "failed", "failures"}
"""What a failed step changes in the state, besides the ledger."""
Array = NDArray[np.float64]


def made(task: hgenv.Task | None = None, **options: Any) -> DataGenEnv:
    env = DataGenEnv(task or ToyShading(), EnvOptions(**{"train_steps": 3, "batch_size": 4, **options}))
    env.reset(seed=0)
    return env


def failed(env: DataGenEnv, failure: Failure, action: Array | None = None) -> dict[str, Any]:
    """The info of a step that has to fail, and to commit nothing."""
    before, signal, task, failures = env.state_dict(), env.episode.signal, env.task, env.episode.failures
    action = env.start if action is None else action
    observation, reward, terminated, truncated, info = env.step(action)
    after = env.state_dict()
    for name in after.keys() - PLAYED:
        if not name.startswith("ledger."):
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    assert env.episode.signal is signal
    assert env.task is task
    assert env.observation_space.contains(observation)
    assert not terminated
    assert not truncated
    assert info["failed"] == env.episode.failed == failure
    assert env.episode.failures == failures + 1
    assert info["failed_steps"] == before["ledger.failed_steps"] + 1
    assert info["train_steps"] == before["ledger.train_steps"] + 3, "it is paid for"
    assert "hybrid_gradient" not in info
    np.testing.assert_array_equal(-reward, info["val_loss"])
    np.testing.assert_array_equal(env.episode.action, action)
    assert all(np.isscalar(value) for name, value in info.items() if name != "beta")
    return info


@pytest.mark.parametrize("inner", [Adam(1e30), SGD(1e30)])
def test_a_training_that_diverges_commits_nothing(inner: Adam | SGD) -> None:
    env = made(inner=inner, gradient=ImageDifference(steps=1, directions=1))
    start = env.metrics("test")
    for count in range(1, 4):
        info = failed(env, Failure.WEIGHTS, env.start * 0.5)
        assert not np.isfinite(info["val_loss"])
        assert info["failed_steps"] == count
        assert env.metrics("test") == start


@dataclasses.dataclass(frozen=True)
class Stretched(Normals):
    """Finite, as are the weights that Adam makes of its gradients, whose squares are not."""

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return 1e25 * super().loss(prediction, batch)


def test_moments_are_looked_at_too() -> None:
    @dataclasses.dataclass(frozen=True)
    class Steep(ToyShading):
        quantity = Stretched()  # type: ignore[assignment]

    info = failed(made(Steep()), Failure.WEIGHTS)
    assert np.isfinite(info["val_loss"])


def test_a_gradient_that_is_not_finite_fails_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    env = made(gradient=ImageDifference(steps=1, directions=1), observe_gradient=True)
    env.step(env.start)
    with monkeypatch.context() as patch:
        patch.setattr(ImageDifference, "estimate", lambda *_: np.array([0.0, np.nan, 1.0]))
        assert np.isfinite(failed(env, Failure.GRADIENT)["val_loss"])
    info = env.step(env.start)[4]
    assert info["failed"] == Failure.NONE
    assert env.episode.failures == 0
    assert np.isfinite(info["hybrid_gradient"]).all()


def test_the_steps_after_a_failed_one_are_as_if_it_had_committed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pixel of the fifth batch is NaN, whatever its key: the later steps are those of a run that goes on from
    before it, on their own samples."""
    env, other = made(), made()
    for one in (env, other):
        one.step(env.start)
    sample, calls = ToyShading.sample, 0

    def spoilt(self: ToyShading, beta: Array, noise: Noise) -> Batch:
        nonlocal calls
        calls += 1
        batch = sample(self, beta, noise)
        if 2 <= calls <= 2 + REDRAWS:
            batch.image[0, 0, 3, 3] = np.nan
        return batch

    with monkeypatch.context() as patch:
        patch.setattr(ToyShading, "sample", spoilt)
        assert failed(env, Failure.WEIGHTS)["redrawn"] == REDRAWS
    other.load_state_dict(other.state_dict() | {"steps": 2})
    for _ in range(2):
        one, two = env.step(env.start)[4], other.step(env.start)[4]
        assert one["val_loss"] == two["val_loss"]
        assert np.isfinite(one["val_loss"])
        np.testing.assert_array_equal(env.state_dict()["weights"], other.state_dict()["weights"])


def test_a_failed_step_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """`failed` compares the memory of the task, which this action would have grown."""
    task = ShapeEvolution(share=0.9, max_population=30, validation_size=4, test_size=2, resolution=16)
    action = np.array([0.0, 0.0, *np.full(10, 0.3)])
    env = made(task, inner=Adam(1e30), validation_images=4)
    failed(env, Failure.WEIGHTS, action)
    steady = made(task, validation_images=4)
    steady.step(action)
    assert len(steady.task.memory) > len(env.task.memory)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Spoilt(ToyShading):
    """A target domain with a number that is not finite."""

    @cached_property
    def domain(self) -> Domain:
        validation = super().domain.batch("validation")
        validation.target[0, 0, 4, 4] = np.nan
        return Pictures(validation, super().domain.batch("test"))


def test_an_episode_does_not_begin_with_a_loss_that_is_not_finite() -> None:
    env = DataGenEnv(Spoilt(), EnvOptions(validation_images=None))
    with pytest.raises(
        ValueError, match=r"Spoilt has a validation loss of nan before any training: .*validation images"
    ):
        env.reset(seed=0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.start)


def test_a_loss_that_is_not_finite_fails_its_step() -> None:
    """Where one validation picture in 64 is spoilt, and 16 are drawn a step."""
    env, lost = made(Spoilt()), []
    for step in range(1, 13):
        order = np.argsort(stream_keys(env.episode.seed, "validation", step, 64), kind="stable")
        lost.append(0 in order[:16])
        if lost[-1]:
            assert np.isnan(failed(env, Failure.LOSS)["val_loss"])
        else:
            assert env.step(env.start)[4]["failed"] == Failure.NONE
    assert env.ledger.failed_steps == sum(lost) > 1
