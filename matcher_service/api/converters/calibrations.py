"""Convert a calibration's messages to the domain's dataclasses, checked, and back."""

import dataclasses

from facerec.matcher.v1 import calibration_pb2 as pb
from matcher_service.calibration.calibrator import Applied, Calibration
from matcher_service.calibration.error_rates import MAX_PERSONS, MIN_PERSONS, Point, Rate
from matcher_service.calibration.support import TARGET_FALSE_HITS, TARGET_FMR, Target
from matcher_service.domain import ids


def target(request: pb.CalibrateRequest) -> Target:
    """Read the target of a request. Raises OptionInvalid."""
    usual = Target()
    persons = request.max_persons
    if persons:
        ids.count(persons, "max_persons", MIN_PERSONS, MAX_PERSONS)
    return Target(
        ids.number(request.target_fmr, "target_fmr", *TARGET_FMR)
        if request.HasField("target_fmr")
        else usual.fmr,
        ids.number(request.target_false_positives, "target_false_positives", *TARGET_FALSE_HITS)
        if request.HasField("target_false_positives")
        else usual.false_positives,
        persons or usual.persons,
    )


def calibration_message(found: Calibration) -> pb.CalibrateResponse:
    """Build a calibration."""
    sample = found.sample
    message = pb.Calibration(
        calibration_id=str(found.calibration_id),
        faces=found.faces,
        genuine_persons=len(sample.genuine),
        genuine_pairs=sample.genuine_pairs,
        impostor_persons=sample.impostor.persons,
        impostor_pairs=sample.impostor_pairs,
        target_fmr=found.target.fmr,
        target_false_positives=found.target.false_positives,
        verify=_point(found.verify, found.faces),
        identify=_point(found.identify, found.faces) if found.identify else None,
        curve=[_point(point, found.faces) for point in found.curve],
        genuine_counts=sample.genuine.sum(axis=0).tolist(),
        impostor_counts=sample.impostor.pairs.tolist(),
        likely_duplicates=[
            pb.LikelyDuplicate(person_id_a=each.a, person_id_b=each.b, distance=each.distance)
            for each in found.likely_duplicates
        ],
        identify_needs=found.identify_needs,
    )
    message.create_time.FromDatetime(found.create_time)
    return pb.CalibrateResponse(calibration=message)


def stored_message(found: Calibration) -> pb.CalibrateResponse:
    """Build a calibration that is stored: without the likely duplicates, which are persons."""
    return calibration_message(dataclasses.replace(found, likely_duplicates=()))


def applied_message(applied: Applied) -> pb.ApplyCalibrationResponse:
    """Build the thresholds before and after."""
    return pb.ApplyCalibrationResponse(
        old_verify_threshold=applied.old_verify,
        verify_threshold=applied.verify,
        old_identify_threshold=applied.old_identify,
        identify_threshold=applied.identify,
    )


def _point(point: Point, faces: int) -> pb.OperatingPoint:
    return pb.OperatingPoint(
        threshold=point.threshold,
        fmr=_rate(point.fmr),
        fnmr=_rate(point.fnmr) if point.fnmr else None,
        expected_false_positives=point.fmr.value * faces,
    )


def _rate(rate: Rate) -> pb.Rate:
    return pb.Rate(value=rate.value, low=rate.low, high=rate.high)
