"""The figures of other systems: a short form of the benchmark, and what makes go-face's space ours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks.encoder.pictures import Photo
from tests.benchmarks.other_systems import figures, systems
from tests.benchmarks.other_systems.figures import Pair
from tests.benchmarks.other_systems.systems import Faces


@pytest.fixture(scope="module")
def photo(sample_photos: Path) -> Photo:
    with Image.open(sample_photos / "obama2.jpg") as image:
        return Photo("obama2", "obama", image.convert("RGB").reduce(2))


@pytest.fixture(scope="module")
def ours(photo: Photo) -> Faces:
    return systems.of_face_recognition([photo])


@pytest.fixture(scope="module")
def go_face(photo: Photo) -> Faces:
    return systems.of_go_face([photo])


def test_go_face_makes_face_recognition_s_vector_of_a_box(
    photo: Photo, go_face: Faces, face_recognition: Any
) -> None:
    (face,) = go_face["obama2"]
    left, top, right, bottom = map(int, face.box)
    (vector,) = face_recognition.face_encodings(np.asarray(photo.image), [(top, right, bottom, left)])
    assert np.array_equal(face.vector, vector)


def test_go_face_s_own_box_makes_nearly_the_same_vector(photo: Photo, ours: Faces, go_face: Faces) -> None:
    (pair,) = figures.matched([photo], ours, go_face)
    assert np.linalg.norm(pair.ours - pair.theirs) < 0.3


def test_a_chip_is_the_one_that_face_recognition_encodes(photo: Photo, ours: Faces) -> None:
    (chip,) = systems.chips([photo], ours)
    pixels = np.asarray(chip.image)
    vector = systems.Dlib().network.compute_face_descriptor(pixels)
    assert np.allclose(vector, ours["obama2"][0].vector, atol=1e-6)


def test_rates_are_counted_over_pairs_of_photos() -> None:
    def vector(value: float) -> systems.Vector:
        return np.full(128, value / np.sqrt(128))

    pairs = [
        Pair("ann", vector(0), vector(0.1)),
        Pair("ann", vector(0.7), vector(0.7)),
        Pair("bob", vector(2), vector(1.2)),
    ]
    *_, fnmr, fmr = figures.across(pairs)
    assert (fnmr, fmr) == ("1 of 2", "1 of 4")
    *_, fnmr, fmr = figures.within([(pair.person, pair.ours) for pair in pairs])
    assert (fnmr, fmr) == ("1 of 1", "0 of 2")
    assert figures.of_one_face(pairs) == [3, "0.10", "0.73", "0.80"]
