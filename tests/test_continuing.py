"""An environment's state: it continues exactly, and what does not fit changes nothing."""

import gymnasium
import numpy as np
import pytest
from environments import assert_same, made_waves


def test_state_dict_continues_exactly() -> None:
    env = made_waves()
    env.step(env.start)
    state = env.state_dict()
    expected = env.step(env.start)[4]
    other = made_waves()
    other.load_state_dict(state)
    continued = other.step(env.start)[4]
    assert expected.keys() == continued.keys()
    for name in expected:
        np.testing.assert_array_equal(expected[name], continued[name])


@pytest.mark.parametrize("name", ["average", "weights", "moment0", "seed", "start", "random_state"])
def test_a_state_that_does_not_fit_changes_nothing(name: str) -> None:
    env = made_waves()
    before, bad = env.state_dict(), env.state_dict()
    if name == "average":
        del bad[name]
    else:
        words = np.full(6, 2**40, np.uint64)  # not a state
        bad[name] = {"weights": np.zeros(3), "seed": "x", "random_state": words}.get(name, np.float32(bad[name]))
    with pytest.raises(ValueError, match=name):
        env.load_state_dict(bad)
    assert_same(before, env.state_dict())


def test_a_restored_environment_goes_on_past_the_next_reset() -> None:
    env, other = made_waves(), made_waves()
    env.start_from(env.task.layout.low)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.state_dict()
    env.reset()
    other.load_state_dict(env.state_dict())
    np.testing.assert_array_equal(other.start, env.start)
    assert env.reset()[1]["val_loss"] == other.reset()[1]["val_loss"]


@pytest.mark.parametrize("where", ["estimate", "predict"])
def test_a_step_that_fails_half_way_changes_nothing(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env = made_waves()
    env.step(env.start)
    before = env.state_dict()

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    owner = type(env.options.gradient) if where == "estimate" else type(env._learner.model)
    with monkeypatch.context() as patch:
        patch.setattr(owner, where, fail)
        with pytest.raises(KeyboardInterrupt):
            env.step(env.start)
        if where == "predict":
            with pytest.raises(KeyboardInterrupt):
                env.evaluate(env.start[None])
    assert_same(before, env.state_dict())
