"""A copy has the size of a level of dlib's pyramid, and its boxes are mapped back as dlib does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder_service.detection.detector import HogDetector
from encoder_service.domain import scaling
from encoder_service.domain.faces import BoundingBox

SIDES = st.integers(20, 9000)
UPSAMPLE = st.integers(0, 2)


@given(SIDES, SIDES, UPSAMPLE, st.integers(80, 2000))
def test_a_copy_is_the_largest_within_its_bound(width: int, height: int, upsample: int, side: int) -> None:
    copy = scaling.largest_within(width, height, upsample, side)
    assert max(copy.width, copy.height) <= side or min(copy.width, copy.height) <= 6
    if copy.depth:
        assert max(copy.width, copy.height) * 1.2 + 3 > side
    assert copy.scale <= 2**upsample


@given(SIDES, SIDES, UPSAMPLE, st.integers(1, 3000))
def test_a_copy_that_shows_a_face_shows_it_as_large_as_the_window(
    width: int, height: int, upsample: int, face: int
) -> None:
    copy = scaling.smallest_showing(width, height, upsample, face=face, window=72)
    assert face * copy.scale >= 72 or copy.depth == 0
    smaller = scaling.largest_within(width, height, upsample, max(copy.width, copy.height) - 1)
    assert smaller.depth == copy.depth or face * smaller.scale < 72


@pytest.mark.parametrize("upsample", [0, 1])
@pytest.mark.parametrize("level", [1, 4, 9])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_box_is_mapped_back_and_rounded_as_dlib_does(upsample: int, level: int, depth: int) -> None:
    detector = HogDetector(max_pixels=10**9)
    copy = scaling.PyramidLevel(640, 480, upsample, level)
    for cell in range(-3, 40):
        edges = (8 * cell + 5, 8 * cell + 77)
        on_copy = [int(np.floor(scaling.enlarge(edge, depth) + 0.5)) for edge in edges]
        box = BoundingBox(top=on_copy[0], right=on_copy[1], bottom=on_copy[1], left=on_copy[0])
        whole = [float(np.floor(scaling.enlarge(edge, depth + level) + 0.5)) for edge in edges]
        points = [scaling.to_picture(edge, edge, copy) for edge in whole]
        left_top, right_bottom = [tuple(int(np.floor(value + 0.5)) for value in point) for point in points]
        back = detector.to_picture(box, copy)
        assert (back.left, back.top) == left_top
        assert (back.right, back.bottom) == right_bottom
