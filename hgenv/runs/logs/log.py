"""Logs of other tools: what they are given, and all logs of a run together."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from hgenv.domains.domain import SPLITS
from hgenv.fields import shown
from hgenv.files import read_json, write_json
from hgenv.run import Row
from hgenv.runs.folder import LOGS, RunFolder, ending

LogName = Literal["tensorboard", "wandb", "trackio", "mlflow"]
"""The tool, the package and the extra that it needs, and the file here that writes to it: all have one name."""
PROJECT = "hgenv"
"""Of the runs, in tools that have projects, unless their own variables name another."""
Setting = bool | int | float | str


class Log(Protocol):
    """What a tool is given. Its file has `begin(beginning) -> Log`, which raises whatever it likes."""

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Finite values by name, after an environment step."""

    def picture(self, name: str, png: Path, step: int) -> None:
        """A figure of the run until this step."""

    def close(self, best: Mapping[str, float], step: int, ended: str) -> None:
        """Metrics of the best snapshot, the last step, and how the run has ended: nothing if it was cut short."""


class Beginning(NamedTuple):
    """What a log begins with: the run's folder, its configuration, and the step of the first row that will come."""

    run: Path
    settings: dict[str, Setting]
    step: int

    @property
    def folder(self) -> Path:
        """Where the log may keep files, which are gone with the run."""
        return self.run / LOGS

    @property
    def title(self) -> str:
        """What to call the run: its folder, and the one that this is in."""
        return "/".join(self.run.absolute().parts[-2:])

    def known_as(self, log: str) -> str | None:
        """By which the tool knows the run, if it does. Raises ValueError that names the file for a damaged one."""
        path = self.folder / f"{log}.json"
        if not path.is_file():
            return None
        found = read_json(path)
        name = found.get("id") if isinstance(found, dict) else None
        if not isinstance(name, str) or not re.fullmatch(r"[\w-]{1,64}", name):
            raise ValueError(f'{path} must hold {{"id": TEXT}}, got {shown(found)}')
        return name

    def remember(self, log: str, name: str | None = None) -> str:
        """Keep by which name the tool knows the run, a random one if none is given, so that it goes on in this log."""
        name = secrets.token_hex(4) if name is None else name
        write_json(self.folder / f"{log}.json", {"id": name})
        return name


def check(names: Sequence[str]) -> None:
    """Raise ValueError for a log that is named twice, or whose package is not there."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"log names {name} twice")
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # any folder is a package, as those in which such tools keep runs
            raise ValueError(f"log={name!r} needs {name}: pip install 'hgenv[{name}]'")


class Logs:
    """All logs of a run. One that fails is left out from then on, and the run goes on.

    say: takes the line that says so.
    """

    def __init__(self, names: Sequence[str], folder: RunFolder, say: Callable[[str], None]) -> None:
        """Begin them. Raises ValueError if one cannot begin."""
        self._logs, self._folder, self._say = dict[str, Log](), folder, say
        beginning = Beginning(folder.path, settings(folder.config), int(folder.last["step"]) + 1 if folder.last else 0)
        if names:
            beginning.folder.mkdir(exist_ok=True)
        for name in names:
            try:
                self._logs[name] = import_module(f"hgenv.runs.logs.{name}").begin(beginning)
            except BaseException as error:
                self.close()
                if not isinstance(error, Exception):
                    raise
                raise ValueError(f"log={name!r} cannot begin: {_told(error)}") from error

    def row(self, row: Row) -> None:
        """Log a row; what is not finite is left out, and dots group: validation.mae becomes validation/mae."""
        values = {
            _grouped(name): float(value) for name, value in row.items() if name != "step" and math.isfinite(value)
        }
        self._each(lambda log: log.row(int(row["step"]), values))

    def pictures(self) -> None:
        """Log the figures that are in the run's folder."""
        figures, step = sorted(self._folder.path.glob("*.png")), int(self._folder.last["step"])

        def draw(log: Log) -> None:
            for png in figures:
                log.picture(png.stem, png, step)

        self._each(draw)

    def close(self) -> None:
        """No more comes; the best metrics are those so far."""
        best, step = self._folder.best, int(self._folder.last.get("step", 0))
        shown = {name: value for name, value in best.items() if name.partition(".")[0] in (*SPLITS, "step")}
        metrics = {f"best/{_grouped(name)}": float(value) for name, value in shown.items() if math.isfinite(value)}
        self._each(lambda log: log.close(metrics, step, ending(self._folder.path)))
        self._logs.clear()

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _each(self, act: Callable[[Log], None]) -> None:
        for name, log in list(self._logs.items()):
            try:
                act(log)
            except Exception as error:  # of networks, disks, other packages: whatever they raise
                del self._logs[name]
                self._say(f"hgenv: log={name!r} has failed, and the run goes on without it: {_told(error)}")


def settings(config: Mapping[str, Any]) -> dict[str, Setting]:
    """A run's configuration as plain values by dotted names, which every tool takes; others as text."""
    parts = {name: value for name, value in config.items() if isinstance(value, dict)}
    found = {name: value for name, value in config.items() if name not in parts and name not in ("words", "imports")}
    found |= {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    return {name: value if isinstance(value, Setting) else str(value) for name, value in found.items()}


def _grouped(name: str) -> str:
    return name.replace(".", "/", 1)


def _told(error: BaseException) -> str:
    """What an error says, in one line."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= 1000 else f"{line[:700]} ... {line[-200:]}"
