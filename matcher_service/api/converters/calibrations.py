"""Convert a calibration's messages to the domain's dataclasses, checked, and back."""

import dataclasses

from facerec.matcher.v1 import calibration_pb2 as pb
from facerec.matcher.v1 import score_rule_pb2
from matcher_service.api.converters.answers import SCORE_RULES
from matcher_service.api.converters.collections import score_rule
from matcher_service.calibration.calibrator import Applied, Calibration
from matcher_service.calibration.claim_rates import MAX_PERSONS as MAX_CLAIMANTS
from matcher_service.calibration.claim_rates import MAX_PHOTOS
from matcher_service.calibration.error_rates import MAX_PERSONS, MIN_PERSONS, Point, Rate
from matcher_service.calibration.group_rates import (
    GroupComparison,
    GroupPairRates,
    GroupRates,
    OneThreshold,
)
from matcher_service.calibration.search_rates import SearchPoint
from matcher_service.calibration.support import TARGET_FALSE_HITS, TARGET_FMR, Target
from matcher_service.domain import attributes, ids
from matcher_service.domain.errors import OptionInvalid

ONE_THRESHOLD = {
    OneThreshold.SERVES: pb.ONE_THRESHOLD_SERVES,
    OneThreshold.EXCEEDED: pb.ONE_THRESHOLD_EXCEEDED,
    OneThreshold.UNDECIDED: pb.ONE_THRESHOLD_UNDECIDED,
}


def group_label(request: pb.CalibrateRequest) -> str:
    """The key of a label, or "". Raises OptionInvalid, also beside a score_rule: groups are of pairs."""
    if request.group_label and request.score_rule:
        raise OptionInvalid(
            "group_label and score_rule exclude each other: groups are measured by pairs of faces",
            field="group_label",
        )
    return attributes.check_key(request.group_label, "group_label") if request.group_label else ""


def target(request: pb.CalibrateRequest) -> Target:
    """Read the target of a request. Raises OptionInvalid."""
    usual = Target()
    persons = request.max_persons
    rule = score_rule(request.score_rule, "score_rule")
    photos = ids.count(request.photos, "photos", 0, MAX_PHOTOS) or (1 if rule else 0)
    if persons:
        ids.count(persons, "max_persons", MIN_PERSONS, MAX_CLAIMANTS if photos else MAX_PERSONS)
    return Target(
        ids.number(request.target_fmr, "target_fmr", *TARGET_FMR)
        if request.HasField("target_fmr")
        else usual.fmr,
        ids.number(request.target_false_positives, "target_false_positives", *TARGET_FALSE_HITS)
        if request.HasField("target_false_positives")
        else usual.false_positives,
        persons or usual.persons,
        rule,
        photos,
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
        searches=map(_search_rates, found.searches),
        scores=[
            pb.ClaimRates(
                score_rule=SCORE_RULES[each.rule.value],
                photos=each.photos,
                point=_point(each.point, 0),
                persons=each.persons,
            )
            for each in found.scores
        ],
        score_rule=SCORE_RULES[found.target.score_rule]
        if found.target.score_rule
        else score_rule_pb2.SCORE_RULE_UNSPECIFIED,
    )
    if found.groups:
        message.groups.extend(map(_group_rates, found.groups.groups))
        message.between_groups.extend(_group_pair(found.groups, each) for each in found.groups.pairs)
        message.one_threshold_serves = ONE_THRESHOLD[found.groups.one_threshold]
    message.create_time.FromDatetime(found.create_time)
    return pb.CalibrateResponse(calibration=message)


def stored_message(found: Calibration) -> pb.CalibrateResponse:
    """Build a calibration that is stored, which names nobody: without the likely duplicates, and without the
    groups of fewer than MIN_PERSONS people, as the value of a label may be that of a single person.
    """
    groups = _of_many(found.groups) if found.groups else None
    response = calibration_message(dataclasses.replace(found, likely_duplicates=(), groups=groups))
    if found.groups and groups:
        response.calibration.omitted_groups = len(found.groups.groups) - len(groups.groups)
    return response


def _of_many(found: GroupComparison) -> GroupComparison:
    """The groups of MIN_PERSONS people or more, and the pairs of these."""
    kept = [number for number, group in enumerate(found.groups) if group.measured.persons >= MIN_PERSONS]
    place = {number: index for index, number in enumerate(kept)}
    pairs = [
        dataclasses.replace(pair, a=place[pair.a], b=place[pair.b])
        for pair in found.pairs
        if {pair.a, pair.b} <= place.keys()
    ]
    return dataclasses.replace(found, groups=[found.groups[number] for number in kept], pairs=pairs)


def applied_message(applied: Applied) -> pb.ApplyCalibrationResponse:
    """Build the thresholds before and after."""
    return pb.ApplyCalibrationResponse(
        old_verify_threshold=applied.old_verify,
        verify_threshold=applied.verify,
        old_identify_threshold=applied.old_identify,
        identify_threshold=applied.identify,
        score_rule=SCORE_RULES[applied.score_rule],
    )


def _point(point: Point, faces: int) -> pb.OperatingPoint:
    return pb.OperatingPoint(
        threshold=point.threshold,
        fmr=_rate(point.fmr),
        fnmr=_rate(point.fnmr),
        expected_false_positives=point.fmr.value * faces,
    )


def _group_rates(group: GroupRates) -> pb.GroupRates:
    measured, own = group.measured, group.own
    return pb.GroupRates(
        value=measured.value,
        persons=measured.persons,
        impostor_persons=measured.sample.impostor.persons,
        impostor_pairs=measured.sample.impostor_pairs,
        genuine_persons=len(measured.sample.genuine),
        genuine_pairs=measured.sample.genuine_pairs,
        fmr=_rate(group.fmr),
        fnmr=_rate(group.fnmr),
        exceeds_target=group.exceeds_target,
        own_threshold=own.threshold if own else None,
        own_fnmr=_rate(own.fnmr) if own else None,
        needs=measured.needs,
        needed_persons=measured.needed_persons,
    )


def _group_pair(found: GroupComparison, pair: GroupPairRates) -> pb.GroupPairRates:
    return pb.GroupPairRates(
        value_a=found.groups[pair.a].measured.value,
        value_b=found.groups[pair.b].measured.value,
        fmr=_rate(pair.fmr),
        fmr_differs=pair.fmr_differs,
        fnmr_differs=pair.fnmr_differs,
    )


def _search_rates(point: SearchPoint) -> pb.SearchRates:
    return pb.SearchRates(
        target_fpir=point.target_fpir,
        threshold=point.threshold,
        fpir=_rate(point.fpir),
        fnir=_rate(point.fnir),
        needs=point.needs,
    )


def _rate(rate: Rate | None) -> pb.Rate | None:
    return pb.Rate(value=rate.value, low=rate.low, high=rate.high) if rate else None
