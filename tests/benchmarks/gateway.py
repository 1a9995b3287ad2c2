"""`make bench-gateway`: Verify by an encoding through the gateway and by gRPC, and the gateway's memory.

Both are called by one asyncio process over connections that are kept open, in turn, so that whatever else the
machine does is shared. The processor time of the gateway's process does not depend on the machine's load.
"""

import argparse
import asyncio
import contextlib
import io
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import grpc.aio
import numpy as np
import psutil
from google.protobuf.json_format import MessageToJson
from PIL import Image

from facerec.cli.local.temporary import temporary_stack
from facerec.client import Encoding, MatcherClient
from facerec.contract import DEFAULT_SPACE
from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.fixtures.process import ServiceProcess

PATH: Final = "/facerec.matcher.v1.MatcherService/Verify"
PERSON: Final = "gateway-benchmark"
ROUNDS: Final = 10
Call = Callable[[], Awaitable[None]]


class Http:
    """Connections of HTTP that are kept open, one for each call in flight."""

    def __init__(self, address: str) -> None:
        self._host, _, self._port = address.rpartition(":")
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> "Http":
        return self

    async def __aexit__(self, *ended: object) -> None:
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()

    async def post(self, path: str, kind: str, body: bytes) -> bytes:
        """Send a request and return the answer's body."""
        reader, writer = (
            self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        )
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert answer.split()[1] == b"200", answer
        found = await self._body(reader, answer)
        self._idle.append((reader, writer))
        return found

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        for line in head.split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return await reader.readexactly(int(line.split(b":")[1]))
        found = b""
        while size := int(await reader.readline(), 16):
            found += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return found


async def measure(call: Call, seconds: float, in_flight: int) -> list[float]:
    """Call for so many seconds; returns the duration of each call, in seconds."""
    ends, found = time.perf_counter() + seconds, list[float]()

    async def repeat() -> None:
        while (began := time.perf_counter()) < ends:
            await call()
            found.append(time.perf_counter() - began)

    await asyncio.gather(*(repeat() for _ in range(in_flight)))
    return found


def claim() -> pb.VerifyRequest:
    """A claim by an encoding."""
    encoding = encoder_pb2.Encoding(values=[0.1] * 128, space=DEFAULT_SPACE)
    return pb.VerifyRequest(person_id=PERSON, probe=pb.Probe(encoding=encoding))


@contextlib.asynccontextmanager
async def calls(matcher: str, gateway: str) -> AsyncIterator[dict[str, Call]]:
    """The calls that are compared, by name."""
    request = claim()
    binary, text = request.SerializeToString(), MessageToJson(request).encode()
    async with grpc.aio.insecure_channel(matcher) as channel, Http(gateway) as http:
        stub = matcher_pb2_grpc.MatcherServiceStub(channel)

        async def direct() -> None:
            assert (await stub.Verify(request)).match

        async def in_protobuf() -> None:
            assert pb.VerifyResponse.FromString(await http.post(PATH, "application/proto", binary)).match

        async def in_json() -> None:
            assert b'"match":true' in (await http.post(PATH, "application/json", text)).replace(b" ", b"")

        yield {"gRPC": direct, "gateway, protobuf": in_protobuf, "gateway, JSON": in_json}


async def compare(matcher: str, gateway: str, process: psutil.Process, seconds: float) -> None:
    """Print a line for each way to call: p50 alone, and the rate and processor time with 8 in flight."""
    async with calls(matcher, gateway) as ways:
        alone: dict[str, list[float]] = {name: [] for name in ways}
        rates: dict[str, list[float]] = {name: [] for name in ways}
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, call in ways.items():
                await call()
                alone[name] += await measure(call, seconds, 1)
                before = sum(process.cpu_times()[:2])
                done = len(await measure(call, seconds, 8))
                rates[name].append(done / seconds)
                spent[name].append((sum(process.cpu_times()[:2]) - before) / done)
    for name in ways:
        print(
            f"{name:18} p50 {1000 * statistics.median(alone[name]):6.2f} ms   "
            f"8 in flight {statistics.median(rates[name]):6.0f}/s   "
            f"the gateway's processor time {1e6 * statistics.median(spent[name]):5.0f} us a call",
            flush=True,
        )


def photo() -> bytes:
    """A photo of 12 megapixels without a face: noise, whose JPEG is as large as a camera's."""
    small = np.random.default_rng(3).integers(0, 255, (750, 1000, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((4000, 3000)).save(out, "JPEG", quality=95)
    return out.getvalue()


async def remember(gateway: str, process: psutil.Process, minutes: float, steps: int = 10) -> None:
    """Print the gateway's memory, in so many steps, while photos pass through it, 4 in flight."""
    data = photo()
    boundary = "7f3a"
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = part.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    print(f"memory before: {process.memory_info().rss / 1e6:.0f} MB", flush=True)
    sent = 0
    async with Http(gateway) as http:

        async def send() -> None:
            await http.post("/v1/detect", f"multipart/form-data; boundary={boundary}", body)

        for step in range(1, steps + 1):
            sent += len(await measure(send, minutes * 60 / steps, 4))
            now, peak = process.memory_info().rss / 1e6, _peak_kilobytes(process) / 1e3
            print(
                f"after {step * minutes / steps:4.1f} minutes and {sent:5} photos of {len(data):,} bytes: "
                f"{now:.0f} MB, peak {peak:.0f} MB",
                flush=True,
            )


def _peak_kilobytes(process: psutil.Process) -> int:
    """The most memory that a process ever had, as Linux counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


@contextlib.contextmanager
def stack() -> Iterator[tuple[str, str, psutil.Process]]:
    """The addresses of a matcher with one person and of a gateway, and the gateway's process."""
    with temporary_stack() as (encoder, matcher):
        with MatcherClient(matcher) as client:
            client.enroll(PERSON, Encoding(np.full(128, 0.1, np.float32), DEFAULT_SPACE))
        services = ("--encoder-address", encoder, "--matcher-address", matcher)
        ServiceProcess.start_by_default = staticmethod(subprocess.Popen)
        gateway = ServiceProcess("facerec.gateway", *services)
        try:
            yield matcher, gateway.address, psutil.Process(gateway.process.pid)
        finally:
            gateway.stop()


def main(argv: list[str]) -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--minutes", type=float, default=10, help="for which large photos are sent")
    options = parser.parse_args(argv)
    with stack() as (matcher, gateway, process):
        asyncio.run(compare(matcher, gateway, process, options.seconds))
        asyncio.run(remember(gateway, process, options.minutes))


if __name__ == "__main__":
    main(sys.argv[1:])
