"""The picture of a calibration."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from facerec.cli.drawing.plotting import draw
from tests.unit.cli.test_tables import calibration

LONGEST_ID = "c" * 63


def test_a_picture_says_what_it_was_measured_on_and_when(tmp_path: Path) -> None:
    counts = (0,) * 50 + (5,) * 100
    found = dataclasses.replace(calibration(), genuine_counts=counts, impostor_counts=counts)
    draw(found, LONGEST_ID, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as opened:
        said = opened.text["Description"]  # type: ignore[attr-defined]
        ink = np.asarray(opened.convert("L")) < 200
    assert f"collection {LONGEST_ID}, {found.create_time:%Y-%m-%d}" in said
    assert "200 pairs of one person, 19,900 of two; verify threshold 0.550" in said
    strip = ink[-30:]
    assert strip.any(), "the words stand at the picture's foot"
    assert not strip[:, :10].any(), "and are not cut at its side"
