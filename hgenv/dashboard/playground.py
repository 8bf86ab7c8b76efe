"""The playground: samples at any beta beside the target domain. One thread renders, and only what was asked last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.dashboard.newest import Newest
from hgenv.dashboard.places import Places
from hgenv.dashboard.scene import Scene, groups, of_environment, of_run
from hgenv.env import DataGenEnv
from hgenv.pages.picture import png
from hgenv.registry import TASKS
from hgenv.runs.folder import BEST, CONFIG
from hgenv.runs.plot import target_samples

COUNT = 24
"""Pictures on a sheet, always of the same keys: only beta changes."""
_COLUMNS = (4, 6, 8, 12)
_KEPT = 4  # environments that are ready


class Playground:
    """It is asked by {"env": ID}, or {"run": KEY} for the environment of a run."""

    def __init__(self, places: Places) -> None:
        self._places, self._newest = places, Newest()
        self._scenes = dict[Path, tuple[list[int], Scene]]()
        self._ready = dict[str, DataGenEnv]()

    def environments(self) -> list[dict[str, str]]:
        """Id and summary of every environment."""
        return [{"env": env, "summary": TASKS.summary(env)} for env in TASKS]

    def coordinates(self, what: Mapping[str, Any]) -> dict[str, Any]:
        """The coordinates of beta in their groups. Raises ValueError as scene() does."""
        scene = self.scene(what)
        return {"env": scene.env, "found": bool(scene.found), "groups": groups(scene.task.layout, scene.found)}

    def samples(self, what: Mapping[str, Any], beta: Any, columns: Any) -> bytes:
        """A PNG of samples at a beta, {NAME: VALUE}: images with their ground truth below.

        Raises ValueError for what is no beta of it, OvertakenError if something newer was asked meanwhile.
        """
        scene, checked = self.scene(what), _checked(columns)
        if not isinstance(beta, dict):
            raise ValueError("beta must be {NAME: NUMBER, ...}")
        action = scene.task.layout.to_action(beta)
        return self._png(scene, lambda env: env.contact_sheet(action, COUNT, checked))

    def target(self, what: Mapping[str, Any], columns: Any) -> bytes:
        """A PNG of the target domain's validation images, in the same way."""
        checked = _checked(columns)
        return self._png(self.scene(what), lambda env: target_samples(env, COUNT, checked))

    def scene(self, what: Mapping[str, Any]) -> Scene:
        """Raises ValueError for what is neither an environment nor a run, or a run that cannot be shown here."""
        match what:
            case {"env": str(id)}:
                return of_environment(id)
            case {"run": str(key)}:
                return self._of_run(self._places.folder(key))
        raise ValueError("name an environment or a run")

    def _of_run(self, folder: Path) -> Scene:
        """The scene of a run, which is read again if its snapshot is a new one."""
        changed = [(folder / name).stat().st_mtime_ns for name in (CONFIG, BEST) if (folder / name).is_file()]
        known = self._scenes.get(folder)
        if known is None or known[0] != changed:
            known = changed, of_run(folder)
            self._scenes = dict([*self._scenes.items()][1 - _KEPT :]) | {folder: known}
        return known[1]

    def _png(self, scene: Scene, picture: Callable[[DataGenEnv], NDArray[np.uint8]]) -> bytes:
        return self._newest(lambda: png(picture(self._environment(scene))))

    def _environment(self, scene: Scene) -> DataGenEnv:
        """The environment of a scene, ready to render; to make one ready can take long."""
        env = self._ready.pop(scene.name, None)
        if env is None:
            env = DataGenEnv(scene.task if scene.memory is None else scene.task.recall(scene.memory))
        self._ready = dict([*self._ready.items()][1 - _KEPT :]) | {scene.name: env}
        return env


def _checked(columns: Any) -> int:
    if columns not in _COLUMNS or not isinstance(columns, int):
        raise ValueError(f"columns must be one of {', '.join(map(str, _COLUMNS))}")
    return columns
