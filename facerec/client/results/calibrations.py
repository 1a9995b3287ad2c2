"""Error rates of a collection, measured by the matcher, and the thresholds chosen by them."""

import dataclasses
import datetime
from typing import Self

from facerec.client.results.distances import distance
from facerec.client.results.group_rates import GroupPairRates, GroupRates, one_threshold
from facerec.client.results.rates import Rate
from facerec.client.results.score_rules import score_rule_name
from facerec.client.results.search_rates import SearchRates
from facerec.client.times import utc
from facerec.matcher import v1

BIN_DISTANCE = 0.005
"""The width of a bin of `Calibration.genuine_counts` and `impostor_counts`: a Euclidean distance."""


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
    """A threshold and the error rates at it.

    Attributes:
        threshold: The largest Euclidean distance, inclusive, that is a match.
        fmr: The false match rate (FMR): the share of pairs of faces of different persons that match.
        fnmr: The false non-match rate (FNMR): the mean over persons of the share of pairs of their own faces
            that do not match. None where too few persons have two faces.
        expected_false_positives: An upper bound of the expected number of faces that the face of an
            unenrolled person matches in `identify` (expected false positives): `fmr` times the collection's
            faces.
    """

    threshold: float
    fmr: Rate
    fnmr: Rate | None
    expected_false_positives: float

    @classmethod
    def from_message(cls, message: v1.OperatingPoint) -> Self:
        """Read the contract's message."""
        fnmr = Rate.of(message, "fnmr")
        return cls(message.threshold, Rate.from_message(message.fmr), fnmr, message.expected_false_positives)


@dataclasses.dataclass(frozen=True)
class LikelyDuplicate:
    """A likely duplicate: two persons who are probably one.

    Attributes:
        person_id_a: One of them.
        person_id_b: The other.
        distance: Between a face of each.
    """

    person_id_a: str
    person_id_b: str
    distance: float | None


@dataclasses.dataclass(frozen=True)
class ClaimRates:
    """The error rates of claims of so many photos by a rule.

    Attributes:
        score_rule: The rule: `nearest` or `root_mean_square`.
        photos: How many photos each claim has.
        point: The largest threshold whose false match rate is at most `target_fmr`, and the rates there.
        persons: How many persons were measured: a claim of each against the faces of every one.
    """

    score_rule: str
    photos: int
    point: OperatingPoint
    persons: int

    @classmethod
    def from_message(cls, message: v1.ClaimRates) -> Self:
        """Read the contract's message."""
        point = OperatingPoint.from_message(message.point)
        return cls(score_rule_name(message.score_rule), message.photos, point, message.persons)


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The answer of `calibrate`: what was measured, and the thresholds for the targets.

    Attributes:
        calibration_id: The id for `apply_calibration`, a UUID.
        create_time: When it was measured.
        faces: About how many faces the collection had.
        genuine_persons: How many persons with two faces or more were measured, 4,000 at most.
        genuine_pairs: How many pairs of faces of one person.
        impostor_persons: How many persons were compared with each other.
        impostor_pairs: How many pairs of faces of different persons.
        target_fmr: The `target_fmr` asked for.
        target_false_positives: The `target_false_positives` asked for.
        verify: The largest threshold whose false match rate is at most `target_fmr`, of pairs of faces, or
            with a `score_rule` of claims of one photo by it.
        identify: The largest threshold at which `target_false_positives` are expected; None where there are
            too few pairs to measure it.
        identify_needs: Where `identify` is None, what would give one: the `max_persons` to set, or the
            `target_false_positives` that the pairs support. "" otherwise.
        likely_duplicates: Likely duplicates, whose pairs raise the false match rate; the nearest 20 at most.
        curve: The rates at every threshold, in steps of 0.005.
        genuine_counts: How many genuine pairs have which distance, in bins of BIN_DISTANCE from 0.
        impostor_counts: The same of impostor pairs.
        groups: The error rates of the people with each value of `group_label`, the largest group first; empty
            if it was not given.
        between_groups: Those of each pair of groups.
        one_threshold_serves: Whether `verify` serves all groups: "serves" (the 95 % interval of the false
            match rate within every group ends at `target_fmr` or below), "exceeded" (a group's is more, one
            whose `exceeds_target` is True), "undecided" (it is not known), or "" without groups.
        omitted_groups: How many groups of fewer than 20 people `groups` does not have: with a `request_id`
            the answer is stored, and does not name them.
        searches: Thresholds for `identify` by false positive identification rate, of 0.003 and 0.001.
        scores: The rates of claims, by each rule and for 1 to `photos` photos; empty unless they were asked
            for.
        score_rule: The rule that `apply_calibration` sets; "" where pairs were measured: then it stays.
    """

    calibration_id: str
    create_time: datetime.datetime
    faces: int
    genuine_persons: int
    genuine_pairs: int
    impostor_persons: int
    impostor_pairs: int
    target_fmr: float
    target_false_positives: float
    verify: OperatingPoint
    identify: OperatingPoint | None
    identify_needs: str
    likely_duplicates: tuple[LikelyDuplicate, ...]
    curve: tuple[OperatingPoint, ...]
    genuine_counts: tuple[int, ...]
    impostor_counts: tuple[int, ...]
    groups: tuple[GroupRates, ...]
    between_groups: tuple[GroupPairRates, ...]
    one_threshold_serves: str
    omitted_groups: int
    searches: tuple[SearchRates, ...]
    scores: tuple[ClaimRates, ...]
    score_rule: str

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
            target_fmr=message.target_fmr,
            target_false_positives=message.target_false_positives,
            verify=OperatingPoint.from_message(message.verify),
            identify=OperatingPoint.from_message(message.identify) if message.HasField("identify") else None,
            identify_needs=message.identify_needs,
            likely_duplicates=tuple(
                LikelyDuplicate(pair.person_id_a, pair.person_id_b, distance(pair))
                for pair in message.likely_duplicates
            ),
            curve=tuple(map(OperatingPoint.from_message, message.curve)),
            genuine_counts=tuple(message.genuine_counts),
            impostor_counts=tuple(message.impostor_counts),
            groups=tuple(map(GroupRates.from_message, message.groups)),
            between_groups=tuple(map(GroupPairRates.from_message, message.between_groups)),
            one_threshold_serves=one_threshold(message),
            omitted_groups=message.omitted_groups,
            searches=tuple(map(SearchRates.from_message, message.searches)),
            scores=tuple(map(ClaimRates.from_message, message.scores)),
            score_rule=score_rule_name(message.score_rule),
        )


@dataclasses.dataclass(frozen=True)
class AppliedCalibration:
    """The answer of `apply_calibration`: the collection's thresholds, Euclidean distances.

    Attributes:
        old_verify_threshold: The `verify_threshold` before.
        verify_threshold: The `verify_threshold` now.
        old_identify_threshold: The `identify_threshold` before.
        identify_threshold: The `identify_threshold` now; unchanged where the calibration has none.
        score_rule: The `score_rule` now; unchanged where the calibration has none.
    """

    old_verify_threshold: float
    verify_threshold: float
    old_identify_threshold: float
    identify_threshold: float
    score_rule: str

    @classmethod
    def from_message(cls, message: v1.ApplyCalibrationResponse) -> Self:
        """Read the contract's message."""
        return cls(
            message.old_verify_threshold,
            message.verify_threshold,
            message.old_identify_threshold,
            message.identify_threshold,
            score_rule_name(message.score_rule),
        )
