"""The stored form of a quality."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest

from facerec.quality import Quality, QualityReason
from matcher_service.postgres.qualities import quality_bytes, read_quality

MEASURES = [field.name for field in dataclasses.fields(Quality)][1:-1]
ROUNDED: dict[str, Any] = {name: float(np.float32(math.pi * place)) for place, name in enumerate(MEASURES)}
QUALITY = Quality(face_pixels=4_000_000_000, **ROUNDED)


@pytest.mark.parametrize("count", range(len(QualityReason) + 1))
def test_every_set_of_reasons_is_read_as_it_was_stored(count: int) -> None:
    for reasons in itertools.combinations(QualityReason, count):
        quality = dataclasses.replace(QUALITY, reasons=tuple(reason.value for reason in reasons))
        assert len(quality_bytes(quality)) == 47
        assert read_quality(quality_bytes(quality)) == quality


def test_measures_are_rounded_to_single_precision() -> None:
    measured: dict[str, Any] = {name: math.pi * place for place, name in enumerate(MEASURES)}
    assert read_quality(quality_bytes(dataclasses.replace(QUALITY, **measured))) == QUALITY
    huge = read_quality(quality_bytes(dataclasses.replace(QUALITY, noise=1e300)))
    assert huge is not None
    assert huge.noise == math.inf


@pytest.mark.parametrize("stored", [None, b"", b"\x02" + bytes(80)])
def test_nothing_and_a_later_form_are_no_quality(stored: bytes | None) -> None:
    assert read_quality(stored) is None
