"""Reading one face, and changing its reference and expire time."""

import asyncio
import datetime

import asyncpg
import pytest

from facerec.client import (
    AsyncCollectionClient,
    AsyncMatcherClient,
    Encoding,
    MatcherClient,
    NewFace,
    StoredFace,
)
from facerec.errors import FacerecError, Reason
from tests.e2e.matcher.expiry import expire
from tests.e2e.matcher.requests import SPACE, vectors
from tests.fixtures.matcher import RunningMatcher

LATER = datetime.datetime(2099, 1, 31, 18, 0, 0, 123456, datetime.UTC)


async def enrolled(client: AsyncMatcherClient) -> StoredFace:
    face = NewFace(Encoding(vectors(1)[0], SPACE, "made"), "badge 1")
    return (await client.enroll("ann", face)).faces[0].face


async def test_a_face_is_read_as_it_is_listed(matcher: RunningMatcher) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        face = await enrolled(client)
        assert await client.get_face(face.face_id) == face
        assert [face] == [each async for each in client.list_faces("ann")]
        with MatcherClient(matcher.address) as blocking:
            assert await asyncio.to_thread(blocking.get_face, face.face_id) == face
        await client.delete_face(face.face_id)
        with pytest.raises(FacerecError) as caught:
            await client.get_face(face.face_id)
        assert (caught.value.reason, caught.value.field) == (Reason.STORED_FACE_NOT_FOUND, "face_id")


async def test_given_fields_change_and_the_others_stay(matcher: RunningMatcher) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        face = await enrolled(client)
        before = await client.get_person("ann")
        ended = await client.update_face(face.face_id, expire_time=LATER)
        assert (ended.external_ref, ended.expire_time) == ("badge 1", LATER)
        renamed = await client.update_face(face.face_id, external_ref="badge 2")
        assert (renamed.external_ref, renamed.expire_time) == ("badge 2", LATER)
        both = await client.update_face(face.face_id, external_ref="", never_expires=True)
        assert (both.external_ref, both.expire_time) == ("", None)
        assert both == await client.get_face(face.face_id)
        assert (await client.get_person("ann")).update_time > before.update_time
        assert (await client.verify("ann", Encoding(vectors(1)[0], SPACE))).match
        with pytest.raises(FacerecError) as caught:
            await client.update_face(face.face_id, expire_time=LATER, never_expires=True)
        assert (caught.value.reason, caught.value.field) == (Reason.OPTION_INVALID, "expire_time")


async def test_a_face_with_a_changed_expire_time_is_visible_until_then(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        face = await enrolled(client)
        await client.update_face(face.face_id, expire_time=LATER)
        await expire(administrator)
        for call in (
            client.get_face(face.face_id),
            client.update_face(face.face_id, external_ref="too late"),
            client.update_face(face.face_id, never_expires=True),
        ):
            with pytest.raises(FacerecError) as caught:
                await call
            assert caught.value.reason is Reason.STORED_FACE_NOT_FOUND
        assert not [each async for each in client.list_faces("ann")]


async def test_a_changed_face_has_an_event_of_its_person_without_the_new_values(
    matcher: RunningMatcher,
) -> None:
    async with (
        AsyncMatcherClient(matcher.address) as client,
        AsyncCollectionClient(matcher.address) as collections,
    ):
        face = await enrolled(client)
        await client.update_face(face.face_id, external_ref="secret", expire_time=LATER)
        (event, _) = [each async for each in collections.list_audit_events(person_id="ann", kind="changes")]
    assert (event.action, event.persons, event.faces) == ("UPDATE_FACE", 1, 1)
    assert event.details == {"changed": "external_ref, expire_time"}
