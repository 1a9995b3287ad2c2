"""Error rates equal those of numpy, are refused where they cannot be known, and are audited when applied."""

import asyncio
import math
import re
import threading
import uuid
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt
import pytest

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import calibration_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.calibration import error_rates
from matcher_service.calibration.impostors import ROWS_A_BLOCK, PairCounter
from tests.benchmarks.calibration_groups import distances
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.dataset import load
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.waiting import LIMIT_SECONDS

Calibration = calibration_pb2.Calibration


async def calibrate(matcher: RunningMatcher, **fields: Any) -> Calibration:
    request = calibration_pb2.CalibrateRequest(**fields)
    found: Calibration = (await matcher.collections.Calibrate(request)).calibration
    return found


async def fill(url: str, faces: Faces) -> None:
    connection = await asyncpg.connect(url)
    try:
        await load(connection, faces)
    finally:
        await connection.close()


def binned(distances: npt.NDArray[Any]) -> list[int]:
    places = np.minimum(np.floor(distances / error_rates.BIN).astype(int), error_rates.BINS - 1)
    counts: list[int] = np.bincount(places, minlength=error_rates.BINS).tolist()
    return counts


def nearest_others(faces: npt.NDArray[Any]) -> npt.NDArray[Any]:
    found = []
    for first in range(0, len(faces), 500):
        apart = distances(faces[first : first + 500], faces)
        np.fill_diagonal(apart[:, first:], np.inf)
        found.append(apart.min(axis=1))
    return np.concatenate(found)


async def test_every_pair_is_counted_as_numpy_counts_it(matcher: RunningMatcher, database_url: str) -> None:
    dataset = Dataset(120, photos=3, even=True, seed=4).all()
    await fill(database_url, dataset)
    found = await calibrate(matcher, target_fmr=0.1)
    faces = dataset.encodings.astype(np.float64).reshape(120, 3, 128)
    own = np.concatenate(
        [np.linalg.norm(faces[:, a] - faces[:, b], axis=1) for a, b in ((0, 1), (0, 2), (1, 2))]
    )
    assert (found.genuine_persons, found.genuine_pairs) == (120, 360)
    assert (found.impostor_persons, found.impostor_pairs) == (120, 120 * 119 // 2)
    differences = np.array(binned(own)) - np.array(found.genuine_counts)
    assert np.abs(differences).sum() <= 2  # a distance at a bin's very edge
    assert sum(found.impostor_counts) == found.impostor_pairs
    everyone = np.linalg.norm(faces[:, 0, None] - faces[None, :, 0], axis=2)[np.triu_indices(120, 1)]
    drawn = np.repeat(np.arange(error_rates.BINS), found.impostor_counts) * error_rates.BIN
    assert np.median(drawn) == pytest.approx(np.median(everyone), abs=0.02)


async def test_the_threshold_meets_the_target_and_has_its_other_error_rate(
    matcher: RunningMatcher, database_url: str
) -> None:
    await fill(database_url, Dataset(600, photos=2, even=True, seed=5).all())
    found = await calibrate(matcher, target_fmr=0.01)
    assert (
        found.verify.fmr.value
        <= 0.01
        < next(point.fmr.value for point in found.curve if point.threshold > found.verify.threshold)
    )
    assert found.verify.fmr.low < found.verify.fmr.value < found.verify.fmr.high
    assert 0.6 < found.verify.threshold < 0.7  # about 1 % of different people lie under 0.64
    assert found.verify.fnmr.value < 0.02
    assert not found.HasField("identify")  # 0.01 hits among 1,200 faces are a rate of 8e-6
    assert "persons" in found.identify_needs
    loose = await calibrate(matcher, target_fmr=0.01, target_false_positives=5)
    assert loose.identify.expected_false_positives <= 5
    rates = [point.fmr.value for point in found.curve]
    assert rates == sorted(rates)


async def test_a_target_that_the_people_cannot_support_is_refused_with_the_number_needed(
    matcher: RunningMatcher, database_url: str
) -> None:
    await fill(database_url, Dataset(60, photos=2, even=True, seed=6).all())
    with pytest.raises(Exception) as caught:
        await calibrate(matcher, target_fmr=1e-4)
    error = from_rpc_error(caught.value, "the matcher")  # type: ignore[arg-type]
    assert error.reason is Reason.CALIBRATION_UNSUPPORTED
    assert error.metadata == {
        "pairs": "1770", "needed_pairs": "100000", "persons": "60", "needed_persons": "448",
    }  # fmt: skip
    assert (await calibrate(matcher, target_fmr=0.01)).verify.threshold > 0


async def test_if_nobody_has_two_faces_there_is_a_far_and_no_frr(matcher: RunningMatcher) -> None:
    faces = vectors(60)
    await send(matcher, header(), chunk(faces, [f"p{index}" for index in range(60)]))
    found = await calibrate(matcher, target_fmr=0.1)
    assert (found.genuine_persons, found.genuine_pairs) == (0, 0)
    assert found.verify.HasField("fmr")
    assert not found.verify.HasField("fnmr")


async def test_a_person_under_two_ids_is_named_as_a_likely_duplicate(
    matcher: RunningMatcher, database_url: str
) -> None:
    dataset = Dataset(100, photos=2, even=True, seed=7).all()
    await fill(database_url, dataset)
    twin = dataset.encodings[0] + np.random.default_rng(0).normal(scale=0.005, size=128)
    await matcher.stub.Enroll(enroll("twin", encoding(twin.astype(np.float32))))
    found = await calibrate(matcher, target_fmr=0.01)
    pairs = {frozenset((each.person_id_a, each.person_id_b)) for each in found.likely_duplicates}
    one_of_two = any("twin" in pair for pair in pairs)
    assert one_of_two or not pairs  # the face drawn of p0 may be the other one
    again = [await calibrate(matcher, target_fmr=0.01) for _ in range(6)]
    assert any(
        "twin" in (each.person_id_a, each.person_id_b) for one in again for each in one.likely_duplicates
    )


async def test_a_calibration_is_applied_on_request_and_kept(
    matcher: RunningMatcher, database_url: str
) -> None:
    await fill(database_url, Dataset(200, photos=2, even=True, seed=8).all())
    found = await calibrate(matcher, target_fmr=0.01)
    before = (await matcher.collections.GetCollection(pb.GetCollectionRequest())).collection.settings
    assert (before.verify_threshold, before.identify_threshold) == (0.6, 0.5)
    request = calibration_pb2.ApplyCalibrationRequest(calibration_id=found.calibration_id)
    applied = await matcher.collections.ApplyCalibration(request)
    assert (applied.old_verify_threshold, applied.verify_threshold) == (0.6, found.verify.threshold)
    after = (await matcher.collections.GetCollection(pb.GetCollectionRequest())).collection.settings
    assert after.verify_threshold == found.verify.threshold
    assert after.identify_threshold == (found.identify.threshold if found.HasField("identify") else 0.5)
    connection = await asyncpg.connect(database_url)
    try:
        row = await connection.fetchrow("SELECT evidence::text, applied_time FROM facerec.calibration")
    finally:
        await connection.close()
    assert row is not None
    assert row["applied_time"] is not None
    assert str(found.impostor_persons) in row["evidence"]
    assert "p1" not in row["evidence"]
    with refused(Reason.CALIBRATION_NOT_FOUND, "calibration_id"):
        await matcher.collections.ApplyCalibration(
            calibration_pb2.ApplyCalibrationRequest(calibration_id=str(uuid.uuid4()))
        )


async def test_the_advice_for_a_missing_identify_threshold_gives_one(
    matcher: RunningMatcher, database_url: str
) -> None:
    await fill(database_url, Dataset(300, photos=2, even=True, seed=9).all())
    few = await calibrate(matcher, target_fmr=0.1, target_false_positives=0.5, max_persons=50)
    persons = re.search(r"set max_persons to (\d+)", few.identify_needs)
    hits = re.search(r"target_false_positives of ([\d.]+) or more", few.identify_needs)
    assert not few.HasField("identify")
    assert persons
    assert hits
    more = await calibrate(matcher, target_fmr=0.1, target_false_positives=0.5, max_persons=int(persons[1]))
    assert more.identify.expected_false_positives <= 0.5
    looser = await calibrate(matcher, target_fmr=0.1, target_false_positives=float(hits[1]), max_persons=50)
    assert looser.identify.threshold > 0
    everybody = await calibrate(matcher, target_fmr=0.1)
    assert "enroll more people" in everybody.identify_needs
    assert "max_persons" not in everybody.identify_needs


async def test_more_people_than_four_thousand_are_compared(
    matcher: RunningMatcher, database_url: str
) -> None:
    dataset = Dataset(4500, photos=1, even=True, seed=10).all()
    await fill(database_url, dataset)
    found = await calibrate(matcher, target_fmr=0.001, max_persons=50_000)
    assert (found.impostor_persons, found.impostor_pairs) == (4500, 4500 * 4499 // 2)
    probes = dataset.encodings.astype(np.float64)[:100]
    apart = np.concatenate([np.linalg.norm(dataset.encodings - probe, axis=1) for probe in probes])
    drawn = np.repeat(np.arange(error_rates.BINS), found.impostor_counts) * error_rates.BIN
    assert np.median(drawn) == pytest.approx(np.median(apart), abs=0.02)
    assert found.identify.expected_false_positives <= 0.01
    search, strict = found.searches
    nearest = nearest_others(dataset.encodings.astype(np.float64))
    assert search.fpir.value == pytest.approx((nearest <= search.threshold).mean())
    assert search.fpir.value <= 0.003 < (nearest <= search.threshold + error_rates.BIN).mean()
    assert not search.HasField("fnir")  # nobody has two faces
    assert "10000 persons as probes; 4500 were drawn: enroll more people" in strict.needs
    with refused(Reason.OPTION_INVALID, "max_persons"):
        await calibrate(matcher, max_persons=50_001)


async def test_a_calibration_whose_caller_hung_up_ends_at_its_next_block(
    matcher: RunningMatcher, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database_url, Dataset(300, photos=2, even=True, seed=11).all())
    loop, begun, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    counters: list[PairCounter] = []
    count = PairCounter.count

    def held(self: PairCounter, first: int) -> None:
        counters.append(self)
        if self is counters[0]:
            loop.call_soon_threadsafe(begun.set)
            release.wait(LIMIT_SECONDS)
        count(self, first)

    monkeypatch.setattr(PairCounter, "count", held)
    try:
        call = matcher.collections.Calibrate(calibration_pb2.CalibrateRequest(target_fmr=0.1))
        await begun.wait()
        call.cancel()
        # Another has its place, of which there is one, while a thread still has the first one's block.
        assert (await calibrate(matcher, target_fmr=0.1)).impostor_persons == 300
    finally:
        release.set()
    assert [each is counters[0] for each in counters].count(True) == 1
    assert len(counters) == 1 + math.ceil(300 / ROWS_A_BLOCK)


async def test_a_calibration_of_an_empty_collection_says_how_many_people_it_needs(
    matcher: RunningMatcher,
) -> None:
    with refused(Reason.CALIBRATION_UNSUPPORTED, message="142 persons"):
        await calibrate(matcher)
    with refused(Reason.OPTION_INVALID, "target_fmr"):
        await calibrate(matcher, target_fmr=0.5)
    with refused(Reason.OPTION_INVALID, "max_persons"):
        await calibrate(matcher, max_persons=3)
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await calibrate(matcher, collection_id="nowhere")
