"""Networks that are kept beside the committed one: where they begin, what becomes of the best, workers, resuming."""

from pathlib import Path

import numpy as np
import pytest
from kept_rows import rows_of

from hgenv.cli.main import main
from hgenv.env import DataGenEnv, train_members
from hgenv.learning.training import Adam
from hgenv.options import EnvOptions
from hgenv.run import Budget, run
from hgenv.snapshot import load_snapshot
from hgenv.tasks.toy_shading import ToyShading
from optimizers import PopulationBased

A, B, C = np.array([0.5, -0.5, 0.5]), np.array([-0.9, 0.9, -0.5]), np.zeros(3)


def made(**options: object) -> DataGenEnv:
    env = DataGenEnv(ToyShading(), EnvOptions(**({"train_steps": 4, "validation_images": 8} | options)))  # type: ignore[arg-type]
    env.reset(seed=0)
    return env


def test_members_begin_as_probes_do() -> None:
    """At the first call, of the same action: the same loss, to the bit, and the same cost."""
    env, other = made(), made()
    for one in (env, other):
        one.step(C)
    np.testing.assert_array_equal(train_members(env, np.stack([A, B]), [0, 1]), other.evaluate(np.stack([A, B])))
    assert env.ledger == other.ledger


def test_a_member_goes_on_from_its_origin_whoever_is_beside_it() -> None:
    """Against a population of one, whose network is the current one, and a probe of that."""
    env, of_a, of_b = made(), made(), made()
    train_members(env, np.stack([A, B]), [0, 1])
    train_members(of_a, A[None], [0])
    train_members(of_b, B[None], [0])
    found = train_members(env, np.stack([C, C, A]), [1, 0, 1])
    from_b = of_b.evaluate(np.stack([C, A]))
    np.testing.assert_array_equal(found, [from_b[0], of_a.evaluate(C[None])[0], from_b[1]])
    assert len(set(found)) == 3


def test_the_best_network_becomes_the_current_one() -> None:
    env = made()
    losses = train_members(env, np.stack([B, A, C]), [0, 1, 2])
    alone = [made() for _ in losses]
    for one, action in zip(alone, (B, A, C), strict=True):
        train_members(one, action[None], [0])
    best = int(np.argmin(losses))
    for field in ("weights", "average"):
        for i, one in enumerate(alone):
            mine, theirs = env.state_dict()[field], one.state_dict()[field]
            assert np.array_equal(mine, theirs) == (i == best), (field, i)
    assert not np.array_equal(env.state_dict()["weights"], env.state_dict()["average"])
    members = env.state_dict()["members"]
    assert env.step(A)[4]["val_loss"] == alone[best].step(A)[4]["val_loss"], "it trains on from there"
    np.testing.assert_array_equal(env.state_dict()["members"], members)


def test_without_a_finite_loss_all_begin_anew() -> None:
    env = made(inner=Adam(1e30))
    before = env.state_dict()
    assert not np.isfinite(train_members(env, np.stack([A, B]), [0, 1])).any()
    after = env.state_dict()
    np.testing.assert_equal(
        {k: after[k] for k in ("weights", "average")}, {k: before[k] for k in ("weights", "average")}
    )
    assert "members" not in after
    train_members(env, np.stack([A, B, C]), [0, 1, 2])


def test_what_origins_cannot_be() -> None:
    env, points = made(), np.stack([A, B])
    train_members(env, points, [0, 1])
    before = env.state_dict()
    for bad in ([0], [0, 2], [-1, 0], [0.0, 1.0], [[0, 1]], 0):
        with pytest.raises(ValueError, match="origins must be 2 integers from 0 to 1, got"):
            train_members(env, points, bad)
    with pytest.raises(ValueError, match="action must have shape"):
        train_members(env, A, [0])
    np.testing.assert_equal(env.state_dict(), before)
    for options in ({"probes": "initial"}, {"probe_steps": 4}):
        with pytest.raises(ValueError, match="probes and probe_steps have no meaning"):
            train_members(made(**options), points, [0, 1])


def test_states_with_and_without_members_are_taken_and_broken_ones_named() -> None:
    env, other = made(), made()
    begun = env.state_dict()
    train_members(env, np.stack([A, B]), [0, 1])
    state = env.state_dict()
    for _ in range(2):
        other.load_state_dict(state)
        np.testing.assert_equal(other.state_dict(), state)
        assert train_members(other, A[None], [1]) == train_members(env, A[None], [1])
        other.load_state_dict(begun)
        np.testing.assert_equal(other.state_dict(), begun)
        env.load_state_dict(state)
    for name in ("members", "members.taken"):
        for bad in ({k: v for k, v in state.items() if k != name}, state | {name: np.zeros((2, 2, 2))}):
            with pytest.raises(ValueError, match=name):
                other.load_state_dict(bad)
    np.testing.assert_equal(other.state_dict(), begun)


def test_a_step_of_a_run_trains_every_member_and_the_best_one_on() -> None:
    rows = list(run(made(), PopulationBased(members=5), Budget(max_steps=3)))
    assert [row["train_steps"] for row in rows] == [0, 24, 48, 72]


RUN = [
    "run",
    "population-based",
    "--env",
    "hgenv/ToyShading-v0",
    "--members",
    "4",
    "--train-steps",
    "5",
    "--no-figures",
]


@pytest.mark.slow
def test_a_run_is_the_same_with_workers_and_resumed(tmp_path: Path) -> None:
    whole, cut = str(tmp_path / "whole"), str(tmp_path / "cut")
    assert main([*RUN, "--max-steps", "5", "--out", whole]) == 0
    assert main([*RUN, "--max-steps", "2", "--workers", "2", "--out", cut]) == 0
    assert main(["resume", cut, "--max-steps", "5"]) == 0
    assert rows_of(tmp_path / "whole") == rows_of(tmp_path / "cut")
    assert not [name for name in load_snapshot(tmp_path / "whole") if "members" in name]
