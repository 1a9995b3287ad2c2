"""Image bytes become upright RGB, or a refusal that says why, before memory is spent on them."""

import io
import math
import struct
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from encoder_service.decoding import images
from encoder_service.decoding.header import FORMATS, ImageLimits
from encoder_service.decoding.images import Picture
from encoder_service.domain.errors import ImageError, ImageInvalid, ImageTooLarge, ImageUnsupported

LIMITS = ImageLimits()
MODES = {
    "JPEG": "RGB L CMYK",
    "PNG": "RGB L P RGBA LA",
    "WEBP": "RGB L P RGBA LA CMYK",
    "BMP": "RGB L P RGBA",
    "GIF": "RGB L P RGBA LA",
    "TIFF": "RGB L P RGBA LA CMYK YCbCr LAB",
}


def colors() -> npt.NDArray[np.uint8]:
    """A smooth picture of 48 x 64 pixels in which no two corners are alike."""
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], axis=2).astype(np.uint8)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    with io.BytesIO() as out:
        image.save(out, format, **options)
        return out.getvalue()


def pillow_rgb(data: bytes) -> npt.NDArray[np.uint8]:
    """What face_recognition.load_image_file gives."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises that many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + body


@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name, modes in MODES.items() for mode in modes.split()]
)
def test_every_format_and_mode_comes_out_as_pillow_has_it(name: str, mode: str) -> None:
    data = encoded(Image.fromarray(colors()).convert(mode), name)
    pixels = images.decode(data, LIMITS)
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous
    assert (pixels == pillow_rgb(data)).all()


@pytest.mark.parametrize(
    "options", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"quality": 30}]
)
def test_a_jpeg_is_decoded_pixel_for_pixel_as_pillow_does(options: dict[str, Any]) -> None:
    data = encoded(Image.fromarray(colors()[:47, :63]), "JPEG", **options)
    assert (images.decode(data, LIMITS) == pillow_rgb(data)).all()


def test_a_phones_mpo_is_its_first_picture() -> None:
    first, second = Image.fromarray(colors()), Image.fromarray(colors()[::-1])
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert (images.decode(data, LIMITS) == pillow_rgb(data)).all()
    assert (pillow_rgb(data) == pillow_rgb(encoded(first, "JPEG"))).all()


def test_photos_are_decoded_as_face_recognition_loads_them(sample_photos: Path) -> None:
    for path in (sample_photos / "obama.jpg", sample_photos / "32bit.png"):
        assert (images.decode(path.read_bytes(), LIMITS) == pillow_rgb(path.read_bytes())).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_exif_orientation_is_set_upright(name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(colors()), name, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert upright.shape == ((48, 64, 3) if orientation < 5 else (64, 48, 3))
    assert (images.decode(data, LIMITS) == upright).all()
    with Picture(data, LIMITS) as picture:
        assert (picture.height, picture.width) == upright.shape[:2]


@pytest.mark.parametrize("share", [0.1, 0.125, 0.2, 0.3, 0.5, 0.6, 1.0])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_is_decoded_no_larger_than_asked_for_and_upright(mode: str, share: float) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    large = Image.fromarray(colors()).resize((509, 381), Image.Resampling.BICUBIC).convert(mode)
    data = encoded(large, "JPEG", exif=exif, quality=95)
    with Picture(data, LIMITS) as picture:
        scaled = picture.pixels(share)
        assert share <= scaled.scale < 2 * share or scaled.scale == 0.125
        height, width = (math.ceil(side * scaled.scale) for side in (509, 381))
        assert scaled.values.shape == (height, width, 3) and scaled.values.flags.c_contiguous
        expected = large.convert("RGB").transpose(Image.Transpose.ROTATE_270).resize((width, height))
        assert np.abs(scaled.values.astype(int) - np.asarray(expected)).mean() < 3
        assert picture.pixels(share / 2) is scaled


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b""])
@pytest.mark.filterwarnings("ignore:::PIL")
def test_a_damaged_exif_block_does_not_spoil_the_picture(exif: bytes) -> None:
    assert images.decode(encoded(Image.fromarray(colors()), "JPEG", exif=exif), LIMITS).shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_shades(name: str) -> None:
    grey = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    pixels = images.decode(encoded(Image.fromarray(grey), name), LIMITS)
    assert np.abs(pixels[..., 0] - grey / 257).max() <= 0.5
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize(
    ("name", "mode"), [("PNG", "1"), ("TIFF", "1"), ("BMP", "1"), ("GIF", "1"), ("PNG", "P"), ("GIF", "P")]
)
def test_an_image_in_two_colors_is_refused(name: str, mode: str) -> None:
    picture = Image.fromarray(colors()).convert("1")
    with pytest.raises(ImageUnsupported):
        images.decode(encoded(picture.convert("RGB").quantize(2) if mode == "P" else picture, name), LIMITS)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_depths_that_have_no_right_conversion_are_refused(mode: str) -> None:
    with pytest.raises(ImageUnsupported):
        images.decode(encoded(Image.fromarray(colors()).convert(mode), "TIFF"), LIMITS)


def test_the_first_frame_of_an_animation_is_used() -> None:
    frames = [Image.new("RGB", (32, 24), color) for color in ("red", "lime", "blue")]
    for name in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(frames[0], name, save_all=True, append_images=frames[1:])
        red, green, blue = images.decode(data, LIMITS)[12, 16]
        assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.filterwarnings("ignore:::PIL")
def test_a_truncated_image_is_refused(name: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (512, 32, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), name)
    with pytest.raises(ImageInvalid):
        images.decode(data[: int(len(data) * share)], LIMITS)


@pytest.mark.parametrize(
    "data", [b"", b"hello, world", b"{}", bytes(100), b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]
)
def test_bytes_that_are_no_image_are_invalid(data: bytes) -> None:
    with pytest.raises(ImageInvalid):
        images.decode(data, LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x1cftypavif\0\0\0\0avifmif1",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\xff\x4f\xff\x51\0\x2f",
        b"\xff\x0a\xfa\x1f",
        b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"<svg/>",
        b"%PDF-1.7\n",
        b"8BPS\0\x01",
        b"P6 2 2 255 ",
    ],
    ids=[
        "HEIC",
        "AVIF",
        "JPEG 2000",
        "JPEG 2000 codestream",
        "JPEG XL",
        "SVG",
        "bare SVG",
        "PDF",
        "PSD",
        "PPM",
    ],
)
def test_another_known_format_is_unsupported(data: bytes) -> None:
    with pytest.raises(ImageUnsupported):
        images.decode(data, LIMITS)


def webp_of_size(side: int) -> bytes:
    """A lossless WebP whose header promises a square of that side."""
    data = bytearray(encoded(Image.new("RGB", (64, 64)), "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9  # after the chunk's size and the signature: 14 bits each of width and height
    packed = int.from_bytes(data[at : at + 4], "little") >> 28 << 28 | (side - 1) << 14 | side - 1
    data[at : at + 4] = packed.to_bytes(4, "little")
    return bytes(data)


def gif_of_size(width: int, height: int) -> bytes:
    """A GIF whose screen and frame promise that many pixels."""
    size = struct.pack("<HH", width, height)
    screen = b"GIF89a" + size + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    return screen + b",\0\0\0\0" + size + b"\0\x02\x02\x44\x01\0;"


@pytest.mark.parametrize(
    "data",
    [png_of_size(30_000, 30_000), png_of_size(9000, 9000), webp_of_size(16_383), gif_of_size(65_535, 65_535)],
    ids=["30000x30000 PNG", "9000x9000 PNG", "16383x16383 WebP", "65535x65535 GIF"],
)
def test_a_decompression_bomb_is_refused_by_its_header_quickly_and_in_little_memory(data: bytes) -> None:
    tracemalloc.start()
    begin = time.thread_time()  # of its own work, whatever else the machine does
    try:
        with pytest.raises(ImageTooLarge):
            images.decode(data, LIMITS)
        assert time.thread_time() - begin < 0.2
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_limits_are_inclusive() -> None:
    data = encoded(Image.new("RGB", (40, 25), "teal"), "PNG")
    images.decode(data, ImageLimits(max_bytes=len(data), max_pixels=1000))
    with pytest.raises(ImageTooLarge):
        images.decode(data, ImageLimits(max_bytes=len(data) - 1))
    with pytest.raises(ImageTooLarge):
        images.decode(data, ImageLimits(max_pixels=999))


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(Image.fromarray(colors()), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(ImageInvalid):
        images.decode(data[:scan] + data[scan:-2] * 200 + b"\xff\xd9", LIMITS)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
)
@pytest.mark.filterwarnings("ignore:::PIL")
def test_a_mutated_image_decodes_or_is_refused_and_nothing_else(
    name: str, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(encoded(Image.fromarray(colors()), name))
    for place, value in changes:
        data[int(place * len(data))] = value
    try:
        pixels = images.decode(bytes(data), ImageLimits(max_pixels=100_000))
    except ImageError:
        return
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
