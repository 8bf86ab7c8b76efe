"""The checkpoint of a run: a file with all that it needs to go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from numpy.typing import ArrayLike, NDArray

from hgenv.clock import Seconds
from hgenv.env import DataGenEnv
from hgenv.files import read_arrays, write_arrays

Arrays = Mapping[str, ArrayLike]


class Checkpoint:
    """What a run holds between two steps, written now and then to a file that is always whole.

    It is written at the first step, then every `seconds` of wall time or every `steps` if they are given, and when the
    run ends or is cut short: what is lost then is the last step. `beside` gives what the owner of the file keeps with
    it, arrays that stay as they are.
    """

    def __init__(
        self, path: Path | str, seconds: float = 60.0, steps: int | None = None, beside: Callable[[], Arrays] = dict
    ) -> None:
        self.path, self._seconds, self._steps, self._beside = Path(path), seconds, steps, beside
        self._held: Callable[[], Arrays] | None = None
        self._written: tuple[float, int] | None = None

    def read(self) -> dict[str, NDArray]:
        """What was written; nothing if there is no file yet. ValueError for what is damaged, or no checkpoint."""
        content = read_arrays(self.path) if self.path.exists() else {}
        if content and not {"step", "seconds"} <= content.keys():
            raise ValueError(f"{self.path} is no checkpoint of a run: it lacks step or seconds")
        if content and content["seconds"].shape != (len(Seconds()),):
            raise ValueError(f"{self.path} is another version's: it has {content['seconds'].size} kinds of seconds")
        return content

    def hold(self, step: int, seconds: Seconds, env: DataGenEnv, player: Arrays) -> None:
        """Take this moment of a run, with the state of who plays; write it if it is time to."""
        episode, rest = env.episode.at_rest(), prefixed("player", player) | prefixed("beside", self._beside())
        self._held = lambda: {"step": step, "seconds": seconds, **prefixed("env", episode.to_arrays()), **rest}
        if self._is_time(step):
            self.write()
            self._written = (time.monotonic(), step)

    def _is_time(self, step: int) -> bool:
        if self._written is None:
            return True
        then, last = self._written
        return time.monotonic() - then >= self._seconds or (self._steps is not None and step - last >= self._steps)

    def write(self) -> None:
        """Write the moment that is held, unless it has been. OSError names the file, which is as it was before."""
        if self._held is not None:
            write_arrays(self.path, self._held())
            self._held = None


def part(content: Mapping[str, NDArray], name: str) -> dict[str, NDArray]:
    """What one part of a checkpoint has: the names that begin with `name.`, without that."""
    return {key.removeprefix(f"{name}."): value for key, value in content.items() if key.startswith(f"{name}.")}


def prefixed(name: str, content: Arrays) -> dict[str, ArrayLike]:
    """Inverse of `part`."""
    return {f"{name}.{key}": value for key, value in content.items()}
