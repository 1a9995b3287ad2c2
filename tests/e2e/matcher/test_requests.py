"""Invalid requests are refused with a reason and the field."""

import asyncio
import math
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from facerec.encoder.v1 import encoder_pb2
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.requests import SPACE, encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher

VECTOR = vectors(1)[0]
PROBE = encoding(VECTOR)
NO_FACE = str(uuid.UUID(int=1))


def values(*changed: float, count: int = 128, space: str = SPACE, fingerprint: str = "") -> pb.Probe:
    """A probe whose first values are these."""
    numbers = [*changed, *([0.1] * (count - len(changed)))]
    return pb.Probe(encoding=encoder_pb2.Encoding(values=numbers, space=space, fingerprint=fingerprint))


def claim(**fields: Any) -> pb.VerifyRequest:
    base: dict[str, Any] = {"person_id": "ann", "probe": PROBE}
    return pb.VerifyRequest(**(base | fields))


def search(**fields: Any) -> pb.IdentifyRequest:
    base: dict[str, Any] = {"probes": [PROBE]}
    return pb.IdentifyRequest(**(base | fields))


REFUSED: list[tuple[str, Any, Reason, str]] = [
    # encodings
    ("Verify", claim(probe=values(count=127)), Reason.ENCODING_INVALID, "probe.encoding.values"),
    ("Verify", claim(probe=values(count=129)), Reason.ENCODING_INVALID, "probe.encoding.values"),
    ("Verify", claim(probe=values(count=0)), Reason.ENCODING_INVALID, "probe.encoding.values"),
    ("Verify", claim(probe=values(math.nan)), Reason.ENCODING_INVALID, "probe.encoding.values"),
    ("Verify", claim(probe=values(math.inf)), Reason.ENCODING_INVALID, "probe.encoding.values"),
    ("Verify", claim(probe=values(-math.inf)), Reason.ENCODING_INVALID, "probe.encoding.values"),
    ("Verify", claim(probe=values(1000.1)), Reason.ENCODING_INVALID, "probe.encoding.values"),
    ("Identify", search(probes=[values(-70000)]), Reason.ENCODING_INVALID, "probes[0].encoding.values"),
    (
        "Enroll",
        enroll("ann", PROBE, values(70000)),
        Reason.ENCODING_INVALID,
        "items[1].probe.encoding.values",
    ),
    (
        "Compare",
        pb.CompareRequest(probe_a=values(3e38), probe_b=PROBE),
        Reason.ENCODING_INVALID,
        "probe_a.encoding.values",
    ),
    ("Verify", claim(probe=values(space="")), Reason.ENCODING_INVALID, "probe.encoding.space"),
    ("Verify", claim(probe=values(space="a\0b")), Reason.ENCODING_INVALID, "probe.encoding.space"),
    *(
        (
            "Verify",
            claim(probe=values(fingerprint=text)),
            Reason.ENCODING_INVALID,
            "probe.encoding.fingerprint",
        )
        for text in ("\0", "photo of Ann", "cpu;", "a==b", "cpu\n", "x" * 257, "é")
    ),
    (
        "Identify",
        search(probes=[PROBE, values(math.nan)]),
        Reason.ENCODING_INVALID,
        "probes[1].encoding.values",
    ),
    (
        "Enroll",
        enroll("ann", PROBE, values(space="")),
        Reason.ENCODING_INVALID,
        "items[1].probe.encoding.space",
    ),
    (
        "Compare",
        pb.CompareRequest(probe_a=PROBE, probe_b=values(count=1)),
        Reason.ENCODING_INVALID,
        "probe_b.encoding.values",
    ),
    # spaces
    ("Verify", claim(probe=values(space="other")), Reason.MODEL_MISMATCH, "probe.encoding.space"),
    (
        "Identify",
        search(probes=[PROBE, values(space="x")]),
        Reason.MODEL_MISMATCH,
        "probes[1].encoding.space",
    ),
    (
        "Enroll",
        enroll("ann", PROBE, values(space="x")),
        Reason.MODEL_MISMATCH,
        "items[1].probe.encoding.space",
    ),
    (
        "Compare",
        pb.CompareRequest(probe_a=values(space="x"), probe_b=values(space="x")),
        Reason.MODEL_MISMATCH,
        "probe_a.encoding.space",
    ),
    # probes
    ("Verify", claim(probe=pb.Probe()), Reason.OPTION_INVALID, "probe"),
    ("Verify", pb.VerifyRequest(person_id="ann"), Reason.OPTION_INVALID, "probe"),
    ("Verify", claim(probe=pb.Probe(image=b"")), Reason.IMAGE_INVALID, "probe.image"),
    ("Verify", claim(probe=pb.Probe(face_id="")), Reason.ID_INVALID, "probe.face_id"),
    (
        "Verify",
        claim(probe=pb.Probe(face_id="{" + str(uuid.uuid4()) + "}")),
        Reason.ID_INVALID,
        "probe.face_id",
    ),
    ("DeleteFace", pb.DeleteFaceRequest(face_id=uuid.uuid4().hex), Reason.ID_INVALID, "face_id"),
    # ids
    ("Verify", claim(person_id=""), Reason.ID_INVALID, "person_id"),
    ("Verify", claim(person_id=" ann"), Reason.ID_INVALID, "person_id"),
    ("Verify", claim(person_id="ann\u3000"), Reason.ID_INVALID, "person_id"),
    ("Verify", claim(person_id="a\tb"), Reason.ID_INVALID, "person_id"),
    ("Verify", claim(person_id="a\0b"), Reason.ID_INVALID, "person_id"),
    ("Verify", claim(person_id="a\x85b"), Reason.ID_INVALID, "person_id"),
    ("Verify", claim(collection_id="Default"), Reason.ID_INVALID, "collection_id"),
    ("Verify", claim(collection_id="a" * 64), Reason.ID_INVALID, "collection_id"),
    ("Verify", claim(collection_id="default\n"), Reason.ID_INVALID, "collection_id"),
    ("Enroll", enroll("ann", PROBE, request_id="a\0"), Reason.ID_INVALID, "request_id"),
    # options
    ("Verify", claim(max_distance=math.nan), Reason.OPTION_INVALID, "max_distance"),
    ("Verify", claim(max_distance=-0.1), Reason.OPTION_INVALID, "max_distance"),
    ("Identify", search(max_distance=math.inf), Reason.OPTION_INVALID, "max_distance"),
    ("Identify", search(max_candidates=0), Reason.OPTION_INVALID, "max_candidates"),
    ("Identify", search(probes=[]), Reason.OPTION_INVALID, "probes"),
    (
        "Identify",
        search(probes=[pb.Probe(image=b"x", use_largest_face=True)], all_faces=True),
        Reason.OPTION_INVALID,
        "probes[0].use_largest_face",
    ),
    ("Enroll", enroll("ann"), Reason.OPTION_INVALID, "items"),
    ("Enroll", enroll("ann", PROBE, display_name="\0"), Reason.OPTION_INVALID, "display_name"),
    ("UpdatePerson", pb.UpdatePersonRequest(person_id="ann"), Reason.OPTION_INVALID, "update_mask"),
    ("UpdateFace", pb.UpdateFaceRequest(face_id=NO_FACE), Reason.OPTION_INVALID, "update_mask"),
    (
        "UpdateFace",
        pb.UpdateFaceRequest(face_id=NO_FACE, update_mask=FieldMask(paths=["space"])),
        Reason.OPTION_INVALID,
        "update_mask",
    ),
    (
        "UpdateFace",
        pb.UpdateFaceRequest(face_id=NO_FACE, external_ref="a", update_mask=FieldMask(paths=["expire_time"])),
        Reason.OPTION_INVALID,
        "external_ref",
    ),
    (
        "UpdateFace",
        pb.UpdateFaceRequest(face_id=NO_FACE, expire_time=Timestamp(seconds=1)),
        Reason.OPTION_INVALID,
        "expire_time",
    ),
    ("GetFace", pb.GetFaceRequest(face_id="ann"), Reason.ID_INVALID, "face_id"),
    ("UpdateFace", pb.UpdateFaceRequest(face_id="ann", external_ref="a"), Reason.ID_INVALID, "face_id"),
    # who is not there
    ("GetFace", pb.GetFaceRequest(face_id=NO_FACE), Reason.STORED_FACE_NOT_FOUND, "face_id"),
    (
        "UpdateFace",
        pb.UpdateFaceRequest(face_id=NO_FACE, external_ref="a"),
        Reason.STORED_FACE_NOT_FOUND,
        "face_id",
    ),
    ("Verify", claim(), Reason.PERSON_NOT_FOUND, "person_id"),
    ("GetPerson", pb.GetPersonRequest(person_id="ann"), Reason.PERSON_NOT_FOUND, "person_id"),
    ("ListFaces", pb.ListFacesRequest(person_id="ann"), Reason.PERSON_NOT_FOUND, "person_id"),
]

ELSEWHERE: list[tuple[str, Callable[[str], Any]]] = [
    ("Enroll", lambda where: enroll("ann", PROBE, collection_id=where)),
    ("Verify", lambda where: claim(collection_id=where)),
    ("Identify", lambda where: search(collection_id=where)),
    ("Compare", lambda where: pb.CompareRequest(collection_id=where, probe_a=PROBE, probe_b=PROBE)),
    ("GetPerson", lambda where: pb.GetPersonRequest(collection_id=where, person_id="ann")),
    ("ListPersons", lambda where: pb.ListPersonsRequest(collection_id=where)),
    (
        "UpdatePerson",
        lambda where: pb.UpdatePersonRequest(collection_id=where, person_id="ann", display_name="x"),
    ),
    ("DeletePerson", lambda where: pb.DeletePersonRequest(collection_id=where, person_id="ann")),
    ("ListFaces", lambda where: pb.ListFacesRequest(collection_id=where, person_id="ann")),
    ("GetFace", lambda where: pb.GetFaceRequest(collection_id=where, face_id=NO_FACE)),
    (
        "UpdateFace",
        lambda where: pb.UpdateFaceRequest(collection_id=where, face_id=NO_FACE, external_ref="a"),
    ),
    ("DeleteFace", lambda where: pb.DeleteFaceRequest(collection_id=where, face_id=str(uuid.uuid4()))),
]


async def test_a_bad_request_is_refused_with_its_reason_and_field(matcher: RunningMatcher) -> None:
    for method, request, reason, field in REFUSED:
        with refused(reason, field):
            await getattr(matcher.stub, method)(request)
    assert not (await matcher.stub.ListPersons(pb.ListPersonsRequest())).persons


async def test_every_call_distinguishes_an_unknown_collection_from_an_empty_one(
    matcher: RunningMatcher,
) -> None:
    for method, request in ELSEWHERE:
        with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
            await getattr(matcher.stub, method)(request("elsewhere"))


async def test_an_encoding_without_a_space_is_refused_with_the_space_to_set(matcher: RunningMatcher) -> None:
    with refused(Reason.ENCODING_INVALID, "probe.encoding.space", message=SPACE):
        await matcher.stub.Verify(claim(probe=values(space="")))


async def test_a_long_id_is_checked_quickly(matcher: RunningMatcher) -> None:
    # Marks out of their order, which to put in order takes the square of their number: as many as a request
    # without images holds.
    marks = "a" + "\u0315\u0300" * 16_000
    async with asyncio.timeout(60):
        with refused(Reason.ID_INVALID, "person_id"):
            await matcher.stub.GetPerson(pb.GetPersonRequest(person_id=marks))
        with refused(Reason.PERSON_NOT_FOUND, "person_id"):  # 512 characters, and 128 in NFC
            await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="\u03b1\u0313\u0300\u0345" * 128))


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("e\u0301", "\u00e9"),
        ("a b", "a b"),
        ("ab\u200dc", "ab\u200dc"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
        ("..", ".."),
        ("a/b'\"%\\;--", "a/b'\"%\\;--"),
        ("名" * 128, "名" * 128),
        ("e\u0301" * 128, "\u00e9" * 128),
    ],
)
async def test_a_persons_id_is_kept_in_nfc_and_otherwise_as_it_is(
    matcher: RunningMatcher, given: str, stored: str
) -> None:
    answer = await matcher.stub.Enroll(enroll(given, PROBE))
    assert answer.person.person_id == answer.faces[0].face.person_id == stored
    for name in (given, stored):
        assert (await matcher.stub.Verify(claim(person_id=name))).match
    found = await matcher.stub.Identify(search())
    assert found.faces[0].candidates[0].person_id == stored
