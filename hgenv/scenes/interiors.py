"""Furnished scenes with their cameras, and how beta perturbs them (the paper's second experiment).

Objects turn about the centres of their bounding boxes and shift along the room's axes; the camera turns and shifts
along its own. World: metres, y up. Camera: x right, y up, z toward the viewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.beta.layout import Layout
from hgenv.beta.mixtures import NormalMixture, VonMisesMixture
from hgenv.beta.noise import Noise
from hgenv.kernels import kernel
from hgenv.render.mesh import Mesh, Textures, bounds, joined, turn_into
from hgenv.render.renderer import Camera, Scene
from hgenv.rotations import turns

Array = NDArray[np.float64]
INTRINSICS = (518.8579, 519.4696, 325.5824, 253.7362)
"""Focal lengths and principal point of the colour camera at 640 x 480."""
FRAME = (480, 640)
SHADOW_REACH = 5.0
"""How far from an object out of sight its shadow is looked for, in metres: about a room."""
DEGREES = ("x", "y", "z", "yaw", "pitch", "roll")


def _shift(axis: str, what: str) -> NormalMixture:
    return NormalMixture((-0.5, 0.5), (0.01, 0.5), initial=(0.0, 0.03), apart=0.06, meaning=f"{what} along {axis}, m")


def _turn(angle: str, what: str) -> VonMisesMixture:
    return VonMisesMixture((-0.8, 0.8), (0.02, 0.8), initial=(0.0, 0.04), apart=0.08, meaning=f"{angle} of {what}, rad")


@dataclass(frozen=True)
class SceneBeta(Layout):
    """The 108 coordinates: six degrees of freedom of shapes and six of the camera, a mixture of three each.

    They start small: nearly unperturbed.
    """

    shape_x: NormalMixture = _shift("x", "shapes")
    shape_y: NormalMixture = _shift("y, up", "shapes")
    shape_z: NormalMixture = _shift("z", "shapes")
    shape_yaw: VonMisesMixture = _turn("yaw", "shapes")
    shape_pitch: VonMisesMixture = _turn("pitch", "shapes")
    shape_roll: VonMisesMixture = _turn("roll", "shapes")
    camera_x: NormalMixture = _shift("its x", "camera")
    camera_y: NormalMixture = _shift("its y", "camera")
    camera_z: NormalMixture = _shift("its z, backward", "camera")
    camera_yaw: VonMisesMixture = _turn("yaw", "the camera")
    camera_pitch: VonMisesMixture = _turn("pitch", "the camera")
    camera_roll: VonMisesMixture = _turn("roll", "the camera")


class View(NamedTuple):
    """A camera in the world: eye (3,); frame (3, 3), its axes as rows; tangents of half its angles, (2,)."""

    eye: Array
    frame: Array
    tangents: Array

    def camera(self, height: int, width: int) -> Camera:
        """The pinhole of a picture: what the angles see fills it."""
        focal = (0.5 * width / self.tangents[0], 0.5 * height / self.tangents[1])
        return Camera(height, width, focal, (0.5 * width, 0.5 * height))


def look(eye: Array, towards: Array, up: Array, tangents: Array) -> View:
    """A view from eye along towards (3,). Raises ValueError if up is parallel to it, or either is 0."""
    right = np.cross(towards, up)
    if not np.linalg.norm(right) > 1e-9:
        raise ValueError("a camera's directions must not be parallel or 0")
    frame = np.stack([right, np.cross(right, towards), -towards])
    return View(eye, frame / np.linalg.norm(frame, axis=1, keepdims=True), tangents)


@dataclass(frozen=True, eq=False)
class Interior:
    """A furnished scene: the shell (walls, floors, ceilings) stays as it is, each of the objects can be perturbed.

    left_out: objects that could not be read, and why, a line each.
    """

    shell: Mesh
    objects: Sequence[Mesh]
    textures: Textures
    views: Sequence[View]
    left_out: Sequence[str] = ()

    @cached_property
    def _whole(self) -> tuple[Mesh, NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Shell and objects as one mesh, unperturbed; where each of them ends; whether it has vertex normals; and which
        faces are objects'."""
        parts = [self.shell, *self.objects]
        ends, smooth = np.cumsum([len(part.corners) for part in parts]), np.array([p.normals.any() for p in parts])
        return joined(parts), ends, smooth, np.arange(ends[-1]) >= ends[0]

    @cached_property
    def spheres(self) -> tuple[Array, Array]:
        """Centres (k, 3) of the objects' bounding boxes, and radii (k,) of balls about them that hold the objects."""
        centres = np.array([0.5 * np.sum(bounds(o.corners), axis=0) for o in self.objects]).reshape(-1, 3)
        radii = [np.linalg.norm(o.corners - c, axis=2).max() for o, c in zip(self.objects, centres, strict=True)]
        return centres, np.array(radii)

    def seen(
        self, view: View, shapes: Array, camera: Array, rotations: Array, light: Array
    ) -> tuple[Mesh, NDArray[np.bool_]]:
        """The scene in camera coordinates: shapes (k, 6) and camera (6,) are perturbations by DEGREES; rotations: those
        of `rotations`; light (3,), a unit vector toward it in the camera's axes.

        Returns the mesh, and which of its faces are the objects' (those that throw shadows: the walls would leave a
        room dark). Objects that are out of sight together with their shadows, as far as SHADOW_REACH, are shrunk to
        nothing at the camera's eye: to leave them out would copy all the others.
        """
        (whole, ends, smooth, casters), (centres, radii), frame = self._whole, self.spheres, rotations[0]
        eye = view.eye + view.frame.T @ camera[:3]
        places = (centres + shapes[:, :3] - eye) @ frame.T
        shifts = np.concatenate([(-frame @ eye)[None], places - (rotations[1:] @ centres[..., None])[..., 0]])
        corners, normals = np.zeros((2, *whole.corners.shape))
        _place(
            whole.corners, whole.normals, ends, smooth, places, radii, view.tangents, light, rotations, shifts, corners,
            normals,
        )  # fmt: skip
        return whole._replace(corners=corners, normals=normals), casters


def rotations(view: View, shapes: Array, camera: Array) -> Array:
    """The axes of a perturbed camera as rows, which turn the world's directions into the camera's; then what turns each
    of the perturbed shapes into these: (1 + k, 3, 3)."""
    turned = turns(np.concatenate([camera[None, 3:], shapes[:, 3:]]))
    turned[0] = turned[0] @ view.frame
    turned[1:] = turned[0] @ turned[1:]
    return turned


class Lighting(NamedTuple):
    """light (3,): towards the light, in the camera's axes, before `above` of the world's up is added to it."""

    light: Array
    above: float
    ambient: float


def staged(
    interior: Interior, view: View, shapes: Array, camera: Array, size: tuple[int, int], lighting: Lighting, shadow: int
) -> Scene:
    """A perturbed scene (`Interior.seen`) of size (height, width); shadow is the side of the shadow map in pixels."""
    turned = rotations(view, shapes, camera)
    towards = lighting.light + lighting.above * turned[0, :, 1]
    towards = towards / np.linalg.norm(towards)
    mesh, casters = interior.seen(view, shapes, camera, turned, towards)
    return Scene(mesh, view.camera(*size), towards, lighting.ambient, interior.textures, shadow, casters)


@kernel()
def _place(
    corners: Any, normals: Any, ends: Any, smooth: Any, places: Any, radii: Any, tangents: Any, light: Any,
    rotations: Any, shifts: Any, new_corners: Any, new_normals: Any,
) -> None:  # fmt: skip
    """Turn and shift the shell, and the objects in balls (k, 3), (k,) that matter; each ends at a face."""
    still = np.zeros(3)
    for part in range(len(ends)):
        begin = ends[part - 1] if part else 0
        if part == 0 or _matters(places[part - 1], radii[part - 1], tangents, light):
            some = slice(begin, ends[part])
            turn_into(corners[some], rotations[part], shifts[part], new_corners[some])
            if smooth[part]:
                turn_into(normals[some], rotations[part], still, new_normals[some])


@kernel()
def _matters(place: Any, radius: float, tangents: Any, light: Any) -> bool:
    """Whether a ball is in sight, or throws a shadow that is: looked for at steps away from the light."""
    for step in range(int(SHADOW_REACH / 0.25)):
        x, y = place[0] - 0.25 * step * light[0], place[1] - 0.25 * step * light[1]
        if _in_sight(x, y, place[2] - 0.25 * step * light[2], radius, tangents):
            return True
    return False


@kernel()
def _in_sight(x: float, y: float, z: float, radius: float, tangents: Any) -> bool:
    """Whether a ball in camera coordinates meets the pyramid that the camera sees."""
    aside = abs(x) + tangents[0] * z <= radius * np.sqrt(1.0 + tangents[0] ** 2)
    return aside and abs(y) + tangents[1] * z <= radius * np.sqrt(1.0 + tangents[1] ** 2) and z < radius


def perturbations(layout: SceneBeta, beta: Array, noise: Noise, counts: NDArray[np.int64]) -> tuple[Array, Array]:
    """Draws for n scenes of counts (n,) objects: shapes (n, max count, 6) and cameras (n, 6) by DEGREES."""
    bound, slots = layout.bind(beta), (max(1, int(counts.max(initial=0))),)
    present = np.arange(slots[0]) < counts[:, None]
    drawn = {}
    for what, shape, used in (("shape", slots, present), ("camera", (), True)):
        # Shifts, then turns: three normal mixtures, three of von Mises.
        places = [{f"{what} {d}": getattr(bound, f"{what}_{d}") for d in some} for some in (DEGREES[:3], DEGREES[3:])]
        drawn[what] = np.concatenate([noise.draw_alike(alike, shape, used) for alike in places])
    return np.moveaxis(drawn["shape"], 0, -1), drawn["camera"].T
