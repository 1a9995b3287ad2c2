"""Every RPC with every role, with none, with a wrong tenant, and with an expired key."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import message

import facerec.encoder.v1 as encoder_pb
import facerec.matcher.v1 as matcher_pb
from facerec.client.sending import AsyncRequests
from facerec.errors import FacerecError, Reason
from facerec.matcher.v1 import matcher_pb2
from tests.contract import test_ranges as bases
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.matcher.transfers import header
from tests.fixtures.matcher import StartMatcher

ROLES = ("encode", "verify", "identify", "enroll", "manage", "admin")
# Who may do what, besides admin, who may do everything. Independent of the services' own tables.
ENTITLED = {
    "Encode": "encode", "EncodeStream": "encode", "DetectFaces": "encode", "GetModel": "encode",
    "Verify": "verify", "Compare": "verify",
    "Identify": "identify",
    "Enroll": "enroll", "ImportFaces": "enroll", "GetImport": "enroll",
    "GetPerson": "manage", "ListPersons": "manage", "UpdatePerson": "manage", "MergePersons": "manage",
    "DeletePerson": "manage", "ListFaces": "manage", "DeleteFace": "manage", "GetErasure": "manage",
    "BatchGetPersons": "manage", "BatchDeletePersons": "manage", "RenamePerson": "manage",
    "MoveFaces": "manage", "ExportPerson": "manage", "GetFace": "manage", "UpdateFace": "manage",
    "GetCollection": "manage", "ListCollections": "manage", "UpdateCollection": "manage",
    "Calibrate": "manage", "ApplyCalibration": "manage", "MeasureRecall": "manage",
    "ListDuplicates": "manage", "ListInconsistentFaces": "manage", "DismissDuplicate": "manage",
    "ExportFaces": "admin", "CreateCollection": "admin", "DeleteCollection": "admin",
    "ListAuditEvents": "admin",
    "GetCaller": "any",
}  # fmt: skip
_CODES = {
    Reason.KEY_MISSING: grpc.StatusCode.UNAUTHENTICATED,
    Reason.KEY_UNKNOWN: grpc.StatusCode.UNAUTHENTICATED,
    Reason.NOT_PERMITTED: grpc.StatusCode.PERMISSION_DENIED,
}
OVER = "expires = 2020-01-01T00:00:00Z"


def everything() -> Iterator[tuple[Any, Any]]:
    """Every service of the contract with each of its methods."""
    for service in (bases.ENCODER, bases.MATCHER, bases.COLLECTIONS):
        for method in service.methods:
            yield service, method


class Callers:
    """Calls any RPC of the servers under test."""

    def __init__(self, encoder: grpc.aio.Channel, matcher: grpc.aio.Channel) -> None:
        self._stubs = {
            bases.ENCODER.full_name: encoder_pb.EncoderServiceStub(encoder),
            bases.MATCHER.full_name: matcher_pb.MatcherServiceStub(matcher),
            bases.COLLECTIONS.full_name: matcher_pb.CollectionServiceStub(matcher),
        }

    async def ask(self, service: Any, method: Any, request: Any, metadata: Any) -> Reason | None:
        """Why the call was not admitted; None if it was, whatever its outcome."""
        call = getattr(self._stubs[service.full_name], method.name)
        sent = AsyncRequests(_only(request))
        answer = call(sent if method.client_streaming else request, metadata=metadata, timeout=10)
        try:
            with sent.attached_to(answer, "the server"):
                if method.server_streaming:
                    async for _ in answer:
                        break
                else:
                    await answer
        except FacerecError as error:
            if error.reason in _CODES:
                assert isinstance(error.__cause__, grpc.RpcError)
                assert error.__cause__.code() == _CODES[error.reason]
                return error.reason
        return None


async def _only(request: message.Message) -> AsyncIterator[message.Message]:
    yield request


def request_of(service: Any, method: Any, collection_id: str = "") -> message.Message:
    """A valid request, about a collection where it can be about one."""
    if method.name == "EncodeStream":
        return encoder_pb.EncodeStreamRequest(item_id="a")
    if method.name == "ImportFaces":
        return header(collection_id=collection_id)
    request = bases.BASES[service.full_name]()[method.name]
    if "collection_id" in request.DESCRIPTOR.fields_by_name:
        request.collection_id = collection_id  # type: ignore[attr-defined]
    return request


@pytest.fixture
async def callers(
    start_matcher: StartMatcher,
    start_encoder: Callable[..., Any],
    database_url: str,
    keys_file: Callable[..., Path],
) -> Any:
    path = keys_file(
        *(entry(role, f"key-{role}", [role], "scores = true\nencodings = true") for role in ROLES),
        entry("over", "key-over", ROLES, OVER),
        entry("tenant", "key-tenant", ROLES, 'collections = ["theirs"]'),
    )
    matcher = await start_matcher(database_url, keys_file=path)
    encoder = await start_encoder(keys_file=path)
    async with (
        grpc.aio.insecure_channel(encoder.address) as to_encoder,
        grpc.aio.insecure_channel(matcher.address) as to_matcher,
    ):
        yield Callers(to_encoder, to_matcher)


def test_every_method_of_the_contract_has_a_role() -> None:
    assert {method.name for _, method in everything()} == set(ENTITLED)


async def test_each_role_may_call_its_own_methods_and_no_others(callers: Callers) -> None:
    wrong = []
    for service, method in everything():
        for role in ROLES:
            reason = await callers.ask(service, method, request_of(service, method), bearer(f"key-{role}"))
            may = role in (ENTITLED[method.name], "admin") or ENTITLED[method.name] == "any"
            expected = None if may else Reason.NOT_PERMITTED
            if reason != expected:
                wrong.append((method.name, role, reason))
    assert not wrong


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ((), Reason.KEY_MISSING),
        (bearer("no such key"), Reason.KEY_UNKNOWN),
        (bearer("key-over"), Reason.KEY_UNKNOWN),
        ((("authorization", "key-admin"),), Reason.KEY_UNKNOWN),
        ((("authorization", "Basic a2V5LWFkbWlu"),), Reason.KEY_UNKNOWN),
        ((("x-api-key", "key-admin"),), Reason.KEY_MISSING),
    ],
    ids=["none", "unknown", "over", "bare", "basic", "elsewhere"],
)
async def test_calls_without_a_valid_key_are_refused(
    callers: Callers, metadata: Any, expected: Reason
) -> None:
    for service, method in everything():
        reason = await callers.ask(service, method, request_of(service, method), metadata)
        assert reason == expected, method.name


async def test_a_key_of_one_tenant_reaches_no_other_and_no_list_of_them(callers: Callers) -> None:
    for service, method in everything():
        if service is bases.ENCODER:
            continue
        for collection_id, expected in (
            ("theirs", None),
            ("ours", Reason.NOT_PERMITTED),
            ("", Reason.NOT_PERMITTED),
        ):
            reason = await callers.ask(
                service, method, request_of(service, method, collection_id), bearer("key-tenant")
            )
            if method.name == "ListCollections":
                expected = Reason.NOT_PERMITTED  # noqa: PLW2901
            if method.name == "GetCaller":  # it names no collection but the key's own
                expected = None  # noqa: PLW2901
            assert reason == expected, (method.name, collection_id)


async def test_no_message_is_read_before_its_sender_is_authenticated(
    start_matcher: StartMatcher, database_url: str, keys_file: Callable[..., Path]
) -> None:
    """Bytes that are no message are refused for want of a key, and with one as what they are."""
    matcher = await start_matcher(database_url, keys_file=keys_file(entry("door", "k", ["verify"])))
    async with grpc.aio.insecure_channel(matcher.address) as channel:
        verify: Any = channel.unary_unary(f"/{bases.MATCHER.full_name}/Verify")
        for metadata, code in (
            ((), grpc.StatusCode.UNAUTHENTICATED),
            (bearer("k"), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await verify(b"\xff\xff\xff", metadata=metadata)
            assert caught.value.code() == code


async def test_health_is_open_and_reflection_needs_a_key(
    start_matcher: StartMatcher, database_url: str, keys_file: Callable[..., Path]
) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    matcher = await start_matcher(database_url, keys_file=keys_file(entry("door", "k", ["verify"])))
    async with grpc.aio.insecure_channel(matcher.address) as channel:
        probe: Any = health_pb2_grpc.HealthStub(channel)
        health = await probe.Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
        ask = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ServerReflectionInfo(ask).read()
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        listed = await stub.ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")]), metadata=bearer("k")
        ).read()
        names = {each.name for each in listed.list_services_response.service}
        assert matcher_pb2.DESCRIPTOR.services_by_name["MatcherService"].full_name in names
