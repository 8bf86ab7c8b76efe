"""Pictures and densities inside a page."""

import base64
import io
import xml.etree.ElementTree as ET

import numpy as np
from PIL import Image

from hgenv.pages.density import Density, density
from hgenv.pages.picture import SHADES, picture, png, shades

EVIL = "<b> & \"'"


def decoded(url: str | None) -> Image.Image:
    """The picture that an address is."""
    assert url is not None
    head, _, content = url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def drawn(one: Density) -> dict[str, list[ET.Element]]:
    """The elements of a density by name."""
    found: dict[str, list[ET.Element]] = {}
    for element in ET.fromstring(density(one)).iter():
        found.setdefault(element.tag, []).append(element)
    return found


def test_a_picture_is_inside_the_page() -> None:
    rng = np.random.default_rng(0)
    given = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    figure = ET.fromstring(picture(png(given), EVIL, 3))
    image, caption = figure
    np.testing.assert_array_equal(np.asarray(decoded(image.get("src"))), given)
    assert (image.get("width"), image.get("height"), image.get("alt"), caption.text) == ("21", "15", EVIL, EVIL)


def test_shades_cover_as_far_as_the_map_says() -> None:
    given = np.linspace(0.0, 1.0, 60).reshape(6, 10)
    with Image.open(io.BytesIO(shades(given, (10, 20, 30)))) as image:
        found = np.asarray(image.convert("RGBA"))
    assert (found[..., :3] == [10, 20, 30]).all()
    np.testing.assert_allclose(found[..., 3] / 255, given, atol=0.6 / (SHADES - 1))
    assert found[0, 0, 3] == 0
    assert found[-1, -1, 3] == 255


def test_a_density_has_its_lines_where_its_values_are() -> None:
    lines = np.array([[0.0, 0.0], [1.0, 2.0], [4.0, 9.0]])
    shade = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 4.0]])
    found = drawn(Density(EVIL, EVIL, (0.0, 2000.0), (0.0, 4.0), shade, lines))
    (frame,), (image,) = found["rect"], found["image"]
    left, top, width, height = (float(frame.get(name, "")) for name in ("x", "y", "width", "height"))
    points = [[tuple(map(float, p.split(","))) for p in line.get("points", "").split()] for line in found["polyline"]]
    assert points[0] == [(left, top + height), (left + width, top + height)]
    assert points[1] == [(left, top + 0.75 * height), (left + width, top + 0.5 * height)]
    assert points[2] == [(left, top), (left + width, top)], "a line stays in the frame"
    assert [line.get("class") for line in found["polyline"]] == ["outer", "middle", "outer"]
    alpha = np.asarray(decoded(image.get("href")).convert("RGBA"))[..., 3]
    assert alpha.tolist() == [[0, 255], [0, 0], [alpha[2, 0], 0]], "the first row of values is below"
    assert 50 < alpha[2, 0] < 75
    texts = [text.text for text in found["text"]]
    assert texts[-2:] == ["0", "2k"]
    assert texts[:-2] == ["0", "1", "2", "3", "4"]


def test_outcomes_have_names_and_probabilities() -> None:
    share = np.array([[0.25, 0.5], [0.75, 0.5]])
    found = drawn(Density("a", "b", (0.0, 10.0), (0.0, 2.0), share, np.zeros((0, 2)), ("no", EVIL)))
    assert [text.text for text in found["text"]] == ["no 0.25", "0.50", f"{EVIL} 0.75", "0.50", "0", "10"]
    assert "polyline" not in found
