"""What callers send that costs a service more than it costs them; each goes on until it is cancelled.

They have an address of their own, as callers without a key are distinguished by their host.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

from facerec.matcher import v1
from tests.fixtures.http2 import RawConnection, message_head

SERVICE = "/facerec.matcher.v1.MatcherService/"
CHECK, WATCH = b"/grpc.health.v1.Health/Check", b"/grpc.health.v1.Health/Watch"
REFLECTION = b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
VERIFY, IMPORT = (SERVICE + "Verify").encode(), (SERVICE + "ImportFaces").encode()
LARGE_BYTES = 47 << 20
STREAMS = 200  # of a connection
PAUSE_SECONDS = 0.2
SOURCE = (
    "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
)  # where one address of loopback is all there is

Sender = Callable[[int], Awaitable[None]]
KEY = b"Bearer attacker"


async def _each(port: int, begin: Callable[[RawConnection, int], None], *, connections: int = 1) -> None:
    """Begin many calls on so many connections, and again when they have had a moment."""
    while True:
        opened = []
        try:
            for _ in range(connections):
                raw = await RawConnection.open(port, SOURCE)
                opened.append(raw)
                for stream in range(1, 2 * STREAMS, 2):
                    begin(raw, stream)
                    if stream % 50 == 1:
                        await asyncio.sleep(0)
            await asyncio.sleep(PAUSE_SECONDS)
        finally:
            for raw in opened:
                raw.abort()


async def headers_alone(port: int) -> None:
    """Calls of a known key that bring no message."""
    await _each(port, lambda to, stream: to.head(stream, VERIFY, KEY))


async def half_open(port: int) -> None:
    """Calls of a known key that announce 47 MB and send ten bytes."""

    def begin(to: RawConnection, stream: int) -> None:
        to.head(stream, VERIFY, KEY)
        to.data(stream, message_head(LARGE_BYTES) + bytes(10))

    await _each(port, begin)


async def checks_half_open(port: int) -> None:
    """The same of Health, without a key."""

    def begin(to: RawConnection, stream: int) -> None:
        to.head(stream, CHECK)
        to.data(stream, message_head(LARGE_BYTES) + bytes(10))

    await _each(port, begin)


async def watches(port: int) -> None:
    """Watch of Health on many connections, without a key."""

    def begin(to: RawConnection, stream: int) -> None:
        to.head(stream, WATCH)
        to.data(stream, message_head(0), end=True)

    await _each(port, begin, connections=20)


async def unknown_keys(port: int) -> None:
    """Calls whose key is not known."""

    def begin(to: RawConnection, stream: int) -> None:
        to.head(stream, VERIFY, b"Bearer guessed")
        to.data(stream, message_head(0), end=True)

    await _each(port, begin)


async def unknown_methods(port: int) -> None:
    """Calls of a method whose name is no text."""
    await _each(port, lambda to, stream: to.head(stream, b"/x\xff/" + str(stream).encode()))


async def idle_reflection(port: int) -> None:
    """Streams of reflection by a known key, which ask nothing."""
    await _each(port, lambda to, stream: to.head(stream, REFLECTION, KEY))


async def idle_streams(port: int) -> None:
    """Some twenty of them that last."""
    raw = await RawConnection.open(port, SOURCE)
    try:
        for stream in range(1, 41, 2):
            raw.head(stream, REFLECTION, KEY)
        await asyncio.Event().wait()
    finally:
        raw.abort()


async def compressed_checks(port: int) -> None:
    """Messages said to be compressed, without a key."""

    def begin(to: RawConnection, stream: int) -> None:
        to.head(stream, CHECK, grpc_encoding=b"gzip")
        to.data(stream, message_head(1000, compressed=True) + bytes(1000), end=True)

    await _each(port, begin)


async def _stream_of(port: int, path: bytes, payload: bytes, *, at_once: int) -> None:
    """One message after the other on so many connections, each sent as the windows let it."""

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                raw = await RawConnection.open(port, SOURCE)
                try:
                    raw.head(1, path, KEY)
                    await raw.send(1, message_head(len(payload)) + payload)
                    await raw.ended(1)
                finally:
                    raw.abort()
            await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(one() for _ in range(at_once)))


async def large_streams(port: int) -> None:
    """Streams of imports whose first message is 47 MB."""
    header = v1.ImportFacesRequest(header=v1.ImportHeader(space="s", import_id="i")).SerializeToString()
    payload = header + b"\xc2\x3e" + varint(LARGE_BYTES - 100) + bytes(LARGE_BYTES - 100)
    await _stream_of(port, IMPORT, payload, at_once=16)


async def many_fields(port: int) -> None:
    """Requests of two million empty fields."""
    await _stream_of(port, (SERVICE + "Compare").encode(), b"\x0a\x00" * 2_000_000, at_once=4)


async def padded_fields(port: int) -> None:
    """Requests of Verify whose fields have tags and numbers as long as there are."""
    field = b"\xf8\x83\x80\x80\x00" + b"\xff" * 9 + b"\x01"
    await _stream_of(port, VERIFY, field * 20_010, at_once=50)


async def unread_answers(port: int) -> None:
    """Pages of hundreds of people, none of which is read."""
    request = v1.ListPersonsRequest(page_size=1000).SerializeToString()

    def begin(to: RawConnection, stream: int) -> None:
        to.head(stream, (SERVICE + "ListPersons").encode(), KEY)
        to.data(stream, message_head(len(request)) + request, end=True)

    opened: list[RawConnection] = []
    try:
        while True:
            opened.append(await RawConnection.open(port, SOURCE))
            for stream in range(1, 2 * STREAMS, 2):
                begin(opened[-1], stream)
                await asyncio.sleep(PAUSE_SECONDS / 20)
    finally:
        for raw in opened:
            raw.abort()


def varint(number: int) -> bytes:
    """As lengths are written."""
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


SENDERS: dict[str, Sender] = {
    "calls without a message": headers_alone,
    "half-open bodies": half_open,
    "half-open checks, no key": checks_half_open,
    "4,000 watches, no key": watches,
    "unknown keys": unknown_keys,
    "methods that there are not, no key": unknown_methods,
    "idle reflection": idle_reflection,
    "20 idle streams": idle_streams,
    "compressed checks, no key": compressed_checks,
    "streams of 47 MB": large_streams,
    "two million fields": many_fields,
    "padded fields": padded_fields,
    "unread answers": unread_answers,
}
