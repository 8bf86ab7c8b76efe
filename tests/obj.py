"""Models as OBJ and MTL that tests write, and what is seen of them."""

from pathlib import Path

import cv2
import numpy as np

from hgenv.data.model import Model
from hgenv.render.mesh import face_normals

CORNERS = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
OBJ = f"mtllib a.mtl\n{CORNERS}usemtl m\nf 1/1 2/2 3/3\n"
MTL = "newmtl m\nKd 1 1 1\nmap_Kd red.png\n"
RED, GREEN = (255, 0, 0), (0, 255, 0)


def write(folder: Path, obj: str | bytes = OBJ, mtl: str | bytes = MTL) -> Path:
    """A model, its library, and pictures in red and green."""
    folder.mkdir(exist_ok=True, parents=True)
    for name, text in (("m.obj", obj), ("a.mtl", mtl)):
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    for name, colour in {"red.png": RED, "my green.png": GREEN, "-s.png": GREEN, "x#1.png": GREEN}.items():
        paint(folder / name, colour)
    return folder / "m.obj"


def paint(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(cv2.imencode(".png", np.full((2, 2, 3), colour[::-1], np.uint8))[1].tobytes())


def seen(model: Model, face: int = 0) -> list[int]:
    """The colour of a face's first corner, 0 to 255."""
    texture, albedo = model.mesh.texture[face], model.mesh.albedo[face, 0]
    colour = albedo * (255 if texture < 0 else model.textures[texture][0, 0])
    return np.round(colour).astype(int).tolist()


def area(model: Model) -> float:
    return 0.5 * float(np.linalg.norm(face_normals(model.mesh.corners), axis=1).sum())
