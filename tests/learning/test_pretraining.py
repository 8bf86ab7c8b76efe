"""Networks that start trained: once, kept under what they depend on, or from a snapshot."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hgenv.batch import Batch
from hgenv.learning.networks import HourglassSize
from hgenv.learning.pretraining import pretrain
from hgenv.quantities import Normals
from hgenv.tasks.scene_normals import SceneNormals

WIDE = HourglassSize(channels=16)


@dataclass(frozen=True)
class Scaled(Normals):
    """Another loss."""

    factor: float

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return self.factor * super().loss(prediction, batch)


def test_the_start_is_trained_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HGENV_CACHE", str(tmp_path))
    task = SceneNormals(rooms=2, validation_size=2, test_size=2, pretrain_steps=3)
    first = torch.nn.utils.parameters_to_vector(task.network().parameters())
    (file,) = tmp_path.glob("*.npz")
    stamp = file.stat().st_mtime_ns
    again = SceneNormals(rooms=2, validation_size=2, test_size=2, pretrain_steps=3)
    torch.testing.assert_close(torch.nn.utils.parameters_to_vector(again.network().parameters()), first)
    assert file.stat().st_mtime_ns == stamp
    for other in ({"pretrain_steps": 4}, {"rooms": 3}, {"ambient": 0.4}, {"hourglass": WIDE}):
        SceneNormals(**{"rooms": 2, "validation_size": 2, "test_size": 2, "pretrain_steps": 3, **other}).network()
    assert len(list(tmp_path.glob("*.npz"))) == 5, "what the result depends on names it"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged"):
        SceneNormals(rooms=2, validation_size=2, test_size=2, pretrain_steps=3).network()


def test_pretraining_learns_what_it_is_shown(tmp_path: Path) -> None:
    task = SceneNormals(rooms=2, pretrain_steps=0, resolution=64)
    batch = task.unperturbed(np.arange(8, dtype=np.uint64))
    torch.manual_seed(0)
    network = task.network()
    with torch.no_grad():
        before = task.quantity.loss(network(batch.image), batch).mean()
    pretrain(network, task.unperturbed, task.quantity, 40, "rooms", tmp_path)
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
    with pytest.raises(ValueError, match="diverged"):
        pretrain(network, task.unperturbed, Scaled(float("inf")), 2, "rooms", tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 4


def test_a_snapshot_can_be_the_start(tmp_path: Path) -> None:
    from hgenv.cli import main as cli

    small = ["--env", "hgenv/SceneNormals-v0", "--rooms", "2", "--validation-size", "2", "--test-size", "2"]
    run = ["run", "fixed", *small, "--pretrain-steps", "0", "--train-steps", "2", "--batch-size", "2", "--no-figures"]
    assert cli.main([*run, "--max-steps", "1", "--report-every", "1", "--out", str(tmp_path / "a")]) == 0
    task = SceneNormals(rooms=2, validation_size=2, test_size=2, pretrained=str(tmp_path / "a"))
    found = torch.nn.utils.parameters_to_vector(task.network().parameters()).detach().numpy()
    with np.load(tmp_path / "a" / "best.npz") as kept:
        np.testing.assert_array_equal(found, kept["state.average"])
    with pytest.raises(ValueError, match="same size of network"):
        SceneNormals(rooms=2, hourglass=WIDE, pretrained=str(tmp_path / "a")).prepare()
    with pytest.raises(FileNotFoundError, match=r"best\.npz"):
        SceneNormals(rooms=2, pretrained=str(tmp_path / "none")).prepare()
