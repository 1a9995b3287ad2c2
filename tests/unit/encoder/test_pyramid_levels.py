"""The level that is searched is one of dlib's pyramid, and its boxes are mapped back as dlib does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder_service.detection.detector import HogDetector
from encoder_service.domain import scaling
from encoder_service.domain.faces import BoundingBox
from tests.benchmarks.encoder.engine import MODELS

SIDES = st.integers(20, 9000)
UPSAMPLE = st.integers(0, 2)


@pytest.fixture(scope="module")
def detector() -> HogDetector:
    return HogDetector(max_pixels=10**9, cache_folder=MODELS)


@given(SIDES, SIDES, UPSAMPLE, st.integers(80, 2000))
def test_a_level_is_the_largest_within_its_bound(width: int, height: int, upsample: int, side: int) -> None:
    level = scaling.largest_within(width, height, upsample, side)
    assert max(level.width, level.height) <= side or min(level.width, level.height) <= 6
    if level.depth:
        assert max(level.width, level.height) * 1.2 + 3 > side
    assert level.scale <= 2**upsample


@given(SIDES, SIDES, UPSAMPLE, st.integers(1, 3000))
def test_the_level_for_a_face_shows_it_at_least_as_large_as_the_window(
    width: int, height: int, upsample: int, face: int
) -> None:
    level = scaling.smallest_showing(width, height, upsample, face=face, window=72)
    assert face * level.scale >= 72 or level.depth == 0
    smaller = scaling.largest_within(width, height, upsample, max(level.width, level.height) - 1)
    assert smaller.depth == level.depth or face * smaller.scale < 72


@pytest.mark.parametrize("upsample", [0, 1])
@pytest.mark.parametrize("level_depth", [1, 4, 9])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_box_is_mapped_back_and_rounded_as_dlib_does(
    detector: HogDetector, upsample: int, level_depth: int, depth: int
) -> None:
    level = scaling.PyramidLevel(640, 480, upsample, level_depth)
    for cell in range(-3, 40):
        edges = (8 * cell + 5, 8 * cell + 77)
        on_level = [int(np.floor(scaling.enlarge(edge, depth) + 0.5)) for edge in edges]
        box = BoundingBox(top=on_level[0], right=on_level[1], bottom=on_level[1], left=on_level[0])
        whole = [float(np.floor(scaling.enlarge(edge, depth + level_depth) + 0.5)) for edge in edges]
        points = [scaling.undo_upsampling(edge, edge, level) for edge in whole]
        left_top, right_bottom = [tuple(int(np.floor(value + 0.5)) for value in point) for point in points]
        back = detector.to_picture(box, level)
        assert (back.left, back.top) == left_top
        assert (back.right, back.bottom) == right_bottom
