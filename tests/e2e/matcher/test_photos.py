"""Photos through a real encoder: who is enrolled, refused, found."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import numpy as np
import pytest
from PIL import Image, ImageFilter
from prometheus_client import REGISTRY

from facerec.encoder.v1 import encoder_pb2, encoder_pb2_grpc
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.serving.middleware import call
from facerec.serving.server.server import Server, ServerOptions, Service
from matcher_service.domain.errors import Overloaded
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.catalog import change_settings
from tests.e2e.matcher.requests import enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, export, exported, header, send
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.matcher import NOWHERE, RunningMatcher, StartMatcher
from tests.fixtures.waiting import LIMIT_SECONDS

Context = grpc.aio.ServicerContext[Any, Any]


@pytest.fixture
async def seeing(start_matcher: StartMatcher, database_url: str, encoder_address: str) -> RunningMatcher:
    """A matcher whose encoder serves."""
    return await start_matcher(database_url, encoder_address=encoder_address)


@pytest.fixture(scope="session")
def photo(sample_photos: Path) -> Callable[..., bytes]:
    """The bytes of a sample photo, or of several side by side."""

    def read(*names: str) -> bytes:
        if len(names) == 1:
            return (sample_photos / f"{names[0]}.jpg").read_bytes()
        opened = [Image.open(sample_photos / f"{name}.jpg").convert("RGB") for name in names]
        height = max(picture.height for picture in opened)
        joined = Image.new("RGB", (sum(picture.width for picture in opened), height))
        left = 0
        for picture in opened:
            joined.paste(picture, (left, 0))
            left += picture.width
        with io.BytesIO() as out:
            joined.save(out, "PNG")
            return out.getvalue()

    return read


def flat() -> bytes:
    """A picture without a face."""
    with io.BytesIO() as out:
        Image.new("RGB", (200, 200), (90, 120, 150)).save(out, "PNG")
        return out.getvalue()


async def test_an_export_of_photos_adds_nothing_when_imported_again(
    seeing: RunningMatcher, photo: Callable[..., bytes]
) -> None:
    for name in ("obama", "obama2"):
        await seeing.stub.Enroll(enroll("obama", pb.Probe(image=photo(name))))
    names, faces = exported(await export(seeing))
    more = chunk(np.concatenate([faces, vectors(1)]), [*names, "obama"])
    looked = await send(seeing, header("look", dry_run=True), more)
    assert (looked.faces_added, looked.faces_already_there) == (1, 2)
    done = await send(seeing, header("again"), more)
    assert (done.faces_added, done.faces_already_there) == (1, 2)
    person = await seeing.stub.GetPerson(pb.GetPersonRequest(person_id="obama"))
    assert person.person.face_count == 3


async def test_people_enrolled_from_photos_are_distinguished(
    seeing: RunningMatcher, photo: Callable[..., bytes]
) -> None:
    obama, biden = pb.Probe(image=photo("obama")), pb.Probe(image=photo("biden"))
    enrolled = await seeing.stub.Enroll(enroll("obama", obama))
    assert enrolled.faces[0].face.fingerprint
    await seeing.stub.Enroll(enroll("biden", biden))

    other = pb.Probe(image=photo("obama2"))
    true_claim = await seeing.stub.Verify(pb.VerifyRequest(person_id="obama", probe=other))
    false_claim = await seeing.stub.Verify(pb.VerifyRequest(person_id="biden", probe=other))
    assert (true_claim.match, false_claim.match) == (True, False)
    assert true_claim.distance == pytest.approx(0.3457, abs=1e-3)
    pair = await seeing.stub.Compare(pb.CompareRequest(probe_a=obama, probe_b=biden))
    assert pair.distance == pytest.approx(0.8402, abs=1e-3)

    both = pb.Probe(image=photo("obama2", "biden"))
    found = await seeing.stub.Identify(pb.IdentifyRequest(probes=[other, both], all_faces=True))
    names = [(face.probe_index, [c.person_id for c in face.candidates]) for face in found.faces]
    assert sorted(names) == [(0, ["obama"]), (1, ["biden"]), (1, ["obama"])]
    places = {face.candidates[0].person_id: face.bounding_box for face in found.faces[1:]}
    assert places["obama"].right < places["biden"].left


async def test_a_photo_is_stored_once_and_needs_no_encoder_the_second_time(
    seeing: RunningMatcher, start_matcher: StartMatcher, database_url: str, photo: Callable[..., bytes]
) -> None:
    request = enroll("obama", pb.Probe(image=photo("obama")), pb.Probe(image=photo("obama3")))
    first = await seeing.stub.Enroll(request)
    assert [face.already_enrolled for face in first.faces] == [False, False]
    blind = await start_matcher(database_url, encoder_address=NOWHERE)
    again = await blind.stub.Enroll(request)
    assert [face.already_enrolled for face in again.faces] == [True, True]
    assert [face.face for face in again.faces] == [face.face for face in first.faces]
    assert again.person == first.person
    with refused(Reason.ENCODER_UNAVAILABLE):
        await blind.stub.Enroll(
            enroll("somebody else", pb.Probe(image=photo("obama"))), timeout=LIMIT_SECONDS
        )


async def test_a_photo_past_the_retention_is_encoded_again(
    seeing: RunningMatcher, database_url: str, photo: Callable[..., bytes]
) -> None:
    request = enroll("obama", pb.Probe(image=photo("obama")))
    first = await seeing.stub.Enroll(request)
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE facerec.collection SET retention = interval '1 h'")
    await connection.execute(
        f"UPDATE facerec.{partition_name('face', 'default')} SET create_time = now() - interval '2 h'"
    )
    await connection.close()
    again = await seeing.stub.Enroll(request)
    assert not again.faces[0].already_enrolled
    assert again.faces[0].face.face_id != first.faces[0].face.face_id


async def test_a_bad_photo_among_good_ones_refuses_the_whole_enrollment(
    seeing: RunningMatcher, photo: Callable[..., bytes]
) -> None:
    good = pb.Probe(image=photo("obama"))
    crowd = photo("obama2", "biden")
    bad = [
        (pb.Probe(image=flat()), Reason.FACE_NOT_FOUND),
        (pb.Probe(image=crowd), Reason.FACE_AMBIGUOUS),
        (pb.Probe(image=b"no picture at all"), Reason.IMAGE_INVALID),
        (pb.Probe(image=b""), Reason.IMAGE_INVALID),
    ]
    for probe, reason in bad:
        with refused(reason, "items[1].probe.image"):
            await seeing.stub.Enroll(enroll("obama", good, probe))
    assert not (await seeing.stub.ListPersons(pb.ListPersonsRequest())).persons
    largest = pb.Probe(image=crowd, use_largest_face=True)
    assert (await seeing.stub.Enroll(enroll("largest", largest))).person.face_count == 1


async def test_a_picture_without_a_face_has_nobody_in_it(seeing: RunningMatcher) -> None:
    probe = pb.Probe(image=flat())
    with refused(Reason.FACE_NOT_FOUND, "probe.image"):
        await seeing.stub.Verify(pb.VerifyRequest(person_id="ann", probe=probe))
    with refused(Reason.FACE_NOT_FOUND, "probes[0].image"):
        await seeing.stub.Identify(pb.IdentifyRequest(probes=[probe]))
    found = await seeing.stub.Identify(pb.IdentifyRequest(probes=[probe], all_faces=True, max_distance=0.25))
    assert not found.faces
    assert (found.threshold, found.space) == (0.25, "dlib-resnet-v1/small/150x0.25")
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await seeing.stub.Identify(
            pb.IdentifyRequest(collection_id="elsewhere", probes=[probe], all_faces=True)
        )


class BusyEncoder(encoder_pb2_grpc.EncoderServiceServicer):
    """An encoder in trouble: it refuses, answers for another space, or hangs."""

    trouble = ""

    def __init__(self) -> None:
        self.under_way = self.most = 0
        self.go_on = asyncio.Event()
        self.on_behalf_of: list[str] = []

    async def Encode(
        self, request: encoder_pb2.EncodeRequest, context: Context
    ) -> encoder_pb2.EncodeResponse:
        self.on_behalf_of.append(call.on_behalf_of())
        if self.trouble == "slow":
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await self.go_on.wait()
            self.under_way -= 1
        if self.trouble == "hangs":
            await asyncio.Event().wait()
        if self.trouble == "overloaded":
            raise Overloaded("the queue is full", retry_after_seconds=0.25)
        encoding = encoder_pb2.Encoding(values=[0.1] * 128, space="dlib-resnet-v1/large/150x0.25")
        return encoder_pb2.EncodeResponse(faces=[encoder_pb2.Face(encoding=encoding)])


@pytest.fixture
async def busy_encoder() -> AsyncIterator[tuple[BusyEncoder, str]]:
    """The encoder in trouble and its address."""
    servicer, name = BusyEncoder(), "facerec.encoder.v1.EncoderService"  # type: ignore[abstract]
    service = Service(
        name, lambda server: encoder_pb2_grpc.add_EncoderServiceServicer_to_server(servicer, server)
    )
    server = Server(ServerOptions("127.0.0.1:0", grace_seconds=0), [service])
    await server.start()
    await server.set_serving(name, True)
    yield servicer, server.address
    await server.stop()


async def test_errors_of_the_encoder_reach_the_caller_unchanged(
    start_matcher: StartMatcher, database_url: str, busy_encoder: tuple[BusyEncoder, str]
) -> None:
    encoder, address = busy_encoder
    matcher = await start_matcher(database_url, encoder_address=address)
    request = pb.VerifyRequest(person_id="ann", probe=pb.Probe(image=b"a photo"))
    vectors_only = (
        "such a collection takes vectors only; enroll photos in a collection of the encoder's space"
    )
    with refused(Reason.MODEL_MISMATCH, "probe.image", message=vectors_only):
        await matcher.stub.Verify(request)
    encoder.trouble = "overloaded"
    with refused(Reason.OVERLOADED):
        await matcher.stub.Verify(request)
    encoder.trouble = "hangs"
    hurried = await start_matcher(database_url, encoder_address=address, encoder_timeout_seconds=0.5)
    with refused(Reason.ENCODER_UNAVAILABLE):
        await hurried.stub.Verify(request)


async def test_an_image_that_times_out_while_others_are_answered_is_overloaded(
    start_matcher: StartMatcher,
    database_url: str,
    busy_encoder: tuple[BusyEncoder, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder, address = busy_encoder
    matcher = await start_matcher(database_url, encoder_address=address, encoder_timeout_seconds=3)
    request = pb.VerifyRequest(person_id="ann", probe=pb.Probe(image=b"a photo"))
    encoder.trouble = "slow"
    late = asyncio.ensure_future(matcher.stub.Verify(request))
    while not encoder.under_way:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    encoder.trouble = ""
    with refused(Reason.MODEL_MISMATCH, "probe.image"):
        await matcher.stub.Verify(request)
    with refused(Reason.OVERLOADED):
        await late
    assert "encoder_failed" not in capsys.readouterr().out


async def test_the_encoder_gets_an_opaque_id_of_the_caller_an_image_is_for(
    start_matcher: StartMatcher, database_url: str, busy_encoder: tuple[BusyEncoder, str]
) -> None:
    encoder, address = busy_encoder
    request = pb.VerifyRequest(person_id="ann", probe=pb.Probe(image=b"a photo"))
    for _ in range(2):  # replicas of one matcher
        matcher = await start_matcher(database_url, encoder_address=address)
        with refused(Reason.MODEL_MISMATCH, "probe.image"):
            await matcher.stub.Verify(request)
    first, second = encoder.on_behalf_of
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first == second


async def test_photos_are_checked_against_the_policies(
    seeing: RunningMatcher,
    photo: Callable[..., bytes],
) -> None:
    first = await seeing.stub.Enroll(enroll("obama", pb.Probe(image=photo("obama"))))
    assert first.faces[0].duplicate_check == pb.SEARCH_MODE_EXACT
    flagged = await seeing.stub.Enroll(enroll("barack", pb.Probe(image=photo("obama2"))))
    assert flagged.faces[0].duplicate.person_id == "obama"
    assert flagged.faces[0].duplicate.distance == pytest.approx(0.3457, abs=1e-3)
    await change_settings(seeing, quality=pb.QualityPolicy(min_face_pixels=1000))
    with refused(Reason.FACE_QUALITY, "items[0].probe.image", "322 pixels"):
        await seeing.stub.Enroll(enroll("new", pb.Probe(image=photo("biden"))))
    await change_settings(
        seeing, quality=pb.QualityPolicy(min_face_pixels=100), duplicate_policy=pb.DUPLICATE_POLICY_REFUSE
    )
    assert (await seeing.stub.Enroll(enroll("biden", pb.Probe(image=photo("biden"))))).person_created
    with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
        await seeing.stub.Enroll(enroll("biden", pb.Probe(image=photo("obama3"))))


def blurred(image: bytes) -> bytes:
    """The same picture out of focus."""
    with io.BytesIO() as out:
        picture = Image.open(io.BytesIO(image)).convert("RGB")
        picture.filter(ImageFilter.GaussianBlur(picture.width / 150)).save(out, "PNG")
        return out.getvalue()


def reasons(quality: encoder_pb2.Quality) -> list[str]:
    """The reasons as words."""
    return [encoder_pb2.QualityReason.Name(reason)[15:] for reason in quality.reasons]


async def test_a_poor_face_is_refused_at_enrollment_and_only_reported_in_decisions(
    seeing: RunningMatcher, photo: Callable[..., bytes]
) -> None:
    sharp, poor = photo("obama"), blurred(photo("obama"))
    enrolled = await seeing.stub.Enroll(enroll("obama", pb.Probe(image=sharp)))
    assert enrolled.faces[0].quality.face_pixels > 100
    assert not enrolled.faces[0].quality.reasons
    with refused(Reason.FACE_QUALITY, "items[1].probe.image", "blurred"):
        await seeing.stub.Enroll(enroll("two", pb.Probe(image=photo("biden")), pb.Probe(image=poor)))
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):  # all or nothing
        await seeing.stub.GetPerson(pb.GetPersonRequest(person_id="two"))
    verified = await seeing.stub.Verify(pb.VerifyRequest(person_id="obama", probe=pb.Probe(image=poor)))
    assert verified.match
    assert reasons(verified.quality) == ["BLURRED"]
    compared = await seeing.stub.Compare(
        pb.CompareRequest(probe_a=pb.Probe(image=poor), probe_b=pb.Probe(image=sharp))
    )
    assert (reasons(compared.quality_a), reasons(compared.quality_b)) == (["BLURRED"], [])
    identified = await seeing.stub.Identify(pb.IdentifyRequest(probes=[pb.Probe(image=poor)]))
    assert reasons(identified.faces[0].quality) == ["BLURRED"]
    by_id = pb.Probe(face_id=enrolled.faces[0].face.face_id)
    stored = await seeing.stub.Verify(pb.VerifyRequest(person_id="obama", probe=by_id))
    assert not stored.HasField("quality")


async def test_a_collection_chooses_which_reasons_refuse(
    seeing: RunningMatcher, photo: Callable[..., bytes]
) -> None:
    poor = pb.Probe(image=blurred(photo("obama")))
    turned = pb.RefusedQualities(reasons=[encoder_pb2.QUALITY_REASON_TURNED])
    await change_settings(seeing, quality=pb.QualityPolicy(refused=turned))
    assert (await seeing.stub.Enroll(enroll("one", poor))).person_created
    await change_settings(seeing, quality=pb.QualityPolicy(min_face_pixels=10))  # says nothing of reasons
    blur = pb.RefusedQualities(reasons=[encoder_pb2.QUALITY_REASON_BLURRED])
    await change_settings(seeing, quality=pb.QualityPolicy(refused=blur))
    with refused(Reason.FACE_QUALITY, "items[0].probe.image", "blurred"):
        await seeing.stub.Enroll(enroll("two", poor))
    await change_settings(seeing, quality=pb.QualityPolicy(refused=pb.RefusedQualities()))
    assert (await seeing.stub.Enroll(enroll("two", poor))).person_created
    with refused(Reason.OPTION_INVALID, "settings.quality.refused.reasons"):
        nonsense = pb.RefusedQualities(reasons=[99])  # type: ignore[list-item]
        await change_settings(seeing, quality=pb.QualityPolicy(refused=nonsense))


async def test_small_faces_beside_a_large_one_are_found_on_request(
    seeing: RunningMatcher, photo: Callable[..., bytes]
) -> None:
    large = Image.open(io.BytesIO(photo("obama"))).convert("RGB").resize((1200, 1500))
    small = Image.open(io.BytesIO(photo("biden"))).convert("RGB")
    small.thumbnail((400, 400))
    scene = Image.new("RGB", (1800, 1500), (90, 100, 110))
    scene.paste(large, (0, 0))
    scene.paste(small, (1400, 100))
    with io.BytesIO() as out:
        scene.save(out, "JPEG", quality=95)
        group = pb.Probe(image=out.getvalue())
    for name in ("obama", "biden"):
        await seeing.stub.Enroll(enroll(name, pb.Probe(image=photo(name))))

    async def people(min_face_pixels: int) -> set[str]:
        request = pb.IdentifyRequest(probes=[group], all_faces=True, min_face_pixels=min_face_pixels)
        answer = await seeing.stub.Identify(request)
        return {face.candidates[0].person_id for face in answer.faces if face.candidates}

    assert await people(0) == {"obama"}
    assert await people(50) == {"obama", "biden"}


async def test_an_option_too_costly_for_a_picture_is_reported_as_the_callers_fault(
    start_matcher: StartMatcher, database_url: str, model_cache: Path, photo: Callable[..., bytes]
) -> None:
    encoder = await asyncio.to_thread(EncoderProcess, "--max-hog-pixels", "100000", cache=model_cache)
    try:
        await asyncio.to_thread(encoder.event, "serving")
        seeing = await start_matcher(database_url, encoder_address=encoder.address)
        probe = pb.Probe(image=photo("obama"))
        with refused(Reason.OPTION_INVALID, "min_face_pixels", "at most 100000"):
            await seeing.stub.Identify(pb.IdentifyRequest(probes=[probe], all_faces=True, min_face_pixels=1))
    finally:
        await asyncio.to_thread(encoder.stop)


async def test_one_caller_gets_at_most_three_quarters_of_the_images_in_flight(
    start_matcher: StartMatcher, database_url: str, busy_encoder: tuple[BusyEncoder, str]
) -> None:
    encoder, address = busy_encoder
    encoder.trouble = "slow"
    matcher = await start_matcher(database_url, encoder_address=address, encoder_max_images=4)
    probe = pb.Probe(image=flat())
    claim = pb.VerifyRequest(person_id="ann", probe=probe)
    calls = [asyncio.ensure_future(matcher.stub.Verify(claim)) for _ in range(6)]
    while REGISTRY.get_sample_value("facerec_matcher_waiting", {"kind": "encoder"}) != 3:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    while encoder.under_way < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    encoder.go_on.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert encoder.most == 3
