"""Freely licensed sets that are downloaded when they are asked for, and never else: checked by their SHA-256, into
hgenv's cache."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from hgenv.cache import cache_folder, make_writable

_AR, _MEMBER = b"!<arch>\n", 60


class Fetched(NamedTuple):
    """A set: where it is, the SHA-256 of that file, what unpacks it into a folder, its terms, and how it is used."""

    url: str
    sha256: str
    unpack: Callable[[Path, Path], None]
    terms: str
    option: str


def fetch(name: str) -> Path:
    """The folder of a set in the cache; it is downloaded if it is not there.

    Raises ValueError for a download that fails or is another file than expected, OSError if the cache cannot be
    written; what was there before is still there then.
    """
    one, cache = SETS[name], cache_folder()
    if cache is None:
        raise ValueError("there is no folder to keep it in: set HGENV_CACHE to one")
    folder = cache / "data" / name
    if folder.is_dir():
        return folder
    make_writable(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        whole = Path(scratch, "unpacked")
        whole.mkdir()
        one.unpack(_downloaded(one, Path(scratch)), whole)
        whole.rename(folder)
    return folder


def _downloaded(one: Fetched, scratch: Path) -> Path:
    try:
        import pooch
    except ImportError as error:
        raise ValueError("to fetch needs pooch: pip install 'hgenv[fetch]'") from error
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(pooch.retrieve(one.url, f"sha256:{one.sha256}", "archive", scratch, progressbar=True))
    except Exception as error:  # pooch and requests raise many types
        raise ValueError(f"{one.url} cannot be fetched: {error}") from error


def catalogues_of_deb(archive: Path, folder: Path) -> None:
    """The files .sh3f of a package of Debian's, which is an ar archive of tar archives. ValueError if there is none."""
    with archive.open("rb") as file:
        for name in _members(file):
            if name.startswith("data.tar"):
                with tarfile.open(fileobj=file, mode="r|*") as inner:
                    for member in inner:
                        if member.isfile() and member.name.endswith(".sh3f"):
                            content = inner.extractfile(member)
                            assert content is not None
                            with (folder / Path(member.name).name).open("wb") as out:
                                shutil.copyfileobj(content, out)
                break
    if not any(folder.iterdir()):
        raise ValueError(f"{archive} holds no file .sh3f")


def _members(file: IO[bytes]) -> Iterator[str]:
    """Names of the members of an ar archive, at whose content the file then stands."""
    if file.read(len(_AR)) != _AR:
        raise ValueError(f"{file.name} is not a package of Debian's")
    while len(header := file.read(_MEMBER)) == _MEMBER:
        begin, size = file.tell(), int(header[48:58])
        yield header[:16].decode("ascii", "replace").strip().rstrip("/")
        file.seek(begin + size + size % 2)


SETS = {
    "sweethome": Fetched(
        "http://deb.debian.org/debian/pool/main/s/sweethome3d-furniture/sweethome3d-furniture_1.8-1_all.deb",
        "3ccb90c63f9525e887a767b9cd5c8b6933b8b6b2973a615a5359ee68a2118668",
        catalogues_of_deb,
        "820 models of furniture, CC0 or CC BY; 120 MB",
        "--shapes FOLDER (TextureIntrinsics)",
    ),
}
"""By the names that `hgenv data` has for them."""
