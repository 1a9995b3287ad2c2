"""Erasing at size: 100 of 10,000 people searched for in every byte, and what a scrub keeps callers waiting.

`python -m tests.soak.erasing [--faces 1000000]`
"""

import argparse
import asyncio
import dataclasses
import shutil
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import grpc.aio

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.benchmarks.vectors import Dataset
from tests.e2e.matcher.requests import encoding
from tests.fixtures.dataset import load
from tests.fixtures.matcher import RunningMatcher
from tests.soak.hostile.erasure import attack
from tests.soak.hostile.report import HEAD
from tests.soak.stage import start, stop

ERASED = 100
PAUSE_SECONDS = 0.005


@dataclasses.dataclass(frozen=True)
class Wait:
    """How long a scrub took, and what callers waited for a Verify before and meanwhile, in seconds."""

    faces: int
    scrub_seconds: float
    usual_seconds: float
    longest_seconds: float
    refused: int


async def timed(folder: Path, faces: int) -> Wait:
    """Erase people of a collection and scrub it, while somebody else is verified all the time."""
    opened, matcher, channel = await start(folder)
    try:
        people = Dataset(faces // 2, photos=2, even=True, seed=3).all()
        connection = await asyncpg.connect(opened.url())
        await load(connection, people)
        await connection.execute("ANALYZE")
        await connection.close()
        for person in range(ERASED):
            await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id=f"p{person}"))
        await runner.run_once(MaintenanceOptions(opened.url()))
        claim = pb.VerifyRequest(person_id=f"p{faces // 2 - 1}", probe=encoding(people.encodings[-1]))
        usual, _, _ = await _verify_for(matcher, claim, asyncio.create_task(asyncio.sleep(2)))
        began = time.monotonic()
        scrub = asyncio.create_task(runner.run_once(MaintenanceOptions(opened.url(), scrub=True)))
        _, longest, refused = await _verify_for(matcher, claim, scrub)
        return Wait(faces, time.monotonic() - began, usual, longest, refused)
    finally:
        await stop(opened, matcher, channel)


async def _verify_for(
    matcher: RunningMatcher, claim: pb.VerifyRequest, meanwhile: "asyncio.Task[object]"
) -> tuple[float, float, int]:
    """Verify again and again until a task is done: median and longest wait, and how many were refused."""
    waits, refused = [], 0
    while not meanwhile.done():
        began = time.monotonic()
        try:
            await matcher.stub.Verify(claim, timeout=60)
        except grpc.aio.AioRpcError:
            refused += 1
        waits.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_SECONDS)
    await meanwhile
    return sorted(waits)[len(waits) // 2], max(waits), refused


def main() -> int:
    """Print what was found; returns 1 where something was left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=1_000_000)
    chosen = parser.parse_args()
    found = attack(short=False)
    print("\n".join([HEAD, *(finding.row for finding in found)]), flush=True)
    for faces in (100_000, chosen.faces):
        folder = Path(tempfile.mkdtemp(prefix="facerec-soak-"))
        folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
        try:
            wait = asyncio.run(timed(folder, faces))
            print(
                f"{wait.faces:,} faces: scrubbed in {wait.scrub_seconds:.1f} s; a Verify takes "
                f"{1000 * wait.usual_seconds:.1f} ms, at worst {wait.longest_seconds:.2f} s meanwhile, "
                f"{wait.refused} refused"
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return int(not all(finding.holds for finding in found))


if __name__ == "__main__":
    sys.exit(main())
