"""Where what takes long is kept between runs: compiled kernels, trained networks."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cache
from pathlib import Path


def cache_folder() -> Path | None:
    """$HGENV_CACHE, or hgenv in the user's cache folder; None for a user without a home."""
    if chosen := os.environ.get("HGENV_CACHE"):
        return Path(chosen)
    if user := os.environ.get("XDG_CACHE_HOME"):
        return Path(user) / "hgenv"
    try:
        return Path.home() / ".cache" / "hgenv"
    except RuntimeError:
        return None


def writable(folder: Path) -> bool:
    """Whether files can be written to a folder, which is made if it can be."""
    try:
        make_writable(folder)
    except OSError:
        return False
    return True


def make_writable(folder: Path) -> None:
    """Make a folder, if it is not there, and write to it. Raises OSError that names it and what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        advice = f"{folder} cannot be written ({error.strerror}): set $HGENV_CACHE to a folder that can"
        raise OSError(error.errno, advice) from error


@cache
def say_once(line: str) -> None:
    """A line on stderr, once a process."""
    print(f"hgenv: {line}", file=sys.stderr)
