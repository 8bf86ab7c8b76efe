"""The update rules: how far they step, and how that falls."""

import numpy as np
import torch

from hgenv.learning.training import SGD, Adam, State


def test_the_learning_rate_falls_over_the_last_fifth() -> None:
    gradient = torch.tensor([2.0])
    for rule in (SGD(0.1, momentum=0.0, until=20), Adam(0.1, beta1=0.0, beta2=0.0, until=20)):
        state, steps = rule.init(torch.zeros(1)), []
        for _ in range(23):
            after = rule.update(state, gradient)
            steps.append(float(state.weights - after.weights))
            state = after
        full = steps[0]
        np.testing.assert_allclose(
            np.array(steps) / full, [1.0] * 17 + [0.75, 0.5, 0.25, 0, 0, 0], rtol=1e-4, atol=1e-7
        )
        torch.testing.assert_close(rule.rates(state) * gradient, torch.tensor([full]), rtol=1e-4, atol=0.0)


def test_rates_are_what_a_lasting_gradient_moves_in_a_step() -> None:
    gradient = torch.tensor([0.5, -2.0, 1e-3])
    for rule in (SGD(learning_rate=0.01, momentum=0.8), Adam(learning_rate=0.01, beta2=0.9), Adam(eps_root=1e-4)):
        state = rule.init(torch.zeros(3))
        for _ in range(200):
            before, state = state, rule.update(state, gradient)
        torch.testing.assert_close(rule.rates(state) * gradient, before.weights - state.weights, rtol=1e-4, atol=1e-8)


def test_a_state_has_as_many_rates_as_weights() -> None:
    state = State(torch.zeros(4), (torch.zeros(4), torch.ones(4)), 10)
    assert Adam().rates(state).shape == (4,)
