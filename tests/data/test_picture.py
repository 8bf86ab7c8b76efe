"""Pictures: what is read of every kind of file, and what is refused."""

import io
import os
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from crafted import interlaced, png, tiff
from PIL import Image

from hgenv.data.picture import brightness, eight_bits, load_picture, read_picture

RAMP = np.linspace(0, 65535, 16).astype(np.uint16)
GREY = np.tile(RAMP, (4, 1))
RGB = np.stack([GREY, GREY[:, ::-1], GREY // 2], -1)
RED = np.full((2, 2, 3), (200, 100, 50), np.uint8)


def opencv(pixels: np.ndarray, ending: str) -> bytes:
    """A file by OpenCV of grey, RGB or RGBA."""
    order = [2, 1, 0, 3][: pixels.shape[-1]]
    return cv2.imencode(ending, pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., order]))[1].tobytes()


def pillow(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def written(folder: Path, content: bytes) -> Path:
    (folder / "picture").write_bytes(content)
    return folder / "picture"


OF_TIFF = {256: 16, 257: 4, 258: 16, 259: 1, 262: 1, 273: 0, 277: 1, 278: 4, 279: 128}
WITH_ALPHA = b"".join(b"\0" + np.stack([row, 0 * row], -1).astype(">u2").tobytes() for row in GREY)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (opencv(GREY, ".png"), GREY),
        (opencv(GREY, ".tiff"), GREY),
        (opencv(GREY, ".pgm"), GREY),
        (tiff(OF_TIFF, GREY.astype(">u2").tobytes(), ">"), GREY),
        (png(16, 4, 16, 4, zlib.compress(WITH_ALPHA)), np.repeat(GREY[..., None], 3, -1)),
        (opencv(RGB, ".png"), RGB),
        (opencv(RGB, ".tiff"), RGB),
        (opencv(RGB, ".ppm"), RGB),
        (interlaced(RGB), RGB),
        (opencv(np.dstack([RGB, 0 * GREY]), ".png"), RGB),
    ],
    ids=["grey", "tiff", "pgm", "big-endian", "grey and alpha", "rgb", "rgb tiff", "ppm", "interlaced", "alpha 0"],
)
def test_16_bits_are_kept_and_a_ramp_has_its_mean(content: bytes, wanted: np.ndarray, tmp_path: Path) -> None:
    found = read_picture(written(tmp_path, content))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(brightness(found), wanted / 65535.0)
    picture = load_picture(tmp_path / "picture")
    assert picture[..., 0].mean() == 127.5, "not 239, as of values that are clipped"
    np.testing.assert_array_equal(picture[0, :, 0], np.arange(16) * 17)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "rgb"])
def test_floats_are_shares_of_white(pixels: np.ndarray, kind: type, tmp_path: Path) -> None:
    path = written(tmp_path, opencv((pixels / 65535.0).astype(kind), ".tiff"))
    found = read_picture(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, (pixels / 65535.0).astype(np.float32))
    assert load_picture(path)[..., 0].mean() == 127.5
    for wrong in (np.nan, np.inf, -0.01, 1.01, 255):
        changed = pixels / 65535.0
        changed.flat[7] = wrong
        with pytest.raises(ValueError, match=rf"picture: floats must be finite and in \[0, 1\], got .*{wrong}"):
            read_picture(written(tmp_path, opencv(changed.astype(kind), ".tiff")))


def transparent() -> bytes:
    """A palette of which all colours are transparent, partly."""
    return pillow(Image.fromarray(RED).quantize(4), "PNG", transparency=bytes([0, 3, 5, 7]))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (pillow(Image.fromarray(RED), "PNG"), RED),
        (opencv(np.dstack([RED, np.zeros((2, 2), np.uint8)]), ".png"), RED),
        (transparent(), RED),
        (pillow(Image.fromarray(RED), "BMP"), RED),
        (pillow(Image.fromarray(RED), "TGA"), RED),
        (pillow(Image.fromarray(RED), "TIFF", compression="tiff_lzw"), RED),
        (pillow(Image.fromarray(RED), "WEBP", lossless=True), RED),
        (pillow(Image.fromarray(RED), "GIF", save_all=True, append_images=[Image.fromarray(RED // 2)]), RED),
        (pillow(Image.fromarray(RED[..., 0]), "PNG"), np.full((2, 2, 3), 200)),
        (pillow(Image.fromarray(np.eye(2) > 0), "PNG"), np.repeat(255 * np.eye(2)[..., None], 3, -1)),
        (pillow(Image.fromarray(RED[..., :2], "LA"), "PNG"), np.full((2, 2, 3), 200)),
    ],
    ids=[
        "rgb",
        "alpha 0",
        "palette",
        "bmp",
        "tga",
        "tiff",
        "webp",
        "first of a gif",
        "grey",
        "1 bit",
        "grey and alpha",
    ],
)
def test_8_bits_are_as_they_are(content: bytes, wanted: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_array_equal(eight_bits(read_picture(written(tmp_path, content))), wanted)


def test_jpegs_are_as_pillow_decodes_them_and_rows_as_they_are_stored(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (600, 40, 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    for image in (Image.fromarray(pixels), Image.fromarray(pixels).convert("CMYK"), Image.fromarray(pixels[..., 0])):
        path = written(tmp_path, pillow(image, "JPEG", exif=turned))
        with Image.open(path) as again:
            np.testing.assert_array_equal(load_picture(path), np.asarray(again.convert("RGB")))


def test_a_largest_number_that_is_not_white_is_refused_or_scaled(tmp_path: Path) -> None:
    for changes in ({262: 0}, {339: 2}, {258: 32, 279: 256}, {258: 12, 279: 96}):
        tags = OF_TIFF | changes
        path = written(tmp_path, tiff(tags, bytes(tags[279])))
        with pytest.raises(ValueError, match="picture: grey must be unsigned integers of 8 or 16 bits"):
            read_picture(path)
    for kind, count in ((b"P5", 1), (b"P6", 3)):
        path = written(tmp_path, kind + b" 2 1 1023 " + np.repeat([0, 1023], count).astype(">u2").tobytes())
        np.testing.assert_array_equal(load_picture(path), [[[0] * 3, [255] * 3]])


WHOLE = pillow(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)), "JPEG")
DEEP = opencv(RGB, ".png")
NO_PICTURE = "is not a picture, or not a whole one"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", NO_PICTURE),
        (b"some words that are no picture, whatever the name says\n" * 20, NO_PICTURE),
        (WHOLE[: len(WHOLE) // 2], NO_PICTURE),
        (DEEP[: len(DEEP) // 2], NO_PICTURE),
        (DEEP[:-20], NO_PICTURE),
        (DEEP[:60] + bytes([DEEP[60] ^ 1]) + DEEP[61:], NO_PICTURE),
        (opencv(RGB / 65535.0, ".tiff")[:-200], NO_PICTURE),
        (png(0, 0, 8, 2, zlib.compress(b"")), NO_PICTURE),
        (png(40_000, 40_000, 8, 2, zlib.compress(b"")), "1600000000 pixels: expected 1 to 67108864"),
        (
            png(9000, 9000, 8, 0, zlib.compress(b"")),
            "9000 x 9000 pixels, .* 81000000 of 8 bits a channel: expected 1 to 67108864",
        ),
        (png(9000, 9000, 1, 0, zlib.compress(b"")), "9000 x 9000 pixels"),
        (png(9500, 9500, 8, 0, zlib.compress(b"")), "90250000 pixels: expected 1 to 67108864"),
        (png(8000, 8000, 16, 2, zlib.compress(b"")), "8000 x 8000 pixels, .* 128000000 of"),
        (
            tiff({256: 5000, 257: 5000, 258: 32, 259: 1, 262: 1, 273: 0, 277: 1, 339: 3}, b""),
            "5000 x 5000 pixels, .* 100000000 of",
        ),
        (
            tiff({256: 5000, 257: 5000, 258: 32, 259: 1, 262: 2, 273: 0, 277: 3, 339: 3}, b""),
            "5000 x 5000 pixels, .* 100000000 of",
        ),
        (tiff(OF_TIFF | {322: 30_000, 323: 30_000}, b""), "16 x 4 pixels, .* 1800000000 of"),
        (WHOLE[:-2] + WHOLE[WHOLE.index(b"\xff\xda") : -2] * 100 + WHOLE[-2:], "drawn 101 times over"),
        (b"P5 40000 40000 255\n", "1600000000 pixels"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n" + bytes(4), "expected one of BMP, DDS"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "expected one of BMP, DDS"),
    ],
)
def test_what_is_refused_is_named(content: bytes, problem: str, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=problem) as error:
        load_picture(path)
    assert str(path) in str(error.value)


def test_names_that_opencv_cannot_open(tmp_path: Path) -> None:
    for name in (b"h\xc3\xb6he \\ \xe9.png", "深度.png".encode()):
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(DEEP)
        np.testing.assert_array_equal(read_picture(path), RGB)
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere"):
        read_picture(tmp_path / "nowhere.png")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "loop", tmp_path / ("long" * 100), tmp_path / "zero\0"):
        with pytest.raises(FileNotFoundError, match="no file"):
            read_picture(path)


def test_a_user_sees_no_warnings_of_decoders(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        load_picture(written(tmp_path, transparent()))
        with pytest.raises(ValueError, match="90250000"):
            load_picture(written(tmp_path, png(9500, 9500, 8, 0, zlib.compress(b""))))
    assert not seen
