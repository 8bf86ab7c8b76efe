"""A domain is the one place where ground truth is kept: whoever changes it is scored against what he made of it."""

import pickle
from dataclasses import dataclass
from functools import cached_property

import pytest
import torch

from hgenv import Batch, DataGenEnv, EnvOptions
from hgenv.batch import Split
from hgenv.domains import Domain, Pictures, baselines, measured
from hgenv.domains.domain import SPLITS
from hgenv.learning.networks import HourglassSize
from hgenv.quantities import Normals, SquaredError
from hgenv.tasks.face_depth import FaceDepth
from hgenv.tasks.shape_normals import ShapeNormals
from hgenv.tasks.texture_intrinsics import TextureIntrinsics

SMALL = HourglassSize(channels=8, hourglass_depth=2)


def moved(domain: Domain, change: object) -> Pictures:
    """The same pictures with other targets."""
    splits = (domain.batch(split) for split in SPLITS)
    return Pictures(*(b._replace(target=change(b.target)) for b in splits))  # type: ignore[operator]


@dataclass(frozen=True)
class FartherFaces(FaceDepth):
    @cached_property
    def domain(self) -> Domain:
        return moved(super().domain, lambda depth: depth + 1.0)


@dataclass(frozen=True)
class SidewaysNormals(ShapeNormals):
    @cached_property
    def domain(self) -> Domain:
        return moved(super().domain, lambda normal: normal[:, [2, 0, 1]])


@dataclass(frozen=True)
class DarkIntrinsics(TextureIntrinsics):
    @cached_property
    def domain(self) -> Domain:
        return moved(super().domain, lambda target: 0.25 + 0.5 * target.flip(-1))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("cls", "metric", "least"),
    [(FartherFaces, "abs_rel", 0.15), (SidewaysNormals, "mae", 60), (DarkIntrinsics, "si_rmse", 0.1)],
)
def test_moved_targets_are_what_is_scored(
    cls: type, metric: str, least: float, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A perfect prediction has no error, by the metrics and through the environment; the old targets have one."""
    task = cls(resolution=16, hourglass=SMALL)
    target = task.domain.batch(split).target
    assert measured(task.quantity, task.domain, target, split)[metric] == pytest.approx(0.0, abs=1e-3)
    old = cls.__base__(resolution=16, hourglass=SMALL).domain.batch(split).target
    assert measured(task.quantity, task.domain, old, split)[metric] > least
    env = DataGenEnv(task, EnvOptions(train_steps=1, batch_size=1))
    env.reset(seed=0)
    monkeypatch.setattr(env, "predict", lambda _: target[None])
    assert env.metrics(split)[metric] == pytest.approx(0.0, abs=1e-3)


def test_the_reward_sees_moved_targets() -> None:
    losses = []
    for cls in (FartherFaces, FaceDepth):
        env = DataGenEnv(cls(resolution=16, hourglass=SMALL), EnvOptions(train_steps=1, batch_size=1))
        losses.append(env.reset(seed=0)[1]["val_loss"])
    assert abs(losses[0] - losses[1]) > 0.05


def test_any_quantity_scores_any_pictures() -> None:
    image, mask = torch.rand(3, 1, 4, 4), torch.ones(3, 1, 4, 4)
    toward = torch.zeros(3, 3, 4, 4)
    toward[:, 2] = 1.0
    batch = Batch(image, toward, mask)
    domain = Pictures(batch, batch.rows(slice(0, 2)), {"the truth": lambda batch: batch.target.numpy()})
    assert measured(Normals(), domain, toward, "validation")["mae"] == 0.0
    assert measured(SquaredError(), domain, toward + 2.0, "validation")["loss"] == pytest.approx(4.0)
    assert baselines(Normals(), domain, "test") == {"the truth": measured(Normals(), domain, toward[:2], "test")}
    with pytest.raises(ValueError, match="argument 2 is longer"):
        measured(Normals(), domain, toward[:2], "validation")


def test_pictures_may_differ_in_size_where_they_are_scored() -> None:
    """A domain that is scored at other resolutions than the network's."""

    class Large(Pictures):
        def truth(self, split: Split) -> list[Batch]:
            return [
                Batch(*(torch.nn.functional.interpolate(part, scale_factor=float(2 + i)) for part in one))
                for i, one in enumerate(super().truth(split))
            ]

        def enlarged(self, prediction: object, split: Split) -> list:
            return [p.repeat(2 + i, 1).repeat(2 + i, 2) for i, p in enumerate(prediction)]  # type: ignore[call-overload]

    batch = Batch(torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4), torch.ones(2, 1, 4, 4))
    domain = Large(batch, batch)
    assert [one.image.shape[-1] for one in domain.truth("test")] == [8, 12]
    assert measured(SquaredError(), domain, batch.target, "test") == {"loss": 0.0}


class Counted(Domain):
    """Counts how often a split is asked for."""

    def __init__(self) -> None:
        self.asked: list[Split] = []
        self.pictures = Batch(torch.rand(4, 1, 8, 8), torch.rand(4, 3, 8, 8), torch.rand(4, 1, 8, 8))

    def batch(self, split: Split) -> Batch:
        self.asked.append(split)
        return self.pictures


def test_a_split_is_sent_to_a_device_once() -> None:
    domain, meta = Counted(), torch.device("meta")
    first, again = (domain.on("validation", meta) for _ in range(2))
    assert all(a is b for a, b in zip(first, again, strict=True))
    assert {part.device for part in first} == {meta}
    assert domain.on("test", meta).image is not first.image
    assert domain.asked == ["validation", "test"]
    assert "_resident" not in vars(pickle.loads(pickle.dumps(domain))), "another process has its own device"
    assert domain.on("test", meta).image.device == meta


def test_on_the_cpu_a_split_is_what_it_was() -> None:
    domain = Counted()
    assert domain.on("test", torch.device("cpu")) is domain.pictures
    assert "_resident" not in vars(domain)
