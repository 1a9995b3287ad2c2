"""Many of the largest messages at once: memory stays within its limit, and small calls are served."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from facerec.client import AsyncMatcherClient, Encoding
from facerec.errors import FacerecError, Reason
from tests.e2e.matcher.requests import SPACE, vectors
from tests.fixtures.matcher import NOWHERE, MatcherProcess
from tests.fixtures.waiting import LIMIT_SECONDS

MIB = 1024 * 1024
LARGEST = 8 * MIB
ROOM = 32 * MIB
AT_ONCE, ROUNDS = 12, 2


@pytest.fixture
def matcher(database_url: str) -> Iterator[MatcherProcess]:
    limits = ("--max-request-bytes", str(LARGEST), "--max-bytes-in-flight", str(ROOM))
    server = MatcherProcess(database_url, *limits, "--encoder-address", NOWHERE)
    server.event("database_ready")
    yield server
    server.stop()


def highest_rss(process: psutil.Process) -> int:
    """The most memory that the process ever had, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [each for each in status.splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the most memory is read from Linux' /proc"
)
@pytest.mark.parametrize(
    ("person", "times"),
    [
        ("x" * 200, 10),  # at fault, so that it goes no further: the message being read and parsed
        ("ann", 16),  # to an encoder that is away: the photo, its request, what is sent, four times tried
    ],
)
async def test_a_flood_of_the_largest_messages_takes_bounded_memory(
    matcher: MatcherProcess, person: str, times: int
) -> None:
    process = psutil.Process(matcher.process.pid)
    photo = os.urandom(LARGEST - 10_000)
    seen: Counter[Reason] = Counter()

    async def send() -> None:
        async with AsyncMatcherClient(matcher.address, timeout_seconds=LIMIT_SECONDS) as client:
            try:
                await client.verify(person, photo)
            except FacerecError as error:
                seen[error.reason] += 1

    async def ask() -> None:
        face = Encoding(vectors(1)[0], SPACE)
        async with AsyncMatcherClient(matcher.address, timeout_seconds=LIMIT_SECONDS) as client:
            while True:
                with pytest.raises(FacerecError) as caught:
                    await client.verify("nobody", face)
                assert caught.value.reason in (Reason.PERSON_NOT_FOUND, Reason.OVERLOADED)
                asked.append(caught.value.reason)
                await asyncio.sleep(0.02)

    asked: list[Reason] = []
    idle = process.memory_info().rss
    asking = asyncio.create_task(ask())
    for _ in range(ROUNDS):
        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    assert not asking.done()
    asking.cancel()
    assert seen.total() == AT_ONCE * ROUNDS
    assert set(seen) <= {Reason.ID_INVALID, Reason.ENCODER_UNAVAILABLE, Reason.OVERLOADED}
    assert Reason.PERSON_NOT_FOUND in asked
    grown = highest_rss(process) - idle
    assert grown < times * ROOM, f"{grown / ROOM:.1f} times the room"
