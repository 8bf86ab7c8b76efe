"""Batches that are drawn ahead are those that would have been drawn, in their order, few at a time."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import pytest
from environments import small
from numpy.typing import NDArray

from hgenv.batch import Batch, SampleError
from hgenv.beta.box import Box
from hgenv.beta.noise import Noise, keys
from hgenv.env import DataGenEnv, make
from hgenv.episode import Ledger
from hgenv.generator import TaskGenerator
from hgenv.learning.gradient import Samples
from hgenv.options import EnvOptions, build
from hgenv.run import elsewhere
from hgenv.tasks.toy_shading import ToyShading
from hgenv.workers import Processes

Points = Iterator[tuple[NDArray[np.float64], NDArray[np.uint64]]]


@dataclass(frozen=True)
class Watched(ToyShading):
    """Says which threads draw, how many at once, and what has been drawn."""

    threads: set[int] = field(default_factory=set)
    drawn: list[int] = field(default_factory=list)
    broken: int = -1
    pause: float = 0.0

    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        self.threads.add(threading.get_ident())
        self.drawn.append(len(self.drawn))
        time.sleep(self.pause)
        if len(self.drawn) - 1 == self.broken:
            raise SampleError([99], "this one cannot be made")
        return super().sample(beta, noise)


def generator(task: ToyShading, threads: int) -> TaskGenerator:
    import torch

    return TaskGenerator(task, Box.of(task.layout, "all"), torch.device("cpu"), Ledger(), threads)


@pytest.mark.slow
@pytest.mark.parametrize("id", ["hgenv/ToyShading-v0", "hgenv/SceneNormals-v0", "hgenv/ShapeNormals-v0"])
def test_rows_that_are_drawn_in_other_processes_are_the_same(id: str) -> None:
    """Also of scenes with different numbers of objects."""
    env = small(id)
    env.reset(seed=0)
    actions, seeds = np.random.default_rng(0).uniform(-1.0, 1.0, (7, len(env.start))), keys(1, "test", 7)
    with closing(Processes(3)) as rows:
        elsewhere = dataclasses.replace(env.generate, rows=rows, ledger=Ledger())
        there, here = elsewhere(actions, seeds), env.generate(actions, seeds)
    assert same(there, here)
    assert np.abs(here.score()).max() > 0.0
    assert elsewhere.ledger.renders == 7


@pytest.mark.slow
def test_a_slow_renderer_draws_in_other_processes() -> None:
    pytest.importorskip("pyrender", reason="pyrender is not installed")
    losses, drawn = [], []
    for workers in ("1", "2"):
        try:
            env = small("hgenv/TextureIntrinsics-v0", renderer="opengl", workers=workers)
        except ValueError as error:
            pytest.skip(str(error))
        env.reset(seed=0)
        assert env.task.slow
        losses.append(env.step(env.start)[1])
        drawn.append(env.workers.seconds[0])
        env.close()
    assert losses[0] == losses[1]
    assert drawn[0] == 0.0 < drawn[1]


def points(count: int) -> Points:
    for k in range(count):
        yield np.full((4, 3), 0.1 * k), keys(k, "test", 4)


def same(a: Samples, b: Samples) -> bool:
    parts = all(bool((x == y).all()) for x, y in zip(a.batch, b.batch, strict=True))
    return parts and bool(
        (a.actions == b.actions).all() and (a.seeds == b.seeds).all() and (a.score() == b.score()).all()
    )


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_what_is_drawn_ahead_is_the_same_in_the_same_order(threads: int) -> None:
    here, ahead = generator(ToyShading(), 0), generator(ToyShading(), threads)
    pairs = list(zip(here.ahead(points(9)), ahead.ahead(points(9)), strict=True))
    assert len(pairs) == 9
    assert all(same(a, b) for a, b in pairs)
    assert here.ledger == ahead.ledger
    assert ahead.ledger.renders == 36


@pytest.mark.slow
def test_other_threads_draw_while_a_batch_is_used() -> None:
    task = Watched()
    drawn = generator(task, 1).ahead(points(20))
    next(drawn)
    end = time.monotonic() + 10.0
    while len(task.drawn) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(task.drawn) in (2, 3)  # the first, and at most two that wait
    assert threading.get_ident() not in task.threads
    drawn.close()  # type: ignore[attr-defined]


def test_what_is_not_used_is_not_charged_and_no_thread_is_left() -> None:
    found = generator(Watched(pause=0.02), 2)
    drawn = found.ahead(points(20))
    next(drawn), next(drawn)
    drawn.close()  # type: ignore[attr-defined]
    assert found.ledger.renders == 8
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hgenv-render")]


def test_an_error_is_raised_where_its_batch_would_have_been_used() -> None:
    found = generator(Watched(broken=3), 1)
    with pytest.raises(SampleError, match="this one cannot be made"):
        for _ in found.ahead(points(9)):
            pass
    assert found.ledger.renders == 12


def test_an_interrupted_step_changes_nothing() -> None:
    env = DataGenEnv(Watched(pause=0.01), build(EnvOptions, {"render_workers": 2, "train_steps": 4}))
    env.reset(seed=0)
    before, learner = env.state_dict(), env._learner

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    env._learner = type("Interrupted", (), {"plain_gradient": interrupt})()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        env.step(env.start)
    env._learner = learner
    after = env.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hgenv-render")]


@pytest.mark.parametrize("gradient", [None, "image", "influence", "score", "mixed", "perturbed"])
def test_steps_and_probes_are_the_same_to_the_bit(gradient: str | None) -> None:
    found = []
    for ahead, by in ((0, "threads"), (2, "threads"), (2, "processes")):
        env = make("hgenv/ToyShading-v0", gradient=gradient, train_steps=4, render_workers=ahead, render_by=by)
        env.reset(seed=3)
        env.step(env.start)
        losses = env.evaluate(np.array([env.start, 0.5 * env.start]))
        _, reward, _, _, info = env.step(0.9 * env.start)
        found.append((losses.tolist(), reward, info["renders"], info.get("hybrid_gradient", np.zeros(3)).tolist()))
        assert (elsewhere(env).cpu > 0.0) == (by == "processes")
        env.close()
    assert found[0] == found[1] == found[2]
