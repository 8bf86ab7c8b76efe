"""Networks that start trained: once, kept under what they depend on, or from a snapshot."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hgenv.batch import Batch
from hgenv.env import DataGenEnv
from hgenv.learning import pretraining
from hgenv.learning.learner import Learner
from hgenv.learning.networks import HourglassSize
from hgenv.learning.pretraining import fingerprint, pretrain
from hgenv.options import EnvOptions
from hgenv.quantities import Normals
from hgenv.scenes.rooms import room
from hgenv.tasks.scene_normals import SceneNormals

WIDE = HourglassSize(channels=16)
SMALL: dict[str, Any] = {
    "rooms": 2, "validation_size": 2, "test_size": 2, "pretrain_steps": 3, "resolution": 32,
    "hourglass": HourglassSize(channels=8, hourglass_depth=2),
}  # fmt: skip


@dataclass(frozen=True)
class Scaled(Normals):
    """Another loss."""

    factor: float

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return self.factor * super().loss(prediction, batch)


def started(task: SceneNormals) -> Tensor:
    """The weights that a network starts with."""
    network = task.network()
    task.pretrain(network, torch.device("cpu"))
    return torch.nn.utils.parameters_to_vector(network.parameters()).detach()


def test_the_start_is_trained_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HGENV_CACHE", str(tmp_path))
    task = SceneNormals(**SMALL)
    first = started(task)
    (file,) = tmp_path.glob("*.npz")
    stamp = file.stat().st_mtime_ns
    again = SceneNormals(**SMALL)
    torch.testing.assert_close(started(again), first, rtol=0, atol=0)
    assert file.stat().st_mtime_ns == stamp
    for same in ({"validation_size": 3}, {"test_size": 3}):
        torch.testing.assert_close(started(SceneNormals(**SMALL | same)), first, rtol=0, atol=0)
    assert len(list(tmp_path.glob("*.npz"))) == 1, "what the result does not depend on does not name it"
    for other in (
        {"pretrain_steps": 4},
        {"rooms": 3},
        {"ambient": 0.4},
        {"hourglass": HourglassSize(channels=16, hourglass_depth=2)},
        {"shadow": 64},
    ):
        started(SceneNormals(**SMALL | other))
    assert len(list(tmp_path.glob("*.npz"))) == 6, "what the result depends on names it"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged"):
        started(SceneNormals(**SMALL))


def test_pretraining_learns_what_it_is_shown(tmp_path: Path) -> None:
    task = SceneNormals(rooms=2, pretrain_steps=0, resolution=64)
    batch = task.unperturbed(np.arange(8, dtype=np.uint64))
    torch.manual_seed(0)
    network = task.network()
    with torch.no_grad():
        before = task.quantity.loss(network(batch.image), batch).mean()
    pretrain(network, task.unperturbed, task.quantity, 40, "rooms", folder=tmp_path)
    with torch.no_grad():
        after = task.quantity.loss(network(batch.image), batch).mean()
    assert after < 0.7 * before
    for changed in ({"key": "others"}, {"quantity": Scaled(2.0)}, {"steps": 1}):
        fresh = task.network()
        arguments = {
            "sample": task.unperturbed,
            "quantity": task.quantity,
            "steps": 2,
            "key": "rooms",
            "folder": tmp_path,
        }
        pretrain(fresh, **arguments | changed)
    assert len(list(tmp_path.glob("*.npz"))) == 4
    with pytest.raises(ValueError, match="diverged: after 2 steps"):
        pretrain(network, task.unperturbed, Scaled(float("inf")), 2, "rooms", folder=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 4


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_it_runs_where_the_environment_trains(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as a machine without a GPU can tell: the training is given weights and a device that has no memory."""
    monkeypatch.setenv("HGENV_CACHE", str(tmp_path))
    given = []

    def trained(learner: Learner, sample: object, steps: int) -> Tensor:
        given.append((learner.device.type, learner.model.initial.device.type, steps))
        raise ValueError("enough")

    monkeypatch.setattr(pretraining, "_trained", trained)
    env = DataGenEnv(SceneNormals(**SMALL), EnvOptions(device=device))
    with pytest.raises(ValueError, match="enough"):
        env.reset(seed=0)
    assert given == [(device, device, 3)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_trains_the_same_start(tmp_path: Path) -> None:
    task, found = SceneNormals(rooms=2, pretrain_steps=0), []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        network = task.network()
        pretrain(network, task.unperturbed, task.quantity, 3, "rooms", device, tmp_path)
        found.append(torch.nn.utils.parameters_to_vector(network.parameters()).detach())
    assert len(list(tmp_path.glob("*.npz"))) == 2
    torch.testing.assert_close(*found, rtol=1e-2, atol=1e-4)


def test_a_fingerprint_tells_arrays_apart() -> None:
    first, second = room(0), room(1)
    assert fingerprint([first]) == fingerprint([room(0)])
    changed = first.objects[0]._replace(albedo=first.objects[0].albedo * 0.5)
    others = [
        [second], [first, second], [dataclasses.replace(first, views=first.views[:1])],
        [dataclasses.replace(first, objects=[changed, *first.objects[1:]])],
    ]  # fmt: skip
    assert len({fingerprint(interiors) for interiors in [[first], *others]}) == 5


def test_a_snapshot_can_be_the_start(tmp_path: Path) -> None:
    from hgenv.cli import main as cli

    small = ["--env", "hgenv/SceneNormals-v0", "--rooms", "2", "--validation-size", "2", "--test-size", "2"]
    run = ["run", "fixed", *small, "--pretrain-steps", "0", "--train-steps", "2", "--batch-size", "2", "--no-figures"]
    assert cli.main([*run, "--max-steps", "1", "--report-every", "1", "--out", str(tmp_path / "a")]) == 0
    task = SceneNormals(rooms=2, validation_size=2, test_size=2, pretrained=str(tmp_path / "a"))
    found = started(task).numpy()
    with np.load(tmp_path / "a" / "best.npz") as kept:
        np.testing.assert_array_equal(found, kept["state.average"])
    with pytest.raises(ValueError, match="same size of network"):
        SceneNormals(rooms=2, hourglass=WIDE, pretrained=str(tmp_path / "a")).prepare()
    with pytest.raises(FileNotFoundError, match=r"best\.npz"):
        SceneNormals(rooms=2, pretrained=str(tmp_path / "none")).prepare()
