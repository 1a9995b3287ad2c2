"""Exports of everything that is stored about one person."""

import asyncio
import dataclasses

import numpy as np
import pytest

from facerec.client import (
    AsyncCollectionClient,
    AsyncMatcherClient,
    Encoding,
    MatcherClient,
    NewFace,
    PersonExport,
)
from facerec.errors import FacerecError, Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.persons import export as person_export
from tests.e2e.matcher.requests import SPACE, vectors
from tests.fixtures.matcher import RunningMatcher

VECTORS = vectors(7)


async def enroll(client: AsyncMatcherClient) -> None:
    """Ann with five faces, one enrolled as another's, and somebody else."""
    faces = [NewFace(Encoding(vector, SPACE, "made"), f"photo {n}") for n, vector in enumerate(VECTORS[:4])]
    await client.enroll("ann", *faces, display_name="Ann")
    await client.enroll("annie", Encoding(VECTORS[4], SPACE))
    await client.merge_persons("annie", "ann")
    await client.enroll("ben", Encoding(VECTORS[5], SPACE))


def seen(export: PersonExport) -> object:
    return (
        export.person,
        [each.face for each in export.faces],
        [each.encoding.values.tolist() for each in export.faces if each.encoding],
        [dataclasses.astuple(event) for event in export.events],
    )


@pytest.mark.parametrize("part", [1, 2, 500])
async def test_an_export_has_the_person_each_face_with_its_vector_and_their_events(
    matcher: RunningMatcher, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person_export, "PART_ROWS", part)
    async with AsyncMatcherClient(matcher.address) as client:
        await enroll(client)
        export = await client.export_person("ann")
        assert export.person == await client.get_person("ann")
        assert [each.face for each in export.faces] == [face async for face in client.list_faces("ann")]
        kept = [each.encoding for each in export.faces]
        assert all(encoding and encoding.space == SPACE for encoding in kept)
        assert [encoding.fingerprint for encoding in kept if encoding] == [*["made"] * 4, ""]
        stored = np.array([encoding.values for encoding in kept if encoding])
        assert np.array_equal(np.sort(stored, axis=0), np.sort(VECTORS[:5], axis=0))
        actions = [event.action for event in export.events]
        assert actions == ["EXPORT_PERSON", "MERGE_PERSONS", "ENROLL"]
    with MatcherClient(matcher.address) as blocking:
        again = await asyncio.to_thread(blocking.export_person, "ann")
    _, *before = seen(again)[3]  # type: ignore[index]
    assert before == seen(export)[3]  # type: ignore[index]
    assert seen(again)[:3] == seen(export)[:3]  # type: ignore[index]


async def test_an_export_is_in_the_audit_before_anything_is_answered(matcher: RunningMatcher) -> None:
    async with (
        AsyncMatcherClient(matcher.address) as client,
        AsyncCollectionClient(matcher.address) as collections,
    ):
        await enroll(client)
        call = matcher.stub.ExportPerson(pb.ExportPersonRequest(person_id="ann"))
        assert (await call.read()).person.face_count == 5
        call.cancel()
        newest = await anext(aiter(collections.list_audit_events(person_id="ann", kind="changes")))
        assert (newest.action, newest.persons, newest.faces) == ("EXPORT_PERSON", 1, 5)


async def test_an_unknown_person_and_an_unknown_collection_have_different_reasons(
    matcher: RunningMatcher,
) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        for arguments, reason, field in (
            ({"person_id": "ann"}, Reason.PERSON_NOT_FOUND, "person_id"),
            ({"person_id": ""}, Reason.ID_INVALID, "person_id"),
            (
                {"person_id": "ann", "collection_id": "nowhere"},
                Reason.COLLECTION_NOT_FOUND,
                "collection_id",
            ),
        ):
            with pytest.raises(FacerecError) as caught:
                await client.export_person(**arguments)
            assert (caught.value.reason, caught.value.field) == (reason, field)
