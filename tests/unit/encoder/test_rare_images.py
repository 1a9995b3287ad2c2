"""Files as phones, scanners and editors write them are read correctly, or refused by name."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFile

from encoder_service.decoding import images
from encoder_service.decoding.header import ImageLimits, read_header
from encoder_service.decoding.images import Picture
from encoder_service.domain.errors import ImageInvalid, ImageUnsupported
from tests.unit.encoder.rare_files import (
    ARITHMETIC,
    ARITHMETIC_PROGRESSIVE,
    COLORS,
    GREY,
    HUFFMAN,
    SIDE,
    bmp,
    encoded,
    framed,
    segment,
    tiff,
    twelve_bits,
    with_chunk,
    with_segment,
)

LIMITS = ImageLimits()
GREY_16 = GREY.astype(np.uint16) * 257
COLORS_16 = COLORS.astype(np.uint16) * 257


def pillow_rgb(data: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_photo_with_a_video_behind_it_is_read_as_the_photo() -> None:
    photo = encoded(COLORS, "JPEG")
    video = b"\0\0\0\x18ftypmp42" + np.random.default_rng(3).bytes(8_000_000)
    assert video.count(b"\xff\xda") > 100
    assert read_header(photo + video, LIMITS) == read_header(photo, LIMITS)
    assert (images.decode(photo + video, LIMITS) == images.decode(photo, LIMITS)).all()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing_bytes", [1, 2, 30, 300])
def test_a_jpeg_without_its_last_bytes_is_read_as_face_recognition_does(
    monkeypatch: pytest.MonkeyPatch, progressive: bool, missing_bytes: int
) -> None:
    large = np.asarray(Image.fromarray(COLORS).resize((640, 640)))
    data = encoded(large, "JPEG", quality=90, progressive=progressive)[:-missing_bytes]
    pixels = images.decode(data, LIMITS)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert (pixels == pillow_rgb(data)).all()
    assert np.abs(pixels.astype(int) - large)[:-16].mean() < 4
    with Picture(data, LIMITS) as picture:
        assert picture.pixels(0.5).values.shape == (320, 320, 3)


@pytest.mark.parametrize("scale", [0.25, 1.0])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_more_than_its_last_rows_is_refused(
    mode: str, scale: float, progressive: bool
) -> None:
    with io.BytesIO() as out:
        large = Image.fromarray(COLORS).resize((640, 640)).convert(mode)
        large.save(out, "JPEG", quality=90, progressive=progressive)
        data = out.getvalue()
    truncated = data[: len(data) * 9 // 10] if not progressive else data[: data.rindex(b"\xff\xda")]
    with pytest.raises(ImageInvalid, match="truncated"), Picture(truncated, LIMITS) as picture:
        picture.pixels(scale)


def test_a_jpeg_of_rare_sampling_is_read_as_pillow_does() -> None:
    data = encoded(COLORS, "JPEG", subsampling=2)
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == 0x22
    turned = data[: frame + 11] + b"\x14" + data[frame + 12 :]  # 4:4:1: as many blocks, placed otherwise
    assert (images.decode(turned, LIMITS) == pillow_rgb(turned)).all()
    with Picture(turned, LIMITS) as picture:
        assert picture.pixels(0.5).values.shape == (SIDE // 2, SIDE // 2, 3)


def test_an_exif_field_of_the_wrong_type_does_not_spoil_the_picture() -> None:
    exif = b"II*\0\x08\0\0\0\3\0" + struct.pack("<HHI4s", 0x011A, 1, 1, b"H")  # one byte for a resolution
    exif += struct.pack("<HHIHH", 0x0128, 3, 1, 2, 0) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    photo = encoded(COLORS, "JPEG")
    assert photo[2:4] == b"\xff\xe0"
    bare = photo[:2] + photo[20:]  # without JFIF, whose resolution would come first
    pixels = images.decode(with_segment(bare, 0xE1, b"Exif\0\0" + exif), LIMITS)
    assert (pixels == images.decode(bare, LIMITS)[::-1].swapaxes(0, 1)).all()


def test_a_tiff_field_of_the_wrong_type_does_not_spoil_the_picture() -> None:
    data = tiff(GREY, photometric=1, bits=8, tags=[(282, 3, [72]), (296, 3, [3])])
    number = struct.pack("<HHI", 282, 3, 1)
    assert number in data
    assert (images.decode(data.replace(number, struct.pack("<HHI", 282, 2, 3)), LIMITS)[..., 0] == GREY).all()


def test_a_png_with_long_texts_and_a_long_profile_is_read() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(COLORS, "PNG", exif=exif)
    for kind, content in (
        (b"zTXt", b"workflow\0\0" + zlib.compress(b"a" * 1_200_000)),
        (b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"a" * 1_200_000)),
        (b"iCCP", b"x\0\0" + zlib.compress(bytes(1_200_000))),
    ):
        data = with_chunk(data, kind, content)
    assert (images.decode(data, LIMITS) == COLORS[::-1].swapaxes(0, 1)).all()


def test_a_png_with_its_orientation_in_a_text_is_set_upright() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    data = with_chunk(encoded(COLORS, "PNG"), b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    assert (images.decode(data, LIMITS) == COLORS[::-1, ::-1]).all()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (framed(0xC1, bits=12), "12-bit"),
        (framed(0xC3), "lossless"),
        (framed(0xC5), "hierarchical"),
        (b"\xff\xd8" + segment(0xC0, b"\x08\0\x40\0\x40\2\1\x11\0\2\x11\0"), "2 components"),
    ],
    ids=[
        "12 bits",
        "lossless",
        "hierarchical",
        "2 components",
    ],
)
def test_a_jpeg_of_another_coding_is_unsupported_by_its_name(data: bytes, name: str) -> None:
    with pytest.raises(ImageUnsupported, match=name):
        read_header(data, LIMITS)


@pytest.mark.parametrize("data", [ARITHMETIC, ARITHMETIC_PROGRESSIVE], ids=["sequential", "progressive"])
def test_an_arithmetic_coded_jpeg_is_read(data: bytes) -> None:
    assert (images.decode(data, LIMITS) == images.decode(HUFFMAN, LIMITS)).all()


def test_a_jpeg_of_extended_coding_is_read() -> None:
    assert (images.decode(framed(0xC1), LIMITS) == images.decode(encoded(COLORS, "JPEG"), LIMITS)).all()


def test_a_cmyk_jpeg_is_read_if_it_says_how_inks_are_encoded() -> None:
    with io.BytesIO() as out:
        Image.fromarray(COLORS).convert("CMYK").save(out, "JPEG", quality=95)
        marked = out.getvalue()
    assert np.abs(images.decode(marked, LIMITS).astype(int) - COLORS).mean() < 4
    adobe = marked.index(b"\xff\xee")
    unmarked = marked[:adobe] + marked[adobe + 16 :]
    with pytest.raises(ImageUnsupported, match="CMYK"):
        images.decode(unmarked, LIMITS)


def test_a_jpeg_of_endless_segments_is_refused() -> None:
    photo = encoded(COLORS, "JPEG")
    with pytest.raises(ImageInvalid, match="segments"):
        read_header(photo[:2] + segment(0xE5, b"") * 5000 + photo[2:], LIMITS)


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("big", [False, True])
def test_16_bit_grey_of_a_tiff_is_read_whether_0_is_black_or_white(big: bool, deflated: bool) -> None:
    black = tiff(GREY_16, photometric=1, bits=16, big=big, deflated=deflated)
    assert (images.decode(black, LIMITS)[..., 0] == GREY).all()
    white = tiff(65535 - GREY_16, photometric=0, bits=16, big=big, deflated=deflated)
    if big:
        with pytest.raises(ImageUnsupported):
            images.decode(white, LIMITS)
    else:
        assert (images.decode(white, LIMITS)[..., 0] == GREY).all()


@pytest.mark.parametrize("deflated", [False, True])
def test_12_bit_grey_of_a_tiff_keeps_its_shades(deflated: bool) -> None:
    data = tiff([twelve_bits(GREY)], photometric=1, bits=12, deflated=deflated)
    assert np.abs(images.decode(data, LIMITS)[..., 0].astype(int) - GREY).max() <= 1


PLANES_16 = [COLORS_16[..., channel].astype("<u2").tobytes() for channel in range(3)]


@pytest.mark.parametrize(
    "data",
    [
        tiff(GREY.astype(np.int16).astype(np.int8), photometric=1, bits=8, tags=[(339, 3, [2])]),
        tiff(GREY_16.astype(np.int16), photometric=1, bits=16, tags=[(339, 3, [2])]),
        tiff(GREY.astype(np.uint32), photometric=1, bits=32),
        tiff(GREY.astype(np.float16), photometric=1, bits=16, tags=[(339, 3, [3])]),
        tiff(GREY.astype(np.float32), photometric=1, bits=32, tags=[(339, 3, [3])]),
        tiff(GREY.astype(np.float64), photometric=1, bits=64, tags=[(339, 3, [3])]),
        tiff([twelve_bits(255 - GREY)], photometric=0, bits=12),
        tiff([twelve_bits(GREY)], photometric=1, bits=12, big=True),
        tiff(PLANES_16, photometric=2, bits=16, samples=3),
        tiff(COLORS, photometric=9, bits=8, samples=3),
        tiff(COLORS, photometric=6, bits=8, samples=3, tags=[(530, 3, [2, 2])]),
        tiff(GREY, photometric=3, bits=8, tags=[(320, 3, list(range(256)) * 3)]),
        tiff(GREY, photometric=1, bits=8).replace(
            struct.pack("<HHII", 259, 3, 1, 1), struct.pack("<HHII", 259, 3, 1, 9)
        ),
    ],
    ids=[
        "signed 8 bits",
        "signed 16 bits",
        "32 bits",
        "float16",
        "float32",
        "float64",
        "12 bits, white is 0",
        "12 bits, big-endian",
        "16 bits in planes",
        "ICC Lab",
        "subsampled, not compressed",
        "palette of 8-bit entries",
        "unknown compression",
    ],
)
def test_a_tiff_that_would_be_misread_is_unsupported(data: bytes) -> None:
    with pytest.raises(ImageUnsupported):
        images.decode(data, LIMITS)


OPAQUE = np.full((SIDE, SIDE), 255, np.uint8)
PALETTE = [entry * 257 for entry in range(256)] * 3


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({"planes": GREY, "photometric": 1, "bits": 8}, GREY),
        ({"planes": 255 - GREY, "photometric": 0, "bits": 8}, GREY),
        ({"planes": COLORS, "photometric": 2, "bits": 8, "samples": 3}, COLORS),
        ({"planes": COLORS_16, "photometric": 2, "bits": 16, "samples": 3}, COLORS),
        ({"planes": [*np.moveaxis(COLORS, 2, 0)], "photometric": 2, "bits": 8, "samples": 3}, COLORS),
        (
            {
                "planes": np.dstack([COLORS, OPAQUE]),
                "photometric": 2,
                "bits": 8,
                "samples": 4,
                "tags": [(338, 3, [2])],
            },
            COLORS,
        ),
        (
            {"planes": np.dstack([255 - COLORS, 255 - OPAQUE]), "photometric": 5, "bits": 8, "samples": 4},
            COLORS,
        ),
        (
            {
                "planes": np.dstack([GREY, OPAQUE]),
                "photometric": 1,
                "bits": 8,
                "samples": 2,
                "tags": [(338, 3, [2])],
            },
            GREY,
        ),
        ({"planes": GREY, "photometric": 3, "bits": 8, "tags": [(320, 3, PALETTE)]}, GREY),
    ],
    ids=[
        "grey",
        "white is 0",
        "RGB",
        "RGB of 16 bits",
        "planes",
        "alpha",
        "CMYK",
        "grey and alpha",
        "palette",
    ],
)
def test_the_colors_of_a_tiff_are_those_that_were_stored(
    kind: dict[str, object], expected: npt.NDArray[np.uint8], big: bool
) -> None:
    arguments = dict(kind)
    if isinstance(arguments["planes"], list):
        arguments["planes"] = [plane.tobytes() for plane in arguments["planes"]]
    pixels = images.decode(tiff(big=big, **arguments), LIMITS)  # type: ignore[arg-type]
    assert (pixels == (expected if expected.ndim == 3 else expected[..., None])).all()


def test_lab_colors_are_converted_correctly() -> None:
    from PIL import ImageCms

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    muted = (COLORS // 2 + 64).astype(
        np.uint8
    )  # colors at the rim of what 8 bits of Lab hold are rounded away
    converted = ImageCms.profileToProfile(Image.fromarray(muted), srgb, lab, outputMode="LAB")
    assert converted is not None
    with io.BytesIO() as out:
        converted.save(out, "TIFF")
        pixels = images.decode(out.getvalue(), LIMITS)
    assert np.abs(pixels.astype(int) - muted).mean() < 2


BLUE, GREEN, RED = np.moveaxis(COLORS[::-1, :, ::-1].astype(np.uint32), 2, 0)


def test_a_bmp_with_other_masks_is_read_correctly_or_unsupported() -> None:
    usual = (RED >> 3 << 11 | GREEN >> 2 << 5 | BLUE >> 3).astype("<u2").tobytes()
    pixels = images.decode(bmp(16, usual, masks=(0xF800, 0x7E0, 0x1F), compression=3), LIMITS)
    assert np.abs(pixels.astype(int) - COLORS).max() < 8
    for bits, masks in (
        (32, (0xFF0000, 0xFF, 0xFF00)),
        (32, (0x3FF00000, 0xFFC00, 0x3FF)),
        (16, (0xF00, 0xF0, 0xF)),
    ):
        with pytest.raises(ImageUnsupported, match="BMP"):
            images.decode(bmp(bits, bytes(SIDE * SIDE * bits // 8), masks=masks, compression=3), LIMITS)


def test_a_photo_without_its_end_marker_is_read_completely(sample_photos: Path) -> None:
    data = (sample_photos / "biden.jpg").read_bytes()
    assert data.endswith(b"\xff\xd9")
    assert (images.decode(data[:-2], LIMITS) == pillow_rgb(data)).all()
