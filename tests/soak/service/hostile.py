"""Bytes that are no HTTP/2, frames that are no gRPC, callers that never read: while others go on."""

import asyncio
import contextlib
import dataclasses
import os
import random
import struct
import subprocess
import sys
import time
from typing import Any

import grpc
import grpc.aio
import numpy as np
import psutil

from facerec.matcher import v1
from tests.fixtures.process import ROOT
from tests.soak.service.load import Answer, Load
from tests.soak.service.stack import Stack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
METHODS = ("Verify", "Enroll", "Identify", "ListPersons", "DeletePerson", "ImportFaces")
PATH = "/facerec.matcher.v1.MatcherService/"
IDS = (
    "'; DROP TABLE facerec.face; --",
    "x' OR '1'='1",
    "\\'; SELECT pg_sleep(10)--",
    "$1",
    "%s",
    "{}",
    "a\u202eb",
)
AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Survived:
    """What was sent, and what became of the service and of its other callers."""

    frames: int
    connections: int
    alive: bool
    quiet_p99: float
    p99: float
    failures: int
    memory_growth_bytes: int
    internal_errors: int
    intact: bool


def attack(
    stack: Stack, *, frames: int, idle: int, quiet_seconds: float = 5.0, seed: int = 1, aside: bool = True
) -> Survived:
    """Send so many invalid frames while claims are decided, with so many connections that say nothing.

    Attackers have cores of their own elsewhere: `aside`, they take what is left of these.
    """
    load = Load(stack.target, None, workers=2)
    stack.loop.run(load.start())
    pids = [replica.pid for replica in stack.matchers]
    try:
        quiet = _window(load, quiet_seconds)
        before = _memory(pids)
        began = time.monotonic()
        _attack_apart(stack.matchers[0].address, frames, idle, seed, aside)
        during = [each for each in load.answers if each.began >= began]
        time.sleep(1.0)
        growth = _memory(pids) - before
        stack.loop.run(_strange_requests(stack.matchers[0].address))
    finally:
        stack.loop.run(load.stop())
    intact = not stack.loop.run(load.lost())
    return Survived(
        frames=frames,
        connections=idle,
        alive=[replica.pid for replica in stack.matchers] == pids
        and all(replica.process.process.poll() is None for replica in stack.matchers),
        quiet_p99=_p99(quiet),
        p99=_p99(during),
        failures=sum(each.reason is not None for each in during),
        memory_growth_bytes=growth,
        internal_errors=len(stack.internal_errors()),
        intact=intact,
    )


def _attack_apart(address: str, frames: int, idle: int, seed: int, aside: bool) -> None:
    """Attack from a process of its own."""
    module = [sys.executable, "-m", "tests.soak.service.hostile"]
    subprocess.run(
        [*module, address, str(frames), str(idle), str(seed), str(int(aside))], cwd=ROOT, check=True
    )


def _window(load: Load, seconds: float) -> list[Answer]:
    began = time.monotonic()
    time.sleep(seconds)
    return [each for each in load.answers if each.began >= began]


def _p99(answers: list[Answer]) -> float:
    return float(np.percentile([each.ended - each.began for each in answers], 99))


def _memory(pids: list[int]) -> int:
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


async def _attack(address: str, frames: int, idle: int, chosen: random.Random) -> None:
    host, _, port = address.rpartition(":")
    silent = []
    for _ in range(idle):
        with contextlib.suppress(OSError):
            silent.append(await asyncio.open_connection(host, int(port)))
    turn = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with turn:
            await _misbehave(host, int(port), chosen)

    slow = asyncio.create_task(_read_slowly(address))
    await asyncio.gather(*(one() for _ in range(frames // FRAMES_A_CONNECTION)))
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    for _, writer in silent:
        writer.transport.abort()


FRAMES_A_CONNECTION = 10


async def _misbehave(host: str, port: int, chosen: random.Random) -> None:
    """A connection that begins as HTTP/2, or not, and goes on with invalid frames."""
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(
                chosen.choice((PREFACE + SETTINGS, PREFACE, b"GET / HTTP/1.1\r\n\r\n", chosen.randbytes(24)))
            )
            for _ in range(FRAMES_A_CONNECTION):
                writer.write(_frame(chosen))
            await asyncio.wait_for(writer.drain(), 1)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(4096), 0.01)
        finally:
            writer.transport.abort()


def _frame(chosen: random.Random) -> bytes:
    """A frame whose length, kind, flags, stream or content is invalid."""
    body = chosen.randbytes(chosen.randrange(0, 64))
    length = chosen.choice((len(body), 0, 0xFFFFFF, chosen.randrange(1 << 24)))
    kind, flags = chosen.randrange(0, 16), chosen.randrange(256)
    stream = chosen.choice((0, 1, 3, 2, 0x7FFFFFFF, 0xFFFFFFFF))
    return struct.pack(">I", length)[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body


async def _read_slowly(address: str) -> None:
    """Ask for an export again and again and never read it."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = v1.MatcherServiceStub(channel)
        calls = []
        while True:
            calls.append(stub.ExportFaces(v1.ExportFacesRequest()))
            await asyncio.sleep(0.2)


async def _strange_requests(address: str) -> None:
    """Well-formed gRPC with contents of all kinds; each must be answered, and none by INTERNAL."""
    async with grpc.aio.insecure_channel(address, options=[("grpc.max_send_message_length", -1)]) as channel:
        raw: dict[str, Any] = {name: channel.unary_unary(PATH + name) for name in METHODS[:5]}
        contents = [
            b"\x12\x04\xff\xfe\xfd\xfc",  # invalid UTF-8 in a string
            b"\x0a" + b"\xff" * 10,  # a length without end
            v1.IdentifyRequest(probes=[v1.Probe(face_id="x")] * 100_000).SerializeToString(),
            v1.EnrollRequest(person_id="x" * 1_000_000).SerializeToString(),
            *(v1.VerifyRequest(person_id=each, collection_id=each).SerializeToString() for each in IDS),
            *(v1.DeletePersonRequest(person_id=each).SerializeToString() for each in IDS),
        ]
        for content in contents:
            for call in raw.values():
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await call(content, timeout=10)
        metadata = tuple((f"x-{number}", "y" * 1000) for number in range(200))
        for call in raw.values():
            with contextlib.suppress(grpc.aio.AioRpcError):
                await call(b"", metadata=metadata, timeout=10)


if __name__ == "__main__":
    target, *numbers = sys.argv[1:]
    count, quiet, start, idly = map(int, numbers)
    if idly and hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    asyncio.run(_attack(target, count, quiet, random.Random(start)))
