"""Kills matchers under long calls with request ids: `python -m tests.soak.operations --seconds 100`.

Callers with short deadlines ask either of two matchers for calibrations, each twice by its id, while the
matchers are killed in turn. Ends with status 1 if two answers of an id differ, or if as many calibrations are
not stored as were asked for.
"""

import argparse
import asyncio
import collections
import dataclasses
import random
import sys
import tempfile
import time
import uuid
from pathlib import Path

import asyncpg
import grpc
import grpc.aio

from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import calibration_pb2, matcher_pb2_grpc
from matcher_service.postgres import migrations
from tests.benchmarks.vectors import Dataset
from tests.fixtures.dataset import load
from tests.fixtures.matcher import MatcherProcess

PEOPLE = Dataset(1500, photos=2, even=True, seed=3)
CALLERS = 4
DEADLINES = (0.3, 1.0, 5.0)
PAUSES = (4.0, 9.0)  # between two kills


@dataclasses.dataclass
class Soak:
    """Two matchers over a database, what callers were answered by request id, and how calls ended."""

    url: str
    ends: float
    matchers: list[MatcherProcess] = dataclasses.field(default_factory=list)
    answers: dict[str, list[bytes]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    codes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    kills: int = 0

    async def start(self) -> MatcherProcess:
        """Start a matcher, until it answers."""
        process = MatcherProcess(self.url)
        await asyncio.to_thread(process.event, "database_ready")
        return process

    async def call(self, number: int) -> None:
        """Ask for one calibration after another until the time is up, each until it was answered twice."""
        chance = random.Random(number)
        while time.monotonic() < self.ends:
            request_id = str(uuid.uuid4())
            while len(self.answers[request_id]) < 2:
                await self.ask(request_id, chance)

    async def ask(self, request_id: str, chance: random.Random) -> None:
        """One call, of either matcher."""
        request = calibration_pb2.CalibrateRequest(request_id=request_id, target_fmr=0.1, max_persons=1500)
        try:
            async with grpc.aio.insecure_channel(chance.choice(self.matchers).address) as channel:
                stub = matcher_pb2_grpc.CollectionServiceStub(channel)
                answer = await stub.Calibrate(request, timeout=chance.choice(DEADLINES))
        except grpc.aio.AioRpcError as error:
            self.codes[error.code().name] += 1
            await asyncio.sleep(0.1)
        else:
            self.codes["OK"] += 1
            self.answers[request_id].append(answer.SerializeToString(deterministic=True))

    async def kill(self) -> None:
        """Kill a matcher and start another in its place, until the time is up."""
        while time.monotonic() < self.ends:
            await asyncio.sleep(random.uniform(*PAUSES))
            place = random.randrange(len(self.matchers))
            await asyncio.to_thread(self.matchers[place].kill)
            self.kills += 1
            self.matchers[place] = await self.start()


async def soak(url: str, seconds: float) -> bool:
    """Run, print what happened, and return whether everything was done once."""
    await migrations.migrate(url)
    connection = await asyncpg.connect(url)
    run = Soak(url, time.monotonic() + seconds)
    try:
        await load(connection, PEOPLE.all())
        run.matchers = [await run.start() for _ in range(2)]
        await asyncio.gather(*(run.call(number) for number in range(CALLERS)), run.kill())
        stored = await connection.fetchval("SELECT count(*) FROM facerec.calibration")
    finally:
        for matcher in run.matchers:
            matcher.kill()
        await connection.close()
    different = sum(len(set(answers)) > 1 for answers in run.answers.values())
    print(
        f"{run.kills} kills; {len(run.answers)} calibrations asked for twice, {stored} stored, "
        f"{different} answered differently; calls: {dict(run.codes)}"
    )
    return not different and stored == len(run.answers)


def main() -> int:
    """Read the arguments, and run over a Postgres of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.operations")
    parser.add_argument("--seconds", type=float, default=100.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="facerec-operations-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for root, Postgres runs as another user
        with EmbeddedPostgres.open(folder / "data") as server:
            return int(not asyncio.run(soak(server.url(), seconds)))


if __name__ == "__main__":
    sys.exit(main())
