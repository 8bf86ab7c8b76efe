"""What a renderer of meshes is: the camera, what comes out, and the contract of a backend (one file each)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.kernels import kernel
from hgenv.render.mesh import NO_TEXTURES, Mesh, SharedMesh, Textures

Array = NDArray[np.float64]
_NONE = np.empty(0)


@dataclass(frozen=True)
class Camera:
    """A pinhole of `height` x `width` pixels; focal lengths and principal point in pixels, from the top left corner."""

    height: int
    width: int
    focal: tuple[float, float]
    centre: tuple[float, float]

    @staticmethod
    def of_angle(height: int, width: int, vertical: float) -> Camera:
        """Square pixels, principal point in the middle, vertical field of view in radians."""
        focal = 0.5 * height / np.tan(0.5 * vertical)
        return Camera(height, width, (focal, focal), (0.5 * width, 0.5 * height))


class Rendered(NamedTuple):
    """One picture, all parts 0 where nothing is.

    image (3, h, w): albedo x shading. normal (3, h, w): unit vectors. depth (h, w): distance along the viewing axis.
    mask (h, w): 0 or 1. albedo (3, h, w), shading (h, w): in [0, 1].
    """

    image: NDArray[np.float32]
    normal: NDArray[np.float32]
    depth: NDArray[np.float32]
    mask: NDArray[np.float32]
    albedo: NDArray[np.float32]
    shading: NDArray[np.float32]


class Tracing(NamedTuple):
    """What renderers know that trace paths: samples a pixel, and the share of light that scatters below a surface."""

    samples: int = 16
    subsurface: float = 0.0


class Scene(NamedTuple):
    """What a backend draws: a mesh in camera coordinates, Lambertian, under a directional light.

    light (3,): unit vector toward it, in camera coordinates. textures: those that mesh.texture refers to. shadow: side
    of the shadow map in pixels, 0 for no shadows; casters (f,): the faces that throw them, all if not given. tracing:
    for renderers that trace paths, which have all shadows.
    """

    mesh: Mesh | SharedMesh
    camera: Camera
    light: Array
    ambient: float = 0.0
    textures: Textures = NO_TEXTURES
    shadow: int = 0
    casters: NDArray[np.bool_] | None = None
    tracing: Tracing = Tracing()


class Renderer(Protocol):
    """A backend. shading = ambient + (1 - ambient) max(0, normal . light), and image = albedo x shading, but for the
    colours that others than the default make.

    Ground truth is that of pixel centres. Raises ValueError for a scene that `check_scene` refuses.
    """

    def __call__(self, scene: Scene) -> Rendered: ...


def check_scene(scene: Scene) -> None:
    """Raise ValueError for shapes that do not fit, numbers that are not finite, or a texture that does not exist."""
    mesh, camera, light, ambient, textures, _, casters, _ = scene
    count = len(mesh.faces) if isinstance(mesh, SharedMesh) else len(mesh.corners)
    parts = _checked_shapes(mesh, count)
    if not (_all_finite(*map(_flat, parts)) and np.isfinite(light).all()):
        raise ValueError("the mesh and the light must be finite")
    if np.shape(light) != (3,) or abs(math.hypot(*light) - 1.0) > 1e-6:
        raise ValueError(f"light must be a unit vector (3,), got {light}")
    if casters is not None and (casters.shape != (count,) or casters.dtype != bool):
        raise ValueError(f"casters must be ({count},) booleans, got {casters.shape} of {casters.dtype}")
    lens = (*camera.focal, *camera.centre)
    if not (min(camera.focal) > 0 and all(map(math.isfinite, lens)) and 0 <= ambient < 1):
        raise ValueError(f"focal lengths must be positive and ambient in [0, 1), got {camera.focal} and {ambient}")
    if isinstance(mesh, SharedMesh):
        if not _rows_of(np.ascontiguousarray(mesh.faces).ravel(), len(mesh.points)):
            raise ValueError(f"the mesh's faces must be rows of its {len(mesh.points)} points")
    elif count and mesh.texture.max() >= len(textures.size):
        raise ValueError(f"the mesh refers to texture {mesh.texture.max()}, but there are {len(textures.size)}")


def _checked_shapes(mesh: Mesh | SharedMesh, count: int) -> tuple[NDArray, ...]:
    """The parts that hold real numbers."""
    wanted: tuple[tuple[int, ...], ...] = ((count, 3, 3), (count, 3, 3), (count, 3, 3), (count, 3, 2), (count,))
    if isinstance(mesh, SharedMesh):
        wanted = ((count, 3), *[(len(mesh.points), 3)] * 3)
    for name, part, shape in zip(mesh._fields, mesh, wanted, strict=True):
        if part.shape != shape:
            raise ValueError(f"the mesh's {name} must be {shape}, got {part.shape}")
    return mesh[1:] if isinstance(mesh, SharedMesh) else mesh[:4]


def _flat(part: NDArray) -> Array:
    return np.ascontiguousarray(part, np.float64).ravel()


@kernel()
def _all_finite(first: Any, second: Any, third: Any, fourth: Any = _NONE) -> bool:
    finite = True
    for values in (first, second, third, fourth):
        for i in range(len(values)):
            finite &= values[i] - values[i] == 0.0  # without branches: several an instruction
    return finite


@kernel()
def _rows_of(faces: Any, count: int) -> bool:
    within = True
    for i in range(len(faces)):
        within &= 0 <= faces[i] < count
    return within


def batch_of(pictures: Iterable[Rendered], ground_truth: Callable[[Rendered], NDArray[np.float32]]) -> Batch:
    """Pictures as a batch, with what ground_truth takes of each, (t, h, w), as target. What is drawn is what counts."""
    rows = [(picture.image, ground_truth(picture), picture.mask[None]) for picture in pictures]
    return Batch(*(torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True)))
