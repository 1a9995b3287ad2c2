"""What becomes of a call whose client hangs up, or that takes too long."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.e2e.gateway.rekognition.calling import ACCESS_KEY, SECRET, exception, send, signed_headers
from tests.e2e.gateway.rekognition.conftest import write_keys
from tests.fixtures.gateway import StartGateway
from tests.fixtures.matcher import NOWHERE
from tests.fixtures.waiting import until

CALL, BODY = "ListCollections", b"{}"


class Waiting(matcher_pb2_grpc.CollectionServiceServicer):
    """A matcher that never answers, and records the keys that it was called with."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.cancelled = 0

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListCollectionsResponse:
        """Wait until the call ends."""
        self.keys.append(dict(context.invocation_metadata() or ())["authorization"])
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1
        raise AssertionError


@pytest.fixture
async def waiting() -> AsyncIterator[tuple[Waiting, str]]:
    """Such a matcher, and its address."""
    servicer = Waiting()  # type: ignore[abstract]
    server = grpc.aio.server()
    matcher_pb2_grpc.add_CollectionServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(0)


async def test_a_call_ends_when_its_client_hangs_up_or_its_time_is_over(
    waiting: tuple[Waiting, str], start_gateway: StartGateway, tmp_path: Path
) -> None:
    matcher, address = waiting
    keys = str(write_keys(tmp_path / "keys.toml", {ACCESS_KEY: SECRET}))
    for number, seconds in enumerate(("600", "0.5"), 1):
        flags = ("--rekognition-keys-file", keys, "--max-call-seconds", seconds)
        gateway = (await asyncio.to_thread(start_gateway, NOWHERE, address, *flags)).address
        if number == 1:
            host, _, port = gateway.rpartition(":")
            _, writer = await asyncio.open_connection(host, port)
            lines = [f"{name}: {value}" for name, value in signed_headers(gateway, CALL, BODY).items()]
            head = "\r\n".join(["POST / HTTP/1.1", *lines, f"content-length: {len(BODY)}", "", ""])
            writer.write(head.encode() + BODY)
            await until(lambda: len(matcher.keys) == 1)
            writer.close()
        else:
            answer = await asyncio.to_thread(send, gateway, CALL, BODY)
            assert exception(answer) == "InternalServerError"
        await until(lambda number=number: matcher.cancelled == number)  # type: ignore[misc]
    assert set(matcher.keys) == {f"Bearer {SECRET}"}
