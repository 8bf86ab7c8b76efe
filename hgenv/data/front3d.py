"""Houses in the layout of 3D-FRONT (Fu et al. 2021), with furniture of 3D-FUTURE: JSON, models, textures.

FOLDER/3D-FRONT/ID.json, FOLDER/3D-FUTURE-model/JID/raw_model.obj, FOLDER/3D-FRONT-texture/JID/texture.png. World y up,
metres. It has no cameras: those of FOLDER/camera/ID/room_camera.txt are taken, where there are such, or from the upper
corners of every furnished room one looks to its middle.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.data.materials import GREY
from hgenv.data.model import MOST_TEXELS, load_obj
from hgenv.data.picture import load_picture
from hgenv.data.reading import content, there
from hgenv.data.selection import say_left_out
from hgenv.data.suncg import MOST_FACES, MOST_METRES, MOST_OBJECTS, load_views
from hgenv.render.mesh import Mesh, bounds, coarsened, joined, pack
from hgenv.rotations import rotation
from hgenv.scenes.interiors import FRAME, INTRINSICS, Interior, View, look

Array = NDArray[np.float64]
HOUSES, MODELS, TEXTURES = "3D-FRONT", "3D-FUTURE-model", "3D-FRONT-texture"
EXPECTED = (
    f"expected FOLDER/{HOUSES}/ID.json, FOLDER/{MODELS}/JID/raw_model.obj and FOLDER/{TEXTURES}/JID/texture.png, as "
    "3D-FRONT and 3D-FUTURE are published"
)
_MOST_BYTES, _LARGEST = 2**28, 128
_EYE, _INSIDE = 1.6, 0.15
"""Height of a camera in metres, and how far it stands from a corner, as a share of the room."""
_TANGENTS = np.array([0.5 * FRAME[1] / INTRINSICS[0], 0.5 * FRAME[0] / INTRINSICS[1]])


def find_houses(root: str | Path) -> list[Path]:
    """The files of houses, sorted. Raises FileNotFoundError if there is none."""
    found = sorted(Path(root, HOUSES).glob("*.json"))
    if not found:
        raise FileNotFoundError(f"no house in {Path(root, HOUSES)}: {EXPECTED}")
    return found


def load_house(path: Path, detail: float = 0.0) -> Interior:
    """One house. Its walls, floors and ceilings are the shell; its furniture can be perturbed.

    Furniture that cannot be read is left out: the house names it, and it is said once, in a line. detail: as
    `hgenv.data.suncg.load_house`. Raises FileNotFoundError, or ValueError that names the file and what was expected.
    """
    house = _House(path)
    for room in house.rooms():
        house.add(room)
    if not house.shell:
        raise ValueError(f"{path} has no mesh of a room")
    if not house.objects:
        reason = f": {house.left_out[0]}" if house.left_out else ""
        raise ValueError(f"{path} has no furniture that can be read{reason}")
    say_left_out(house.left_out, len(house.objects) + len(house.left_out), "pieces of furniture", path)
    cameras = path.parents[1] / "camera" / path.stem / "room_camera.txt"
    views = load_views(cameras) if there(cameras) else house.views
    objects = [coarsened(mesh, detail) if detail else mesh for mesh in house.objects]
    return Interior(joined(house.shell), objects, pack(house.textures), views, house.left_out)


class _House:
    """A house's JSON, whose rooms become meshes; models that stand in it several times are read once."""

    def __init__(self, path: Path) -> None:
        self.path, self.root = path, path.parents[1]
        try:
            found: dict[str, Any] = json.loads(content(path, _MOST_BYTES))
            self._meshes = {str(mesh["uid"]): mesh for mesh in found["mesh"]}
            self._furniture = {str(piece["uid"]): piece for piece in found.get("furniture", [])}
            self._materials = {str(one["uid"]): one for one in found.get("material", [])}
            self._rooms = list(found["scene"]["room"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is not a house of 3D-FRONT: {error!r}") from error
        self.shell: list[Mesh] = []
        self.objects: list[Mesh] = []
        self.textures: list[NDArray[np.uint8]] = []
        self.views: list[View] = []
        self.left_out: list[str] = []
        self._models: dict[str, Mesh | str] = {}
        self._pictures: dict[str, int] = {}
        self._faces = 0

    def rooms(self) -> Iterator[dict[str, Any]]:
        for number, room in enumerate(self._rooms):
            if not isinstance(room, dict) or not isinstance(room.get("children"), list):
                raise ValueError(f"{self.path}: room {number} has no children")
            yield room

    def add(self, room: dict[str, Any]) -> None:
        """A room with what is in it, and its cameras."""
        shell, pieces = list[Mesh](), 0
        for child in room["children"]:
            name = str(child.get("ref")) if isinstance(child, dict) else ""
            try:
                if name in self._meshes:
                    shell.append(self._placed(child, self._wall(self._meshes[name])))
                elif name in self._furniture and self._furniture[name].get("valid", True):
                    self.objects.append(self._placed(child, self._piece(self._furniture[name])))
                    pieces += 1
            except (KeyError, TypeError, ValueError, OverflowError, FileNotFoundError) as error:
                what = f"it has no {error}" if isinstance(error, KeyError) else error
                problem = f"{self.path}, {name}: {what}"
                if name in self._meshes:
                    raise ValueError(problem) from error
                self.left_out.append(problem)
            self._check_sizes()
        self.shell += shell
        if shell and pieces:
            self.views += _corners(joined(shell))

    def _check_sizes(self) -> None:
        for count, most, what in (
            (len(self.objects) + len(self.left_out), MOST_OBJECTS, "objects"),
            (self._faces, MOST_FACES, "faces"),
            (sum(picture.size // 3 for picture in self.textures), MOST_TEXELS, "texels of textures"),
        ):
            if count > most:
                raise ValueError(f"{self.path} has more than {most:,} {what}")

    def _wall(self, mesh: dict[str, Any]) -> Mesh:
        """A mesh of the JSON's own, in the colour or the texture of its material."""
        points, faces = _numbers(mesh["xyz"], 3), np.asarray(mesh["faces"], np.int64).reshape(-1, 3)
        if not len(faces) or faces.min() < 0 or faces.max() >= len(points):
            raise ValueError(f"its faces must be rows of its {len(points)} points")
        corners = points[faces]
        material = self._materials.get(str(mesh.get("material")), {})
        picture = self._picture(str(material.get("jid") or ""))
        has_uv = len(mesh.get("uv") or ()) == 2 * len(points)
        uv = _numbers(mesh["uv"], 2)[faces] if has_uv else np.zeros((len(faces), 3, 2))
        colour = np.asarray(material.get("color") or [*(255.0 * GREY), 255.0], np.float64)[:3] / 255.0
        if colour.shape != (3,) or not ((colour >= 0) & (colour <= 1)).all():
            raise ValueError(f"its colour must be three numbers from 0 to 255, got {material.get('color')}")
        textured = picture >= 0 and has_uv
        albedo = np.ones_like(corners) if textured else np.broadcast_to(colour, corners.shape).copy()
        return Mesh(corners, np.zeros_like(corners), albedo, uv, np.full(len(faces), picture if textured else -1))

    def _picture(self, name: str) -> int:
        """The index of a texture of 3D-FRONT's; -1 if there is none."""
        file = self.root / TEXTURES / _plain(name) / "texture.png" if name else None
        if file is None or not os.path.isfile(file):
            return -1
        if name not in self._pictures:
            self._pictures[name] = len(self.textures)
            self.textures.append(load_picture(file, _LARGEST))
        return self._pictures[name]

    def _piece(self, piece: dict[str, Any]) -> Mesh:
        name = _plain(str(piece["jid"]))
        if name not in self._models:
            folder = self.root / MODELS / name
            try:
                model = load_obj(folder / "raw_model.obj", largest=_LARGEST, inside=[folder])
                first = len(self.textures)
                self.textures += model.textures
                texture = np.where(model.mesh.texture >= 0, model.mesh.texture + first, -1)
                self._models[name] = model.mesh._replace(texture=texture)
            except (ValueError, FileNotFoundError) as error:
                self._models[name] = str(error)
        if isinstance(found := self._models[name], str):
            raise ValueError(found)
        return found

    def _placed(self, child: dict[str, Any], mesh: Mesh) -> Mesh:
        """A mesh scaled, turned by the quaternion (x, y, z, w), and moved."""
        scale, shift = (_numbers(child.get(name, [one] * 3), 3)[0] for name, one in (("scale", 1.0), ("pos", 0.0)))
        turn = np.asarray(child.get("rot", [0.0, 0.0, 0.0, 1.0]), np.float64)
        if turn.shape != (4,) or not np.linalg.norm(turn) > 1e-9 or not (np.abs(turn) < 1e9).all():
            raise ValueError(f"rot must be a quaternion (x, y, z, w), got {child.get('rot')}")
        if not (scale != 0).all():
            raise ValueError("scale makes it flat")
        self._faces += len(mesh.corners)
        return mesh._replace(
            corners=(scale * mesh.corners) @ rotation(turn[[3, 0, 1, 2]] / np.linalg.norm(turn)).T + shift
        )


def _numbers(given: Any, columns: int) -> Array:
    """(n, columns). Raises ValueError for what is not that, or of a million or more."""
    found = np.asarray(given, np.float64)
    if found.ndim != 1 or found.size % columns or not found.size or not (np.abs(found) < MOST_METRES).all():
        raise ValueError(f"expected {columns} numbers for each, none of a million or more, got an array {found.shape}")
    return found.reshape(-1, columns)


def _plain(name: str) -> str:
    """A name that leads to no other folder."""
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"jid must be a name, got {name!r}")
    return name


def _corners(shell: Mesh) -> list[View]:
    """Cameras near the four corners of a room, at eye height, that look to its middle and a little down."""
    low, high = bounds(shell.corners)
    middle, size = 0.5 * (low + high), high - low
    eye_height = low[1] + min(_EYE, 0.6 * size[1])
    found = []
    for x, z in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = np.array([low[0] + (_INSIDE + (1 - 2 * _INSIDE) * x) * size[0], eye_height, 0.0])
        at[2] = low[2] + (_INSIDE + (1 - 2 * _INSIDE) * z) * size[2]
        towards = np.array([middle[0], low[1] + 0.35 * size[1], middle[2]]) - at
        if np.hypot(towards[0], towards[2]) > 1e-3:
            found.append(look(at, towards, np.array([0.0, 1.0, 0.0]), _TANGENTS))
    return found
