"""Other processes of this Python. They find modules where this process does, and not first in the current folder, where
a file of the user's may have any name: `json.py`, `optimizers.py`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COMMAND = [sys.executable, "-P"]
"""Its first words; `-P`: the current folder is not put before all others."""


def surroundings() -> dict[str, str]:
    """Its environment variables."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextmanager
def safe_path() -> Iterator[None]:
    """What multiprocessing starts while this lasts is such a process too."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        os.environ.pop("PYTHONSAFEPATH")
        if before is not None:
            os.environ["PYTHONSAFEPATH"] = before
