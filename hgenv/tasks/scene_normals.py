"""hgenv/SceneNormals-v0: surface normals indoors, from furnished scenes whose shapes and camera are perturbed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.data.houses import find
from hgenv.data.selection import evenly, read_each, say_left_out
from hgenv.domains.domain import Domain
from hgenv.domains.folder import Folder, check_named
from hgenv.domains.indoor import FIRST_ROOM, IndoorFrames, other_rooms
from hgenv.fields import MOST, AtLeast, AtMost, OnDisk, Share, Side
from hgenv.learning.networks import HourglassSize, StackedHourglass
from hgenv.learning.pretraining import fingerprint, from_snapshot, pretrain
from hgenv.quantities.normals import Normals
from hgenv.registry import register
from hgenv.render.renderer import Rendered
from hgenv.rotations import unit_vector
from hgenv.scenes.interiors import Interior, Lighting, SceneBeta, perturbations, staged
from hgenv.scenes.rooms import room
from hgenv.tasks.rendered import Maker, RenderedTask

Array = NDArray[np.float64]
_Number = Annotated[int, AtLeast(1), AtMost(FIRST_ROOM)]


@register("hgenv/SceneNormals-v0")
@dataclass(frozen=True)
class SceneNormals(RenderedTask):
    """One view of a furnished scene a picture, in directional light with the furniture's shadows; learn its normals.

    Axes of normals: x right, y up, z toward the viewer. The network starts trained on unperturbed scenes.
    """

    resolution: Side = 64
    """Width of the images in pixels; their height is three quarters of it."""
    scenes: OnDisk | None = None
    """Folder of the training scenes in the layout of SUNCG or 3D-FRONT; built in: procedural rooms."""
    houses: _Number = 8
    """Houses of `scenes` that are used, evenly over all; of these, broken ones are left out."""
    detail: Annotated[float, AtLeast(0)] = 0.02
    """Features of the objects of `scenes` smaller than this, in metres, are merged; 0 keeps them, at a third of the
    speed."""
    rooms: _Number = 24
    """Number of procedural rooms, each with four views, where there are no `scenes`."""
    target: Literal["nyu", "folder"] = "nyu"
    """What `data` holds: NYU Depth V2, or your own pictures with their normals."""
    data: OnDisk | None = None
    """Folder of the target domain; built in: other rooms."""
    frames: _Number = 40
    """Frames of each split of `data` that are used, evenly over all."""
    validation_size: _Number = 48
    """Number of validation images of the built-in domain."""
    test_size: _Number = 96
    """Number of test images of the built-in domain."""
    ambient: Share = 0.5
    shadow: Annotated[int, AtLeast(0), AtMost(4096)] = 128
    """Side of the shadow map in pixels; 0, and opengl, for no shadows."""
    pretrain_steps: Annotated[int, AtLeast(0), MOST] = 600
    """Training steps on unperturbed scenes from which every network starts; their result is cached. 0 for none."""
    pretrained: OnDisk | None = None
    """Run folder, or best.npz in it, whose weights are the start instead."""
    hourglass: HourglassSize = HourglassSize()
    """Size of the network."""

    layout = SceneBeta()
    quantity = Normals()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_named(self.target, self.data)
        multiple = self.hourglass.multiple
        step = np.lcm(4, 4 * multiple // np.gcd(3, multiple))  # its three quarters are a multiple, and so is it
        if self.resolution < step or self.resolution % step:
            raise ValueError(f"resolution must be a multiple of {step}, got {self.resolution}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return 3 * self.resolution // 4, self.resolution

    @cached_property
    def interiors(self) -> Sequence[Interior]:
        """The scenes that are perturbed."""
        if self.scenes is None:
            return [room(number) for number in range(self.rooms)]
        problems: list[str] = []
        found, load = find(self.scenes)
        chosen = evenly(found, self.houses)
        houses = [house for _, house in read_each(chosen, partial(load, detail=self.detail), problems)]
        say_left_out(problems, len(chosen), "houses", self.scenes)
        return houses

    def makers(self, beta: Array, noise: Noise) -> Iterator[Maker]:
        chosen = self._chosen(noise)
        counts = np.array([len(scene.objects) for scene, _ in chosen])
        shapes, cameras = perturbations(self.layout, beta, noise, counts)
        return self._drawings(noise, chosen, [s[:k] for s, k in zip(shapes, counts, strict=True)], cameras)

    def _chosen(self, noise: Noise) -> list[tuple[Interior, int]]:
        """A view, of all views of all scenes, for every row."""
        views = [(scene, number) for scene in self.interiors for number in range(len(scene.views))]
        return [views[int(u * len(views))] for u in noise.uniform("view")]

    def _drawings(
        self, noise: Noise, chosen: list[tuple[Interior, int]], shapes: Sequence[Array], cameras: Array
    ) -> Iterator[Maker]:
        light = unit_vector(noise.uniform("light", (2,)) * [0.7, 1.0] + [0.3, 0.0])
        for row, (scene, number) in enumerate(chosen):
            lighting, view = Lighting(light[row], 0.5, self.ambient), scene.views[number]
            yield partial(staged, scene, view, shapes[row], cameras[row], self.size, lighting, self.shadow)

    def ground_truth(self, picture: Rendered) -> NDArray[np.float32]:
        """Normals (3, h, w)."""
        return picture.normal

    def unperturbed(self, seeds: NDArray[np.uint64]) -> Batch:
        """Samples (n,) of the scenes as they are."""
        noise = Noise(seeds)
        chosen = self._chosen(noise)
        still = [np.zeros((len(scene.objects), 6)) for scene, _ in chosen]
        return self.drawn(self._drawings(noise, chosen, still, np.zeros((len(seeds), 6))))

    def network(self) -> nn.Module:
        return StackedHourglass(3, 3, self.hourglass)

    def pretrain(self, network: nn.Module, device: torch.device) -> None:
        """The same weights for every seed, unless pretrain_steps is 0."""
        if self.pretrained is not None:
            from_snapshot(network, Path(self.pretrained))
        elif self.pretrain_steps:
            if device not in self._starts:
                self._starts[device] = self._start(device)
            network.load_state_dict(self._starts[device])

    @cached_property
    def _starts(self) -> dict[torch.device, dict[str, Tensor]]:
        """The trained weights by the device that has trained them."""
        return {}

    def _start(self, device: torch.device) -> dict[str, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = self.network()
        # What the samples are made from, and nothing else that the task is made of.
        key = f"{self.size} {self.ambient} {self.shadow} {self.renderer} {fingerprint(self.interiors)}"
        pretrain(network, self.unperturbed, self.quantity, self.pretrain_steps, key, device)
        return network.state_dict()

    @cached_property
    def domain(self) -> Domain:
        if self.data is None:
            return other_rooms(self.size, self.validation_size, self.test_size)
        if self.target == "folder":
            return Folder(self.data, self.quantity, 3, 3, self.size)
        return IndoorFrames(self.data, self.size, self.frames)

    def prepare(self) -> None:
        super().prepare()
        if self.pretrained is not None:  # a broken snapshot shows now
            self.pretrain(self.network(), torch.device("cpu"))
