"""Planes are resized exactly as dlib does."""

import dlib
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from encoder_service.detection.mmod import resizing

sides = st.integers(5, 300)
seeds = st.integers(0, 2**32 - 1)


@given(sides, sides, seeds)
def test_a_level_is_that_of_dlib(width: int, height: int, seed: int) -> None:
    planes = np.random.default_rng(seed).uniform(-123, 151, (3, height, width)).astype(np.float32)
    smaller = int(5 / 6 * height), int(5 / 6 * width)
    expected = np.stack([dlib.resize_image(plane, *smaller) for plane in planes])
    assert np.abs(resizing.resize(planes, *smaller) - expected).max() <= 2e-5


def test_a_large_level_is_sampled_where_dlib_samples_it() -> None:
    """Positions computed in another precision differ here by a hundredth of a pixel."""
    planes = np.random.default_rng(0).uniform(-123, 151, (3, 60, 5000)).astype(np.float32)
    expected = np.stack([dlib.resize_image(plane, 50, 4166) for plane in planes])
    assert np.abs(resizing.resize(planes, 50, 4166) - expected).max() <= 2e-5


@given(st.integers(1, 150), st.integers(1, 150), seeds)
def test_a_doubled_image_is_that_of_dlib_to_the_bit(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = dlib.resize_image(pixels, 2 * height + 1, 2 * width + 2)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    assert np.array_equal(resizing.double(planes).transpose(1, 2, 0), expected)


def test_an_image_of_one_color_keeps_it_when_doubled_as_by_dlib() -> None:
    """Weights that add up to a hair less than one take one from a color."""
    for value in (1, 77, 200, 255):
        pixels = np.full((9, 31, 3), value, dtype=np.uint8)
        expected = dlib.resize_image(pixels, 19, 64)
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
        assert np.array_equal(resizing.double(planes).transpose(1, 2, 0), expected)
