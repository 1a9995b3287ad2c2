"""The servicers enforce the ranges in the contract's comments, which are inclusive."""

import io
import uuid
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from PIL import Image

import facerec.encoder.v1 as encoder_pb
import facerec.matcher.v1 as matcher_pb
from facerec.matcher.v1 import matcher_pb2
from scripts.field_behavior import CONDITIONAL
from tests.contract import requests

ENCODER = encoder_pb.DESCRIPTOR.services_by_name["EncoderService"]
MATCHER = matcher_pb2.DESCRIPTOR.services_by_name["MatcherService"]
COLLECTIONS = matcher_pb2.DESCRIPTOR.services_by_name["CollectionService"]
NOT_INVALID = {
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
}
NEED_ONE_OF_SEVERAL = {"UpdatePerson", "UpdateFace", "UpdateCollection"}
SPACE = "dlib-resnet-v1/small/150x0.25"


def flat_picture() -> bytes:
    """A picture without a face, 64 by 64 pixels."""
    with io.BytesIO() as out:
        Image.new("RGB", (64, 64), (90, 120, 150)).save(out, "PNG")
        return out.getvalue()


def probe() -> matcher_pb.Probe:
    return matcher_pb.Probe(encoding=encoder_pb.Encoding(values=[0.1] * 128, space=SPACE, fingerprint="test"))


def encoder_requests() -> dict[str, message.Message]:
    box = encoder_pb.BoundingBox(top=1, right=60, bottom=60, left=1)
    return {
        "Encode": encoder_pb.EncodeRequest(
            image=flat_picture(), options=encoder_pb.EncodeOptions(max_faces=1), face_boxes=[box]
        ),
        "DetectFaces": encoder_pb.DetectFacesRequest(
            image=flat_picture(), options=encoder_pb.EncodeOptions(max_faces=1)
        ),
        "GetModel": encoder_pb.GetModelRequest(),
        "GetCaller": encoder_pb.GetCallerRequest(),
        "GetStatus": encoder_pb.GetStatusRequest(),
    }


def matcher_requests() -> dict[str, message.Message]:
    pb, person = matcher_pb, "somebody"
    return {
        "Enroll": pb.EnrollRequest(person_id=person, items=[pb.EnrollItem(probe=probe())]),
        "Verify": pb.VerifyRequest(person_id=person, probe=probe()),
        "Identify": pb.IdentifyRequest(probes=[probe()]),
        "Compare": pb.CompareRequest(probe_a=probe(), probe_b=probe()),
        "GetPerson": pb.GetPersonRequest(person_id=person),
        "ListPersons": pb.ListPersonsRequest(filter=pb.PersonFilter(person_ids=["somebody"])),
        "UpdatePerson": pb.UpdatePersonRequest(person_id=person, display_name="Somebody"),
        "ExportPerson": pb.ExportPersonRequest(person_id=person),
        "MergePersons": pb.MergePersonsRequest(source_person_id=person, target_person_id="somebody else"),
        "BatchGetPersons": pb.BatchGetPersonsRequest(person_ids=[person]),
        "RenamePerson": pb.RenamePersonRequest(person_id=person, new_person_id="another"),
        "MoveFaces": pb.MoveFacesRequest(face_ids=[str(uuid.uuid4())], target_person_id=person),
        "BatchDeletePersons": pb.BatchDeletePersonsRequest(person_ids=["nobody"]),
        "DeletePerson": pb.DeletePersonRequest(person_id=person),
        "ListFaces": pb.ListFacesRequest(person_id=person, external_ref="a"),
        "GetFace": pb.GetFaceRequest(face_id=str(uuid.uuid4())),
        "UpdateFace": pb.UpdateFaceRequest(face_id=str(uuid.uuid4()), external_ref="a"),
        "DeleteFace": pb.DeleteFaceRequest(face_id=str(uuid.uuid4())),
        "GetErasure": pb.GetErasureRequest(erasure_id=str(uuid.uuid4())),
        "GetImport": pb.GetImportRequest(import_id="an import"),
        "ExportFaces": pb.ExportFacesRequest(),
    }


def collection_requests() -> dict[str, message.Message]:
    """Requests for a collection of their own, so that no other test's settings change."""
    pb, name = matcher_pb, "ranges"
    settings = pb.CollectionSettings(
        display_name="Ranges",
        quality=pb.QualityPolicy(min_face_pixels=1),
        search=pb.SearchPolicy(exact_only=True),
    )
    return {
        "CreateCollection": pb.CreateCollectionRequest(collection_id=name, settings=settings),
        "GetCollection": pb.GetCollectionRequest(collection_id=name),
        "ListCollections": pb.ListCollectionsRequest(),
        "UpdateCollection": pb.UpdateCollectionRequest(collection_id=name, settings=settings),
        "DeleteCollection": pb.DeleteCollectionRequest(collection_id=name, force=True),
        "Calibrate": pb.CalibrateRequest(collection_id=name),
        "ApplyCalibration": pb.ApplyCalibrationRequest(collection_id=name, calibration_id=str(uuid.uuid4())),
        "MeasureRecall": pb.MeasureRecallRequest(collection_id=name),
        "ListDuplicates": pb.ListDuplicatesRequest(collection_id=name),
        "ListInconsistentFaces": pb.ListInconsistentFacesRequest(collection_id=name),
        "DismissDuplicate": pb.DismissDuplicateRequest(
            collection_id=name, person_id_a="somebody", person_id_b="somebody else"
        ),
        "ListAuditEvents": pb.ListAuditEventsRequest(collection_id=name),
        "GetCaller": pb.GetCallerRequest(),
        "GetStatus": pb.GetStatusRequest(),
    }


BASES: dict[str, Callable[[], dict[str, message.Message]]] = {
    ENCODER.full_name: encoder_requests,
    MATCHER.full_name: matcher_requests,
    COLLECTIONS.full_name: collection_requests,
}


def cases(kind: Any) -> list[Any]:
    """Every case of one kind, with its service's fixture."""
    found = []
    for service in (ENCODER, MATCHER, COLLECTIONS):
        bases = BASES[service.full_name]()
        for method in requests.offered(service):
            if method.client_streaming:  # an item's fault is answered within the stream: tested end to end
                continue
            for case in kind(method, bases[method.name]):
                # Box edges bound each other, so a single edge at its own limit says nothing.
                if "face_boxes" not in case.path[:1] or len(case.path) == 1:
                    found.append(pytest.param(service, case, id=str(case)))
    return found


@pytest.fixture
async def stubs(encoder_address: str, matcher_address: str) -> Any:
    """Stubs of both running services, by service name."""
    async with (
        grpc.aio.insecure_channel(encoder_address) as encoder,
        grpc.aio.insecure_channel(matcher_address) as matcher,
    ):
        yield {
            ENCODER.full_name: encoder_pb.EncoderServiceStub(encoder),
            MATCHER.full_name: matcher_pb.MatcherServiceStub(matcher),
            COLLECTIONS.full_name: matcher_pb.CollectionServiceStub(matcher),
        }


def request_of(service: Any, case: requests.Case) -> message.Message:
    return requests.build(case, BASES[service.full_name]()[case.rpc])


async def ask(stubs: Any, service: Any, case: requests.Case) -> None:
    """Call, and read an answer."""
    await send(stubs, service, case.rpc, request_of(service, case))


async def send(stubs: Any, service: Any, rpc: str, request: message.Message) -> None:
    """Call, and read an answer."""
    call = getattr(stubs[service.full_name], rpc)(request)
    await (call.read() if service.methods_by_name[rpc].server_streaming else call)


def violated(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields an error's BadRequest names."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    request = error_details_pb2.BadRequest()
    for packed in status.details if status else ():
        if packed.Unpack(request):
            return [violation.field for violation in request.field_violations]
    return []


@pytest.mark.parametrize(("service", "case"), cases(requests.outside))
async def test_a_value_beyond_its_stated_range_is_refused_by_its_field(
    stubs: Any, service: Any, case: requests.Case
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(stubs, service, case)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
    assert violated(caught.value) == [case.field]


@pytest.mark.parametrize(("service", "case"), cases(requests.inside))
async def test_a_value_at_the_edge_of_its_stated_range_is_accepted(
    stubs: Any, service: Any, case: requests.Case
) -> None:
    try:
        await ask(stubs, service, case)
    except grpc.aio.AioRpcError as error:
        # Somebody may be unknown, a space another or a collection there, but the value is not invalid.
        assert error.code() in NOT_INVALID, error.details()


@pytest.mark.parametrize(("service", "case"), cases(requests.lacking))
async def test_a_request_without_a_required_field_is_refused_by_it(
    stubs: Any, service: Any, case: requests.Case
) -> None:
    base = BASES[service.full_name]()[case.rpc]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await send(stubs, service, case.rpc, requests.without(case, base))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
    assert violated(caught.value) == [case.field]


def smallest() -> list[Any]:
    """Every RPC with its service, but those that need one of several fields."""
    return [
        pytest.param(service, method.name, id=method.name)
        for service in (ENCODER, MATCHER, COLLECTIONS)
        for method in requests.offered(service)
        if not method.client_streaming
        and method.name not in NEED_ONE_OF_SEVERAL
        and not any(
            CONDITIONAL in requests.SYMBOLS[field.full_name].comment for field in method.input_type.fields
        )
    ]


@pytest.mark.parametrize(("service", "rpc"), smallest())
async def test_a_request_with_the_required_fields_alone_is_accepted(
    stubs: Any, service: Any, rpc: str
) -> None:
    try:
        await send(stubs, service, rpc, requests.minimal(BASES[service.full_name]()[rpc]))
    except grpc.aio.AioRpcError as error:
        assert error.code() in NOT_INVALID, error.details()


@pytest.mark.parametrize("service", [ENCODER, MATCHER, COLLECTIONS], ids=lambda service: service.name)
async def test_exactly_the_rpcs_marked_as_not_offered_answer_unimplemented(stubs: Any, service: Any) -> None:
    offered = {method.name for method in requests.offered(service)}
    for method in service.methods:
        call = getattr(stubs[service.full_name], method.name)
        try:
            # Nothing is sent on a stream: a write that meets the server's end fails on its own.
            answer = call() if method.client_streaming else call(method.input_type._concrete_class())
            if method.client_streaming:
                await answer.done_writing()
            await (answer.read() if method.server_streaming else answer)
            code = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as error:
            code = error.code()
        assert (code != grpc.StatusCode.UNIMPLEMENTED) == (method.name in offered), method.full_name
