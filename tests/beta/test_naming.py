"""Beta by name: an action from a few named coordinates, and the names and values that are refused."""

import numpy as np
import pytest

from hgenv.csg.grammar import ShapeBeta

LAYOUT = ShapeBeta()


def test_named_coordinates_move_and_the_others_stay() -> None:
    index = LAYOUT.names.index("expand.probability")
    action = LAYOUT.to_action({"expand.probability": 0.25})
    beta = LAYOUT.from_action(action)
    assert beta[index] == pytest.approx(0.25)
    np.testing.assert_allclose(np.delete(beta, index), np.delete(LAYOUT.initial, index))
    np.testing.assert_array_equal(LAYOUT.to_action({}), LAYOUT.to_action(LAYOUT.initial))
    everything = dict(zip(LAYOUT.names, LAYOUT.high, strict=True))
    np.testing.assert_allclose(LAYOUT.to_action(everything), 1.0)
    np.testing.assert_array_equal(LAYOUT.named({"expand.probability": np.float32(0.25)})[index], 0.25)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"expand.probabilty": 0.3}, "no coordinate 'expand.probabilty'; expand.probability"),
        ({"expand": 0.3}, "no coordinate 'expand'"),
        ({"expand.probability": 2.0}, r"expand.probability must be in its range .* got 2"),
        ({"expand.probability": -1e-9}, "expand.probability must be in its range"),
        ({"expand.probability": np.nan}, "got nan"),
        ({"expand.probability": np.inf}, "got inf"),
        ({"expand.probability": "much"}, "much"),
    ],
)
def test_wrong_names_and_values_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAYOUT.to_action(values)
