"""hgenv: Gymnasium environments whose action is the decision vector of a generator of synthetic training data.

Importing it registers the environments with Gymnasium, and nothing more: what needs torch is imported when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hgenv.registry import TASKS, register

if TYPE_CHECKING:
    from hgenv.batch import Batch as Batch
    from hgenv.batch import SampleError as SampleError
    from hgenv.env import DataGenEnv as DataGenEnv
    from hgenv.options import EnvOptions as EnvOptions
    from hgenv.task import Task as Task
    from hgenv.tasks.face_depth import FaceDepth as FaceDepth
    from hgenv.tasks.scene_normals import SceneNormals as SceneNormals
    from hgenv.tasks.shape_evolution import ShapeEvolution as ShapeEvolution
    from hgenv.tasks.shape_normals import ShapeNormals as ShapeNormals
    from hgenv.tasks.texture_intrinsics import TextureIntrinsics as TextureIntrinsics
    from hgenv.tasks.toy_shading import ToyShading as ToyShading

__version__ = "0.1.0"
_HOMES = {
    "Batch": "batch", "DataGenEnv": "env", "EnvOptions": "options", "SampleError": "batch", "Task": "task",
    "FaceDepth": "tasks.face_depth",
    "SceneNormals": "tasks.scene_normals", "ShapeEvolution": "tasks.shape_evolution",
    "ShapeNormals": "tasks.shape_normals", "TextureIntrinsics": "tasks.texture_intrinsics",
    "ToyShading": "tasks.toy_shading",
}  # fmt: skip
__all__ = [
    "TASKS", "Batch", "DataGenEnv", "EnvOptions", "FaceDepth", "SampleError", "SceneNormals", "ShapeEvolution",
    "ShapeNormals", "Task", "TextureIntrinsics", "ToyShading", "register",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hgenv' has no attribute {name!r}")
    return getattr(importlib.import_module(f"hgenv.{_HOMES[name]}"), name)
