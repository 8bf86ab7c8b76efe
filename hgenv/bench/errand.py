"""A cell of a comparison that is run on another machine: its folders go there and come back as an archive."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from hgenv.bench.processes import Failure, Processes
from hgenv.files import read_json, write_json
from hgenv.runs.folder import CONFIG
from hgenv.runs.writer import LOCK, WRITER


class Errand(NamedTuple):
    """The folder of the cells, in which those of this one are; its commands, and what there is of its folders yet."""

    here: str
    commands: list[list[str]]
    archive: bytes


class Brought(NamedTuple):
    """The folder of the cells there, the archive of those in it, and why a command failed, if one did."""

    there: str
    archive: bytes
    failure: Failure | None


def run(errand: Errand) -> Brought:
    """Do an errand, in a folder of its own."""
    with tempfile.TemporaryDirectory() as root:
        there = os.path.join(root, Path(errand.here).name)
        unpack(errand.archive, errand.here, there)
        commands = [[_moved(word, errand.here, there) for word in command] for command in errand.commands]
        failure = Processes().run(commands)
        if failure is not None:
            failure = failure._replace(reason=f"on {os.uname().nodename}: {failure.reason}")
        return Brought(there, pack(there, os.listdir(there)), failure)


def pack(folder: str, names: list[str]) -> bytes:
    """An archive of some of the folders in a folder, without the locks of who writes to them."""
    buffer, root = io.BytesIO(), Path(folder)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in (path for name in names for path in [root / name, *(root / name).rglob("*")]):
            if path.is_file() and path.name not in (LOCK, WRITER):
                archive.write(path, path.relative_to(root))
    return buffer.getvalue()


def unpack(archive: bytes, before: str, now: str) -> None:
    """Put the folders of an archive into the folder `now`, each whole and in place of what was there.

    They were packed in the folder `before`; their configurations then name the new one.
    Raises ValueError if a file would come to lie elsewhere.
    """
    folder = Path(now)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".coming-") as coming:
        with zipfile.ZipFile(io.BytesIO(archive)) as content:
            for name in content.namelist():
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                    raise ValueError(f"an archive must hold files of its own folders, got {name}")
            content.extractall(coming)
        for new in Path(coming).iterdir():
            if (new / CONFIG).is_file():
                write_json(new / CONFIG, _renamed(read_json(new / CONFIG), before, now))
            shutil.rmtree(folder / new.name, ignore_errors=True)
            new.rename(folder / new.name)


def _renamed(config: dict[str, Any], before: str, now: str) -> dict[str, Any]:
    """The configuration of a run whose cell's folder has moved."""
    words = [_moved(word, before, now) for word in config["words"]]
    out = {"out": _moved(config["run"]["out"], before, now)}
    start = {"start": _moved(config["run"]["start"] or "", os.path.abspath(before), os.path.abspath(now)) or None}
    command = config["command"].replace(before + os.sep, now + os.sep)
    return config | {"words": words, "command": command, "run": config["run"] | out | start}


def _moved(word: str, before: str, now: str) -> str:
    """A word, with the new name of a folder where it is a path in the old one."""
    return os.path.join(now, word[len(before) + 1 :]) if word.startswith(before + os.sep) else word
