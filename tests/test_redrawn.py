"""Samples that cannot be made are drawn anew and counted; what is no sample is refused."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from analytic import Waves
from numpy.typing import NDArray

import hgenv
from hgenv import Batch, DataGenEnv, EnvOptions, SampleError
from hgenv.beta.noise import Noise, keys
from hgenv.learning import ImageDifference, InfluenceDifference, Samples
from hgenv.learning.signal import Generator
from hgenv.task import REDRAWS, sampled
from hgenv.tasks.toy_shading import ToyShading

Array = NDArray[np.float64]


def made(task: hgenv.Task | None = None, **options: Any) -> DataGenEnv:
    env = DataGenEnv(task or ToyShading(), EnvOptions(**{"train_steps": 3, "batch_size": 4, **options}))
    env.reset(seed=0)
    return env


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


class Spoilt:
    """A generator of whose every second batch one sample is another one, of another key."""

    def __init__(self, generate: Generator, factor: float, side: int) -> None:
        self.generate, self.factor, self.side, self.calls = generate, factor, side, 0

    def __call__(self, actions: Array, seeds: NDArray[np.uint64]) -> Samples:
        self.calls += 1
        samples = self.generate(actions, seeds)
        if self.calls % 2 != self.side or self.factor == 1.0:
            return samples
        samples.batch.image[1] *= self.factor
        return samples._replace(seeds=samples.seeds + np.array([0, 1, 0, 0], np.uint64))

    def ahead(self, points: Iterable[tuple[Array, NDArray[np.uint64]]]) -> Iterator[Samples]:
        return (self(*point) for point in points)


@pytest.mark.parametrize("estimator", [ImageDifference(steps=2), InfluenceDifference(steps=2)])
def test_a_difference_to_a_sample_of_another_key_does_not_count(
    estimator: ImageDifference | InfluenceDifference,
) -> None:
    env = made(Waves(), gradient=estimator)
    env.step(env.start)

    def estimate(factor: float, side: int) -> Array:
        return estimator.estimate(env.signal, Spoilt(env.generate, factor, side), np.random.default_rng(0))

    whole = estimate(1.0, 0)
    for side in (0, 1):
        found = estimate(3.0, side)
        np.testing.assert_array_equal(found, estimate(np.nan, side))
        assert np.isfinite(found).all()
        assert not np.allclose(found, whole)
