"""Poor faces get the matching reasons, and good ones none."""

import dataclasses
import functools
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from encoder_service.domain.faces import Alignment, BoundingBox, Landmarks
from encoder_service.embedding.dlib_weights import files
from encoder_service.pipeline.alignment import Aligner
from encoder_service.pipeline.quality import QualityAssessor, Thresholds
from facerec.quality import Quality, QualityReason
from tests.benchmarks.encoder import engine, pictures

GOOD = ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg")
ASSESSOR = QualityAssessor(Thresholds())


@pytest.fixture(scope="module")
def faces(sample_photos: Path) -> dict[str, tuple[Image.Image, BoundingBox]]:
    built = engine.build()
    return {
        photo.name: (photo.image, built.encode(pictures.jpeg(photo.image, 95))[0].detection.box)
        for photo in pictures.photos()
    }


@functools.cache
def aligner() -> Aligner:
    """One with both models of landmarks, of which the larger takes half a second to load."""
    paths = files.find(large_landmarks=True)
    return Aligner(paths.landmarks_5, paths.landmarks_68)


def judged(image: Image.Image, box: BoundingBox, alignment: Alignment = Alignment.SMALL) -> Quality:
    landmarks, chip = aligner().align(np.asarray(image), box, alignment)
    return ASSESSOR.assess(chip, landmarks, box, image.size)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("alignment", list(Alignment))
def test_an_ordinary_portrait_is_not_poor(
    faces: dict[str, tuple[Image.Image, BoundingBox]], name: str, alignment: Alignment
) -> None:
    quality = judged(*faces[name], alignment)
    assert quality.reasons == ()
    assert abs(quality.yaw) < 0.2 and 0.3 < quality.pitch < 0.8


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("reason", "degrade"),
    [
        (QualityReason.BLURRED, lambda image: image.filter(ImageFilter.GaussianBlur(7))),
        (QualityReason.TOO_DARK, lambda image: ImageEnhance.Brightness(image).enhance(0.12)),
        (QualityReason.TOO_BRIGHT, lambda image: ImageEnhance.Brightness(image).enhance(4)),
        (QualityReason.LOW_CONTRAST, lambda image: ImageEnhance.Contrast(image).enhance(0.12)),
    ],
    ids=lambda value: str(value) if isinstance(value, QualityReason) else "",
)
def test_a_degraded_portrait_is_poor_for_its_reason(
    faces: dict[str, tuple[Image.Image, BoundingBox]], name: str, reason: QualityReason, degrade: object
) -> None:
    image, box = faces[name]
    assert reason in judged(degrade(image), box).reasons  # type: ignore[operator]


def of_200_pixels(image: Image.Image, box: BoundingBox) -> tuple[Image.Image, BoundingBox]:
    """The photo made so small that its face has 200 pixels: what is done to it then is as large for each."""
    scale = 200 / box.width
    edges = {name: round(getattr(box, name) * scale) for name in ("top", "right", "bottom", "left")}
    return pictures.sized(image, round(max(image.size) * scale)), BoundingBox(**edges)


def noisy(image: Image.Image, deviation: float) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, deviation, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def compressed(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(pictures.jpeg(image, quality))).convert("RGB")


def of_greys(image: Image.Image, count: int) -> Image.Image:
    shades = np.round(np.asarray(image.convert("L")) / 255 * (count - 1)) * 255 / (count - 1)
    return Image.fromarray(shades.astype(np.uint8)).convert("RGB")


def shadowed(image: Image.Image, box: BoundingBox, light: float) -> Image.Image:
    """The photo with so much of its light left to the left of the face's middle."""
    pixels = np.asarray(image).astype(np.float32)
    pixels[:, : (box.left + box.right) // 2] *= light
    return Image.fromarray(pixels.astype(np.uint8))


Degrade = Callable[[Image.Image, BoundingBox], Image.Image]


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("reason", "degrade"),
    [
        (QualityReason.NOISY, lambda image, box: noisy(image, 40)),
        (QualityReason.COMPRESSED, lambda image, box: compressed(image, 5)),
        (QualityReason.COMPRESSED, lambda image, box: of_greys(image, 4)),
        (QualityReason.UNEVEN_LIGHT, lambda image, box: shadowed(image, box, 0.2)),
    ],
    ids=["noise", "JPEG of quality 5", "four greys", "half in shadow"],
)
def test_a_portrait_whose_vector_moved_far_has_a_reason(
    faces: dict[str, tuple[Image.Image, BoundingBox]], name: str, reason: QualityReason, degrade: Degrade
) -> None:
    image, box = of_200_pixels(*faces[name])
    assert judged(image, box).reasons == ()
    assert reason in judged(degrade(image, box), box).reasons


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    "degrade",
    [
        lambda image, box: noisy(image, 10),
        lambda image, box: compressed(image, 30),
        lambda image, box: of_greys(image, 64),
        lambda image, box: shadowed(image, box, 0.8),
    ],
    ids=["noise", "JPEG of quality 30", "64 greys", "a light shadow"],
)
def test_a_portrait_that_is_little_degraded_is_not_poor(
    faces: dict[str, tuple[Image.Image, BoundingBox]], name: str, degrade: Degrade
) -> None:
    image, box = of_200_pixels(*faces[name])
    assert judged(degrade(image, box), box).reasons == ()


def test_gradients_are_no_noise_and_black_or_white_areas_are_not_compressed() -> None:
    columns = np.arange(150, dtype=np.float32)
    bent = np.tile(columns + columns**2 / 300, (150, 1)).clip(0, 255).astype(np.uint8)
    landmarks = Landmarks(
        Alignment.SMALL, np.array([(100, 50), (75, 50), (0, 50), (25, 50), (50, 78)], np.int32)
    )
    chip = np.repeat(bent[..., None], 3, axis=2)
    assert ASSESSOR.assess(chip, landmarks, BoundingBox(0, 99, 99, 0), (200, 200)).noise < 0.01
    chip[:, ::2], chip[:, 1::2] = 0, 255
    assert ASSESSOR.assess(chip, landmarks, BoundingBox(0, 99, 99, 0), (200, 200)).flatness == 0


def test_a_face_of_few_pixels_is_too_small(faces: dict[str, tuple[Image.Image, BoundingBox]]) -> None:
    image, box = faces["obama.jpg"]
    scale = 40 / box.width
    small = image.resize((round(image.width * scale), round(image.height * scale)))
    edges = {name: round(getattr(box, name) * scale) for name in ("top", "right", "bottom", "left")}
    assert QualityReason.TOO_SMALL in judged(small, BoundingBox(**edges)).reasons


def test_a_face_cut_by_the_border_is_recognized(faces: dict[str, tuple[Image.Image, BoundingBox]]) -> None:
    image, box = faces["obama.jpg"]
    left = box.left + box.width // 4
    cropped = image.crop((left, 0, image.width, image.height))
    shifted = dataclasses.replace(box, left=box.left - left, right=box.right - left)
    quality = judged(cropped, shifted)
    assert quality.outside == pytest.approx(0.25, abs=0.01)
    assert QualityReason.CUT_BY_BORDER in quality.reasons


@pytest.mark.parametrize(
    ("nose", "turned"), [((50, 78), False), ((85, 78), True), ((15, 78), True), ((50, 35), True)]
)
def test_a_head_is_turned_when_its_nose_is_not_below_the_middle_of_the_eyes(
    nose: tuple[int, int], turned: bool
) -> None:
    points = np.array([(100, 50), (75, 50), (0, 50), (25, 50), (nose[0], nose[1] + 30)], dtype=np.int32)
    chip = np.random.default_rng(1).integers(60, 190, (150, 150, 3), dtype=np.uint8)
    landmarks = Landmarks(Alignment.SMALL, points)
    quality = ASSESSOR.assess(chip, landmarks, BoundingBox(0, 99, 99, 0), (200, 200))
    assert (QualityReason.TURNED in quality.reasons) == turned
    assert quality.roll_degrees == 0
