"""Calls that measure a collection's error rates, and set thresholds by them."""

from facerec.client.results.calibrations import AppliedCalibration, Calibration
from facerec.client.results.score_rules import score_rule_number
from facerec.client.rpc import Call
from facerec.client.times import read_consistency
from facerec.matcher import v1


def calibrate(
    *,
    target_fmr: float | None = None,
    target_false_positives: float | None = None,
    max_persons: int = 0,
    group_label: str = "",
    max_staleness_seconds: float | None = None,
    request_id: str = "",
    score_rule: str | None = None,
    photos: int = 0,
    collection_id: str = "",
) -> Call[Calibration]:
    """Measure a collection's error rates on its own persons, and find thresholds for two targets.

    It changes no threshold; `apply_calibration` does. It needs a key with `scores`.

    Args:
        target_fmr: The largest false match rate (FMR) of the verify threshold, a share of 1e-7 to 0.1. None
            is 0.001.
        target_false_positives: The largest expected number of faces that the face of an unenrolled person
            matches in `identify` (expected false positives), 1e-4 to 10. None is 0.01.
        max_persons: How many persons' faces are compared at most, 20 to 50,000. The time grows with its
            square: for 50,000 set a deadline of minutes by `with_options`. 0 is 1,000. From 3,334 on the
            error rates of searches are measured too (`searches`), which reads all faces.
        group_label: The key of a label, by whose values error rates are compared, 16 groups at most; people
            without it are a group of their own. "" compares none.
        max_staleness_seconds: How old what the call sees may be, more than 0 and at most what the matcher
            allows, 300 by default: it may miss changes acknowledged less than so many seconds before it
            began. It needs the database's primary all the same. None: it misses nothing.
        score_rule: `nearest` or `root_mean_square`: `verify` is then the threshold of claims of one photo by
            this rule, and `apply_calibration` sets both. None: of pairs of faces; the rule stays.
        photos: The largest number of photos of a claim whose rates are measured (`scores`), 0 to 5; at least
            20 persons need one face more. 0 is 1 with a `score_rule`, otherwise no claims are measured.
            `max_persons` is then 5,000 at most.
        request_id: Lets the work go on at the matcher if this call ends early, and its answer be asked for
            again: the same call with the same id, up to 128 characters, best random (`uuid.uuid4()`), waits
            for it or gets the answer of the first. "" is none: the work ends with the call.
        collection_id: The collection; "" is `default`.

    Returns:
        The thresholds, the error rates at them, and what they were measured on; with a `request_id` without
        `likely_duplicates`, as its answer is stored and names nobody.

    Raises:
        FacerecError: CALIBRATION_UNSUPPORTED (too few persons for `target_fmr`; `metadata` has `pairs`,
            `needed_pairs`, `persons` and `needed_persons`, of claims also `needed_faces` of each person; or
            nobody has `group_label`, or it has too many values), COLLECTION_NOT_FOUND, ID_INVALID,
            OPTION_INVALID, REQUEST_ID_REUSED (for another request).

    Example:
        >>> try:
        ...     calibration = collections.calibrate(target_fmr=0.001)
        ...     collections.apply_calibration(calibration.calibration_id)
        ... except FacerecError as error:
        ...     if error.reason is not Reason.CALIBRATION_UNSUPPORTED:
        ...         raise
        ...     print(error.metadata["persons"], "persons are too few")
        2 persons are too few
    """
    request = v1.CalibrateRequest(
        collection_id=collection_id,
        target_fmr=target_fmr,
        target_false_positives=target_false_positives,
        max_persons=max_persons,
        group_label=group_label,
        consistency=read_consistency(max_staleness_seconds),
        request_id=request_id,
        score_rule=score_rule_number(score_rule, "score_rule"),
        photos=photos,
    )
    return Call("Calibrate", request, Calibration.from_message)


def apply_calibration(calibration_id: str, *, collection_id: str = "") -> Call[AppliedCalibration]:
    """Set a collection's thresholds and score rule to those of a calibration. It needs a key with `scores`.

    Args:
        calibration_id: The id of a `Calibration`, a UUID in its 36-character form.
        collection_id: The collection that it was measured on; "" is `default`.

    Returns:
        The thresholds before and now, and the rule.

    Raises:
        FacerecError: CALIBRATION_NOT_FOUND (none of that id in the collection), COLLECTION_NOT_FOUND,
            ID_INVALID.
    """
    request = v1.ApplyCalibrationRequest(collection_id=collection_id, calibration_id=calibration_id)
    return Call("ApplyCalibration", request, AppliedCalibration.from_message)
