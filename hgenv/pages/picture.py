"""Pictures inside a page, as PNG; a click enlarges them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hgenv.pages.markup import Html, escaped

SHADES = 32
"""Of a map: more are not seen, and fewer make smaller files."""


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture (h, w, 3) uint8 as PNG."""
    return _saved(Image.fromarray(picture))


def shades(density: NDArray[np.float64], colour: tuple[int, int, int]) -> bytes:
    """PNG of a map (h, w) in [0, 1]: a colour that covers what is below it as far as the map says."""
    levels = np.rint(np.clip(density, 0.0, 1.0) * (SHADES - 1)).astype(np.uint8)
    image = Image.fromarray(levels).convert("P")
    image.putpalette(list(colour) * 256)
    image.info["transparency"] = bytes(np.rint(np.linspace(0, 255, SHADES)).astype(np.uint8))
    return _saved(image)


def data_url(content: bytes) -> str:
    """The address of a PNG that is its content."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def picture(content: bytes, caption: str, scale: int = 1) -> Html:
    """HTML of a PNG with a caption; each of its pixels is `scale` wide, unless the window is too narrow for that."""
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.width * scale, image.height * scale
    said, kind = escaped(caption), ' class="pixels"' if scale > 1 else ""
    return Html(
        f'<figure class="picture"><img{kind} src="{data_url(content)}" width="{width}" height="{height}" alt="{said}"/>'
        f"<figcaption>{said}</figcaption></figure>"
    )


def pictures(many: Iterable[Html]) -> Html:
    """HTML of pictures side by side."""
    return Html('<div class="pictures">' + "\n".join(many) + "</div>")


def _saved(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "png")
    return content.getvalue()
