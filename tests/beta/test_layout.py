"""Layout: the maps between beta and the action box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgenv.beta.layout import divergence
from hgenv.csg.grammar import ShapeBeta
from hgenv.tasks.shape_evolution import ShapeEvolution

LAYOUT = ShapeBeta()


@given(st.lists(st.floats(-1, 1), min_size=29, max_size=29))
def test_the_box_maps_onto_the_ranges_and_back(action: list[float]) -> None:
    beta = LAYOUT.from_action(action)
    assert (beta >= LAYOUT.low).all()
    assert (beta <= LAYOUT.high).all()
    np.testing.assert_allclose(LAYOUT.to_action(beta), action, atol=1e-12)


def test_ends_start_and_clipping() -> None:
    np.testing.assert_allclose(LAYOUT.from_action(np.ones(29)), LAYOUT.high)
    np.testing.assert_allclose(LAYOUT.from_action(-np.ones(29)), LAYOUT.low)
    np.testing.assert_array_equal(LAYOUT.from_action(np.full(29, 7.0)), LAYOUT.high)
    assert (LAYOUT.low < LAYOUT.initial).all()
    assert (LAYOUT.initial < LAYOUT.high).all()
    np.testing.assert_array_equal(LAYOUT.clip(LAYOUT.high + 1), LAYOUT.high)


@pytest.mark.parametrize("bad", [np.zeros(28), np.full(29, np.nan), LAYOUT.high + 1e-6])
def test_bind_refuses_what_is_not_beta(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="beta"):
        LAYOUT.bind(bad)


def test_parameters_reach_their_distributions() -> None:
    beta = LAYOUT.initial.copy()
    beta[LAYOUT.names.index("translation.mean.y")] = 0.123
    beta[LAYOUT.names.index("scale.std.z")] = 0.456
    bound = LAYOUT.bind(np.stack([beta, LAYOUT.initial]))
    assert bound.translation.parameters.shape == (2, 2, 3)
    assert bound.translation.parameters[0, 0, 1] == 0.123
    assert bound.scale.parameters[1, 0, 2] == 0.456
    assert bound.scale.parameters[1, 1, 2] == 0.3


def test_divergences_are_of_one_draw_of_every_field() -> None:
    beta = LAYOUT.initial.copy()
    beta[LAYOUT.names.index("expand.probability")] = 0.9
    beta[LAYOUT.names.index("scale.std.z")] /= 2.0
    found, start = divergence(LAYOUT, beta, LAYOUT.initial), LAYOUT.initial[LAYOUT.names.index("expand.probability")]
    assert list(found) == list(LAYOUT.distributions)
    assert {name for name, nats in found.items() if nats} == {"expand", "scale"}
    assert found["scale"] == pytest.approx(np.log(2) - 3 / 8), "half the deviation along one axis of three"
    assert found["expand"] == pytest.approx(0.9 * np.log(0.9 / start) + 0.1 * np.log(0.1 / (1 - start)))
    layout = ShapeEvolution.layout
    with pytest.raises(TypeError, match="no density"):
        divergence(layout, layout.initial, layout.initial)
