"""What is not finite, what cannot be sampled, and who calls at the same time: nothing is poisoned, all is counted."""

import copy
import dataclasses
import pickle
import threading
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from analytic import Waves
from numpy.typing import NDArray
from torch import Tensor

import hgenv
from hgenv import Batch, DataGenEnv, EnvOptions, SampleError
from hgenv.beta.noise import Noise, keys, stream_keys
from hgenv.domains import Domain, Pictures
from hgenv.episode import Failure
from hgenv.learning import SGD, Adam, ImageDifference, InfluenceDifference, Samples
from hgenv.quantities import Normals
from hgenv.task import REDRAWS, sampled
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
    env = made(task, inner=Adam(1e30), validation_images=4)
    failed(env, Failure.WEIGHTS, np.full(12, 0.3))
    steady = made(task, validation_images=4)
    steady.step(np.full(12, 0.3))
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


# -- samples that cannot be made


@dataclasses.dataclass(frozen=True)
class Moody(Waves):
    """Cannot make what the keys in `refused` ask for, and says so for one row a time; spoils what is in `spoilt`."""

    refused: tuple[int, ...] = ()
    spoilt: tuple[int, ...] = ()
    part: int = 0

    def sample(self, beta: Array, noise: Noise) -> Batch:
        for row, seed in enumerate(noise.seeds):
            if seed in self.refused:
                raise SampleError([row], f"not with the key {seed}")
        batch = super().sample(beta, noise)
        batch[self.part][np.isin(noise.seeds, np.array(self.spoilt, np.uint64)), 0, 2, 2] = np.inf
        return batch


def chain(seed: int, length: int) -> tuple[int, ...]:
    """A key and those that come after it."""
    found = [seed]
    while len(found) < length:
        found.append(int(keys(np.array([found[-1]], np.uint64), "drawn anew", 1)[0, 0]))
    return tuple(found)


SEEDS = np.arange(10, 15, dtype=np.uint64)
BETA = np.tile(Waves().layout.initial, (5, 1))


@pytest.mark.parametrize("how", ["refused", "spoilt"])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_rows_that_cannot_be_made_are_drawn_anew_each_by_itself(how: str, part: int) -> None:
    task = Moody(**{how: (*chain(11, 3), 13)}, part=part)  # type: ignore[arg-type]
    found = sampled(task, BETA, SEEDS)
    wanted = np.array([10, chain(11, 4)[3], 12, chain(13, 2)[1], 14], np.uint64)
    np.testing.assert_array_equal(found.noise.seeds, wanted)
    assert found.redrawn == 4
    assert found.renders == 5 * {"refused": 5, "spoilt": 4}[how], "those that say so do it one row a time"
    for got, expected in zip(found.batch, Waves().sample(BETA, Noise(wanted)), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
    for i in range(5):
        alone = sampled(task, BETA[i : i + 1], SEEDS[i : i + 1])
        assert alone.noise.seeds[0] == wanted[i], "whatever the other rows are"
    np.testing.assert_array_equal(SEEDS, np.arange(10, 15))


def test_where_nothing_fails_the_keys_are_those_that_were_given() -> None:
    found = sampled(Waves(), BETA, SEEDS)
    assert found.noise.seeds is SEEDS
    assert (found.renders, found.redrawn) == (5, 0)


def test_a_row_that_can_never_be_made() -> None:
    with pytest.raises(SampleError, match=rf"the rows \[2\]: not with the key {chain(12, REDRAWS + 1)[-1]}"):
        sampled(Moody(refused=chain(12, REDRAWS + 1)), BETA, SEEDS)
    found = sampled(Moody(spoilt=chain(12, REDRAWS + 1)), BETA, SEEDS)
    assert found.redrawn == REDRAWS
    assert torch.isfinite(found.batch.image).flatten(1).all(1).tolist() == [True, True, False, True, True]
    for rows in ([], [7]):
        with pytest.raises(SampleError, match="anyhow"):
            sampled(Refusing(rows), BETA, SEEDS)


class Refusing(Waves):
    """Names rows that are not there."""

    def __init__(self, rows: list[int]) -> None:
        vars(self)["rows"] = rows

    def sample(self, beta: Array, noise: Noise) -> Batch:
        raise SampleError(vars(self)["rows"], "anyhow")


def test_redrawn_samples_are_counted_and_repeatable() -> None:
    plain = made(Waves())
    plain.step(plain.start)
    seen: list[int] = []

    @dataclasses.dataclass(frozen=True)
    class Seen(Waves):
        def sample(self, beta: Array, noise: Noise) -> Batch:
            seen.extend(int(seed) for seed in noise.seeds)
            return super().sample(beta, noise)

    made(Seen()).step(plain.start)
    bad = seen[-1]
    envs = [made(Moody(spoilt=(bad,))), made(Moody(refused=(bad,)))]
    infos = [env.step(env.start)[4] for env in envs]
    for info in infos:
        assert info["redrawn"] == 1
        assert info["renders"] == 3 * 4 + 4
        assert info["failed_steps"] == 0
        assert info["val_loss"] == infos[0]["val_loss"] != plain.info()["val_loss"]


def test_probes_whose_samples_cannot_be_made_cost_nothing() -> None:
    @dataclasses.dataclass(frozen=True)
    class Never(Waves):
        def sample(self, beta: Array, noise: Noise) -> Batch:
            if len(beta) == 4 and beta[0, 0] > 0.4:
                raise SampleError([0, 2], "too steep")
            return super().sample(beta, noise)

    env = made(Never())
    before = env.state_dict()
    for act in (lambda: env.evaluate(np.full((1, 5), 0.9)), lambda: env.step(np.full(5, 0.9))):
        with pytest.raises(SampleError, match=r"the rows \[0, 2\]: too steep"):
            act()
        np.testing.assert_equal(env.state_dict(), before)


MISMADE = {
    "fewer": (lambda b: b.rows(slice(1)), r"Bad.sample gives image \(1, 1, 5, 5\) of .*float64, expected 4 rows"),
    "more": (lambda b: Batch.join([b, b]), r"gives image \(8, 1, 5, 5\)"),
    "fewer masks": (lambda b: b._replace(mask=b.mask[:2]), r"gives mask \(2, 1, 5, 5\)"),
    "integers": (lambda b: b._replace(target=b.target.long()), "gives target .*int64, expected 4 rows of a floating-"),
    "booleans": (lambda b: b._replace(mask=b.mask > 0), "gives mask .*bool"),
    "arrays": (lambda b: b._replace(image=b.image.numpy()), "gives Batch, expected a Batch of three tensors"),
    "tuple": (tuple, "gives tuple, expected a Batch"),
}


@pytest.mark.parametrize("how", MISMADE)
def test_what_is_not_as_many_rows_of_numbers_is_refused(how: str) -> None:
    change, message = MISMADE[how]

    @dataclasses.dataclass(frozen=True)
    class Bad(Waves):
        def sample(self, beta: Array, noise: Noise) -> Batch:
            batch = super().sample(beta, noise)
            return change(batch) if len(beta) == 4 else batch

    env = made(Bad())
    with pytest.raises(ValueError, match=message):
        env.step(env.start)
    with pytest.raises(ValueError, match=message):
        env.evaluate(env.start[None])


@pytest.mark.parametrize("estimator", [ImageDifference(steps=2), InfluenceDifference(steps=2)])
def test_a_difference_to_a_sample_of_another_key_does_not_count(
    estimator: ImageDifference | InfluenceDifference,
) -> None:
    env = made(Waves(), gradient=estimator)
    env.step(env.start)

    def estimate(factor: float, side: int) -> Array:
        def generator(actions: Array, seeds: NDArray[np.uint64]) -> Samples:
            nonlocal calls
            calls += 1
            samples = env.generate(actions, seeds)
            if calls % 2 != side or factor == 1.0:
                return samples
            samples.batch.image[1] *= factor
            return samples._replace(seeds=samples.seeds + np.array([0, 1, 0, 0], np.uint64))

        calls = 0
        return estimator.estimate(env.signal, generator, np.random.default_rng(0))

    whole = estimate(1.0, 0)
    for side in (0, 1):
        found = estimate(3.0, side)
        np.testing.assert_array_equal(found, estimate(np.nan, side))
        assert np.isfinite(found).all()
        assert not np.allclose(found, whole)


# -- who calls at the same time


def test_calls_of_two_threads_are_in_turn_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    env, alone = made(), made()
    inside, go_on = threading.Event(), threading.Event()
    sample = ToyShading.sample

    def waits(self: ToyShading, beta: Array, noise: Noise) -> Batch:
        inside.set()
        assert go_on.wait(20)
        return sample(self, beta, noise)

    found: list[Array] = []
    with monkeypatch.context() as patch:
        patch.setattr(ToyShading, "sample", waits)
        first = threading.Thread(target=lambda: found.append(env.evaluate(env.start[None])))
        first.start()
        assert inside.wait(20)
        state = env.state_dict()
        for call in (
            lambda: env.evaluate(-env.start[None]), lambda: env.step(env.start), lambda: env.reset(seed=1),
            lambda: env.load_state_dict(state), lambda: env.start_from(env.task.layout.initial),
        ):  # fmt: skip
            with pytest.raises(RuntimeError, match="at work in another thread"):
                call()
        go_on.set()
        first.join(20)
    np.testing.assert_array_equal(found, [alone.evaluate(env.start[None])])
    np.testing.assert_equal(env.state_dict(), alone.state_dict())
    np.testing.assert_array_equal(env.evaluate(-env.start[None]), alone.evaluate(-env.start[None]))


def test_a_call_that_fails_lets_others_in() -> None:
    env = made()
    with pytest.raises(ValueError, match="shape"):
        env.step(np.zeros(7))
    done: list[Array] = []
    thread = threading.Thread(target=lambda: done.append(env.evaluate(env.start[None])))
    thread.start()
    thread.join(20)
    assert len(done) == 1


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_an_environment_can_be_copied(copied: Any) -> None:
    env = made()
    env.step(env.start)
    other = copied(env)
    with env.turn:
        other.evaluate(other.start[None])
    np.testing.assert_array_equal(env.evaluate(env.start[None]), made_after_a_step().evaluate(env.start[None]))


def made_after_a_step() -> DataGenEnv:
    env = made()
    env.step(env.start)
    return env
