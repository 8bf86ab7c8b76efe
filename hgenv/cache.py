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
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@cache
def say_once(line: str) -> None:
    """A line on stderr, once a process."""
    print(f"hgenv: {line}", file=sys.stderr)
