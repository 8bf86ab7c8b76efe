"""Wavefront MTL: the diffuse colours and pictures of materials. What is damaged is an error with its line."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.data.reading import bounded
from hgenv.data.statements import named_file, note, numbers, statements

Array = NDArray[np.float64]
MOST_MATERIALS = 100_000
GREY = np.full(3, 0.6)
"""Of what has no colour."""
_MOST_BYTES = 2**23
_MOST_VALUES = 3  # of an option
_LONGEST = 4096  # of a texture statement, in characters: no file has a longer name
_NUMBER, _SWITCH, _WORD = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", "on|off", r"\S+"
# Options of a texture statement: what may follow each, how often at most, and the values that change nothing.
_OPTIONS: dict[str, tuple[str, int, str]] = {
    "-blendu": (_SWITCH, 1, _WORD), "-blendv": (_SWITCH, 1, _WORD), "-boost": (_NUMBER, 1, _WORD),
    "-bm": (_NUMBER, 1, _WORD), "-texres": (_NUMBER, 1, _WORD), "-cc": (_SWITCH, 1, "off"),
    "-clamp": (_SWITCH, 1, "off"), "-mm": (_NUMBER, 2, r"0(?:\.0*)?(?: 1(?:\.0*)?)?"),
    "-o": (_NUMBER, 3, r"[-+]?0?\.?0*(?: [-+]?0?\.?0*)*"), "-t": (_NUMBER, 3, r"[-+]?0?\.?0*(?: [-+]?0?\.?0*)*"),
    "-s": (_NUMBER, 3, r"1(?:\.0*)?(?: 1(?:\.0*)?)*"), "-imfchan": ("[rgbmlz]", 1, "$^"),
    "-type": ("sphere|cube_(?:top|bottom|front|back|left|right)", 1, _WORD), "-colorspace": (_WORD, 1, "$^"),
}  # fmt: skip
# What says nothing about the diffuse colour.
_PASSED = re.compile(
    "k[aes]|n[is]|tf|illum|sharpness|bump|disp|decal|refl|norm|p[rmsc]|pcr|aniso|anisor|map_(?!kd$|d$).*"
)


class Material(NamedTuple):
    """colour (3,): diffuse, in [0, 1]. picture: the file of its diffuse texture, if it has one."""

    colour: Array = GREY
    picture: Path | None = None

    @property
    def look(self) -> Array | Path:
        """The picture if there is one, else the colour."""
        return self.colour if self.picture is None else self.picture


class Library(NamedTuple):
    """Materials by name, and what was ignored in their file, counted."""

    materials: dict[str, Material]
    ignored: Counter[str]


def read_mtl(path: Path) -> Library:
    """The materials of a library; of two with one name the last counts.

    Transparency, spectral colours and the options of textures are ignored, and counted. Raises FileNotFoundError, or
    ValueError that names the line.
    """
    found: dict[str, Material] = {}
    ignored: Counter[str] = Counter()
    name = None
    for number, word, rest in statements(path, _MOST_BYTES):
        try:
            if word == "newmtl":
                if rest in found:
                    note(ignored, f"the first material {rest[:60]!r}")
                name, found[rest] = rest, Material()
                bounded(len(found), MOST_MATERIALS, "materials")
            elif name is None:
                note(ignored, f"{word[:20]!r} before the first newmtl")
            else:
                found[name] = _with(found[name], path.parent, word, rest, ignored)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {word[:20]} {rest[:60]!r}: {error}") from error
    if not found:
        raise ValueError(f"{path} has no newmtl: it is not an MTL library")
    return Library(found, ignored)


def _with(material: Material, folder: Path, word: str, rest: str, ignored: Counter[str]) -> Material:
    """A material after one more statement about it."""
    if word == "kd":
        if rest.split(None, 1)[:1] in (["spectral"], ["xyz"]):
            note(ignored, f"Kd {rest.split()[0]}")
            return material
        values = numbers(rest)
        if len(values) not in (1, 3) or not all(0.0 <= value <= 1.0 for value in values):
            raise ValueError("a colour needs three numbers in [0, 1]")
        return material._replace(colour=np.array(values if len(values) == 3 else 3 * values))
    if word == "map_kd":
        return material._replace(picture=_picture(folder, rest, ignored))
    if word in ("d", "tr", "map_d"):
        if word == "map_d" or not re.fullmatch(r"1(\.0*)?|(-halo\s.*)" if word == "d" else r"[01](\.0*)?|\.0+", rest):
            note(ignored, "transparency")
    elif not _PASSED.fullmatch(word):
        note(ignored, f"statement {word[:20]!r}")
    return material


def _picture(folder: Path, rest: str, ignored: Counter[str]) -> Path:
    """The file that a texture statement names behind its options."""
    if len(rest) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST:,} characters")
    while rest.startswith("-"):
        option = rest.split()[0].lower()
        if option in _OPTIONS:
            values, rest = _values(rest, *_OPTIONS[option][:2])
            if not re.fullmatch(_OPTIONS[option][2], values):
                note(ignored, f"option {option} of map_Kd")
        elif os.path.isfile(named_file(folder, rest)):
            break
        else:
            note(ignored, f"unknown option {option[:20]!r} of map_Kd")
            rest = _behind(folder, rest)
    if not rest:
        raise ValueError("it names no picture")
    return named_file(folder, rest)


def _values(rest: str, pattern: str, most: int) -> tuple[str, str]:
    """The values of an option, and what is behind them."""
    found = re.match(rf"\S+((?:\s+(?:{pattern})(?=\s|$)){{0,{most}}})(?:\s+|$)", rest)
    assert found is not None, "a first word is there, and so is a blank or the end behind it"
    return " ".join(found[1].split()), rest[found.end() :]


def _behind(folder: Path, rest: str) -> str:
    """What is behind an unknown option, and behind so few words that it is a file, or an option."""
    for words in range(1, 2 + _MOST_VALUES):
        behind = (rest.split(None, words)[words:] or [""])[0]
        if behind.startswith("-") or os.path.isfile(named_file(folder, behind)):
            return behind
    raise ValueError(f"an unknown option {rest.split()[0]}, behind which no picture is found")
