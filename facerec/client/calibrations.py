"""Error rates of a collection as the matcher measures them; distances are those of the encodings' space."""

import dataclasses
import datetime
from typing import Self

from facerec.client.scores import distance
from facerec.client.times import utc
from facerec.matcher import v1

BIN_DISTANCE = 0.005


@dataclasses.dataclass(frozen=True)
class Rate:
    """An error rate, a share, with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def from_message(cls, message: v1.Rate) -> Self:
        """Read the contract's message."""
        return cls(message.value, message.low, message.high)


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
    """The rates at a threshold; `frr` is None where too few people have two faces."""

    threshold: float
    far: Rate
    frr: Rate | None
    expected_false_hits: float

    @classmethod
    def from_message(cls, message: v1.OperatingPoint) -> Self:
        """Read the contract's message."""
        frr = Rate.from_message(message.frr) if message.HasField("frr") else None
        return cls(message.threshold, Rate.from_message(message.far), frr, message.expected_false_hits)


@dataclasses.dataclass(frozen=True)
class Suspect:
    """Two persons who are probably one."""

    person_id_a: str
    person_id_b: str
    distance: float | None


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What was measured of a collection, and the thresholds that keep the targets.

    `identify` is None where the pairs can't support its target, which `identify_needs` explains. The counts
    are of pairs by distance, in bins of BIN_DISTANCE from 0.
    """

    calibration_id: str
    create_time: datetime.datetime
    faces: int
    genuine_persons: int
    genuine_pairs: int
    impostor_persons: int
    impostor_pairs: int
    target_far: float
    target_false_hits: float
    verify: OperatingPoint
    identify: OperatingPoint | None
    identify_needs: str
    suspects: tuple[Suspect, ...]
    curve: tuple[OperatingPoint, ...]
    genuine_counts: tuple[int, ...]
    impostor_counts: tuple[int, ...]

    @classmethod
    def from_message(cls, response: v1.CalibrateResponse) -> Self:
        """Read the contract's message."""
        message = response.calibration
        return cls(
            calibration_id=message.calibration_id,
            create_time=utc(message.create_time),
            faces=message.faces,
            genuine_persons=message.genuine_persons,
            genuine_pairs=message.genuine_pairs,
            impostor_persons=message.impostor_persons,
            impostor_pairs=message.impostor_pairs,
            target_far=message.target_far,
            target_false_hits=message.target_false_hits,
            verify=OperatingPoint.from_message(message.verify),
            identify=OperatingPoint.from_message(message.identify) if message.HasField("identify") else None,
            identify_needs=message.identify_needs,
            suspects=tuple(
                Suspect(each.person_id_a, each.person_id_b, distance(each)) for each in message.suspects
            ),
            curve=tuple(map(OperatingPoint.from_message, message.curve)),
            genuine_counts=tuple(message.genuine_counts),
            impostor_counts=tuple(message.impostor_counts),
        )


@dataclasses.dataclass(frozen=True)
class AppliedCalibration:
    """A collection's thresholds before and after."""

    old_verify_threshold: float
    verify_threshold: float
    old_identify_threshold: float
    identify_threshold: float

    @classmethod
    def from_message(cls, message: v1.ApplyCalibrationResponse) -> Self:
        """Read the contract's message."""
        return cls(
            message.old_verify_threshold,
            message.verify_threshold,
            message.old_identify_threshold,
            message.identify_threshold,
        )
