"""What the caller has set of torch does not reach the training: results are the same, and his settings stay."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch

from hgenv.env import DataGenEnv
from hgenv.learning.gradient import ImageDifference, Score
from hgenv.learning.networks import HourglassSize
from hgenv.options import EnvOptions
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.toy_shading import ToyShading


@contextmanager
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def meta() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def all_of_them() -> Iterator[None]:
    with float64(), meta(), torch.inference_mode():
        yield


def settings() -> tuple:
    made = torch.empty(0)
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), made.dtype, made.device


SURROUNDINGS = [torch.no_grad, torch.inference_mode, float64, meta, lambda: torch.device("meta"), all_of_them]


def played(task: Callable[[], object], gradient: object) -> list:
    """All that an environment says in its life."""
    env = DataGenEnv(task(), EnvOptions(gradient=gradient, train_steps=4, batch_size=4))  # type: ignore[arg-type]
    said: list = [*env.reset(seed=1)]
    for _ in range(2):
        said += env.step(env.start)
        said.append(env.evaluate(np.stack([env.start, -0.5 + 0.0 * env.start])))
    said += [
        env.predict("test").tolist(),
        env.metrics("validation"),
        env.state_dict(),
        env.contact_sheet(env.start, 2, 2),
    ]
    env.load_state_dict(env.state_dict())
    said += [*env.step(env.start)]
    network = env.network()
    said += [p.tolist() for p in network.parameters()]
    assert all(
        p.dtype == torch.float32 and p.device.type == "cpu" and not p.is_inference() for p in network.parameters()
    )
    return said


@pytest.mark.parametrize("gradient", [None, ImageDifference(steps=2), Score(exact=True)], ids=str)
@pytest.mark.parametrize("surrounding", SURROUNDINGS)
def test_settings_of_torch_change_no_bit(surrounding: Callable[[], AbstractContextManager], gradient: object) -> None:
    wanted = played(ToyShading, gradient)
    with surrounding():
        before = (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.empty(0).device,
        )
        got = played(ToyShading, gradient)
        after = (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.empty(0).device,
        )
    assert before == after
    np.testing.assert_equal(got, wanted)


@pytest.mark.parametrize("surrounding", SURROUNDINGS)
def test_a_network_that_starts_trained_is_the_same(
    surrounding: Callable[[], AbstractContextManager], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def task() -> SceneNormals:
        size = HourglassSize(channels=8, hourglass_depth=2)
        return SceneNormals(resolution=32, rooms=1, validation_size=1, test_size=1, pretrain_steps=2, hourglass=size)

    def start() -> np.ndarray:
        env = DataGenEnv(task(), EnvOptions(train_steps=1, batch_size=1))
        env.reset(seed=0)
        return env.state_dict()["weights"]

    monkeypatch.setenv("HGENV_CACHE", f"{tmp_path}/a")
    wanted = start()
    monkeypatch.setenv("HGENV_CACHE", f"{tmp_path}/b")
    with surrounding():
        np.testing.assert_array_equal(start(), wanted)


def test_torchs_own_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    played(ToyShading, Score())
    torch.testing.assert_close(torch.rand(3), wanted, rtol=0, atol=0)
