"""A chunk of an import is atomic: its persons are locked until it commits."""

import asyncio

import asyncpg

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.blocking import held, person_locked, waiting
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.e2e.matcher.transfers import LOCKED, chunk, connections, header, send
from tests.fixtures.matcher import RunningMatcher

FACES = vectors(4)
PEOPLE = partition_name("person", "default")
MAKING_EVE = f"""
    INSERT INTO facerec.{PEOPLE} (collection_id, person_id, display_name, centroid)
    SELECT collection_id, 'eve', '', centroid FROM facerec.{PEOPLE} LIMIT 1
"""


async def two_wait(database_url: str) -> None:
    """Wait until two connections of matchers wait for locks."""
    async with asyncio.timeout(10):
        while await connections(database_url, LOCKED) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def delete(matcher: RunningMatcher, person_id: str) -> int:
    """How many faces were erased with a person."""
    answer = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id=person_id))
    return int(answer.faces_deleted)


async def test_a_person_who_has_all_faces_of_a_chunk_is_not_erased_before_it_commits(
    matcher: RunningMatcher, database_url: str
) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(FACES[0])))
    await matcher.stub.Enroll(enroll("cay", encoding(FACES[1])))
    async with held(database_url, person_locked("cay")):
        moved = asyncio.ensure_future(send(matcher, header(), chunk(FACES[[0, 2]], ["ann", "cay"])))
        await waiting(database_url)
        deletion = asyncio.create_task(delete(matcher, "ann"))
        await two_wait(database_url)
        assert not deletion.done()
    answer = await moved
    assert (answer.faces_added, answer.faces_already_there, answer.persons_added) == (1, 1, 0)
    assert await deletion == 1


async def test_a_person_enrolled_while_the_chunk_waited_is_not_erased_before_it_commits(
    matcher: RunningMatcher, database_url: str
) -> None:
    """Whom the chunk could not lock, because nobody of that id was there."""
    await matcher.stub.Enroll(enroll("ann", encoding(FACES[0])))
    rows = chunk(FACES[[0, 1, 2]], ["ann", "dan", "eve"])
    async with held(database_url, person_locked("ann")):
        moved = asyncio.ensure_future(send(matcher, header(), rows))
        await waiting(database_url)
        await matcher.stub.Enroll(enroll("dan", encoding(FACES[1])))
        other = await asyncpg.connect(database_url)
        making = other.transaction()
        await making.start()
        await other.execute(MAKING_EVE)
    await waiting(database_url, f"{LOCKED} AND query LIKE '%with_new_face%'")  # for Eve, and so has Dan
    deletion = asyncio.create_task(delete(matcher, "dan"))
    await two_wait(database_url)
    assert not deletion.done()
    await making.rollback()
    await other.close()
    answer = await moved
    assert (answer.faces_added, answer.faces_already_there, answer.persons_added) == (1, 2, 1)
    assert await deletion == 1
