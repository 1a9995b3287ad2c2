"""The default profile finds large enough faces at the same boxes as full resolution, with less work."""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoder_service.decoding.header import ImageLimits
from encoder_service.detection.detector import HogDetector
from encoder_service.domain.errors import ImageTooLarge, OptionInvalid
from encoder_service.domain.faces import BoundingBox, Detection, DetectorName, EncodeOptions
from encoder_service.pipeline.scanner import Scanner, SearchSizes
from tests.benchmarks.encoder import accuracy, engine, pictures
from tests.benchmarks.encoder.engine import DEFAULT, MODELS, Engine

SLOW = ("4000 pixels", "half size", "JPEG of quality 30", "turned by 10", "darkened")


@pytest.fixture(scope="module")
def built() -> Engine:
    return engine.build()


@pytest.fixture(scope="module")
def photos(sample_photos: Path) -> dict[str, pictures.Photo]:
    return {photo.name: photo for photo in pictures.photos()}


def shown(scanner: Scanner, name: DetectorName, seen: list[tuple[int, int]]) -> Scanner:
    """The scanner, recording the sizes that its detector gets."""
    detector = scanner._detectors[name]

    class Noting:
        window_pixels, max_pixels, weight = detector.window_pixels, detector.max_pixels, detector.weight
        searched_pixels, warm_up, to_picture = detector.searched_pixels, detector.warm_up, detector.to_picture

        def detect(self, pixels: engine.Vectors, *, upsample: int) -> Sequence[Detection]:
            seen.append((pixels.shape[1] << upsample, pixels.shape[0] << upsample))
            return detector.detect(pixels, upsample=upsample)  # type: ignore[arg-type]

    noting = Scanner.__new__(Scanner)
    noting.__dict__.update(scanner.__dict__ | {"_detectors": {name: Noting()}})
    return noting


def test_the_default_profile_differs_from_full_resolution_only_by_its_stated_drift(
    built: Engine, photos: dict[str, pictures.Photo]
) -> None:
    taken = accuracy.take((photos["obama.jpg"], photos["obama2.jpg"]), built, without=SLOW)
    result = accuracy.compare(taken, built, least_share=72 / (640 / 1.2))
    assert result.faces >= 6
    assert not result.missed and not result.otherwise and result.added == 0
    assert result.median <= 0.05 and result.largest <= 0.2
    assert result.same_boxes >= 0.7


def test_a_phone_photo_is_never_searched_whole(built: Engine) -> None:
    seen: list[tuple[int, int]] = []
    scanner = shown(built.scanner, DetectorName.HOG, seen)
    scan = scanner.scan(pictures.phone_photo(), DEFAULT)
    assert len(scan.detections) == 1 and (scan.width, scan.height) == (4000, 3000)
    assert len(seen) == 1 and max(seen[0]) <= 640


def test_faces_too_small_for_the_first_copy_are_found_on_the_second(
    built: Engine, photos: dict[str, pictures.Photo]
) -> None:
    seen: list[tuple[int, int]] = []
    scanner = shown(built.scanner, DetectorName.HOG, seen)
    small = pictures.sized(photos["obama.jpg"].image, 480)
    scene = Image.new("RGB", (1800, 1400), (96, 104, 112))
    scene.paste(small, (900, 700))
    scan = scanner.scan(pictures.jpeg(scene), DEFAULT)
    assert len(scan.detections) == 1
    assert len(seen) == 2 and max(seen[0]) <= 640 < max(seen[1]) <= 1280


def test_min_face_pixels_decides_which_copy_is_searched(
    built: Engine, photos: dict[str, pictures.Photo]
) -> None:
    image = pictures.jpeg(photos["obama.jpg"].image)  # a face of 268 pixels
    costs = []
    for least in (60, 120, 260):
        seen: list[tuple[int, int]] = []
        scanner = shown(built.scanner, DetectorName.HOG, seen)
        scan = scanner.scan(image, dataclasses.replace(DEFAULT, min_face_pixels=least))
        assert len(scan.detections) == 1 and len(seen) == 1
        costs.append(seen[0][0] * seen[0][1])
    assert costs[0] > 3 * costs[1] > 9 * costs[2]
    nobody = built.scanner.scan(image, dataclasses.replace(DEFAULT, min_face_pixels=300))
    assert not nobody.detections


def test_the_cnn_finds_the_same_faces_on_a_copy_as_on_the_whole_picture(
    built: Engine, photos: dict[str, pictures.Photo]
) -> None:
    image = pictures.jpeg(photos["obama.jpg"].image)
    cnn = EncodeOptions(detector=DetectorName.CNN, upsample=0)
    (near,) = built.scanner.scan(image, cnn).detections
    (whole,) = built.scanner.scan(image, dataclasses.replace(cnn, full_resolution=True)).detections
    assert accuracy.shared(near.box, whole.box) >= 0.6  # one level apart at most: its levels are close rivals


def test_given_boxes_are_cut_from_pixels_dense_enough(built: Engine) -> None:
    image = pictures.phone_photo()
    (face,) = built.encode(image, DEFAULT)
    box = face.detection.box
    (given,) = built.encode(image, EncodeOptions(boxes=(box,)))
    (whole,) = built.encode(image, EncodeOptions(boxes=(box,), full_resolution=True))
    assert given.detection == Detection(box, score=None)
    assert np.linalg.norm(given.vector - whole.vector) <= 0.1


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (EncodeOptions(full_resolution=True), "options.upsample"),
        (EncodeOptions(full_resolution=True, upsample=0), "options.full_resolution"),
        (EncodeOptions(min_face_pixels=10), "options.min_face_pixels"),
    ],
)
def test_a_detector_gets_no_more_pixels_than_its_bound(
    built: Engine, options: EncodeOptions, field: str
) -> None:
    detectors = {DetectorName.HOG: HogDetector(max_pixels=200_000, cache_folder=MODELS)}
    bounded = Scanner.__new__(Scanner)
    bounded.__dict__.update(built.scanner.__dict__ | {"_detectors": detectors})
    bounded._search_sizes = SearchSizes(320, 480)
    image = pictures.camera_photo()
    with pytest.raises(OptionInvalid) as caught:
        bounded.scan(image, options)
    assert caught.value.field == field
    assert len(bounded.scan(image, DEFAULT).detections) == 1


def test_a_picture_too_narrow_to_be_searched_is_refused_for_its_shape_and_no_option(built: Engine) -> None:
    with io.BytesIO() as out:
        Image.new("L", (2, 65_000)).save(out, "PNG")
        narrow = out.getvalue()
    detectors = {DetectorName.HOG: HogDetector(max_pixels=10_000, cache_folder=MODELS)}
    bounded = Scanner.__new__(Scanner)
    bounded.__dict__.update(built.scanner.__dict__ | {"_detectors": detectors})
    with pytest.raises(ImageTooLarge, match="crop it") as caught:
        bounded.plan(narrow, DEFAULT)
    assert caught.value.field == "image"


def test_a_box_outside_the_picture_is_refused_before_it_is_decoded(built: Engine) -> None:
    outside = EncodeOptions(boxes=(BoundingBox(0, 9000, 9, 8000),))
    with pytest.raises(OptionInvalid):
        built.scanner.scan(pictures.camera_photo(), outside)
    assert ImageLimits().max_pixels == 64_000_000
