"""Lines are told apart by colour and dashes, on white and on black."""

import itertools
import re

import cv2
import numpy as np
import pytest

from hgenv.pages.chart import COLOURS
from hgenv.pages.page import ASSETS

CSS = (ASSETS / "page.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part)) for part in CSS.split("@media")[:2])
SCHEMES = {"light": LIGHT, "dark": LIGHT | DARK}


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255


def luminance(colour: str) -> float:
    """Of WCAG 2.2."""
    c = rgb(colour).astype(np.float64)
    return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_lines_stand_out_from_the_paper(scheme: str) -> None:
    """3 to 1, as WCAG 2.2 wants of graphics (1.4.11), and 4.5 to 1 of text."""
    known = SCHEMES[scheme]
    assert [name for name in known if name.startswith("line-")] == [f"line-{i}" for i in range(COLOURS)]
    assert all(contrast(known[f"line-{i}"], known["paper"]) >= 3.0 for i in range(COLOURS))
    assert all(contrast(known[name], known["paper"]) >= 4.5 for name in ("ink", "quiet", "accent"))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_two_lines_have_nearly_the_same_colour(scheme: str) -> None:
    """Distances in CIELAB, of which 2.3 is just noticeable; the least of matplotlib's ten is 27.6, and some of those do
    not stand out from white."""
    known = SCHEMES[scheme]
    names = [*(f"line-{i}" for i in range(COLOURS)), "ink", "quiet"]
    lab = cv2.cvtColor(np.stack([[rgb(known[name]) for name in names]]), cv2.COLOR_RGB2LAB)[0]
    distances = {
        (a, b): float(np.linalg.norm(lab[i] - lab[j])) for (i, a), (j, b) in itertools.combinations(enumerate(names), 2)
    }
    assert min(distances.values()) > 25.0, min(distances, key=distances.__getitem__)


def test_the_script_knows_as_many_colours() -> None:
    assert f"COLOURS = {COLOURS}," in (ASSETS / "page.js").read_text()
