"""The stacked hourglass at other sizes than the default."""

import pytest
import torch

from hgenv.env import DataGenEnv
from hgenv.learning.gradient import ImageDifference
from hgenv.learning.networks import HourglassSize, StackedHourglass
from hgenv.options import EnvOptions
from hgenv.tasks.shape_normals import ShapeNormals


@pytest.mark.parametrize(
    "size", [HourglassSize(2, 16, 2, 1), HourglassSize(3, 8, 2, 4), HourglassSize(1, 32, 4, 2)], ids=str
)
def test_predictions_have_the_input_resolution_at_every_stack(size: HourglassSize) -> None:
    torch.manual_seed(0)
    network = StackedHourglass(1, 3, size)
    image = torch.randn(2, 1, 32, 64)
    prediction = network(image)
    assert prediction.shape == (size.stacks, 2, 3, 32, 64)
    assert torch.isfinite(prediction).all()
    assert prediction.std() > 1e-3
    prediction[-1].sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())  # through the feedback, too
    with pytest.raises(ValueError, match="multiples"):
        network(torch.randn(1, 1, size.multiple + 1, size.multiple))


def test_full_size_has_the_papers_order_of_weights() -> None:
    count = sum(p.numel() for p in StackedHourglass(1, 3, HourglassSize(2, 256, 4, 2)).parameters())
    assert 3e6 < count < 8e6


def test_a_step_can_be_differentiated_with_two_stacks() -> None:
    task = ShapeNormals(hourglass=HourglassSize(2, 8, 2), validation_size=4, test_size=2)
    env = DataGenEnv(task, EnvOptions(gradient=ImageDifference(steps=2, directions=1), train_steps=2))
    env.reset(seed=0)
    info = env.step(env.start)[4]
    assert info["hybrid_gradient"].any()
    assert env.predict("test").shape == (2, 2, 3, 32, 32)
