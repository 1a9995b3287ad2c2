"""Claims and searches with several photos, and the rules that score a claim, beside numpy."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc.aio
import numpy as np
import numpy.typing as npt
import pytest

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import calibration_pb2, score_rule_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.calibration import claim_rates
from matcher_service.calibration.claim_rates import ClaimCounter, Claims
from matcher_service.domain.faces import ScoreRule
from tests.benchmarks.vectors import Dataset
from tests.e2e.matcher.catalog import create, get
from tests.e2e.matcher.requests import encoding, enroll, refused
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.matcher import RunningMatcher

NEAREST, RMS = score_rule_pb2.SCORE_RULE_NEAREST, score_rule_pb2.SCORE_RULE_ROOT_MEAN_SQUARE
Vectors = npt.NDArray[np.float32]
FACES = Dataset(40, photos=5, even=True, seed=21).all().encodings.reshape(40, 5, 128)
STORED = {"one": FACES[0, :1], "two": FACES[1, :2], "five": FACES[2]}
PHOTOS = Dataset(40, photos=21, even=True, seed=21).all().encodings.reshape(40, 21, 128)[:, 5:]


def scored(rule: score_rule_pb2.ScoreRule.ValueType, stored: Vectors, claimed: Vectors) -> float:
    """The distance of a claim by numpy."""
    gaps = stored[:, None].astype(float) - claimed[None].astype(float)
    squares = np.mean(np.sum(gaps**2, axis=2), axis=1)  # of each stored face
    return float(np.sqrt(squares.min() if rule == NEAREST else squares.mean()))


def claim(person_id: str, photos: Vectors, **fields: Any) -> pb.VerifyRequest:
    return pb.VerifyRequest(person_id=person_id, probes=[encoding(photo) for photo in photos], **fields)


async def fill(matcher: RunningMatcher) -> dict[str, list[str]]:
    """Enroll STORED; the ids of the faces."""
    answers = {
        name: await matcher.stub.Enroll(enroll(name, *map(encoding, stored)))
        for name, stored in STORED.items()
    }
    return {name: [face.face.face_id for face in answer.faces] for name, answer in answers.items()}


async def set_rule(matcher: RunningMatcher, rule: score_rule_pb2.ScoreRule.ValueType) -> None:
    settings = pb.CollectionSettings(score_rule=rule, verify_threshold=0.6)
    await matcher.collections.UpdateCollection(pb.UpdateCollectionRequest(settings=settings))


@pytest.mark.parametrize("rule", [NEAREST, RMS], ids=["nearest", "rms"])
async def test_claims_of_one_to_sixteen_photos_are_scored_as_numpy_scores_them(
    matcher: RunningMatcher, rule: score_rule_pb2.ScoreRule.ValueType
) -> None:
    face_ids = await fill(matcher)
    await set_rule(matcher, rule)
    asked = [
        (name, PHOTOS[number % 40, :photos]) for photos in range(1, 17) for number, name in enumerate(STORED)
    ]
    requests = [claim(name, photos, max_distance=0.6) for name, photos in asked]
    requests[0] = pb.VerifyRequest(person_id="one", probe=encoding(PHOTOS[0, 0]), max_distance=0.6)
    answers = await asyncio.gather(*(matcher.stub.Verify(request) for request in requests))
    for (name, photos), answer in zip(asked, answers, strict=True):
        expected = scored(rule, STORED[name], photos)
        assert answer.distance == pytest.approx(expected, abs=2e-6)
        assert answer.match == (answer.distance <= 0.6)
        assert (answer.score_rule, answer.photos) == (rule, len(photos))
        assert answer.faces_compared == len(STORED[name])
        apart = np.linalg.norm(STORED[name] - photos.mean(axis=0), axis=1)
        assert answer.nearest_face_id == face_ids[name][int(np.argmin(apart))]
    own = next(answer for (name, photos), answer in zip(asked, answers, strict=True) if len(photos) == 3)
    assert own.match
    assert (await matcher.stub.Verify(claim("five", PHOTOS[7, :3]))).match is False


async def test_a_photo_may_be_a_stored_face_or_in_another_form(matcher: RunningMatcher) -> None:
    face_ids = await fill(matcher)
    photos = np.stack([STORED["two"][0], PHOTOS[1, 0]])
    named = pb.VerifyRequest(
        person_id="five", probes=[pb.Probe(face_id=face_ids["two"][0]), encoding(PHOTOS[1, 0])]
    )
    answer = await matcher.stub.Verify(named)
    assert answer.distance == pytest.approx(scored(NEAREST, STORED["five"], photos), abs=2e-6)
    same = pb.IdentifyRequest(probes=named.probes, same_person=True)
    [found] = (await matcher.stub.Identify(same)).faces
    assert [candidate.person_id for candidate in found.candidates] == ["two"]
    one = pb.IdentifyRequest(probes=named.probes[:1], same_person=True)
    [found] = (await matcher.stub.Identify(one)).faces
    assert [candidate.distance for candidate in found.candidates] == [0.0]


async def test_claims_that_cannot_be_decided_are_refused_by_their_field(matcher: RunningMatcher) -> None:
    await fill(matcher)
    verify, good = matcher.stub.Verify, encoding(PHOTOS[0, 0])
    with refused(Reason.OPTION_INVALID, "probe"):
        await verify(pb.VerifyRequest(person_id="one"))
    with refused(Reason.OPTION_INVALID, "probes"):
        await verify(pb.VerifyRequest(person_id="one", probe=good, probes=[good]))
    with refused(Reason.OPTION_INVALID, "probes"):
        await verify(pb.VerifyRequest(person_id="one", probes=[good] * 17))
    with refused(Reason.OPTION_INVALID, "probes[1]"):
        await verify(pb.VerifyRequest(person_id="one", probes=[good, pb.Probe()]))
    with refused(Reason.FACE_NOT_FOUND, "probes[1].face_id"):
        unknown = pb.Probe(face_id="00000000-0000-0000-0000-000000000000")
        await verify(pb.VerifyRequest(person_id="one", probes=[good, unknown]))
    mixed = [good, encoding(PHOTOS[0, 1], space="other")]
    for number, probes in ((1, mixed), (0, mixed[::-1])):
        with refused(Reason.MODEL_MISMATCH, f"probes[{number}].encoding.space"):
            await verify(pb.VerifyRequest(person_id="one", probes=probes))
        with refused(Reason.MODEL_MISMATCH, f"probes[{number}].encoding.space"):
            await matcher.stub.Identify(pb.IdentifyRequest(probes=probes, same_person=True))
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await verify(claim("nobody", PHOTOS[0, :2]))
    with refused(Reason.OPTION_INVALID, "same_person"):
        await matcher.stub.Identify(pb.IdentifyRequest(probes=[good], same_person=True, all_faces=True))


async def test_a_rule_changes_only_together_with_the_threshold(matcher: RunningMatcher) -> None:
    settings = pb.CollectionSettings(score_rule=RMS)
    with refused(Reason.OPTION_INVALID, "settings.score_rule"):
        await matcher.collections.UpdateCollection(pb.UpdateCollectionRequest(settings=settings))
    with refused(Reason.OPTION_INVALID, "settings.score_rule"):
        await create(matcher, "a", settings=settings)
    unknown: Any = 9
    with refused(Reason.OPTION_INVALID, "settings.score_rule"):
        await create(matcher, "a", settings=pb.CollectionSettings(score_rule=unknown, verify_threshold=0.5))
    assert (await get(matcher, "")).settings.score_rule == NEAREST
    await set_rule(matcher, RMS)
    assert (await get(matcher, "")).settings.score_rule == RMS


def people(photos: Vectors, threshold: float, among: Sequence[int]) -> list[tuple[str, float]]:
    """Whom numpy finds near several photos, nearest first."""
    found = [(f"p{person:02}", scored(NEAREST, FACES[person], photos)) for person in among]
    return sorted((each for each in found if each[1] <= threshold), key=lambda each: each[1])


async def test_photos_of_one_person_are_searched_for_as_numpy_searches(matcher: RunningMatcher) -> None:
    names = [f"p{person:02}" for person in range(40) for _ in range(5)]
    await send(matcher, header(), chunk(FACES.reshape(-1, 128), names))
    matched = 0
    for person, photos, threshold in ((3, 2, 0.45), (5, 5, 0.7), (8, 16, 0.9), (9, 1, 0.7), (1, 4, 0.2)):
        probes = [encoding(photo) for photo in PHOTOS[person, :photos]]
        for among in (range(40), range(0, 12)):
            chosen = [] if len(among) == 40 else [f"p{each:02}" for each in among]
            request = pb.IdentifyRequest(
                probes=probes,
                same_person=True,
                max_distance=threshold,
                max_candidates=50,
                filter=pb.PersonFilter(person_ids=chosen),
            )
            [answer] = (await matcher.stub.Identify(request)).faces
            expected = people(PHOTOS[person, :photos], threshold, among)
            found = [(each.person_id, each.distance) for each in answer.candidates]
            assert [name for name, _ in found] == [name for name, _ in expected]
            assert [each for _, each in found] == pytest.approx([each for _, each in expected], abs=2e-6)
            assert (answer.photos, answer.matched_persons) == (photos, len(expected))
            assert all(distance <= threshold for _, distance in found)
            matched += len(expected)
    assert matched > 20


@pytest.mark.parametrize("rule", list(ScoreRule))
def test_rates_of_claims_are_those_that_numpy_counts(rule: ScoreRule) -> None:
    stored = [FACES[person, : 1 + person % 4] for person in range(40)]
    starts = np.cumsum([0, *map(len, stored)])
    for photos in (1, 3):
        counter = ClaimCounter(Claims(PHOTOS[:, :3].copy(), np.concatenate(stored), starts), rule, photos)
        for first in range(0, 40, claim_rates._ROWS_A_BLOCK):
            counter.count(first)
        number = NEAREST if rule is ScoreRule.NEAREST else RMS
        distances = np.array([[scored(number, each, one[:photos]) for each in stored] for one in PHOTOS])
        own = np.eye(40, dtype=bool)
        for point in counter.curve()[40:200:5]:
            assert point.fmr.value == pytest.approx(np.mean(distances[~own] <= point.threshold))
            assert point.fnmr is not None
            assert point.fnmr.value == pytest.approx(np.mean(distances[own] > point.threshold))
            assert 0 <= point.fmr.low <= point.fmr.value <= point.fmr.high <= 1


async def test_a_calibration_of_a_rule_sets_the_rule_with_its_threshold(matcher: RunningMatcher) -> None:
    names = [f"p{person:02}" for person in range(40) for _ in range(5)]
    await send(matcher, header(), chunk(FACES.reshape(-1, 128), names))
    calibrate, apply = matcher.collections.Calibrate, matcher.collections.ApplyCalibration
    request = calibration_pb2.CalibrateRequest(target_fmr=0.1, score_rule=RMS, photos=3)
    found = (await calibrate(request)).calibration
    rows = [(each.score_rule, each.photos) for each in found.scores]
    assert rows == [(rule, photos) for rule in (NEAREST, RMS) for photos in (1, 2, 3)]
    assert all(each.persons == 40 and each.point.fmr.value <= 0.1 for each in found.scores)
    chosen = found.scores[3].point
    assert (found.score_rule, found.verify.threshold, found.verify.fmr) == (RMS, chosen.threshold, chosen.fmr)
    pairs = (await calibrate(calibration_pb2.CalibrateRequest(target_fmr=0.1))).calibration
    assert (list(pairs.scores), pairs.score_rule) == ([], score_rule_pb2.SCORE_RULE_UNSPECIFIED)
    for calibration, threshold in ((found, found.verify.threshold), (pairs, pairs.verify.threshold)):
        named = calibration_pb2.ApplyCalibrationRequest(calibration_id=calibration.calibration_id)
        applied = await apply(named)
        assert (applied.score_rule, applied.verify_threshold) == (RMS, threshold)
        settings = (await get(matcher, "")).settings
        assert (settings.score_rule, settings.verify_threshold) == (RMS, threshold)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calibrate(calibration_pb2.CalibrateRequest(target_fmr=0.1, photos=5))
    error = from_rpc_error(caught.value, "the matcher")
    assert error.reason is Reason.CALIBRATION_UNSUPPORTED
    assert "with 6 faces or more; 0 were measured: enroll more photos" in error.message
    assert error.metadata == {
        "pairs": "0", "needed_pairs": "100", "persons": "0", "needed_persons": "20", "needed_faces": "6",
    }  # fmt: skip
    with refused(Reason.OPTION_INVALID, "max_persons"):
        await calibrate(calibration_pb2.CalibrateRequest(photos=1, max_persons=5001))
