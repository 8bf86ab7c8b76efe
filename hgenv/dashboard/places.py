"""What may be read: files of some kinds inside the folders that were named, by keys that fit into a URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

KINDS = {
    ".html": "text/html; charset=utf-8", ".json": "application/json", ".csv": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8", ".png": "image/png", ".gif": "image/gif",
}  # fmt: skip
"""The files that are handed out by their endings, and what a browser is told that they are."""
_DEEP, _MOST = 6, 20_000


class NotServedError(LookupError):
    """There is no such thing in the named folders, or it is nothing that is handed out."""


def check_no_links(folder: Path, names: Iterable[str]) -> None:
    """Raise ValueError if a file of a folder is a symbolic link, which may lead out of the named ones."""
    for name in names:
        if (folder / name).is_symlink():
            raise ValueError(f"{name} is a symbolic link, which is not followed")


class Found(NamedTuple):
    """A folder inside the named ones, and the names of the files in it."""

    path: Path
    files: frozenset[str]


class Places:
    """The named folders. A key is NUMBER/PATH, quoted: the number of the folder, and the path in it."""

    def __init__(self, folders: Sequence[str]) -> None:
        """Raises FileNotFoundError for what is no folder."""
        for folder in folders:
            if not Path(folder).is_dir():
                raise FileNotFoundError(f"no folder {folder}: name those of runs and benches")
        self.names = [Path(folder) for folder in folders]
        self.roots = {str(i): Path(folder).resolve() for i, folder in enumerate(folders)}
        self.whole = True

    def walk(self) -> Iterator[Found]:
        """The folders, as deep and as many of them as can be looked at every other second; symbolic links are not
        followed. `whole` says whether there were no more."""
        left, self.whole = _MOST, True
        for root in dict.fromkeys(self.roots.values()):
            for folder, inner, files in os.walk(root):
                left -= 1
                if left < 0:
                    self.whole = False
                    return
                yield Found(Path(folder), frozenset(files))
                if len(Path(folder).relative_to(root).parts) == _DEEP:
                    inner.clear()

    def key(self, path: Path) -> str:
        """The key of what lies in a named folder. NotServedError if it does not."""
        for number, root in self.roots.items():
            if path.is_relative_to(root):
                return quote(os.fsencode(Path(number) / path.relative_to(root)))
        raise NotServedError(path)

    def shown(self, path: Path) -> str:
        """The path as its folder was named, for eyes."""
        number, _, _ = self.key(path).partition("/")
        return str(self.names[int(number)] / path.relative_to(self.roots[number]))

    def folder(self, key: str) -> Path:
        """The folder of a key. NotServedError if there is none."""
        return self._inside(key, Path.is_dir)

    def file(self, key: str) -> Path:
        """The file of a key, one of the KINDS. NotServedError if there is none."""
        return self._inside(key, lambda path: path.suffix in KINDS and path.is_file())

    def _inside(self, key: str, wanted: Callable[[Path], bool]) -> Path:
        """The path of a key without symbolic links, if it is in the named folder and is what is wanted."""
        number, _, rest = key.partition("/")
        try:
            root = self.roots[number]
            path = (root / os.fsdecode(unquote_to_bytes(rest))).resolve()
            if path.is_relative_to(root) and wanted(path):
                return path
        except (KeyError, ValueError, OSError, RuntimeError):  # as names that no file has, and rings of links
            pass
        raise NotServedError(key)
