"""Your own network: by name, with its checkpoint, with parts that are frozen; and what is said of one that is none."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hgenv import DataGenEnv, EnvOptions
from hgenv.cli.main import main
from hgenv.learning import own_network
from hgenv.learning.gradient import InfluenceDifference
from hgenv.runs.folder import open_run
from hgenv.tasks.toy_shading import ToyShading

SOURCE = """
import torch
from torch import nn


def plain():
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.SiLU(), nn.Conv2d(6, 3, 3, padding=1))


def frozen():
    network = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.SiLU(), nn.Dropout(0.5),
                            nn.Conv2d(6, 3, 3, padding=1))
    network[0].requires_grad_(False)
    network[1].requires_grad_(False).running_mean.fill_(0.1)
    return network.eval()


def stacks():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = plain()

        def forward(self, image):
            return torch.stack([self.body(image), self.body(2 * image)])

    return Two()


def with_batch_norm():
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3))


def grey():
    return nn.Conv2d(1, 1, 3, padding=1)


def colours():
    return nn.Conv2d(3, 3, 3, padding=1)


def several():
    class Both(nn.Module):
        def forward(self, image):
            return image, image

    return Both()


def nothing():
    return 3


def broken():
    raise OSError("no backbone")
"""


@pytest.fixture
def source(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A file of networks, of a name that no other test's has."""
    path = tmp_path / f"mine_{abs(hash(request.node.nodeid)) % 10**9}.py"
    path.write_text(SOURCE)
    return str(path)


def made(network: str, **options: Any) -> DataGenEnv:
    given = {"train_steps": 3, "batch_size": 4, "validation_images": 8, "network": network} | options
    return DataGenEnv(ToyShading(), EnvOptions(**given))


@pytest.mark.parametrize("name", ["plain", "frozen", "stacks"])
def test_it_is_trained_and_differentiated(source: str, name: str) -> None:
    env = made(f"{source}:{name}", gradient=InfluenceDifference(steps=2))
    env.reset(seed=0)
    before = env.network(last=True).state_dict()
    infos = [env.step(env.start)[4] for _ in range(2)]
    assert np.isfinite([info["val_loss"] for info in infos]).all()
    assert np.linalg.norm(infos[1]["hybrid_gradient"]) > 0
    after = env.network(last=True).state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    still = {"body.0.weight", "body.0.bias"} | {
        f"body.1.{n}" for n in ("weight", "bias", "running_mean", "running_var")
    }
    assert moved
    if name == "frozen":
        assert not moved & still
        assert moved == {"body.4.weight", "body.4.bias"}
    env.reset(seed=0)
    assert env.step(env.start)[4]["val_loss"] == infos[0]["val_loss"], "it follows from the seed"


def test_it_starts_from_a_checkpoint(source: str, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    from safetensors.torch import save_file

    module = own_network.own_network(f"{source}:plain").body
    assert isinstance(module, nn.Module)
    save_file(module.state_dict(), str(tmp_path / "it.safetensors"))
    torch.save(module.state_dict(), tmp_path / "it.pt")
    torch.save({"epoch": 3, "state_dict": module.state_dict()}, tmp_path / "whole.pth")
    for name in ("it.safetensors", "it.pt", "whole.pth"):
        env = made(f"{source}:plain", network_weights=str(tmp_path / name))
        env.reset(seed=5)
        for key, tensor in env.network(last=True).state_dict().items():
            assert torch.equal(tensor, module.state_dict()[key.removeprefix("body.")])


def test_the_tasks_own_network_takes_one_too(tmp_path: Path) -> None:
    network = ToyShading().network()
    torch.save(network.state_dict(), tmp_path / "toy.pt")
    env = DataGenEnv(ToyShading(), EnvOptions(network_weights=str(tmp_path / "toy.pt")))
    env.reset(seed=1)
    assert all(map(torch.equal, env.network(last=True).parameters(), network.parameters()))


def test_a_checkpoint_is_never_unpickled(source: str, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "pwned"),)

    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"0.weight": Evil()}))
    torch.save({"0.weight": Evil()}, tmp_path / "evil.pth")
    for name in ("evil.pt", "evil.pth"):
        with pytest.raises(ValueError, match=r"evil.* is no state dict that can be read without unpickling"):
            made(f"{source}:plain", network_weights=str(tmp_path / name))
    assert not (tmp_path / "pwned").exists()


WRONG = {
    "with_batch_norm": "BatchNorm.*take GroupNorm, or freeze it by its eval",
    "grey": r"predicts \(1, 1, 8, 8\) for images \(1, 1, 8, 8\), expected \(1, 3, 8, 8\)",
    "colours": r"does not take images \(1, 1, 8, 8\)",
    "several": "gives tuple, expected one tensor",
    "nothing": "gives int, expected a torch.nn.Module",
    "broken": "makes no network: OSError: no backbone",
    "missing": "has no function missing",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_said_of_another(source: str, name: str) -> None:
    with pytest.raises(ValueError, match=WRONG[name]):
        made(f"{source}:{name}").reset(seed=0)


@pytest.mark.parametrize("where", ["", "networks", ":plain", "no_such_module:plain", "/no/such/file.py:plain"])
def test_what_names_nothing(where: str) -> None:
    with pytest.raises(ValueError, match=r"network must be MODULE:FUNCTION|cannot be imported|no file"):
        made(where)


def test_checkpoints_that_do_not_fit(source: str, tmp_path: Path) -> None:
    path = tmp_path / "it.pt"
    for state, message in (
        ({"0.weight": torch.zeros(6, 1, 3, 3)}, "it lacks 0.bias, 2.bias, 2.weight"),
        (nn.Conv2d(1, 3, 3).state_dict(), "the network has no bias, weight"),
        (torch.zeros(3), "holds Tensor, expected a state dict"),
    ):
        torch.save(state, path)
        with pytest.raises(ValueError, match=message):
            made(f"{source}:plain", network_weights=str(path))
    state = own_network.own_network(f"{source}:plain").body.state_dict()  # type: ignore[union-attr, operator]
    for key, tensor, message in (
        ("0.weight", torch.zeros(6, 1, 5, 5), r"0.weight is \(6, 1, 5, 5\), expected \(6, 1, 3, 3\)"),
        ("0.bias", torch.full((6,), torch.nan), "0.bias has numbers that are not finite"),
    ):
        torch.save(state | {key: tensor}, path)
        with pytest.raises(ValueError, match=message):
            made(f"{source}:plain", network_weights=str(path))
    with pytest.raises(FileNotFoundError):
        made(f"{source}:plain", network_weights=str(tmp_path / "none.pt"))


def test_a_run_with_it_is_opened_from_anywhere(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", "perturbed", "--env", "hgenv/ToyShading-v0", "--max-steps", "2", "--no-figures"]
    assert main([*words, "--network", f"{Path(source).name}:plain", "--out", "it"]) == 0
    monkeypatch.chdir("/")
    env = open_run(tmp_path / "it").restore()
    assert "body.2.weight" in env.network().state_dict()
