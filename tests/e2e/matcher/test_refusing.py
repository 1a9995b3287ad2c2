"""A collection that refuses duplicates accepts a face for one person only, also under concurrency."""

import asyncio

import asyncpg
import grpc.aio
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.blocking import STOPPED, held, owners, person_locked, waiting
from tests.e2e.matcher.catalog import change_settings, create
from tests.e2e.matcher.requests import Vector, encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher

Pair = tuple[RunningMatcher, RunningMatcher]
FLAG, REFUSE = pb.DUPLICATE_POLICY_FLAG, pb.DUPLICATE_POLICY_REFUSE
ROUNDS = 20
AT_ONCE = 8


async def test_of_concurrent_calls_that_enroll_one_face_one_succeeds(pair: Pair) -> None:
    await change_settings(pair[0], duplicate_policy=REFUSE)

    async def attempt(place: int, face: Vector) -> bool:
        try:
            await pair[place % 2].stub.Enroll(enroll(f"id{place}", encoding(face)))
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.ALREADY_EXISTS, error.details()
            return False
        return True

    for face in vectors(ROUNDS):
        taken = await asyncio.gather(*(attempt(place, face) for place in range(AT_ONCE)))
        assert sum(taken) == 1
        assert await owners(pair[0], face) == [f"id{taken.index(True)}"]


@pytest.mark.parametrize("others", [1, 101])
async def test_a_face_that_was_enrolled_since_the_search_is_found(
    pair: Pair, database_url: str, others: int
) -> None:
    first, second = pair
    ann, *faces = vectors(others + 1)
    await first.stub.Enroll(enroll("ann", encoding(ann)))
    await change_settings(first, duplicate_policy=REFUSE)
    async with held(database_url, person_locked("ann")):
        late = asyncio.ensure_future(first.stub.Enroll(enroll("ann", encoding(faces[0]))))
        await waiting(database_url)
        for begin in range(0, others, 64):
            await second.stub.Enroll(enroll("bob", *(encoding(face) for face in faces[begin : begin + 64])))
    with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
        await late
    assert await owners(first, faces[0]) == ["bob"]


async def test_a_person_merged_during_an_enrollment_is_not_enrolled_twice(
    matcher: RunningMatcher, database_url: str
) -> None:
    face, other = vectors(2)
    await change_settings(matcher, duplicate_policy=REFUSE)
    await matcher.stub.Enroll(enroll("ann", encoding(face)))
    await matcher.stub.Enroll(enroll("tom", encoding(other)))
    async with held(database_url, STOPPED):
        late = asyncio.ensure_future(matcher.stub.Enroll(enroll("ann", encoding(0.99 * face))))
        await waiting(database_url)
        await matcher.stub.MergePersons(
            pb.MergePersonsRequest(source_person_id="ann", target_person_id="tom")
        )
    with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
        await late
    assert await owners(matcher, face) == ["tom"]


async def test_a_face_deleted_during_its_enrollment_is_checked_for_duplicates(
    matcher: RunningMatcher, database_url: str
) -> None:
    (face,) = vectors(1)
    await matcher.stub.Enroll(enroll("bob", encoding(face)))
    had = await matcher.stub.Enroll(enroll("ann", encoding(face)))
    await change_settings(matcher, duplicate_policy=REFUSE)
    async with held(database_url, STOPPED):
        late = asyncio.ensure_future(matcher.stub.Enroll(enroll("ann", encoding(face))))
        await waiting(database_url)
        await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=had.faces[0].face.face_id))
    with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
        await late
    assert await owners(matcher, face) == ["bob"]


async def test_a_running_enrollment_follows_a_changed_policy(
    matcher: RunningMatcher, database_url: str
) -> None:
    (face,) = vectors(1)
    await matcher.stub.Enroll(enroll("bob", encoding(face)))
    async with held(database_url, STOPPED) as connection:
        late = asyncio.ensure_future(matcher.stub.Enroll(enroll("ann", encoding(face))))
        await waiting(database_url)
        await connection.execute("UPDATE facerec.collection SET duplicate_policy = 'refuse'")
        await connection.execute("INSERT INTO facerec.recent_enrollment (collection_id) VALUES ('default')")
    with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
        await late
    assert await owners(matcher, face) == ["bob"]


@pytest.mark.parametrize("change", [{"duplicate_policy": REFUSE}, {"duplicate_threshold": 0.5}])
async def test_a_stricter_policy_waits_for_enrollments_that_follow_the_old_one(
    pair: Pair, database_url: str, change: dict[str, object]
) -> None:
    (face,) = vectors(1)
    before = {"duplicate_policy": FLAG, "duplicate_threshold": 0.5} | (
        {"duplicate_policy": REFUSE, "duplicate_threshold": 0.0} if "duplicate_threshold" in change else {}
    )
    await change_settings(pair[0], **before)
    taken = (
        f"INSERT INTO facerec.{partition_name('enroll_request', 'default')}"
        " VALUES ('default', facerec.request_tag('r'), '', 1, true, '{}', '{}', '{}', '{}')"
    )
    connection = await asyncpg.connect(database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(taken)
        early = asyncio.ensure_future(pair[0].stub.Enroll(enroll("ann", encoding(face), request_id="r")))
        await waiting(database_url)
        changed = asyncio.ensure_future(change_settings(pair[1], **change))
        await waiting(database_url, "query LIKE '%stop_enrollment%' AND state = 'active'")
        assert not changed.done()
        await transaction.rollback()
    finally:
        await connection.close()
    await early
    await changed
    with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
        await pair[1].stub.Enroll(enroll("bob", encoding(0.99 * face)))


async def test_enrollments_that_wait_for_each_other_leave_connections_to_others(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url, pool_max_size=5)
    faces = vectors(8)
    await matcher.stub.Enroll(enroll("ann", encoding(faces[0])))
    await change_settings(matcher, duplicate_policy=REFUSE)
    row = "SELECT FROM facerec.recent_enrollment WHERE collection_id = 'default' FOR UPDATE"
    async with held(database_url, row):
        calls = [
            asyncio.ensure_future(matcher.stub.Enroll(enroll(f"p{place}", encoding(face))))
            for place, face in enumerate(faces[1:])
        ]
        await waiting(database_url)
        for _ in range(20):
            asked = pb.VerifyRequest(person_id="ann", probe=encoding(faces[0]))
            assert (await matcher.stub.Verify(asked)).match
    await asyncio.gather(*calls)


async def test_a_collection_created_again_refuses_duplicates_too(matcher: RunningMatcher) -> None:
    settings = pb.CollectionSettings(duplicate_policy=REFUSE)
    face = encoding(vectors(1)[0])
    for _ in range(2):
        await create(matcher, "own", settings=settings)
        await matcher.stub.Enroll(enroll("ann", face, collection_id="own"))
        with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
            await matcher.stub.Enroll(enroll("bob", face, collection_id="own"))
        await matcher.collections.DeleteCollection(
            pb.DeleteCollectionRequest(collection_id="own", force=True)
        )
