"""The HOG detector is dlib's own, which is unpacked once."""

from pathlib import Path

import dlib
import pytest

from encoder_service.detection import detector
from encoder_service.detection.detector import HogDetector


def test_the_detector_is_unpacked_once_and_is_dlibs_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    HogDetector(max_pixels=1, cache_folder=tmp_path)
    theirs = dlib.get_frontal_face_detector().__getstate__()
    monkeypatch.setattr(dlib, "get_frontal_face_detector", lambda: pytest.fail("unpacked again"))
    again = HogDetector(max_pixels=1, cache_folder=tmp_path)
    assert again._detector().__getstate__() == theirs
    assert [path.name for path in tmp_path.iterdir()] == [detector.entry_path(tmp_path).name]


def test_without_a_cache_folder_it_is_unpacked_at_each_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = HogDetector(max_pixels=1, cache_folder=tmp_path / "file" / "below")
    assert found._detector().__getstate__() == dlib.get_frontal_face_detector().__getstate__()
