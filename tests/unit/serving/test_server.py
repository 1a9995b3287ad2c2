"""A server on the wire: health, reflection, errors, addresses."""

import asyncio
import pathlib
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

import facerec.encoder.v1 as pb
from facerec.errors import FacerecError, Reason
from facerec.serving.middleware.status import CODES
from facerec.serving.server.errors import AddressInUse, AddressInvalid, InsecureAddress
from facerec.serving.server.server import Server, ServerOptions, Service

NAME = "facerec.encoder.v1.EncoderService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Overloaded(FacerecError):
    reason = Reason.OVERLOADED


class Servicer(pb.EncoderServiceServicer):
    """Fails in every way that a servicer can."""

    async def Encode(self, request: pb.EncodeRequest, context: Any) -> pb.EncodeResponse:
        raise FacerecError("the image is empty: send one", field="image", reason=Reason.IMAGE_INVALID)

    async def DetectFaces(self, request: pb.DetectFacesRequest, context: Any) -> pb.DetectFacesResponse:
        raise Overloaded("busy", retry_after_seconds=0.25)

    def EncodeStream(self, request_iterator: Any, context: Any) -> Any:
        return super().EncodeStream(request_iterator, context)

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        raise ValueError("a secret the caller must not see")

    async def GetCaller(self, request: pb.GetCallerRequest, context: Any) -> pb.GetCallerResponse:
        return pb.GetCallerResponse()


def service() -> Service:
    return Service(NAME, lambda server: pb.add_EncoderServiceServicer_to_server(Servicer(), server))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    running = Server(ServerOptions("127.0.0.1:0", grace_seconds=1), [service()])
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(server.address) as opened:
        yield opened


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def detail(error: grpc.aio.AioRpcError, kind: Any) -> Any:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    message = kind()
    assert any(packed.Unpack(message) for packed in status.details), f"no {kind.__name__} in {status}"
    return message


async def test_an_error_names_its_reason_and_the_field_at_fault(channel: grpc.aio.Channel) -> None:
    error = await failure(pb.EncoderServiceStub(channel).Encode(pb.EncodeRequest()))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    info = detail(error, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("IMAGE_INVALID", "facerec.internal")
    assert detail(error, error_details_pb2.BadRequest).field_violations[0].field == "image"


async def test_an_overload_says_when_to_try_again(channel: grpc.aio.Channel) -> None:
    error = await failure(pb.EncoderServiceStub(channel).DetectFaces(pb.DetectFacesRequest()))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert detail(error, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 250


async def test_an_unexpected_error_is_hidden_from_the_caller_and_its_message_from_the_log(
    channel: grpc.aio.Channel, capsys: pytest.CaptureFixture[str]
) -> None:
    error = await failure(pb.EncoderServiceStub(channel).GetModel(pb.GetModelRequest()))
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in (error.details() or "")
    logged = "".join(capsys.readouterr())
    assert "internal_error" in logged
    assert "ValueError" in logged
    assert "secret" not in logged
    error_id = (error.details() or "").split()[2].rstrip(";")
    assert error_id in logged


async def test_a_method_that_is_not_offered_is_unimplemented(channel: grpc.aio.Channel) -> None:
    call = pb.EncoderServiceStub(channel).EncodeStream()
    error = await failure(call.read())
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_health_is_not_serving_until_set_and_again_at_the_end(
    server: Server, channel: grpc.aio.Channel
) -> None:
    health: Any = health_pb2_grpc.HealthStub(channel)
    for name in ("", NAME):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == NOT_SERVING
    await server.set_serving(NAME, True)
    for name in ("", NAME):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest(service=NAME))
    assert (await watch.read()).status == SERVING
    stopping = asyncio.create_task(server.stop())
    assert (await watch.read()).status == NOT_SERVING
    watch.cancel()
    await stopping


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_the_services_under_both_of_its_names(
    channel: grpc.aio.Channel, version: str
) -> None:
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )(iter([reflection_pb2.ServerReflectionRequest(list_services="*")]))
    answer: Any = await call.read()
    names = {service.name for service in answer.list_services_response.service}
    assert {NAME, "grpc.health.v1.Health"} <= names


async def test_a_taken_port_is_a_clear_refusal(server: Server) -> None:
    second = Server(ServerOptions(server.address), [service()])
    with pytest.raises(AddressInUse, match=server.address):
        await second.start()


@pytest.fixture
def taken() -> Iterator[str]:
    """An address on which another process listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield f"127.0.0.1:{other.getsockname()[1]}"


PORTS = ["address", "admin_address", "health_address"]


def options_of(port: str, taken: str) -> ServerOptions:
    """All ports chosen by the system, except one."""
    addresses: dict[str, Any] = dict.fromkeys(PORTS, "127.0.0.1:0") | {port: taken}
    return ServerOptions(**addresses)


@pytest.mark.parametrize("port", PORTS)
async def test_if_one_port_is_taken_none_is_listened_on(port: str, taken: str) -> None:
    refused = Server(options_of(port, taken), [service()])
    with pytest.raises(AddressInUse, match=taken):
        await refused.start()
    for address in (refused.address, refused.admin_address, refused.health_address):
        assert address is not None
        if address != taken:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*address.split(":"))


@pytest.mark.parametrize("port", PORTS)
def test_a_process_whose_port_is_taken_ends_with_one_line(port: str, taken: str) -> None:
    script = (
        "import sys; from facerec.serving.server import loop; from facerec.serving.server.server import *\n"
        f"async def serve(): await Server({options_of(port, taken)}, []).start()\n"
        "sys.exit(loop.run(serve()))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    errors = [line for line in run.stderr.splitlines() if "add_port.cc" not in line]  # gRPC's own
    assert (run.returncode, len(errors)) == (2, 1), run.stderr
    assert errors[0].startswith(f"error: cannot listen on {taken}: ")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0"])
async def test_plain_text_beyond_loopback_needs_a_flag(address: str) -> None:
    with pytest.raises(InsecureAddress, match="--insecure"):
        Server(ServerOptions(address), [service()])
    Server(ServerOptions(address, insecure=True), [service()])


@pytest.mark.parametrize(
    "address", ["", "50051", "localhost", "localhost:", "localhost:x", "localhost:70000", ":1"]
)
async def test_an_invalid_address_is_refused(address: str) -> None:
    with pytest.raises(AddressInvalid, match="HOST:PORT"):
        Server(ServerOptions(address), [service()])


def test_every_reason_has_a_code() -> None:
    assert set(CODES) == set(Reason)


def test_the_documented_reasons_are_exactly_the_existing_ones() -> None:
    text = (pathlib.Path(__file__).parents[3] / "docs" / "errors.md").read_text()
    rows = {
        reason: line.split("|")[2].strip()
        for line in text.splitlines()
        if line.startswith("| `")
        for reason in re.findall(r"`([A-Z_]+)`", line.split("|")[1])
    }
    names = {status.value[0]: status.name for status in grpc.StatusCode}
    assert rows == {str(reason): names[code] for reason, code in CODES.items()}
