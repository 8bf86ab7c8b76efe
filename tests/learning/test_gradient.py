"""The estimator of the hybrid gradient against brute force."""

import numpy as np
import pytest
import torch
from analytic import Waves

from hgenv.batch import Batch
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import ESTIMATORS
from hgenv.options import EnvOptions, build
from hgenv.quantities import SquaredError
from hgenv.step import gradient_rows

OPTIONS = {
    "gradient": "image", "train_steps": 5, "gradient_steps": 5, "batch_size": 3, "gradient_directions": 8,
    "gradient_sigma": 1e-3, "inner_learning_rate": 0.02, "validation_images": None, "weight_average": 0.0,
}  # fmt: skip
POINT = np.array([0.2, -0.3, 0.1, 0.3, 0.4])


def options(**changes: object) -> EnvOptions:
    """OPTIONS, changed; what is None of the gradient is left to its default, and all of it without a gradient."""
    flat = OPTIONS | changes
    none = [name for name in flat if name.startswith("gradient") and (flat[name] is None or flat["gradient"] is None)]
    return build(EnvOptions, {name: value for name, value in flat.items() if name not in none})


def made(**changes: object) -> DataGenEnv:
    env = DataGenEnv(Waves(), options(**changes))
    env.reset(seed=3)
    env.step(POINT)
    return env


def brute_force(env: DataGenEnv, state: dict) -> np.ndarray:
    """Central differences of the realised validation loss: same weights, same seeds, only beta moves."""
    gradient, h = np.zeros(5), 1e-5
    for i in range(5):
        losses = []
        for sign in (1, -1):
            env.load_state_dict(state)
            losses.append(env.step(POINT + sign * h * np.eye(5)[i])[4]["val_loss"])
        gradient[i] = (losses[0] - losses[1]) / (2 * h)
    return gradient


@pytest.mark.slow
@pytest.mark.parametrize("inner", ["adam", "sgd"])
def test_unbiased_estimate_agrees_with_brute_force_within_its_standard_error(inner: str) -> None:
    """Differences of estimate and brute force over 60 states of the streams: their mean is 0, to its standard error."""
    env = made(inner=inner, gradient_directions=64)
    plain = made(inner=inner, gradient=None)
    state, differences, references = env.state_dict(), [], []
    for k in range(60):
        state["steps"] = 100 + k  # other seeds and directions, from the same weights
        env.load_state_dict(state)
        estimate = env.step(POINT)[4]["hybrid_gradient"]
        references.append(brute_force(plain, state))
        differences.append(estimate - references[-1])
    mean, error = np.mean(differences, 0), np.std(differences, 0, ddof=1) / np.sqrt(60)
    reference = np.linalg.norm(np.mean(references, 0))
    assert np.linalg.norm(error) < 0.3 * reference, "the standard error is too large to tell anything"
    assert np.all(np.abs(mean) < 3.5 * error + 1e-6 * reference), (mean, error)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_finite_repeatable_and_commits_nothing(name: str) -> None:
    sizes = {"train_steps": 6, "gradient_steps": 4, "gradient_sigma": None, "gradient_directions": None}
    first, second, plain = (made(gradient=g, **sizes) for g in (name, name, None))
    got = [env.step(POINT)[4] for env in (first, second, plain)]
    np.testing.assert_array_equal(got[0]["hybrid_gradient"], got[1]["hybrid_gradient"])
    assert np.isfinite(got[0]["hybrid_gradient"]).all()
    assert np.abs(got[0]["hybrid_gradient"][:4]).min() > 0
    if name != "perturbed":  # which trains on other samples
        assert got[0]["val_loss"] == got[2]["val_loss"]


@pytest.mark.parametrize(
    ("changes", "renders", "differentiated", "influences"),
    [
        ({"gradient": "influence"}, 2 * 8 * 8, 1, 2 * 8 * 8),
        ({"gradient": "influence", "gradient_curvature": False}, 2 * 8 * 8, 0, 2 * 8 * 8),
        ({"gradient": "score"}, 0, 0, 8),
        ({"gradient": "score", "gradient_samples": 7, "gradient_curvature": True}, 14, 1, 14),
        ({"gradient": "mixed"}, 2 * 8 * 8, 1, 2 * 8 * 8 + 8),
        ({"gradient": "perturbed"}, 0, 0, 0),
        ({"gradient": "perturbed", "gradient_group": "pair", "gradient_curvature": True}, 0, 1, 8),
    ],
)
def test_costs_of_the_estimators(changes: dict, renders: int, differentiated: int, influences: int) -> None:
    directions = 8 if changes["gradient"] in ("influence", "mixed") else None
    fixed = {"train_steps": 6, "gradient_steps": 2, "batch_size": 4, "gradient_sigma": None}
    env = made(**fixed, gradient_directions=directions, **changes)
    costs = env.ledger
    got = costs.renders, costs.train_steps, costs.differentiated_steps, costs.influences
    assert got == (24 + renders, 6, differentiated, influences)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gradient": "score", "gradient_sigma": 0.1}, "no meaning"),
        ({"gradient": "image", "gradient_group": "pair"}, "no meaning"),
        ({"gradient": "guess"}, "must be one of"),
        ({"gradient": "perturbed", "spread": 0.1}, "spreads the samples itself"),
        ({"gradient": "perturbed", "train_steps": 5}, "must be even"),
        ({"gradient": "perturbed", "gradient_steps": 3}, "must be even"),
        ({"gradient": "perturbed", "gradient_group": "pair", "batch_size": 3}, "even batch_size"),
        ({"gradient": "perturbed", "gradient_exact": True}, "no meaning for batches"),
        ({"gradient": "image", "gradient_shared": "no"}, "must be True or False"),
        ({"gradient_shared": True}, "no meaning without gradient"),
        ({"gradient": "image", "gradient_steps": 2.5}, "an integer and >= 1"),
        ({"validation_images": True}, "an integer and >= 1"),
    ],
)
def test_options_that_an_estimator_does_not_have_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(EnvOptions, changes)


def test_successive_gradients_share_no_validation_image() -> None:
    """Each is of a half, in turn, whatever is drawn of it; a set that is taken whole has no halves."""
    for wanted, sizes in ((16, (3, 3)), (2, (2, 2)), (None, (6, 6))):
        env = made(validation_images=wanted, train_steps=2, gradient_steps=1)
        seen = []
        for _ in range(4):
            env.step(POINT)
            seen.append({row.tobytes() for row in gradient_rows(env.episode, env.options).image.numpy()})
        assert tuple(len(rows) for rows in seen[:2]) == sizes
        assert bool(seen[0] & seen[1]) == (wanted is None)
        assert seen[0] | seen[2] <= {row.tobytes() for row in env.task.domain.batch("validation").image.numpy()}
    seldom = made(train_steps=2, gradient_steps=1, gradient_every=2, validation_images=16)
    first = [
        {row.tobytes() for row in gradient_rows(seldom.episode, seldom.options).image.numpy()}
        for _ in range(4)
        if seldom.step(POINT)
    ]
    assert first[0] == first[1] != first[2], "the second and the fourth step have a gradient"


def test_the_agreement_is_the_cosine_with_the_gradient_before() -> None:
    env = DataGenEnv(Waves(), options(train_steps=2, gradient_steps=1, validation_images=16, gradient_every=2))
    env.reset(seed=3)
    steps = [env.step(POINT)[4] for _ in range(5)]
    assert ["agreement" in info for info in steps] == [False, False, True, False, True]
    for before, after in ((steps[0], steps[2]), (steps[2], steps[4])):
        a, b = before["hybrid_gradient"], after["hybrid_gradient"]
        assert after["agreement"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_averaged_weights_and_first_order_change_the_signal() -> None:
    last, averaged, flat = (
        made(weight_average=0.5, **changes).signal
        for changes in ({"gradient_weights": "last"}, {}, {"gradient_weights": "last", "gradient_curvature": False})
    )
    assert not torch.equal(last.by_weights, averaged.by_weights)
    deep, shallow = (list(signal.reversed()) for signal in (last, flat))
    torch.testing.assert_close(deep[0].by_gradient, shallow[0].by_gradient)  # nothing comes after the last step
    assert not torch.allclose(deep[-1].by_gradient, shallow[-1].by_gradient)


def test_a_signal_charges_the_episode_that_it_belongs_to() -> None:
    env = made()
    signal, old = env.signal, env.ledger
    env.reset(seed=0)
    before = old.differentiated_steps
    signal.sensitivity()
    assert old.differentiated_steps == before + 5
    assert env.ledger.differentiated_steps == 0


def test_a_loss_that_is_not_a_loss_a_row_is_refused() -> None:
    class MeanSquaredError(SquaredError):
        def loss(self, prediction: torch.Tensor, batch: Batch) -> torch.Tensor:
            return super().loss(prediction, batch).mean()

    class Mistaken(Waves):
        quantity = MeanSquaredError()

    with pytest.raises(ValueError, match=r"MeanSquaredError\.loss must give a loss a row"):
        DataGenEnv(Mistaken(), EnvOptions()).reset(seed=0)


def test_scores_are_zero_where_the_action_was_clipped() -> None:
    env = made()
    inside, outside = np.tile(POINT, (2, 1)), np.tile(POINT + [2.0, 0, 0, 0, 0], (2, 1))
    seeds = np.arange(2, dtype=np.uint64)
    assert (env.generate(inside, seeds).score() != 0).any(0).tolist() == [True, True, True, True, False]
    assert (env.generate(outside, seeds).score() != 0).any(0).tolist() == [False, True, True, True, False]


def test_paper_scaling_is_the_unbiased_one_over_d() -> None:
    estimates = {}
    for scaling in ("paper", "unbiased"):
        estimates[scaling] = made(gradient_scaling=scaling).step(POINT)[4]["hybrid_gradient"]
    np.testing.assert_allclose(estimates["unbiased"], 5 * estimates["paper"], rtol=1e-12)


def test_all_three_parts_of_a_sample_have_a_sensitivity() -> None:
    env = made()
    sensitivity = env.signal.sensitivity()
    assert len(sensitivity.image) == 15
    assert all(part.abs().max() > 0 for part in sensitivity)
    assert [samples.actions.shape for samples in env.signal.samples] == [(3, 5)] * 5
    assert [samples.seeds.shape for samples in env.signal.samples] == [(3,)] * 5


def test_frozen_coordinates_leave_the_action_and_the_directions() -> None:
    env = DataGenEnv(Waves(), options(coordinates="continuous"))
    _, info = env.reset(seed=0)
    assert env.action_space.shape == (4,)
    _, _, _, _, after = env.step(np.full(4, 0.5))
    assert after["hybrid_gradient"].shape == (4,)
    assert after["beta"][4] == info["beta"][4] == 0.5
    assert (after["beta"][:4] != info["beta"][:4]).all()


def test_costs_of_an_estimate_are_counted() -> None:
    env = made(gradient_steps=2)
    # 5 batches of 3, and an estimate of 2 ends x 8 directions x 2 steps x 3 samples
    assert env.ledger.renders == 15 + 2 * 8 * 6
    assert env.ledger.train_steps == 5
    assert env.ledger.differentiated_steps == 2
    assert env.ledger.validation_forwards == 3 * 6  # at reset, for the reward, for the gradient
