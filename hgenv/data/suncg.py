"""Houses in the layout of SUNCG (Song et al. 2017), with the cameras of Zhang et al. (2017).

FOLDER/house/ID/house.json, room/ID/, object/MODEL/MODEL.obj, texture/, and ID/room_camera.txt under camera/ or house/.
World y up, metres. The data set is withdrawn: users hold copies.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.data.model import MOST_TEXELS, Look, Model, allowed, load_obj
from hgenv.data.picture import load_picture
from hgenv.data.reading import content, there
from hgenv.data.selection import say_left_out
from hgenv.render.mesh import Mesh, coarsened, joined, pack
from hgenv.scenes.furniture import box
from hgenv.scenes.interiors import Interior, View, look

Array = NDArray[np.float64]
EXPECTED = (
    "expected FOLDER/house/ID/house.json, FOLDER/room/ID/*.obj, FOLDER/object/MODEL/MODEL.obj, FOLDER/texture/, and "
    "FOLDER/camera/ID/room_camera.txt (or house/ID/room_camera.txt), as SUNCG and the cameras of Zhang et al. (2017)"
)
MOST_BYTES, MOST_FACES, MOST_OBJECTS, MOST_METRES = 2**24, 2_000_000, 20_000, 1e6
"""Of house.json, and a quarter of it for its cameras; of a house; of any coordinate."""
_LARGEST = 128  # side of a texture in pixels: pictures are small


def find_houses(root: str | Path) -> list[Path]:
    """The files house.json, sorted. Raises FileNotFoundError if there is none."""
    found = [house / "house.json" for house in sorted(Path(root).glob("house/*")) if there(house / "house.json")]
    if not found:
        raise FileNotFoundError(f"no house in {root}: {EXPECTED}")
    return found


def load_house(path: Path, detail: float = 0.0) -> Interior:
    """One house, all its levels. Rooms and grounds are the shell; objects and boxes can be perturbed.

    Objects that cannot be read are left out: the house names them, and they are said once, in a line. Of models only
    what lies in their folders and in texture/ is read.
    detail: features of objects smaller than this, in metres, are merged; 0 keeps them.
    Raises FileNotFoundError, or ValueError that names the file, the node and what was expected, for a house without a
    room, a room that is broken, or no object that is not.
    """
    root, reader = path.parents[2], _Reader(path)
    for level in reader.house["levels"]:
        for node in level["nodes"]:
            if node.get("valid", 1):
                reader.add(node)
    if not reader.shell:
        raise ValueError(f"{path} has no room")
    views = load_views(_camera_file(root, path.parent.name))
    say_left_out(reader.left_out, len(reader.objects) + len(reader.left_out), "objects", path)
    objects = [coarsened(mesh, detail) if detail else mesh for mesh in reader.objects]
    return Interior(joined(reader.shell), objects, pack(reader.textures), views, reader.left_out)


def load_views(path: Path) -> list[View]:
    """The cameras of room_camera.txt, one a line: eye, towards, up, half angles across and down (rad), score."""
    lines = [
        line.partition("#")[0].split() for line in content(path, MOST_BYTES // 4).decode(errors="replace").splitlines()
    ]
    try:
        rows = np.array([line for line in lines if line], np.float64)
    except ValueError as error:
        raise ValueError(f"{path} must hold 12 numbers a line: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != 12 or not (np.abs(rows) < MOST_METRES).all():
        raise ValueError(f"{path} must hold 12 numbers a line, none of a million or more, got an array of {rows.shape}")
    if not ((rows[:, 9:11] > 0) & (rows[:, 9:11] < 0.5 * np.pi)).all():
        raise ValueError(f"{path}: half angles of view must be in (0, pi / 2) radians")
    try:
        return [look(row[:3], row[3:6], row[6:9], np.tan(row[9:11])) for row in rows]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _camera_file(root: Path, house: str) -> Path:
    candidates = [root / part / house / "room_camera.txt" for part in ("camera", "house")]
    for path in candidates:
        if there(path):
            return path
    raise FileNotFoundError(f"no file {candidates[0]}: {EXPECTED}")


class _Reader:
    """Nodes of a house.json become meshes; models that stand in it several times are read once."""

    def __init__(self, path: Path) -> None:
        self.path, self.root = path, path.parents[2]
        try:
            self.house: dict[str, Any] = json.loads(content(path, MOST_BYTES))
            self.scale = float(self.house.get("scaleToMeters", 1.0))
            known = all(isinstance(node["type"], str) for level in self.house["levels"] for node in level["nodes"])
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"{path} is not a SUNCG house: {error!r}") from error
        if not known or not 0 < self.scale < np.inf:
            raise ValueError(f"{path} is not a SUNCG house: every node needs a type, scaleToMeters must be positive")
        self.shell: list[Mesh] = []
        self.objects: list[Mesh] = []
        self.textures: list[NDArray[np.uint8]] = []
        self.left_out: list[str] = []
        self._models: dict[str, Mesh | str] = {}
        self._faces = self._texels = 0

    def add(self, node: dict[str, Any]) -> None:
        """One valid node, by its type. Raises FileNotFoundError or ValueError for one that is not an object's."""
        try:
            self._add(node)
        except (KeyError, TypeError, ValueError, OverflowError, FileNotFoundError) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else error
            problem = f"{self.path}, node {node.get('id')!r}: {what}"
            if node["type"] in ("Room", "Ground"):
                missing = isinstance(error, FileNotFoundError)
                raise (FileNotFoundError(problem) if missing else ValueError(problem)) from error
            self.left_out.append(problem)
        for count, most, what in (
            (len(self.objects) + len(self.left_out), MOST_OBJECTS, "objects"),
            (self._faces, MOST_FACES, "faces"),
            (self._texels, MOST_TEXELS, "texels of textures"),
        ):
            if count > most:
                raise ValueError(f"{self.path} has more than {most:,} {what}")

    def _add(self, node: dict[str, Any]) -> None:
        kind = node["type"]
        if kind == "Room":
            hidden = {"c": "hideCeiling", "f": "hideFloor", "w": "hideWalls"}
            for part in [part for part, flag in hidden.items() if not node.get(flag, 0)]:
                self._room(node, part)
        elif kind == "Ground":
            self._room(node, "f")
        elif kind == "Object":
            ending, model = "_0" if node.get("state", 0) else "", _name(node)
            path = self.root / "object" / model / f"{model}{ending}.obj"
            self.objects.append(self._stand(node, self._model(path, node)))
        elif kind == "Box":
            self.objects.append(self._stand(node, self._box(node)))
        else:
            raise ValueError(f"its type {kind!r} is not Room, Object, Box or Ground")

    def _room(self, node: dict[str, Any], part: str) -> None:
        """Ceiling, floor or walls. Rooms need not have all of them: SUNCG leaves some out."""
        path = self.root / "room" / self.path.parent.name / f"{_name(node)}{part}.obj"
        if part == "f" or there(path):
            self.shell.append(self._stand(node, self._model(path, node)))

    def _stand(self, node: dict[str, Any], mesh: Mesh) -> Mesh:
        """A mesh where the node's transform, column-major, puts it. Surfaces are two-sided: isMirrored is no matter."""
        corners = mesh.corners
        self._faces += len(corners)
        if "transform" in node:
            matrix = np.array(node["transform"], np.float64)
            if matrix.shape != (16,) or not (np.abs(matrix) < MOST_METRES).all():
                raise ValueError(f"transform must be 16 numbers, none of a million or more, got {matrix.shape}")
            if not abs(np.linalg.det(matrix.reshape(4, 4)[:3, :3])) > 0:
                raise ValueError("transform makes the object flat")
            matrix = matrix.reshape(4, 4).T
            corners = corners @ matrix[:3, :3].T + matrix[:3, 3]
        return mesh._replace(corners=self.scale * corners)

    def _model(self, path: Path, node: dict[str, Any]) -> Mesh:
        key = f"{path} {node.get('materials')}"
        if key not in self._models:
            try:
                inside = [path.parent, self.root / "texture"]
                self._models[key] = self._with_textures(load_obj(path, self._looks(node), _LARGEST, inside=inside))
            except (ValueError, FileNotFoundError) as error:
                self._models[key] = str(error)
                raise
        if isinstance(found := self._models[key], str):
            raise ValueError(found)
        return found

    def _with_textures(self, model: Model) -> Mesh:
        """The mesh, referring to the house's textures, to which the model's are added."""
        first = len(self.textures)
        self.textures += model.textures
        self._texels += sum(picture.size // 3 for picture in model.textures)
        return model.mesh._replace(texture=np.where(model.mesh.texture >= 0, model.mesh.texture + first, -1))

    def _looks(self, node: dict[str, Any]) -> dict[str, Look]:
        """Colours and pictures that a node gives to materials by name."""
        looks: dict[str, Look] = {}
        materials = node.get("materials", [])
        if not isinstance(materials, list) or not all(isinstance(material, dict) for material in materials):
            raise ValueError("materials must be a list of {name, texture or diffuse}")
        for number, material in enumerate(materials):
            name = str(material.get("name", number))
            if "texture" in material:
                looks[name] = self._picture(str(material["texture"]))
            elif "diffuse" in material:
                looks[name] = _colour(str(material["diffuse"]))
        return looks

    def _picture(self, name: str) -> Path:
        found = [self.root / "texture" / f"{name}{ending}" for ending in ("", ".jpg", ".png")]
        return next((path for path in found if os.path.isfile(path)), found[1])

    def _box(self, node: dict[str, Any]) -> Mesh:
        """A box of the node's dimensions about the origin, in the colour or the picture of its first material."""
        size = np.array(node["dimensions"], np.float64)
        if size.shape != (3,) or not (np.isfinite(size).all() and (size > 0).all()):
            raise ValueError(f"dimensions must be 3 positive numbers, got {node['dimensions']}")
        mesh, looks = box(-0.5 * size, 0.5 * size), list(self._looks(node).values())
        plain = mesh._replace(texture=np.full(len(mesh.corners), -1))
        if not looks:
            return plain
        if isinstance(looks[0], Path):
            picture = allowed(looks[0], [self.root / "texture"], self.path)
            return self._with_textures(Model(mesh, [load_picture(picture, _LARGEST)]))
        return plain._replace(albedo=np.broadcast_to(looks[0], mesh.albedo.shape).copy())


def _name(node: dict[str, Any]) -> str:
    """The model of a node. Raises ValueError for what leads to another folder."""
    model = str(node["modelId"])
    if PurePath(model).parts != (model,) or model == "..":
        raise ValueError(f"modelId must be a name, got {model!r}")
    return model


def _colour(text: str) -> Array:
    """(3,) in [0, 1] of "#rrggbb"."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise ValueError(f"diffuse must be #rrggbb, got {text!r}")
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
