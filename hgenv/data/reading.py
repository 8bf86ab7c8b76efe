"""Files that others made: opened within bounds, and named in what goes wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def there(path: Path) -> bool:
    """Whether something has that name, be it a link that leads nowhere; or nobody may look, which reading it tells."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def opened(path: Path, most: int) -> BinaryIO:
    """A file of at most `most` bytes, to be read.

    Raises FileNotFoundError for what is no file, ValueError for one that is larger or that cannot be opened.
    """
    if not os.path.isfile(path):  # unlike Path's, of any name, and of links in loops
        raise FileNotFoundError(f"no file {path}{_instead(path)}")
    try:
        file = path.open("rb")
    except PermissionError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if (size := os.fstat(file.fileno()).st_size) > most:
        file.close()
        raise ValueError(f"{path} has {size:,} bytes, more than the {most:,} that are read")
    return file


def content(path: Path, most: int) -> bytes:
    """The bytes of a file. Raises what `opened` does."""
    with opened(path, most) as file:
        return file.read()


def bounded(count: int, most: int, what: str) -> None:
    """Raises ValueError for more than `most` of something."""
    if count > most:
        raise ValueError(f"more than {most:,} {what}")


def _instead(path: Path) -> str:
    """What else has the name of a file."""
    if os.path.isdir(path):
        return ": it is a folder"
    return ": it is a link that leads nowhere" if os.path.islink(path) else ""
