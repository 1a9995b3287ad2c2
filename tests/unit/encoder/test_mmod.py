"""The CNN detector finds what dlib's finds, to the pixel."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from encoder_service.decoding.pixels import Pixels
from encoder_service.detection.mmod import decoding, network, pyramid, tiling
from encoder_service.detection.mmod.decoding import Scores
from encoder_service.detection.mmod.detector import CnnDetector
from encoder_service.detection.mmod.network import DetectionNetwork
from encoder_service.detection.mmod.pyramid import Pyramid
from encoder_service.domain.faces import Detection
from encoder_service.embedding.batcher import Batcher
from encoder_service.embedding.device import CPU, Device, Tuning
from encoder_service.embedding.dlib_weights import files

WEIGHTS = files.find().mmod


@pytest.fixture(scope="module")
def cnn(model_cache: Path) -> DetectionNetwork:
    return network.load(files.read(WEIGHTS), Device(CPU, 1), cache_folder=model_cache)


@pytest.fixture(scope="module")
def detector(cnn: DetectionNetwork) -> CnnDetector:
    return CnnDetector(cnn.details, lambda built: cnn.score([built])[0], max_pixels=10**7)


@pytest.fixture(scope="module")
def photos(sample_photos: Path) -> dict[str, Pixels]:
    """Small pictures: faces alone, twice, turned, cropped by the border, in a strip; and none."""
    obama = Image.open(sample_photos / "obama.jpg").convert("RGB")
    biden = Image.open(sample_photos / "biden.jpg").convert("RGB").crop((330, 150, 830, 650))
    pair = Image.new("RGB", (420, 250), (90, 120, 60))
    pair.paste(obama.crop((230, 100, 730, 600)).resize((190, 190)), (5, 30))
    pair.paste(biden.resize((200, 200)), (215, 20))
    pictures = {
        "one": obama.resize((212, 279)),
        "two": pair,
        "turned": biden.resize((170, 170)).rotate(17, expand=True),
        "cropped": biden.crop((150, 60, 500, 500)).resize((120, 150)),
        "wide": obama.crop((150, 110, 900, 440)).resize((330, 130)),
        "none": Image.effect_noise((150, 120), 60).convert("RGB"),
    }
    return {name: np.asarray(picture) for name, picture in pictures.items()}


def by_dlib(pixels: Pixels, upsample: int) -> list[tuple[int, int, int, int, float]]:
    """(left, top, right, bottom, score) of dlib's own faces, the largest first."""
    import dlib

    found = dlib.cnn_face_detection_model_v1(str(WEIGHTS))(pixels, upsample)
    faces = [
        (each.rect.left(), each.rect.top(), each.rect.right(), each.rect.bottom(), each.confidence)
        for each in found
    ]
    return sorted(faces, key=lambda face: (face[2] - face[0] + 1) * (face[3] - face[1] + 1), reverse=True)


def corners(found: Sequence[Detection]) -> list[tuple[int, int, int, int]]:
    return [(each.box.left, each.box.top, each.box.right, each.box.bottom) for each in found]


@pytest.mark.parametrize(
    ("name", "upsample", "faces"),
    [("one", 0, 1), ("two", 0, 2), ("turned", 0, 1), ("wide", 0, 1), ("none", 0, 0), ("cropped", 1, 1)],
)
def test_boxes_are_dlibs_to_the_pixel(
    detector: CnnDetector, photos: dict[str, Pixels], name: str, upsample: int, faces: int
) -> None:
    reference = by_dlib(photos[name], upsample)
    found = detector.detect(photos[name], upsample=upsample)
    assert corners(found) == [face[:4] for face in reference]
    assert len(found) == faces
    for detection, face in zip(found, reference, strict=True):
        assert detection.score == pytest.approx(face[4], abs=1e-3)


def test_boxes_after_doubling_twice_are_dlibs(detector: CnnDetector, photos: dict[str, Pixels]) -> None:
    small = np.asarray(Image.fromarray(photos["one"]).resize((53, 70)))
    found = detector.detect(small, upsample=2)
    assert len(found) == 1
    assert corners(found) == [face[:4] for face in by_dlib(small, 2)]


def test_fixed_shapes_and_batches_change_no_score(cnn: DetectionNetwork, photos: dict[str, Pixels]) -> None:
    details = cnn.details
    fixed = DetectionNetwork(
        network.convert(WEIGHTS.read_bytes()),
        details,
        Device(CPU, 1, image_sizes=((300, 300), (420, 250)), batch_sizes=(2, 4), tuning=Tuning(in_flight=2)),
    )
    fixed.warm_up()
    built = [pyramid.build(photo, details.average, upsample=0) for photo in photos.values()]
    for one, own, filled in zip(built, cnn.score(built), fixed.score(built), strict=True):
        assert own.shape == filled.shape
        assert np.abs(own - filled).max() <= 1e-5
        assert np.array_equal(own, cnn.score([one])[0])
    with ThreadPoolExecutor(3) as threads:
        at_once = list(threads.map(lambda one: fixed.score([one])[0], built))
    for filled, again in zip(fixed.score(built), at_once, strict=True):
        assert np.array_equal(filled, again)


def test_threads_share_a_detector_whose_runs_are_batched(
    cnn: DetectionNetwork, detector: CnnDetector, photos: dict[str, Pixels]
) -> None:
    names = [name for name in photos for _ in range(3)]
    batcher: Batcher[Pyramid, Scores] = Batcher(cnn.score, max_batch=4, capacity=64, name="cnn")
    batched = CnnDetector(cnn.details, lambda built: batcher.submit([built])[0].result(), max_pixels=10**7)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda name: batched.detect(photos[name], upsample=0), names))
    batcher.close()
    for name, faces in zip(names, found, strict=True):
        assert corners(faces) == corners(detector.detect(photos[name], upsample=0))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (6, 200), (200, 6), (7, 7), (1, 90)])
def test_an_image_too_small_to_hold_a_face_has_none(detector: CnnDetector, width: int, height: int) -> None:
    assert detector.detect(np.full((height, width, 3), 128, dtype=np.uint8), upsample=0) == []


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_pyramid_levels_do_not_overlap_within_the_picture(width: int, height: int) -> None:
    layout = tiling.lay_out(width, height)
    first, *others = layout.levels
    assert (first.width, first.height) == (width, height)
    for level in layout.levels:
        assert level.left >= 11 and level.right <= layout.width - 11
        assert level.top >= 11 and level.bottom <= layout.height - 11
    for level in others:
        assert level.top >= first.bottom


boxes = st.lists(
    st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 60), st.integers(0, 60)), max_size=40
)


@given(boxes)
def test_the_first_of_overlapping_boxes_is_kept_as_in_dlib(
    cnn: DetectionNetwork, sizes: list[tuple[int, int, int, int]]
) -> None:
    import dlib

    rectangles = [dlib.rectangle(x, y, x + width, y + height) for x, y, width, height in sizes]
    expected: list[int] = []
    for index, rectangle in enumerate(rectangles):
        others = [rectangles[kept] for kept in expected]
        if all(
            rectangle.intersect(other).area() / (rectangle + other).area() <= cnn.details.overlap_threshold
            for other in others
        ):
            expected.append(index)
    array = np.array(
        [(box.left(), box.top(), box.right(), box.bottom()) for box in rectangles], dtype=np.int64
    ).reshape(-1, 4)
    assert decoding.suppress(array, cnn.details) == expected
