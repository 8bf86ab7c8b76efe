"""hgenv: Gymnasium environments whose action is the decision vector of a generator of synthetic training data."""

from hgenv.env import DataGenEnv, EnvOptions
from hgenv.task import TASKS, Batch, Task, register
from hgenv.tasks import shape_normals as _shape_normals  # noqa: F401  (registers its environment)

__version__ = "0.1.0"
__all__ = ["TASKS", "Batch", "DataGenEnv", "EnvOptions", "Task", "register"]
