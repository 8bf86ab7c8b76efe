"""The text that Wavefront OBJ and MTL share: statements, the names in them, what was ignored."""

from __future__ import annotations

import codecs
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from hgenv.data.reading import opened

MOST_CHARACTERS = 2**20
"""Of a statement."""
MOST_LINES = 10_000_000
_MOST_KINDS = 8  # of what was ignored, that are told apart
_BLANK = " \t\r\n\f\v"
# Statements that hold names, in which # and \ may be letters; those of all other statements are numbers.
_NAMED = frozenset(
    {
        "o",
        "g",
        "usemtl",
        "mtllib",
        "newmtl",
        "usemap",
        "maplib",
        "bump",
        "disp",
        "decal",
        "refl",
        "norm",
        "shadow_obj",
        "trace_obj",
        "call",
        "csh",
    }
)


def statements(path: Path, most: int) -> Iterator[tuple[int, str, str]]:
    r"""Number of its last line, keyword in lower case, and rest of every statement.

    UTF-8, or UTF-16 with a byte-order mark; bytes that are neither are kept as surrogates, so that two names stay two,
    and a file of that name is found. A comment starts with #, but within a name; a backslash at the end of a statement
    continues it, but as the end of a name or in a comment. most: bytes. Raises FileNotFoundError or ValueError.
    """
    with opened(path, most) as raw, _decoded(raw) as file:
        try:
            yield from _joined(path, file)
        except UnicodeError as error:
            raise ValueError(f"{path} is not text: {error}") from error


def _decoded(raw: BinaryIO) -> io.TextIOWrapper:
    """Lines may end in CR, LF or both."""
    wide = raw.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    raw.seek(0)
    return io.TextIOWrapper(raw, encoding="utf-16" if wide else "utf-8", errors="surrogateescape")


def _joined(path: Path, file: io.TextIOWrapper) -> Iterator[tuple[int, str, str]]:
    word, length = "", 0
    parts: list[str] = []
    for number, line in enumerate(iter(partial(file.readline, MOST_CHARACTERS), ""), 1):
        rest = line.lstrip("\ufeff").strip(_BLANK)
        if not parts:
            word, rest = _split(rest)
        named = word in _NAMED or word.startswith("map_")
        if not named:
            rest = rest.partition("#")[0].rstrip(_BLANK)
        length += len(line)
        if length >= MOST_CHARACTERS:
            raise ValueError(f"{path}, line {number}: a statement of more than {MOST_CHARACTERS:,} characters")
        if rest.endswith("\\") and (not named or rest[-2:-1] in _BLANK):
            parts.append(rest[:-1].strip(_BLANK))
            continue
        if word:
            yield number, word, " ".join([*parts, rest]) if parts else rest
        parts, length = [], 0
        if number == MOST_LINES:
            raise ValueError(f"{path} has more than {MOST_LINES:,} lines")
    if word and parts:
        yield number, word, " ".join(parts)


def _split(text: str) -> tuple[str, str]:
    """Keyword and rest; both empty of a comment."""
    if not text.strip() or text[0] == "#":
        return "", ""
    word, *rest = text.split(None, 1)
    if word.endswith("\\") and not rest:
        word, rest = word[:-1], ["\\"]
    return word.lower(), rest[0] if rest else ""


def numbers(text: str) -> list[float]:
    """The numbers of a statement. Raises ValueError."""
    if "_" in text:  # which Python takes for a separator of digits
        raise ValueError("numbers have no underscore")
    return [float(word) for word in text.split()]


def plain(name: str) -> str:
    """A name without the comment behind it, and without quotes."""
    name = re.split(r"\s#", name, maxsplit=1)[0].strip(_BLANK)
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def named_file(folder: Path, name: str) -> Path:
    r"""The file that a statement names: as it stands, else without a comment and quotes, else with / for \."""
    spellings = (name, plain(name), plain(name).replace("\\", "/"))
    return next((folder / s for s in spellings[:2] if s and os.path.isfile(folder / s)), folder / spellings[2])


def note(ignored: Counter[str], what: str, times: int = 1) -> None:
    """Counts what was ignored; of many kinds, the last ones together."""
    ignored[what if what in ignored or len(ignored) < _MOST_KINDS else "other things"] += times


def told(ignored: Counter[str]) -> str:
    """What was ignored, in words."""
    return ", ".join(what if count == 1 else f"{count:,} x {what}" for what, count in ignored.items())
