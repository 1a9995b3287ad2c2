"""Collections created and deleted beside tenants who go on working."""

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np

from facerec.matcher import v1
from matcher_service.postgres.statements import PARENTS, partition_name
from tests.soak.matcher import calls
from tests.soak.matcher.calls import Answer, Line
from tests.soak.matcher.stack import connected

FLAGS: tuple[str, ...] = ()  # as released
STEADY = ("steady-0", "steady-1", "steady-2", "steady-3")
READ = STEADY[0]  # whose faces a transaction goes on reading
CHURNED = ("churned-0", "churned-1")  # ids that are used again and again
PEOPLE = 20
CALLS_A_SECOND = 25.0  # of each steady tenant: a load that leaves the machine room
CREATORS = 4
SAMPLE_SECONDS = 0.01

# Calls that wait just now for a table, other than those that create or delete collections, and than those
# into a collection that is being deleted.
WAITING = """
SELECT count(*)
FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
WHERE NOT l.granted AND l.locktype = 'relation' AND a.application_name = 'facerec-matcher'
  AND a.query !~ '(create|delete)_collection'
  AND c.relname <> ALL ($1::text[])
"""


@dataclasses.dataclass(frozen=True)
class Phase:
    """What the steady tenants saw for a while, and how often one was found waiting for a lock."""

    answers: list[Answer]
    waits: int

    @property
    def failures(self) -> collections.Counter[str]:
        """The calls without an answer, by code."""
        return collections.Counter(answer.code.name for answer in self.answers if answer.code != calls.OK)

    def milliseconds(self, percentile: float) -> float:
        """A percentile of how long calls took."""
        return float(np.percentile([answer.seconds for answer in self.answers], percentile) * 1e3)


@dataclasses.dataclass(frozen=True)
class Churn:
    """The collections created and deleted meanwhile, and the answers of calls that met them."""

    created: list[Answer]
    deleted: list[Answer]
    racing: list[Answer]
    wrong: list[str]


@dataclasses.dataclass(frozen=True)
class Seen:
    """The phases in turn; `filled` are the creations of all the collections at first."""

    filled: list[Answer]
    quiet: Phase
    busy: Phase
    quiet_again: Phase
    churn: Churn

    @property
    def as_expected(self) -> bool:
        """Whether no steady tenant's call failed or waited for a table, and no answer was wrong."""
        phases = (self.quiet, self.busy, self.quiet_again)
        steady = not any(phase.failures or phase.waits for phase in phases)
        return steady and not self.churn.wrong and all(answer.as_expected for answer in self.churn.racing)


async def crowd(addresses: Sequence[str], database_url: str, *, others: int, seconds: float) -> Seen:
    """Create `others` collections, then watch the steady tenants without and with churn beside them."""
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(Line.open(address)) for address in addresses]
        filled = await _fill(lines, [*STEADY, *(f"other-{number}" for number in range(others))])
        for tenant in STEADY:
            await asyncio.gather(
                *(_ask_ok(lines[0], calls.enroll(tenant, f"p{n}", n)) for n in range(PEOPLE))
            )
        watch = Watch(lines, database_url)
        await watch.phase(1.0)  # to warm up
        quiet = await watch.phase(seconds)
        churning = Churning(lines)
        async with _reader(database_url):
            work = asyncio.create_task(churning.run())
            busy = await watch.phase(seconds)
            churning.enough = True
            await work
        return Seen(filled, quiet, busy, await watch.phase(seconds), churning.seen)


async def _fill(lines: Sequence[Line], names: Sequence[str]) -> list[Answer]:
    async def create(start: int) -> list[Answer]:
        line = lines[start % len(lines)]
        return [
            await _ask_ok(line, v1.CreateCollectionRequest(collection_id=name))
            for name in names[start::CREATORS]
        ]

    return list(itertools.chain.from_iterable(await asyncio.gather(*map(create, range(CREATORS)))))


async def _ask_ok(line: Line, request: Any) -> Answer:
    answer = await line.ask(request)
    assert answer.code == calls.OK, answer
    return answer


@contextlib.asynccontextmanager
async def _reader(database_url: str) -> AsyncIterator[None]:
    """A transaction of a tenant's that stays open, with the locks and the snapshot of a long report."""
    async with (
        connected(database_url) as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        await connection.fetchval(f"SELECT count(*) FROM facerec.{partition_name('face', READ)}")
        await connection.fetchval(f"SELECT count(*) FROM facerec.{partition_name('person', READ)}")
        yield


class Watch:
    """Steady tenants that call at a fixed rate, whatever the outcome of the previous call."""

    def __init__(self, lines: Sequence[Line], database_url: str) -> None:
        self._lines = itertools.cycle(lines)
        self._database_url = database_url
        self._numbers = itertools.count(1000)

    async def phase(self, seconds: float) -> Phase:
        """Run them for a while."""
        sampling = asyncio.create_task(self._sample(time.monotonic() + seconds))
        answers = await asyncio.gather(*(self._tenant(tenant, seconds) for tenant in STEADY))
        return Phase(list(itertools.chain.from_iterable(answers)), await sampling)

    async def _tenant(self, tenant: str, seconds: float) -> list[Answer]:
        began, tasks = time.monotonic(), []
        for turn in range(int(seconds * CALLS_A_SECOND)):
            await asyncio.sleep(began + turn / CALLS_A_SECOND - time.monotonic())
            person = f"p{turn % PEOPLE}"
            request: Any = calls.verify(tenant, person, turn % PEOPLE)
            if turn % 5 == 0:
                request = calls.enroll(tenant, person, next(self._numbers))
            tasks.append(asyncio.create_task(next(self._lines).ask(request)))
        return list(await asyncio.gather(*tasks))

    async def _sample(self, until: float) -> int:
        """How often a steady tenant's call was seen waiting for a lock."""
        churned = [partition_name(parent, name) for parent in PARENTS for name in CHURNED]
        waits = 0
        async with connected(self._database_url) as connection:
            while time.monotonic() < until:
                waits += await connection.fetchval(WAITING, churned)
                await asyncio.sleep(SAMPLE_SECONDS)
        return waits


class Churning:
    """Creates, uses and deletes collections of the same few ids, while others call into them blindly."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self.enough = False
        self.seen = Churn([], [], [], [])

    async def run(self) -> None:
        """Continue until there are enough calls."""
        async with asyncio.TaskGroup() as group:
            for index, name in enumerate(CHURNED):
                group.create_task(self._live(index, name))
                group.create_task(self._race(index, name))

    async def _live(self, index: int, name: str) -> None:
        """One life after another: what is done through one replica is so at once on the other."""
        for life in itertools.count():
            if self.enough:
                return
            one, other = self._lines[life % 2], self._lines[(life + 1) % 2]
            number = 10_000_000 * (index + 1) + life
            await self._until(one, v1.CreateCollectionRequest(collection_id=name), self.seen.created)
            await self._until(one, calls.enroll(name, f"life{life}", number), [])
            claim = await self._until(other, calls.verify(name, f"life{life}", number), [])
            listed = await self._until(other, v1.ListPersonsRequest(collection_id=name), [])
            people = {person.person_id for person in listed.message.persons} - {"racer"}
            if not claim.message.match or people != {f"life{life}"}:
                self.seen.wrong.append(f"{name}, life {life}: {sorted(people)}")
            await self._until(
                other, v1.DeleteCollectionRequest(collection_id=name, force=True), self.seen.deleted
            )
            gone = await one.ask(v1.GetCollectionRequest(collection_id=name))
            if gone.code.name != "NOT_FOUND":
                self.seen.wrong.append(f"{name}, life {life}: {gone.code.name} after its end")

    async def _until(self, line: Line, request: Any, kept: list[Answer]) -> Answer:
        for _ in range(50):
            answer = await line.ask(request)
            kept.append(answer)
            if answer.code not in calls.TRANSIENT:
                break
            await asyncio.sleep(answer.retry_after_seconds or 0.1)
        if answer.code != calls.OK:
            self.seen.wrong.append(f"{answer.method}: {answer.code.name}")
        return answer

    async def _race(self, index: int, name: str) -> None:
        """Call into a collection that comes and goes, whatever state it is in."""
        number = 20_000_000 * (index + 1)
        requests: list[Callable[[], Any]] = [
            lambda: calls.enroll(name, "racer", number),
            lambda: calls.verify(name, "racer", number),
            lambda: v1.IdentifyRequest(collection_id=name, probes=[calls.probe(number)]),
            lambda: v1.ListFacesRequest(collection_id=name, person_id="racer"),
            lambda: v1.DeletePersonRequest(collection_id=name, person_id="racer"),
        ]
        for turn in itertools.count():
            if self.enough:
                return
            self.seen.racing.append(await self._lines[turn % 2].ask(requests[turn % len(requests)]()))
            await asyncio.sleep(0.005)
