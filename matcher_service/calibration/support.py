"""Whether the measured pairs support the requested error rates, and what to do if they do not."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from matcher_service.calibration.error_rates import (
    EVENTS,
    MAX_PERSONS,
    MIN_PERSONS,
    Point,
    Sample,
    largest_within,
    needed_pairs,
    needed_persons,
)
from matcher_service.domain.errors import CalibrationUnsupported

TARGET_FMR: Final = (1e-7, 0.1)
TARGET_FALSE_HITS: Final = (1e-4, 10.0)
"""The range of a request."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A target FMR, target expected false positives of a search, and the maximum number of persons to
    compare.

    With `photos` claims of up to so many photos are measured too; `score_rule`, a value of ScoreRule, is that
    of the verify threshold, None for pairs of faces.
    """

    fmr: float = 1e-3
    false_positives: float = 0.01
    persons: int = 1000
    score_rule: str | None = None
    photos: int = 0


def check_support(persons: int, target: Target) -> None:
    """Raises CalibrationUnsupported if that many persons form too few pairs for the target."""
    have, need = persons * (persons - 1) // 2, needed_pairs(target.fmr)
    needed = max(MIN_PERSONS, needed_persons(need))
    if persons >= needed:
        return
    larger = round_up(EVENTS / max(1, have))
    advice = [_more_persons(persons, needed, target)]
    if larger <= TARGET_FMR[1] and persons >= MIN_PERSONS:
        advice.insert(0, f"ask for a target_fmr of {larger:g} or more")
    raise CalibrationUnsupported(
        f"a false match rate of {target.fmr:g} requires {need} pairs of different persons ({needed} "
        f"persons); {have} pairs ({persons} persons) were compared: {' or '.join(advice)}",
        metadata={
            "pairs": str(have),
            "needed_pairs": str(need),
            "persons": str(persons),
            "needed_persons": str(needed),
        },
    )


def identify_point(
    curve: Sequence[Point], sample: Sample, faces: int, target: Target
) -> tuple[Point | None, str]:
    """The threshold for searches among `faces` faces and ""; or None and what to do to support one."""
    max_fmr = min(1.0, target.false_positives / max(1, faces))
    need = needed_pairs(max_fmr)
    if sample.impostor_pairs >= need:
        return largest_within(curve, max_fmr), ""
    persons, compared = needed_persons(need), sample.impostor.persons
    advice = [_more_persons(compared, persons, target)]
    supported = round_up(faces * EVENTS / sample.impostor_pairs)
    if supported <= TARGET_FALSE_HITS[1]:
        advice.insert(0, f"ask for target_false_positives of {supported:g} or more")
    return None, (
        f"{target.false_positives:g} false positives a search among {faces} faces are a false match rate of "
        f"{max_fmr:.2g}, which requires {need} pairs of different persons ({persons} persons); "
        f"{sample.impostor_pairs} were measured: {' or '.join(advice)}"
    )


def _more_persons(compared: int, needed: int, target: Target) -> str:
    """How to compare more persons: with a higher limit if that was reached, else with more people."""
    if needed > MAX_PERSONS:
        return f"split the collection, as at most {MAX_PERSONS} persons are compared"
    if compared == target.persons:
        return f"set max_persons to {needed}, if the collection has as many"
    return "enroll more people"


def round_up(value: float) -> float:
    """Round up to two significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit) * unit:.2g}")
