"""Compiled kernels: numba's, kept between runs wherever something can be written.

numba notices a change of the file that a kernel stands in, not of the files whose kernels it calls. So kernels are kept
under a digest of all of hgenv's sources that have any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from numba import config as numba_config
from numba import njit

from hgenv.cache import cache_folder, say_once, writable

F = TypeVar("F", bound=Callable[..., Any])
CONFIG: Any = numba_config
_PACKAGE = Path(__file__).parent


def kernel(inline: Literal["never", "always"] = "never") -> Callable[[F], F]:
    """Decorator: a function compiled by numba, which releases the GIL while it runs. To divide by 0 gives what numpy
    gives: a check at every division keeps loops from vector instructions."""

    def compiled(function: F) -> F:
        folder, before = kept_in(), CONFIG.CACHE_DIR
        CONFIG.CACHE_DIR = str(folder or "")  # numba looks it up when it decorates
        try:
            decorated: Any = njit(cache=folder is not None, nogil=True, inline=inline, error_model="numpy")(function)
            return decorated
        finally:
            CONFIG.CACHE_DIR = before

    return compiled


@cache
def kept_in() -> Path | None:
    """The folder of compiled kernels: below NUMBA_CACHE_DIR, beside the sources, or in hgenv's cache; None, which a
    line on stderr says, where none of them can be written."""
    own = cache_folder()
    places = [Path(CONFIG.CACHE_DIR)] if CONFIG.CACHE_DIR else []
    places += [_PACKAGE / "__pycache__", *([own] if own else [])]
    for place in places:
        folder = place.absolute() / f"kernels-{_digest()}"
        if writable(folder):
            return folder
    say_once(
        f"kernels are compiled anew, as none of {', '.join(map(str, places))} can be written: "
        "set HGENV_CACHE to a folder that can"
    )
    return None


def _digest() -> str:
    found = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        source = path.read_bytes()
        if b"kernel" in source:
            found.update(source)
    return found.hexdigest()[:16]
