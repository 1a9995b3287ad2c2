"""Change people, and search for them, while their sketches are built, checked, dropped and scrubbed.

`python -m tests.soak.sketches [CYCLES]`: each cycle is a run of maintenance. No search may miss a person who
was enrolled before it and not changed since, or find one who was erased before it; a planted fault, a
trigger that does nothing, has to be found.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest import mock

import asyncpg
import numpy as np

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.maintenance import sketches
from matcher_service.maintenance.runner import CollectionsFailed, MaintenanceOptions, run_once
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.vectors import Dataset, Vectors
from tests.e2e.matcher.requests import encoding, enroll, retried
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.waiting import until
from tests.soak.stage import start, stop

CYCLES = 60
LANES = 4
READERS = 2
PEOPLE = Dataset(2_500, 2.0, even=True, seed=31)
FACE, SKETCH = (partition_name(parent, "default") for parent in ("face", "sketch"))
SAME = 0.01  # distance within which only the very face is
WITHOUT_SKETCHES = (
    f"CREATE OR REPLACE FUNCTION facerec.{partition_name('add_sketches', 'default')}() RETURNS trigger"
    " LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
)
LEFT = (
    f"SELECT count(*) FROM facerec.{FACE} f FULL JOIN facerec.{SKETCH} s USING (person_key, content_id)"
    " WHERE f.person_key IS NULL OR s.person_key IS NULL"
)


@dataclasses.dataclass
class Outcome:
    """What happened: `left` is how many faces had no sketch at the end, and sketches no face."""

    changes: int = 0
    searches: int = 0
    missed: int = 0
    wrong: int = 0
    left: int = 0

    @property
    def clean(self) -> bool:
        return not (self.missed or self.wrong or self.left)


@dataclasses.dataclass
class Life:
    """A face and whose it is, "" once erased; `version` counts what changed that."""

    vector: Vectors
    owner: str
    version: int = 0

    @contextlib.contextmanager
    def changing(self, owner: str) -> Iterator[None]:
        """While the version is odd, the face is the old or the new owner's."""
        self.version += 1
        yield
        self.version += 1
        self.owner = owner


class Race:
    """Lanes of writers, each with people of its own, readers, and maintenance."""

    def __init__(self, url: str, matcher: RunningMatcher, check_seconds: float) -> None:
        """`check_seconds` is after how long maintenance checks sketches."""
        self._check_seconds = check_seconds
        self.outcome = Outcome()
        self._url = url
        self._matcher = matcher
        self._stub = matcher.stub
        self._random = np.random.default_rng(7)
        self._lives: list[Life] = []
        self._over = asyncio.Event()
        self._drawn = itertools.count()

    async def run(self, cycles: int) -> None:
        """Maintain so often while people change and are searched for; raises what a call raises."""
        tasks = [asyncio.ensure_future(self._write(lane)) for lane in range(LANES)]
        tasks += [asyncio.ensure_future(self._read()) for _ in range(READERS)]
        tasks.append(asyncio.ensure_future(self._maintain(cycles)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._over.set()
        await asyncio.gather(*tasks)

    async def _maintain(self, cycles: int) -> None:
        for cycle in range(cycles):
            options = MaintenanceOptions(
                self._url, recall_check_seconds=self._check_seconds, scrub=cycle % 3 == 2
            )
            with contextlib.suppress(CollectionsFailed):
                await run_once(options)
            seen = self.outcome.changes + LANES
            await until(lambda seen=seen: self.outcome.changes >= seen or self._over.is_set())  # type: ignore[misc]

    async def _write(self, lane: int) -> None:
        mine: list[Life] = []
        for number in itertools.count():
            if self._over.is_set():
                return
            name = f"lane{lane}-{number}"
            mine.append(await self._add(name, number))
            if len(mine) > 3:
                await self._change(mine, number)
            self.outcome.changes += 1

    async def _add(self, name: str, number: int) -> Life:
        vector = PEOPLE.non_mated(1, draw=1000 + next(self._drawn))[0]
        if number % 4 == 3:
            rows = chunk(vector[None], [name])
            await send(self._matcher, header(name), rows)
        else:
            await retried(self._stub.Enroll, enroll(name, encoding(vector)))
        life = Life(vector, name)
        self._lives.append(life)
        return life

    async def _change(self, mine: list[Life], number: int) -> None:
        """Erase somebody with all their faces, or merge them into somebody else."""
        owner = mine[number % len(mine)].owner
        target = next((life.owner for life in mine if life.owner != owner), "") if number % 2 else ""
        with contextlib.ExitStack() as stack:
            for life in mine:
                if life.owner == owner:
                    stack.enter_context(life.changing(target))
            if target:
                merge = pb.MergePersonsRequest(source_person_id=owner, target_person_id=target)
                await retried(self._stub.MergePersons, merge)
            else:
                await retried(self._stub.DeletePerson, pb.DeletePersonRequest(person_id=owner))
        mine[:] = [life for life in mine if life.owner]

    async def _read(self) -> None:
        while not self._over.is_set():
            await asyncio.sleep(0)
            if not self._lives:
                continue
            recent = self._lives[-40:] if self._random.random() < 0.5 else self._lives
            lives = [recent[place] for place in self._random.integers(len(recent), size=4)]
            asked = [(life.version, life.owner) for life in lives]
            request = pb.IdentifyRequest(
                probes=[encoding(life.vector) for life in lives], exact_only=True, max_distance=SAME
            )
            answer = await retried(self._stub.Identify, request)
            for life, known, face in zip(lives, asked, answer.faces, strict=True):
                if (life.version, life.owner) == known and life.version % 2 == 0:
                    self._judge(life.owner, [each.person_id for each in face.candidates])

    def _judge(self, owner: str, found: list[str]) -> None:
        self.outcome.searches += 1
        self.outcome.missed += bool(owner) and owner not in found
        self.outcome.wrong += any(name != owner for name in found)


@contextlib.asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[tuple[str, RunningMatcher, asyncpg.Connection]]:
    opened, matcher, channel = await start(folder, scan_apart_above_faces=0, transfer_pool_size=LANES)
    connection = await asyncpg.connect(opened.url())
    try:
        await dataset.load(connection, PEOPLE.all())
        yield opened.url(), matcher, connection
    finally:
        await connection.close()
        await stop(opened, matcher, channel)


def race(cycles: int, *, planted: bool = False) -> Outcome:
    """Run it over a Postgres of its own; `planted` has the trigger of new faces write no sketch."""
    folder = Path(tempfile.mkdtemp(prefix="facerec-soak-"))
    folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
    try:
        with mock.patch.multiple(sketches, MIN_FACES=4_000, BATCH_FACES=500):
            return asyncio.run(_race(folder, cycles, planted=planted))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _race(folder: Path, cycles: int, *, planted: bool) -> Outcome:
    async with _stage(folder) as (url, matcher, connection):
        await run_once(MaintenanceOptions(url))
        if planted:
            await connection.execute(WITHOUT_SKETCHES)
        running = Race(url, matcher, 3600 if planted else 0)
        await running.run(cycles)
        await run_once(MaintenanceOptions(url))
        running.outcome.left = await connection.fetchval(LEFT)
        return running.outcome


def main() -> None:
    """Print both outcomes; ends with 1 unless the first is clean and the planted fault is found."""
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else CYCLES
    began = time.monotonic()
    released = race(cycles)
    planted = race(max(2, cycles // 10), planted=True)
    print(f"as released: {released}\nplanted, an idle trigger: {planted}\n{time.monotonic() - began:.0f} s")
    sys.exit(0 if released.clean and planted.missed else 1)


if __name__ == "__main__":
    main()
