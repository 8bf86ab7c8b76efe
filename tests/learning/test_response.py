"""The response of a long training: against the dense matrix function, and against the training itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from kept_rows import rows_of
from numpy.typing import NDArray

from hgenv.cli.main import main
from hgenv.env import DataGenEnv
from hgenv.learning import response
from hgenv.learning.gradient import Score
from hgenv.learning.response import Recent, long_response
from hgenv.options import EnvOptions, build
from hgenv.tasks.toy_shading import ToyShading

SIZE, BATCH = 40, 8


def problem(count: int = 32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """dL/dw (p,), rates (p,) and batch gradients (count, p), stiff along a few directions."""
    rng = torch.Generator().manual_seed(4)
    by_weights, rates = torch.randn(SIZE, generator=rng), 0.02 * torch.rand(SIZE, generator=rng) + 0.01
    stiff = torch.randn(count, SIZE, generator=rng) * torch.logspace(0, -1, SIZE)
    return by_weights.double(), rates.double(), (stiff + 3.0).double()


def curvature(rates: torch.Tensor, gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """R^1/2, clamped, and the Fisher matrix, dense."""
    root = rates.clamp(max=rates.sort().values[37]).sqrt()  # the 38th of 40
    centred = gradients - gradients.mean(0)
    return root, BATCH * centred.T @ centred / len(gradients)


@pytest.mark.parametrize("steps", [1, 30, 10_000])
def test_it_is_the_dense_matrix_function(steps: int) -> None:
    by_weights, rates, gradients = problem()
    root, fisher = curvature(rates, gradients)
    s, q = torch.linalg.eigh(root[:, None] * fisher * root)
    f = torch.where(s.abs() < 1e-9, float(steps), -torch.expm1(-steps * s) / torch.where(s.abs() < 1e-9, 1.0, s))
    dense = (q @ (f * (q.T @ (root * by_weights)))) / root / steps
    ours = long_response(by_weights, rates, gradients, BATCH, steps)
    torch.testing.assert_close(ours, dense, rtol=1e-6, atol=1e-9)
    if steps == 10_000:
        assert ours.norm() < 0.9 * by_weights.norm(), "stiff directions are left"


def test_it_is_what_a_lasting_change_of_data_does_to_the_loss() -> None:
    """Gradient descent on a quadratic, with and without a change of its gradient: what the change is to the loss after
    K further steps is K rates times the change times the response."""
    by_weights, rates, gradients = problem()
    rates = 0.05 * rates  # small steps, as f takes them for a flow
    root, fisher = curvature(rates, gradients)
    rates, steps = root**2, 400
    change = torch.randn(SIZE, generator=torch.Generator().manual_seed(1)).double()
    moved = torch.zeros(SIZE).double()
    for _ in range(steps):
        moved = moved - rates * (fisher @ moved + change)
    found = -steps * (rates * change) @ long_response(by_weights, rates, gradients, BATCH, steps)
    short = -steps * (rates * change) @ by_weights
    truth = by_weights @ moved
    assert float(found) == pytest.approx(float(truth), rel=0.02)
    assert float(short) != pytest.approx(float(truth), rel=0.2), "a short horizon would do as well"


def test_one_step_more_is_the_step_itself_and_one_gradient_has_no_spectrum() -> None:
    by_weights, rates, gradients = problem()
    torch.testing.assert_close(
        long_response(by_weights, 1e-6 * rates, gradients, BATCH, 1), by_weights, rtol=1e-4, atol=1e-6
    )
    assert long_response(by_weights, rates, gradients[:1], BATCH, 100) is by_weights
    same = gradients[:1].repeat(5, 1)
    torch.testing.assert_close(long_response(by_weights, rates, same, BATCH, 100), by_weights)


def test_single_precision_is_close() -> None:
    by_weights, rates, gradients = problem()
    exact = long_response(by_weights, rates, gradients, BATCH, 3000)
    rounded = long_response(by_weights.float(), rates.float(), gradients.float(), BATCH, 3000)
    assert float((rounded.double() - exact).norm() / exact.norm()) < 1e-4


def test_the_last_gradients_are_kept_at_their_distance() -> None:
    kept = Recent(None)
    assert kept.rows() is None
    for taken in range(20):
        kept.see(taken, torch.tensor([float(taken)]))
    assert kept.rows().flatten().tolist() == [0.0, 4.0, 8.0, 12.0, 16.0]
    later = Recent(kept.rows())
    for taken in range(20, 20 + response.EVERY * response.KEPT):
        later.see(taken, torch.tensor([float(taken)]))
    rows = later.rows().flatten()
    assert len(rows) == response.KEPT
    assert rows[0] == 20.0


RUN = [
    "run", "hybrid-gradient", "--env", "hgenv/ToyShading-v0", "--train-steps", "8", "--gradient-horizon", "500",
    "--no-figures", "--report-every", "2",
]  # fmt: skip


def test_a_run_goes_on_with_its_gradients(tmp_path: Path) -> None:
    whole, cut, short = tmp_path / "whole", tmp_path / "cut", tmp_path / "short"
    assert main([*RUN, "--max-steps", "5", "--out", str(whole)]) == 0
    assert main([*RUN, "--max-steps", "2", "--out", str(cut)]) == 0
    assert main(["resume", str(cut), "--max-steps", "5"]) == 0
    assert rows_of(cut) == rows_of(whole)
    assert "state.gradients" not in np.load(whole / "best.npz").files
    plain = [word for word in RUN if word not in ("--gradient-horizon", "500")]
    assert main([*plain, "--max-steps", "5", "--out", str(short)]) == 0
    assert rows_of(short)[1]["val_loss"] == rows_of(whole)[1]["val_loss"]
    assert rows_of(short)[-1] != rows_of(whole)[-1], "the horizon changes nothing"


def test_the_horizon_is_what_remains() -> None:
    """The first step of two that end the run is 8 training steps before its end, the second at it."""

    def gradients(**options: int) -> list[NDArray[np.float64]]:
        env = DataGenEnv(ToyShading(), build(EnvOptions, {"gradient": "score", "train_steps": 8, **options}))
        env.reset(seed=1)
        return [env.step(env.start)[4]["hybrid_gradient"] for _ in range(2)]

    remaining = gradients(gradient_until=16)
    np.testing.assert_array_equal(remaining[0], gradients(gradient_horizon=8)[0])
    np.testing.assert_array_equal(remaining[1], gradients()[1])
    assert not np.array_equal(remaining[0], gradients()[0])


def test_a_horizon_is_fixed_or_what_remains() -> None:
    with pytest.raises(ValueError, match="not both: got 30 and 100"):
        Score(horizon=30, until=100)
