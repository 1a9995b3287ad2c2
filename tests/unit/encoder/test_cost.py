"""The cost of an image follows from its header and its options."""

import io
from collections.abc import Sequence

import pytest
from PIL import Image

from encoder_service.decoding.header import Header, ImageLimits, read_header
from encoder_service.detection.mmod import tiling
from encoder_service.domain.errors import ImageInvalid, OptionInvalid
from encoder_service.domain.faces import BoundingBox, DetectorName, EncodeOptions
from encoder_service.pipeline import cost
from encoder_service.pipeline.cost import Plan
from encoder_service.pipeline.scanner import Scanner
from tests.benchmarks.encoder import engine, pictures


@pytest.fixture(scope="module")
def scanner(sample_photos: object) -> Scanner:
    return engine.build().scanner


def blank(width: int, height: int, name: str = "PNG") -> bytes:
    with io.BytesIO() as out:
        Image.new("RGB", (width, height), "teal").save(out, name, progressive=True)
        return out.getvalue()


def test_an_ordinary_photo_costs_one_probe_and_is_short_work(scanner: Scanner) -> None:
    for image in (pictures.camera_photo(), pictures.phone_photo()):
        assert scanner.plan(image, EncodeOptions()).probes(1) < 1.1


@pytest.mark.parametrize(
    ("size", "options", "least", "most"),
    [
        ((4000, 3000), EncodeOptions(full_resolution=True), 26, 27),
        ((2000, 1500), EncodeOptions(full_resolution=True, upsample=2), 24, 25),
        ((640, 480), EncodeOptions(full_resolution=True), 1, 1),
        ((640, 480), EncodeOptions(detector=DetectorName.CNN), 2, cost.SHORT_PROBES),
        ((4000, 3000), EncodeOptions(min_face_pixels=40), 17, 27),
        ((4000, 3000), EncodeOptions(boxes=(BoundingBox(0, 3999, 2999, 0),) * 5), 4, 5),
    ],
)
def test_an_image_costs_by_the_pixels_that_are_searched_decoded_and_cut(
    scanner: Scanner, size: tuple[int, int], options: EncodeOptions, least: float, most: float
) -> None:
    assert least <= scanner.plan(blank(*size), options).probes(len(options.boxes)) <= most


def test_decoding_a_large_picture_that_is_no_jpeg_is_long_work_by_itself() -> None:
    """Of 46 megapixels it takes a core 0.9 to 1.9 s, by format; a JPEG is decoded at an eighth."""
    assert Plan(Header(6800, 6800)).probes(0) > 2 * cost.SHORT_PROBES
    assert Plan(Header(6800, 6800, scan_count=1)).probes(0) == 1


def test_faces_cost_as_they_are_found() -> None:
    plan = Plan(Header(640, 480))
    assert plan.probes(1) == 1
    assert plan.probes(1000) == pytest.approx(60, rel=0.01)


def test_each_scan_of_a_jpeg_costs_and_too_many_of_a_large_one_are_refused() -> None:
    image = blank(64, 64, "JPEG")
    scans = read_header(image, ImageLimits()).scan_count
    assert scans > 5
    assert read_header(blank(64, 64), ImageLimits()).scan_count == 0
    last = image[image.rindex(b"\xff\xda") : -2]
    longer = image[:-2] + last * (40 - scans) + image[-2:]
    assert read_header(longer, ImageLimits()).scan_count == 40
    with pytest.raises(ImageInvalid, match=r"40 scans, .* passes over 4096 pixels; at most 24 "):
        read_header(longer, ImageLimits(max_pixels=64 * 64))
    assert Plan(Header(4000, 4000, 40)).probes(0) > 3 * Plan(Header(4000, 4000, 10)).probes(0)


@pytest.mark.parametrize("size", [(65_535, 1), (1, 65_535), (10, 65_535), (3000, 3000), (400, 250)])
def test_the_cnn_counts_a_quarter_of_a_pyramid_that_is_larger_than_four_pictures(
    scanner: Scanner, size: tuple[int, int]
) -> None:
    options = EncodeOptions(detector=DetectorName.CNN, full_resolution=True, upsample=0)
    layout = tiling.lay_out(*size)
    counted = scanner.plan(blank(*size), options).searched_pixels
    assert counted == max(size[0] * size[1], layout.width * layout.height // 4)


def boxes(count: int, side: int) -> Sequence[BoundingBox]:
    return (BoundingBox(top=0, right=side - 1, bottom=side - 1, left=0),) * count


def test_boxes_that_cover_a_picture_again_and_again_are_refused(scanner: Scanner) -> None:
    image = blank(6000, 6000)
    allowed = EncodeOptions(boxes=tuple(boxes(4, 4000)))
    assert scanner.plan(image, allowed).box_pixels == 4 * 16_000_000
    with pytest.raises(OptionInvalid, match="send fewer boxes") as caught:
        scanner.plan(image, EncodeOptions(boxes=tuple(boxes(5, 4000))))
    assert caught.value.field == "face_boxes"
