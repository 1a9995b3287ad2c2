"""What reaches a service of a call, and what becomes of calls whose client or gateway ends."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from facerec.client.channel import COLLECTION_SERVICE, ENCODER_SERVICE, MATCHER_SERVICE
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.e2e.gateway import http
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.matcher import NOWHERE
from tests.fixtures.waiting import until

VERIFY = "/facerec.matcher.v1.MatcherService/Verify"
PATHS = ("/v1/verify", VERIFY)
ANSWER_BYTES = 32 * 1024 * 1024  # more than a connection holds that nobody reads


class Waiting(matcher_pb2_grpc.MatcherServiceServicer):
    """A matcher whose Verify is answered when `answer` is set, and records what it was called with."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.calls: list[dict[str, Any]] = []
        self.cancelled = 0

    async def Verify(
        self, request: pb.VerifyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.VerifyResponse:
        """Wait, then answer a match."""
        metadata = dict(context.invocation_metadata() or ())
        self.calls.append({**metadata, "seconds": context.time_remaining(), "person": request.person_id})
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return pb.VerifyResponse(match=True)

    async def ListPersons(
        self, request: pb.ListPersonsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListPersonsResponse:
        """Answer ANSWER_BYTES."""
        person = pb.Person(display_name="a" * (ANSWER_BYTES // 16))
        return pb.ListPersonsResponse(persons=[person] * 16)


@pytest.fixture
async def waiting() -> AsyncIterator[tuple[Waiting, GatewayProcess]]:
    """Such a matcher, and a gateway before it."""
    servicer = Waiting()  # type: ignore[abstract]
    server = grpc.aio.server()
    matcher_pb2_grpc.add_MatcherServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    flags = ("--admin-address", "127.0.0.1:0", "--grace-seconds", "60", "--max-call-seconds", "5")
    gateway = await asyncio.to_thread(GatewayProcess, NOWHERE, f"127.0.0.1:{port}", *flags)
    await asyncio.to_thread(gateway.event, "listening")
    try:
        yield servicer, gateway
    finally:
        servicer.answer.set()
        await asyncio.to_thread(gateway.stop)
        await server.stop(0)


def calling(gateway: GatewayProcess, path: str, **headers: str) -> "asyncio.Task[http.Answer]":
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.create_task(asyncio.to_thread(http.post, gateway.address, path, {"personId": "ann"}, sent))


async def test_a_call_has_its_callers_key_ids_trace_and_deadline(
    waiting: tuple[Waiting, GatewayProcess],
) -> None:
    matcher, gateway = waiting
    matcher.answer.set()
    trace = f"00-{'4b' * 16}-{'f0' * 8}-01"
    for path in PATHS:
        answer = await calling(
            gateway,
            path,
            authorization="Bearer k",
            x_request_id="door-7",
            x_on_behalf_of="visitor",
            traceparent=trace,
            connect_timeout_ms="900000",
            cookie="private",
        )
        assert (answer.status, answer.json["match"]) == (200, True)
        call = matcher.calls.pop()
        assert call["authorization"] == "Bearer k"
        assert (call["x-request-id"], call["x-on-behalf-of"], call["traceparent"]) == (
            "door-7",
            "visitor",
            trace,
        )
        assert 600 < call["seconds"] < 901
        assert call["person"] == "ann"
        assert "cookie" not in call
        answer = await calling(gateway, path, x_request_id="no id", traceparent="no trace")
        call = matcher.calls.pop()
        assert call["x-request-id"] == answer.headers["x-request-id"] != "no id"
        assert "traceparent" not in call
        assert 0 < call["seconds"] < 6
    port = gateway.event("listening")["admin"]
    metrics = (await asyncio.to_thread(http.send, port, "GET", "/metrics")).body.decode()
    counted = 'grpc_server_handled_total{grpc_code="OK",grpc_method="Verify"'
    assert any(line.startswith(counted) and line.endswith(" 4.0") for line in metrics.splitlines())


async def test_a_deadline_ends_a_call(waiting: tuple[Waiting, GatewayProcess]) -> None:
    matcher, gateway = waiting
    for path in PATHS:
        answer = await calling(gateway, path, connect_timeout_ms="50")
        assert (answer.status, answer.json["code"]) == (504, "deadline_exceeded")
        refused = await calling(gateway, path, connect_timeout_ms="soon")
        assert refused.status == 400
        assert answer.body.endswith(b"}\n")
        assert refused.body.endswith(b"}\n")
    await until(lambda: matcher.cancelled == len(matcher.calls))


async def test_a_call_whose_client_hangs_up_is_cancelled(waiting: tuple[Waiting, GatewayProcess]) -> None:
    matcher, gateway = waiting
    host, _, port = gateway.address.rpartition(":")
    for number, path in enumerate(PATHS, 1):
        _, writer = await asyncio.open_connection(host, port)
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2"
        writer.write(f"{head}\r\n\r\n{{}}".encode())
        await until(lambda number=number: len(matcher.calls) == number)  # type: ignore[misc]
        writer.close()
        await until(lambda number=number: matcher.cancelled == number)  # type: ignore[misc]


async def test_a_gateway_is_ready_while_one_of_both_services_is(
    waiting: tuple[Waiting, GatewayProcess],
) -> None:
    matcher, gateway = waiting
    matcher.answer.set()
    assert (await calling(gateway, VERIFY)).status == 200
    admin = gateway.event("listening")["admin"]
    assert (await asyncio.to_thread(http.send, admin, "GET", "/readyz")).status == 200
    public = await asyncio.to_thread(http.send, gateway.address, "GET", "/ready")
    states = {ENCODER_SERVICE: False, MATCHER_SERVICE: True, COLLECTION_SERVICE: True}
    assert (public.status, public.json) == (503, {"ready": False, "services": states})


async def test_a_gateway_that_is_stopped_answers_the_calls_in_flight(
    waiting: tuple[Waiting, GatewayProcess],
) -> None:
    matcher, gateway = waiting
    calls = [calling(gateway, path) for path in PATHS]
    await until(lambda: len(matcher.calls) == 2)
    gateway.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(gateway.event, "stopping")
    admin = gateway.event("listening")["admin"]
    assert (await asyncio.to_thread(http.send, admin, "GET", "/readyz")).status == 503
    matcher.answer.set()
    assert [answer.status for answer in await asyncio.gather(*calls)] == [200, 200]
    assert await asyncio.to_thread(gateway.process.wait) == 0


@pytest.mark.parametrize("path", ["/v1/persons", "/facerec.matcher.v1.MatcherService/ListPersons"])
async def test_a_client_that_does_not_read_its_answer_is_disconnected(
    waiting: tuple[Waiting, GatewayProcess], path: str
) -> None:
    _, gateway = waiting
    host, _, port = gateway.address.rpartition(":")
    verb, kind = ("GET", "") if path.startswith("/v1") else ("POST", "Content-Type: application/proto\r\n")
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    writer.write(f"{verb} {path} HTTP/1.1\r\nHost: {host}\r\n{kind}Content-Length: 0\r\n\r\n".encode())
    call = await asyncio.to_thread(gateway.event, "call")
    assert (call["method"], call["code"]) == ("ListPersons", "CANCELLED")
    size = 0
    with contextlib.suppress(ConnectionResetError):
        while part := await reader.read(65536):
            size += len(part)
    assert size < ANSWER_BYTES
    writer.close()


async def test_answers_that_nobody_reads_leave_no_room_for_more(
    waiting: tuple[Waiting, GatewayProcess],
) -> None:
    _, gateway = waiting
    host, _, port = gateway.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    writer.write(f"GET /v1/persons HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert await reader.read(1) == b"H"
    refused = await asyncio.to_thread(http.send, gateway.address, "GET", "/v1/persons")
    assert (refused.status, refused.reason) == (429, "OVERLOADED")
    writer.close()
