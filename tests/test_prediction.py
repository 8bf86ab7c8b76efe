"""The trained network outside of its environment: as a module, and on any images."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from hgenv.env import DataGenEnv
from hgenv.learning.networks import HourglassSize
from hgenv.options import EnvOptions
from hgenv.tasks.shape_normals import ShapeNormals
from hgenv.tasks.toy_shading import ToyShading


@pytest.fixture(scope="module")
def env() -> DataGenEnv:
    size = HourglassSize(stacks=2, channels=8, hourglass_depth=2)
    env = DataGenEnv(ShapeNormals(resolution=16, hourglass=size), EnvOptions(train_steps=5, batch_size=2))
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.start)
    return env


def test_the_network_predicts_what_the_environment_does(env: DataGenEnv) -> None:
    image = env.task.domain.batch("test").image
    with torch.no_grad():
        averaged, last = env.network()(image), env.network(last=True)(image)
    predicted = env.predict("test")
    assert predicted.shape == averaged.shape == (2, 128, 3, 16, 16)
    torch.testing.assert_close(averaged, predicted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last, env._learner.predict(env.episode.weights.weights, image), rtol=1e-5, atol=1e-6)
    assert (last - averaged).abs().max() > 1e-3
    state = env.state_dict()
    for network, name in ((env.network(), "average"), (env.network(last=True), "weights")):
        np.testing.assert_array_equal(nn.utils.parameters_to_vector(network.parameters()).detach(), state[name])


def test_the_network_is_a_copy_of_its_own(env: DataGenEnv) -> None:
    before = env.state_dict()
    network = env.network()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    network(env.task.domain.batch("test").image[:2]).sum().backward()
    optimizer.step()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    for name, value in env.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert nn.utils.parameters_to_vector(env.network().parameters()).any()
    kept = nn.utils.parameters_to_vector(env.network().parameters()).detach()
    other = env.network()
    saved = {name: value.clone() for name, value in env.state_dict().items() if isinstance(value, torch.Tensor)}
    assert not saved, "the state is plain arrays"
    torch.testing.assert_close(nn.utils.parameters_to_vector(other.parameters()).detach(), kept)


@pytest.mark.parametrize("count", [1, 3, 64, 65, 130])
def test_any_number_of_images_is_predicted_row_by_row(env: DataGenEnv, count: int) -> None:
    image = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (130, 1, 16, 16)).astype(np.float32))
    whole = env.predict(image)
    found = env.predict(image[:count])
    assert found.shape == (2, count, 3, 16, 16)
    assert not found.requires_grad
    torch.testing.assert_close(found, whole[:, :count], rtol=1e-4, atol=1e-5)


def test_images_are_tensors_or_arrays_of_any_kind(env: DataGenEnv) -> None:
    image = env.task.domain.batch("validation").image[:4]
    wanted = env.predict("validation")[:, :4]
    for given in (
        image, image.double(), image.numpy(), image.numpy().astype(np.float64), image.clone().requires_grad_(),
        np.asfortranarray(image.numpy()),
    ):  # fmt: skip
        torch.testing.assert_close(env.predict(given), wanted, rtol=1e-4, atol=1e-5)
    flat = (255 * image).round().to(torch.uint8)
    torch.testing.assert_close(env.predict(flat), env.predict(flat.float()))
    assert env.predict(np.zeros((2, 1, 32, 48), np.float32)).shape == (2, 2, 3, 32, 48), (
        "other sizes, as the network takes"
    )


def test_predictions_cost_nothing_and_change_nothing(env: DataGenEnv) -> None:
    before = env.state_dict()
    env.predict("test"), env.predict(np.zeros((1, 1, 16, 16))), env.metrics("test"), env.network()
    after = env.state_dict()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


@dataclass(frozen=True)
class Partly(ToyShading):
    """A network of which a part is not trained."""

    def network(self) -> nn.Module:
        network = super().network()
        network[1].weight.requires_grad_(False)
        network.register_buffer("constant", torch.arange(3.0))
        return network


def test_what_is_not_trained_stays_as_it_is() -> None:
    env = DataGenEnv(Partly(), EnvOptions(train_steps=5))
    env.reset(seed=0)
    before = env.network().state_dict()
    env.step(env.start)
    for network in (env.network(), env.network(last=True)):
        after = network.state_dict()
        assert not network[1].weight.requires_grad
        assert network[1].bias.requires_grad
        np.testing.assert_array_equal(after["1.weight"], before["1.weight"])
        np.testing.assert_array_equal(after["constant"], [0, 1, 2])
        assert not torch.equal(after["1.bias"], before["1.bias"])
        assert not torch.equal(after["3.weight"], before["3.weight"])
        image = env.task.domain.batch("test").image
    torch.testing.assert_close(env.network()(image).detach(), env.predict("test"), rtol=1e-5, atol=1e-6)
    assert len(env.state_dict()["weights"]) == sum(p.numel() for p in env.network().parameters() if p.requires_grad)
