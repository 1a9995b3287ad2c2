"""Structures of an image file that multiply work are bounded before the file is opened."""

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from encoder_service.decoding import images, structure
from encoder_service.decoding.header import ImageLimits, read_header
from encoder_service.decoding.images import Picture
from encoder_service.domain.cancellation import Cancellable, Cancelled
from encoder_service.domain.errors import ImageInvalid, ImageTooLarge, ImageUnsupported
from tests.benchmarks.encoder import memory
from tests.fixtures import structures
from tests.fixtures.structures import COUNTED, picture, saved

LIMITS = ImageLimits()
HEADER_SECONDS = 3.0
"""Of a core for reading the header of any file that is let in: 0.1 on an idle one, and 10 without bounds."""


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.filterwarnings("ignore:::PIL")
def test_the_accepted_number_of_parts_is_read_quickly(name: str) -> None:
    make, most, _ = COUNTED[name]
    image = make(most)
    begin = time.thread_time()
    read_header(image, LIMITS)
    assert time.thread_time() - begin < HEADER_SECONDS
    assert images.decode(image, LIMITS).shape in ((48, 64, 3), (64, 64, 3))


@pytest.mark.parametrize("name", COUNTED)
def test_more_parts_than_a_picture_has_are_refused_by_name(name: str) -> None:
    make, most, words = COUNTED[name]
    with pytest.raises(ImageInvalid, match=f"more than {most} {words}") as caught:
        read_header(make(most + 1), LIMITS)
    assert caught.value.field == "image"


@pytest.mark.parametrize(
    "make",
    [
        lambda: structures.jpeg_empty_segments(4_000_000),
        lambda: structures.jpeg_fill_bytes(16_000_000),
        lambda: structures.jpeg_junk(16_000_000),
        lambda: structures.jpeg_exif_in_segments(400_000),
        lambda: structures.png_chunks(b"prVt", b"", 1_300_000),
        lambda: structures.png_chunks(b"IDAT", b"", 1_300_000),
        lambda: structures.gif_comment(8_000_000),
        lambda: structures.webp_chunks(2_000_000),
        lambda: structures.tiff_values(2_000_000),
        lambda: structures.bmp_steps(4_000_000),
    ],
    ids=["segments", "fill bytes", "junk", "EXIF", "chunks", "IDAT", "GIF", "WebP", "TIFF", "BMP"],
)
def test_a_flood_of_parts_is_refused_quickly(make: Callable[[], bytes]) -> None:
    data = make()
    begin = time.thread_time()
    with pytest.raises(ImageInvalid):
        read_header(data, LIMITS)
    assert time.thread_time() - begin < HEADER_SECONDS


@pytest.mark.parametrize("kind", memory.kinds())
def test_pictures_of_every_kind_pass(kind: str) -> None:
    image = memory.kinds()[kind](picture())
    assert images.decode(image, LIMITS).shape in ((48, 64, 3), (64, 48, 3))


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_an_animation_of_a_hundred_frames_passes(name: str) -> None:
    frames = [picture().rotate(angle) for angle in range(100)]
    image = saved(frames[0], name, save_all=True, append_images=frames[1:])
    assert images.decode(image, LIMITS).shape == (48, 64, 3)


def test_only_scans_of_the_first_picture_count() -> None:
    image = saved(picture(), "JPEG", progressive=True)
    scans = read_header(image, LIMITS).scan_count
    assert scans == 10
    tail = b"\0\0\0\x18ftypmp42" + b"\xff\xda" * 1000
    assert read_header(image + tail, LIMITS).scan_count == scans


def test_a_thumbnail_within_a_segment_is_no_scan() -> None:
    thumbnail = structures.segment(0xE5, saved(picture(), "JPEG"))
    assert read_header(structures.jpeg_with(thumbnail * 20), LIMITS).scan_count == 1


@pytest.mark.parametrize(
    ("image", "passes"),
    [
        (structures.jpeg_scans(64, 34), 32),  # 4:2:0, whose colors have a quarter of the pixels
        (structures.jpeg_scans(64, 34, subsampling=0), 38),
        (structures.jpeg_scans_of_no_bytes(64, 30), 30),
        (structures.jpeg_scans_of_no_bytes(64, 30, 0xCA), 30),
    ],
    ids=["4:2:0", "4:4:4", "no bytes", "arithmetic coding"],
)
def test_passes_over_many_pixels_are_refused_where_few_may_have_them(image: bytes, passes: int) -> None:
    assert structure.check_and_count_scans(image, 64_000_000) > 24
    with pytest.raises(ImageInvalid, match=f"{passes} passes over 4096 pixels; at most 24 .*fewer"):
        structure.check_and_count_scans(image, 64 * 64)


@pytest.mark.parametrize("frame", [b"\x08\0\1\0\1\1\1\x11\0", b"\x08\0\1\0\1\2\2\x44\0\1\x11\0"])
def test_another_frame_behind_the_scans_makes_none_of_them_cheaper(frame: bytes) -> None:
    image = structures.jpeg_scans_of_no_bytes(64, 30)
    with pytest.raises(ImageInvalid, match="30 passes over 4096 pixels"):
        structure.check_and_count_scans(image[:-2] + structures.segment(0xC2, frame) + image[-2:], 64 * 64)


def test_the_larger_of_components_with_one_name_counts() -> None:
    frame = structures.segment(0xC2, b"\x08\0\x40\0\x40\3\1\x44\0\1\x11\0\2\x44\0")
    image = b"\xff\xd8" + frame + structures.segment(0xDA, bytes([1, 1, 0, 1, 63, 16])) * 30
    with pytest.raises(ImageInvalid, match="30 passes"):
        structure.check_and_count_scans(image + b"\xff\xd9", 64 * 64)


def test_a_progressive_jpeg_of_the_most_pixels_and_colors_passes() -> None:
    four = Image.new("CMYK", (64, 64), (10, 90, 30, 7))
    assert structure.check_and_count_scans(saved(four, "JPEG", progressive=True), 64 * 64) == 18


def test_a_jpeg_of_many_scans_is_decoded_once() -> None:
    with Picture(structures.jpeg_scans(800, 40), LIMITS) as opened:
        few = opened.pixels(0.125)
        assert few.scale == 1.0 and few.values.shape == (800, 800, 3)
        assert opened.pixels(1.0) is few
    with Picture(structures.jpeg_scans(800, 10), LIMITS) as opened:
        assert opened.pixels(0.125).scale == 0.125


@pytest.mark.parametrize("size", [(2, 70_000), (70_000, 2), (65_536, 900)])
def test_a_picture_narrower_than_any_face_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge, match="at most 65535 a side"):
        read_header(structures.png(*size), LIMITS)


def test_the_longest_side_that_is_accepted_passes() -> None:
    assert read_header(structures.png(2, 65_535), LIMITS).height == 65_535


@pytest.mark.parametrize("size", [(256, 256), (2048, 2048), (64, 16)])
def test_a_tile_may_be_larger_than_a_small_picture(size: tuple[int, int]) -> None:
    image = structures.tiff_tiles(64, 64, *size)
    assert images.decode(image, LIMITS).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("picture_size", "tile"),
    [
        ((64, 64), (2064, 2048)),
        ((3000, 3000), (6016, 3200)),
        ((1, 65_535), (2048, 16)),
    ],
)
def test_tiles_far_larger_than_their_picture_are_refused(
    picture_size: tuple[int, int], tile: tuple[int, int]
) -> None:
    with pytest.raises(ImageTooLarge, match=f"in tiles of {tile[0]} x {tile[1]}"):
        read_header(structures.tiff_tiles(*picture_size, *tile), LIMITS)


def test_strips_that_are_jpegs_of_many_scans_are_refused() -> None:
    assert images.decode(structures.tiff_jpeg_scans(64, 16, 24), LIMITS).shape == (64, 64, 3)
    with pytest.raises(ImageInvalid):
        images.decode(structures.tiff_jpeg_scans(64, 16, 25), LIMITS)


def test_big_endian_bigtiff_is_refused_by_name() -> None:
    with pytest.raises(ImageUnsupported, match="BigTIFF"):
        read_header(b"MM\0+\0\x08\0\0" + bytes(64), LIMITS)


def test_run_length_encoded_bmps_are_accepted_up_to_a_sixteenth_of_the_pixels() -> None:
    image = structures.bmp_lines(128)
    assert images.decode(image, LIMITS).shape == (128, 128, 3)
    structure.check_and_count_scans(image, 16 * 128 * 128)
    with pytest.raises(ImageTooLarge, match="128 x 128 pixels; at most 16383 "):
        structure.check_and_count_scans(image, 16 * 128 * 128 - 1)


def test_values_outside_the_file_are_not_counted() -> None:
    entry = b"\x12\x01\x03\0\xff\xff\xff\xff\0\0\0\0"  # an orientation of four thousand million values
    image = structures.jpeg_with(structures.segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + entry))
    assert structure.check_and_count_scans(image, 64_000_000) == 1


@pytest.mark.parametrize("name", ["PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_decoding_ends_when_its_caller_hangs_up(name: str) -> None:
    work = Cancellable()

    def decode() -> Any:
        with Picture(saved(picture(), name), LIMITS) as opened:
            work.cancel()
            return opened.pixels(1.0)

    with pytest.raises(Cancelled):
        work.run(decode)


@pytest.mark.parametrize("kind", memory.kinds())
def test_any_truncated_file_is_walked_to_its_end(kind: str) -> None:
    image = memory.kinds()[kind](picture())
    for end in range(1, len(image), 7):
        structure.check_and_count_scans(image[:end], 64_000_000)


@pytest.mark.parametrize("scans", [10, 40])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_of_many_scans_is_decoded_as_by_pillow(mode: str, scans: int) -> None:
    image = saved(picture().convert(mode), "JPEG", progressive=True)
    last = image[image.rindex(b"\xff\xda") : -2]
    image = image[:-2] + last * (scans - image.count(b"\xff\xda")) + image[-2:]
    expected = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    assert (images.decode(image, LIMITS) == expected).all()
