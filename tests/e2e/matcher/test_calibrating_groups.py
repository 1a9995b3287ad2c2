"""Error rates by group and of searches equal those of numpy, and nothing of a label is kept."""

import asyncpg
import numpy as np
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import calibration_pb2 as pb
from matcher_service.calibration import searches
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.calibration_groups import Vectors
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.requests import refused
from tests.e2e.matcher.test_calibrating import calibrate, fill
from tests.fixtures.matcher import RunningMatcher

SITES = ("bergen", "oslo", None, "a site of few")
"""Of 200, 150, 100 and 10 people."""


def site_of(person: int) -> str | None:
    return SITES[int(np.searchsorted([200, 350, 450], person, side="right"))]


async def fill_sites(url: str, faces: Faces) -> None:
    await fill(url, faces)
    person = partition_name("person", "default")
    connection = await asyncpg.connect(url)
    try:
        for number, site in enumerate(SITES):
            numbers = [f"p{n}" for n in range(460) if site_of(n) == site]
            if site is not None:
                await connection.execute(
                    f"UPDATE facerec.{person} SET labels = jsonb_build_object('site', $1::text, 'n', $2::int)"
                    " WHERE person_id = ANY ($3)",
                    site, number, numbers,
                )  # fmt: skip
    finally:
        await connection.close()


async def evidence(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SELECT evidence::text FROM facerec.calibration"))
    finally:
        await connection.close()


def distances(rows: Vectors, columns: Vectors) -> Vectors:
    apart: Vectors = np.linalg.norm(rows[:, None] - columns[None], axis=2)
    return apart


def value(message: pb.GroupRates) -> str | None:
    return message.value if message.HasField("value") else None


async def test_the_rates_of_groups_are_those_that_numpy_counts(
    matcher: RunningMatcher, database_url: str
) -> None:
    """All people are drawn, of one photo each, so the pairs are known."""
    dataset = Dataset(460, photos=1, even=True, seed=20).all()
    faces = dataset.encodings.astype(np.float64)
    faces[200:350] = faces[200:350] * 0.9 + 0.1 * faces[200]  # people of oslo look more alike
    await fill_sites(database_url, Faces(dataset.people, faces.astype(np.float32)))
    found = await calibrate(matcher, target_fmr=0.01, group_label="site")
    assert [(value(each), each.persons) for each in found.groups] == [
        ("bergen", 200), ("oslo", 150), (None, 100), ("a site of few", 10)
    ]  # fmt: skip
    threshold = found.verify.threshold
    members = {site: faces[[n for n in range(460) if site_of(n) == site]] for site in SITES}
    for group in found.groups[:3]:
        own = members[value(group)]
        pairs = distances(own, own)[np.triu_indices(len(own), 1)]
        assert group.impostor_pairs == len(pairs)
        assert group.fmr.value == pytest.approx((pairs <= threshold).mean(), abs=1.5 / len(pairs))
        assert group.fmr.low < group.fmr.value < group.fmr.high
        at = np.searchsorted(np.sort(pairs), [group.own_threshold, group.own_threshold + 0.005])
        assert at[0] - 1 <= 0.01 * len(pairs) < at[1] + 1
        assert not group.HasField("fnmr")  # nobody has two faces
    few = found.groups[3]
    assert not few.HasField("fmr")
    assert few.needed_persons == 46
    assert "enroll 36 more people of the group" in few.needs
    pair = next(each for each in found.between_groups if (each.value_a, each.value_b) == ("bergen", "oslo"))
    across = distances(members["bergen"], members["oslo"]) <= threshold
    assert pair.fmr.value == pytest.approx(across.mean(), abs=1.5 / across.size)
    assert pair.fmr.low < pair.fmr.value < pair.fmr.high
    assert pair.fmr_differs
    assert len(found.between_groups) == 6
    stored = await calibrate(matcher, target_fmr=0.01, group_label="site", request_id="r")
    assert [value(each) for each in stored.groups] == ["bergen", "oslo", None]
    assert [(each.value_a, each.value_b) for each in stored.between_groups] == [
        ("bergen", "oslo"), ("bergen", ""), ("oslo", "")
    ]  # fmt: skip
    assert "few" not in str(stored), "a value of few people is not kept with a stored answer"
    oslo = found.groups[1]
    assert oslo.exceeds_target
    assert oslo.own_threshold < threshold
    assert found.one_threshold_serves == pb.ONE_THRESHOLD_EXCEEDED
    kept = await evidence(database_url)
    assert str(oslo.fmr.value) in kept
    assert not any(word in kept for word in ("site", "oslo", "bergen"))
    await check_refused_labels(matcher)
    stored = await calibrate(matcher, target_fmr=0.01, group_label="site", request_id="by site")
    assert [value(each) for each in stored.groups] == ["bergen", "oslo", None]
    assert (stored.omitted_groups, len(stored.between_groups)) == (1, 3)
    connection = await asyncpg.connect(database_url)
    try:
        answer = await connection.fetchval("SELECT answer FROM facerec.operation")
    finally:
        await connection.close()
    assert b"oslo" in answer
    assert b"few" not in answer


async def check_refused_labels(matcher: RunningMatcher) -> None:
    with refused(Reason.OPTION_INVALID, "group_label"):
        await calibrate(matcher, group_label="No key")
    with refused(Reason.CALIBRATION_UNSUPPORTED, "group_label", message="nobody"):
        await calibrate(matcher, target_fmr=0.1, group_label="team")


async def test_a_label_of_too_many_values_is_refused_and_without_one_nothing_is_compared(
    matcher: RunningMatcher, database_url: str
) -> None:
    await fill(database_url, Dataset(60, photos=2, even=True, seed=21).all())
    connection = await asyncpg.connect(database_url)
    try:
        person = partition_name("person", "default")
        set_labels = f"UPDATE facerec.{person} SET labels = jsonb_build_object('desk', person_id)"
        await connection.execute(set_labels)
    finally:
        await connection.close()
    with refused(Reason.CALIBRATION_UNSUPPORTED, "group_label", message="more than 16 values"):
        await calibrate(matcher, target_fmr=0.1, group_label="desk")
    found = await calibrate(matcher, target_fmr=0.1)
    assert not found.groups
    assert found.one_threshold_serves == pb.ONE_THRESHOLD_UNSPECIFIED
    assert ["requires 3334 persons" in each.needs for each in found.searches] == [True, False]


async def test_thresholds_of_searches_have_the_rates_that_numpy_counts(
    matcher: RunningMatcher, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For rates that 300 people support; all are drawn, the photo of each at random."""
    monkeypatch.setattr(searches, "TARGET_FPIRS", (0.1, 0.001))
    monkeypatch.setattr(searches, "VECTORS_A_STATEMENT", 100)  # of 600 faces
    dataset = Dataset(300, photos=2, even=True, seed=22).all()
    noise = np.random.default_rng(22).normal(scale=0.035, size=(300, 128))
    dataset.encodings[1::2] += noise.astype(np.float32)  # so that some people have photos far apart
    await fill(database_url, dataset)
    found = await calibrate(matcher, target_fmr=0.05)
    loose, strict = found.searches
    faces = dataset.encodings.astype(np.float64)
    apart = distances(faces, faces)
    own = np.repeat(np.arange(300), 2)
    others = np.where(own[:, None] == own[None], np.inf, apart).min(axis=1)
    # Whichever photo is drawn, the share of the probes is between those of the nearer and the farther ones.
    nearest = others.reshape(300, 2)
    low = (nearest.max(axis=1) <= loose.threshold).mean()
    high = (nearest.min(axis=1) <= loose.threshold).mean()
    assert low <= loose.fpir.value <= high
    assert loose.fpir.value <= 0.1
    assert loose.fpir.low < loose.fpir.value < loose.fpir.high
    missed = (apart[np.arange(0, 600, 2), np.arange(1, 600, 2)] > loose.threshold).mean()
    assert loose.fnir.value == pytest.approx(missed)
    assert loose.fnir.low < loose.fnir.value < loose.fnir.high
    assert not strict.HasField("threshold")
    assert "enroll more people" in strict.needs
    assert '"searches"' in await evidence(database_url)
    monkeypatch.setattr(searches, "MAX_COMPARISONS", 99 * 600)
    bounded = (await calibrate(matcher, target_fmr=0.05)).searches[0]
    assert not bounded.HasField("threshold")
    assert "at most 594 faces can be searched for so many" in bounded.needs
