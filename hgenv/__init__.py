"""hgenv: Gymnasium environments whose action is the decision vector of a generator of synthetic training data."""

from hgenv.env import DataGenEnv
from hgenv.options import EnvOptions
from hgenv.task import TASKS, Batch, Task, register
from hgenv.tasks.face_depth import FaceDepth
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.shape_evolution import ShapeEvolution
from hgenv.tasks.shape_normals import ShapeNormals
from hgenv.tasks.texture_intrinsics import TextureIntrinsics
from hgenv.tasks.toy_shading import ToyShading

__version__ = "0.1.0"
__all__ = [
    "TASKS",
    "Batch",
    "DataGenEnv",
    "EnvOptions",
    "FaceDepth",
    "SceneNormals",
    "ShapeEvolution",
    "ShapeNormals",
    "Task",
    "TextureIntrinsics",
    "ToyShading",
    "register",
]
