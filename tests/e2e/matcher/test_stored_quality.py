"""A stored face keeps the quality of the photo it was enrolled from."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import numpy as np
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1.transfer_pb2 import ExportFacesRequest
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.vector_encoder import own_quality, picture, vector_encoder

FIRST, SECOND, THIRD = vectors(3)
FACE = partition_name("face", "default")


@pytest.fixture
async def seeing(start_matcher: StartMatcher, database_url: str) -> AsyncIterator[RunningMatcher]:
    """A matcher whose pictures are vectors, each with a quality of its own."""
    async with vector_encoder(own_quality) as address:
        yield await start_matcher(database_url, encoder_address=address)


def photo(vector: Any) -> pb.Probe:
    return pb.Probe(image=picture(vector))


def stored(vector: Any) -> encoder_pb2.Quality:
    """The quality that the encoder measures, in single precision."""
    quality = own_quality(vector)
    for message in (quality, quality.pose):
        for field, value in message.ListFields():
            if field.type == field.TYPE_DOUBLE:
                setattr(message, field.name, float(np.float32(value)))
    return quality


async def faces_of(matcher: RunningMatcher, person_id: str) -> list[pb.Face]:
    return list((await matcher.stub.ListFaces(pb.ListFacesRequest(person_id=person_id))).faces)


def face_id(face: pb.Face) -> str:
    return face.face_id


async def test_every_answer_with_a_face_has_its_quality(seeing: RunningMatcher) -> None:
    request = enroll("ann", photo(FIRST), photo(SECOND), encoding(THIRD), request_id="r1")
    request.items[0].external_ref = "badge"
    enrolled = await seeing.stub.Enroll(request)
    faces = [each.face for each in enrolled.faces]
    assert [face.quality for face in faces[:2]] == [stored(FIRST), stored(SECOND)]
    assert [each.quality for each in enrolled.faces[:2]] == [face.quality for face in faces[:2]]
    assert not faces[2].HasField("quality")
    assert not enrolled.faces[2].HasField("quality")

    assert await faces_of(seeing, "ann") == faces
    assert list((await seeing.stub.ListFaces(pb.ListFacesRequest(external_ref="badge"))).faces) == faces[:1]
    assert list((await seeing.stub.ListFaces(pb.ListFacesRequest())).faces) == sorted(faces, key=face_id)
    got = await seeing.stub.GetFace(pb.GetFaceRequest(face_id=faces[0].face_id))
    assert got.face == faces[0]
    parts = [part async for part in seeing.stub.ExportPerson(pb.ExportPersonRequest(person_id="ann"))]
    assert [each.face for part in parts for each in part.faces] == faces
    renamed = pb.UpdateFaceRequest(
        face_id=faces[0].face_id, external_ref="door", update_mask=FieldMask(paths=["external_ref"])
    )
    assert (await seeing.stub.UpdateFace(renamed)).face.quality == stored(FIRST)


async def test_an_enrollment_repeated_answers_the_quality_again(seeing: RunningMatcher) -> None:
    request = enroll("ann", photo(FIRST), encoding(SECOND), request_id="r1")
    first = await seeing.stub.Enroll(request)
    assert await seeing.stub.Enroll(request) == first
    known = await seeing.stub.Enroll(enroll("ann", photo(FIRST)))  # another request, the same photo
    assert known.faces[0].face == first.faces[0].face
    assert (known.faces[0].already_enrolled, known.faces[0].HasField("quality")) == (True, False)


async def test_a_face_keeps_its_quality_wherever_it_goes(seeing: RunningMatcher) -> None:
    enrolled = await seeing.stub.Enroll(enroll("ann", photo(FIRST)))
    face_id = enrolled.faces[0].face.face_id
    copied = await seeing.stub.Enroll(enroll("ben", pb.Probe(face_id=face_id)))
    assert copied.faces[0].face.quality == stored(FIRST)
    assert not copied.faces[0].HasField("quality")
    await seeing.stub.MoveFaces(pb.MoveFacesRequest(face_ids=[face_id], target_person_id="cy"))
    await seeing.stub.RenamePerson(pb.RenamePersonRequest(person_id="cy", new_person_id="dee"))
    await seeing.stub.Enroll(enroll("eve", encoding(SECOND)))
    await seeing.stub.MergePersons(pb.MergePersonsRequest(source_person_id="dee", target_person_id="eve"))
    moved = {face.face_id: face for face in await faces_of(seeing, "eve")}
    assert len(moved) == 2
    assert moved[face_id].quality == stored(FIRST)


async def test_a_face_of_an_earlier_release_or_a_later_form_has_none(
    seeing: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await seeing.stub.Enroll(enroll("ann", photo(FIRST)))
    await administrator.execute(  # as releases before the column do
        f"INSERT INTO facerec.{FACE} (collection_id, person_key, encoding, model_key, content_id)"
        f" SELECT collection_id, person_key, encoding, model_key, gen_random_uuid() FROM facerec.{FACE}"
    )
    known, unknown = await faces_of(seeing, "ann")
    assert (known.quality, unknown.HasField("quality")) == (stored(FIRST), False)
    await administrator.execute(f"UPDATE facerec.{FACE} SET quality = '\\x02ff' WHERE quality <> ''")
    assert not any(face.HasField("quality") for face in await faces_of(seeing, "ann"))


async def test_an_export_of_a_collection_leaves_qualities_out(seeing: RunningMatcher) -> None:
    await seeing.stub.Enroll(enroll("ann", photo(FIRST)))
    (part,) = [part async for part in seeing.stub.ExportFaces(ExportFacesRequest())]
    vector = np.frombuffer(part.chunk.encodings, "<f4").reshape(1, 128)
    await send(seeing, header(), chunk(vector, ["ben"]))
    (face,) = await faces_of(seeing, "ben")
    assert not face.HasField("quality")
