"""Only keys with `encodings` send vectors, and only those with `scores` too search with them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import review_pb2, transfer_pb2
from facerec.serving.auth import files
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

WriteKeys = Callable[..., Path]
ADMIN = entry("admin", "a", ["admin"])
NARROWED = Reason.NOT_PERMITTED
MOST = ["verify", "identify", "enroll", "manage"]
FACE = encoding(vectors(1)[0])


@pytest.fixture
async def matcher(start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys) -> RunningMatcher:
    """Keys: `a` admin; `i` images alone; `v` vectors, without scores; `s` vectors and scores."""
    path = keys_file(
        ADMIN,
        entry("images", "i", MOST),
        entry("vectors", "v", MOST, "encodings = true"),
        entry("all", "s", MOST, "encodings = true\nscores = true"),
    )
    return await start_matcher(database_url, keys_file=path)


async def enrolled(matcher: RunningMatcher, person_id: str = "ann") -> str:
    answer = await matcher.stub.Enroll(enroll(person_id, FACE), metadata=bearer("a"))
    return str(answer.faces[0].face.face_id)


async def test_a_vector_from_a_key_without_encodings_is_refused_by_its_field(
    matcher: RunningMatcher,
) -> None:
    await enrolled(matcher)
    stub, who = matcher.stub, bearer("i")
    with refused(Reason.NOT_PERMITTED, "probe.encoding", "send the image"):
        await stub.Verify(pb.VerifyRequest(person_id="ann", probe=FACE), metadata=who)
    picture = pb.Probe(image=b"no picture")
    with refused(Reason.NOT_PERMITTED, "probes[1].encoding", "encodings = true"):
        await stub.Identify(pb.IdentifyRequest(probes=[picture, FACE]), metadata=who)
    with refused(Reason.NOT_PERMITTED, "probe_b.encoding"):
        await stub.Compare(pb.CompareRequest(probe_a=picture, probe_b=FACE), metadata=who)
    with refused(Reason.NOT_PERMITTED, "items[0].probe.encoding"):
        await stub.Enroll(enroll("ben", FACE), metadata=who)
    with refused(Reason.NOT_PERMITTED, "header"):
        await send(matcher, header(), chunk(vectors(1), ["ben"]), metadata=who)


async def test_images_need_no_right(matcher: RunningMatcher) -> None:
    await enrolled(matcher)
    with refused(Reason.ENCODER_UNAVAILABLE):  # there is none here: it was let in
        request = pb.VerifyRequest(person_id="ann", probe=pb.Probe(image=b"x"))
        await matcher.stub.Verify(request, metadata=bearer("i"))


async def test_a_key_without_scores_cannot_search_by_a_vector_or_a_stored_face(
    matcher: RunningMatcher,
) -> None:
    """Somebody who works with the caller may have stored the face that is named, or copied another's."""
    face = pb.Probe(face_id=await enrolled(matcher))
    stub, who = matcher.stub, bearer("v")
    assert (await stub.Verify(pb.VerifyRequest(person_id="ann", probe=FACE), metadata=who)).match
    for probe, field in ((FACE, "encoding"), (face, "face_id")):
        with refused(Reason.NOT_PERMITTED, f"probes[0].{field}", "scores = true"):
            await stub.Identify(pb.IdentifyRequest(probes=[probe]), metadata=who)
        with refused(Reason.NOT_PERMITTED, f"probe_a.{field}"):
            await stub.Compare(pb.CompareRequest(probe_a=probe, probe_b=probe), metadata=who)
        await stub.Identify(pb.IdentifyRequest(probes=[probe]), metadata=bearer("s"))
        await stub.Compare(pb.CompareRequest(probe_a=probe, probe_b=probe), metadata=bearer("s"))
    for key in ("v", "i"):
        claim = pb.VerifyRequest(person_id="ann", probe=face)
        with refused(Reason.NOT_PERMITTED, "probe.face_id", "scores = true"):
            await stub.Verify(claim, metadata=bearer(key))
        with refused(Reason.NOT_PERMITTED, "items[0].probe.face_id"):
            await stub.Enroll(enroll("copy", face), metadata=bearer(key))
        with refused(Reason.NOT_PERMITTED):
            await matcher.collections.ListDuplicates(review_pb2.ListDuplicatesRequest(), metadata=bearer(key))
        with refused(Reason.NOT_PERMITTED, ""):
            request = review_pb2.ListInconsistentFacesRequest()
            await matcher.collections.ListInconsistentFaces(request, metadata=bearer(key))


async def test_a_vector_enrolled_without_scores_is_not_answered_with_a_duplicate(
    matcher: RunningMatcher,
) -> None:
    await enrolled(matcher)
    blind = await matcher.stub.Enroll(enroll("anna", FACE, request_id="r"), metadata=bearer("v"))
    again = await matcher.stub.Enroll(enroll("anna", FACE, request_id="r"), metadata=bearer("v"))
    for answer in (blind, again):
        assert not answer.faces[0].HasField("duplicate")
        assert answer.faces[0].duplicate_check == pb.SEARCH_MODE_UNSPECIFIED
    seen = await matcher.stub.Enroll(enroll("anne", FACE), metadata=bearer("s"))
    assert seen.faces[0].HasField("duplicate")


async def test_an_import_stops_when_its_key_loses_a_right(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "POLL_SECONDS", 0.05)
    path = keys_file(ADMIN, entry("importer", "b", ["enroll"], "encodings = true"))
    matcher = await start_matcher(database_url, keys_file=path)
    narrowed = asyncio.Event()

    async def chunks() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        yield chunk(vectors(1), ["ann"])
        await narrowed.wait()
        yield chunk(vectors(1), ["ben"])

    async def stored() -> list[str]:
        listed = await matcher.stub.ListPersons(pb.ListPersonsRequest(), metadata=bearer("a"))
        return [person.person_id for person in listed.persons]

    async def begun() -> bool:
        return await stored() == ["ann"]

    importing = asyncio.ensure_future(_ended(matcher.stub.ImportFaces(chunks(), metadata=bearer("b"))))
    await until(begun)
    keys_file(ADMIN, entry("importer", "b", ["enroll"]))
    asked = enroll("eve", encoding(vectors(1)[0], space="of another model"))

    async def followed() -> bool:
        return (await _ended(matcher.stub.Enroll(asked, metadata=bearer("b")))).reason is NARROWED

    await until(followed)
    narrowed.set()
    error = await importing
    assert (error.reason, error.field) == (Reason.NOT_PERMITTED, "chunk.encodings")
    assert await stored() == ["ann"]


async def _ended(call: Any) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value, "the matcher")


async def test_without_a_keys_file_everybody_may_send_vectors(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url)
    await matcher.stub.Enroll(enroll("ann", FACE))
    assert (await matcher.stub.Identify(pb.IdentifyRequest(probes=[FACE]))).faces[0].candidates
    far = encoding(vectors(1, seed=5)[0])
    for _ in range(60):  # and fails as often as it likes
        assert not (await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=far))).match
