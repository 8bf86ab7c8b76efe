"""Who calls an environment at the same time, and copies of it."""

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import hgenv
from hgenv import Batch, DataGenEnv, EnvOptions
from hgenv.beta.noise import Noise
from hgenv.tasks.toy_shading import ToyShading

Array = NDArray[np.float64]


def made(task: hgenv.Task | None = None, **options: Any) -> DataGenEnv:
    env = DataGenEnv(task or ToyShading(), EnvOptions(**{"train_steps": 3, "batch_size": 4, **options}))
    env.reset(seed=0)
    return env


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
