"""What the tasks of meshes share: threads, and rows that do not depend on their company."""

import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch

from hgenv.beta.noise import Noise
from hgenv.render.renderer import Scene
from hgenv.tasks.face_depth import FaceDepth
from hgenv.tasks.rendered import Maker, RenderedTask
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.texture_intrinsics import TextureIntrinsics

KNOBS: dict[type[RenderedTask], dict] = {FaceDepth: {}, TextureIntrinsics: {}, SceneNormals: {"rooms": 3}}


@pytest.mark.parametrize("cls", KNOBS)
def test_neither_threads_nor_the_batch_change_a_bit(cls: type[RenderedTask]) -> None:
    one = cls(**KNOBS[cls])
    betas = one.layout.from_action(np.random.default_rng(0).uniform(-1, 1, (7, len(one.layout.names))))
    whole = one.sample(betas, Noise(np.arange(7)))
    for threads in (2, 5, 16):
        for part, other in zip(
            whole, cls(threads=threads, **KNOBS[cls]).sample(betas, Noise(np.arange(7))), strict=True
        ):
            assert torch.equal(part, other)
    for part, alone in zip(whole, one.sample(betas[3:4], Noise(np.arange(3, 4))), strict=True):
        assert torch.equal(part[3:4], alone)


class Seen(FaceDepth):
    """Scenes that know the thread which makes them, and one that cannot be made."""

    def makers(self, beta: np.ndarray, noise: Noise) -> Iterator[Maker]:
        makers = super().makers(beta, noise)
        return (partial(self.made, row, make) for row, make in enumerate(makers))

    def made(self, row: int, make: Maker) -> Scene:
        if row == 2:
            raise ArithmeticError(
                f"row {row} in {'the caller' if threading.current_thread() is CALLER else 'a worker'}"
            )
        return make()


CALLER = threading.main_thread()


@pytest.mark.parametrize(("threads", "where"), [(1, "the caller"), (2, "a worker")])
def test_scenes_are_made_by_the_threads_and_their_errors_arrive(threads: int, where: str) -> None:
    task = Seen(threads=threads)
    with pytest.raises(ArithmeticError, match=f"row 2 in {where}"):
        task.sample(np.tile(task.layout.initial, (4, 1)), Noise(np.arange(4)))


def test_threads_have_bounds() -> None:
    with pytest.raises(ValueError, match="threads"):
        FaceDepth(threads=0)
