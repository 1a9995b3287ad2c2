"""Primaries that are lost one after another while two matchers enroll: what is gone, and for how long."""

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from facerec.local.postgres import EmbeddedPostgres
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import enroll
from tests.fixtures.standbys import fetch
from tests.fixtures.waiting import wait_until
from tests.soak.replication.cluster import Cluster, configure
from tests.soak.replication.matchers import Caller, Enough, Faces, Matchers, stubs
from tests.soak.service.proxy import Mode

WORKERS = 2  # of each matcher
PERSONS = 20  # that each matcher acknowledges before the next failover, at least
GOAL_SECONDS = 5.0


@dataclasses.dataclass
class Outcome:
    """What was acknowledged and is gone, or stored twice, and how long no write was acknowledged.

    `lost` has a value for each failover; `seconds`, from the beginning of a promotion to the end of the next
    write of a matcher, one for each failover and matcher.
    """

    enrolled: int = 0
    lost: list[int] = dataclasses.field(default_factory=list)
    doubled: int = 0
    seconds: list[float] = dataclasses.field(default_factory=list)
    rejoined: int = 0
    failures: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    internal_errors: list[str] = dataclasses.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was stored twice, and every lost primary came back as a standby."""
        return self.rejoined == len(self.lost) > 0 and not (self.doubled or self.internal_errors)

    def summary(self) -> str:
        """The figures, in a line."""
        median, most = statistics.median(self.seconds), max(self.seconds)
        return (
            f"{len(self.lost)} failovers, {self.rejoined} primaries back by pg_rewind; {self.enrolled} "
            f"enrolled, {sum(self.lost)} of them lost by {sum(map(bool, self.lost))} failovers, "
            f"{self.doubled} doubled; writes go on after {median:.2f} s (median), {most:.2f} s (most); "
            f"failed: {dict(self.failures)}; internal_errors: {self.internal_errors}"
        )


class Write(NamedTuple):
    """An enrollment, when its last attempt was begun, and when it was acknowledged."""

    person_id: str
    begun: float
    acknowledged: float


class Enrolling:
    """Callers who enroll one person after another; `writes` has those of each matcher."""

    def __init__(self, addresses: list[str], prefix: str, seed: int) -> None:
        self._addresses = addresses
        self.prefix = prefix
        self._faces = Faces(seed)
        self._numbers = itertools.count()
        self.caller = Caller()
        self.writes: list[list[Write]] = [[] for _ in addresses]

    async def run(self) -> None:
        """Enroll until it is enough."""
        async with stubs(self._addresses) as called:
            pairs = list(zip(called, self.writes, strict=True)) * WORKERS
            await asyncio.gather(*(self._work(stub.Enroll, writes) for stub, writes in pairs))

    async def _work(self, call: Callable[..., Awaitable[Any]], writes: list[Write]) -> None:
        begun = 0.0

        def attempt(request: Any, **options: Any) -> Awaitable[Any]:
            nonlocal begun
            begun = time.monotonic()
            return call(request, **options)

        with contextlib.suppress(Enough):
            while True:
                person_id = f"{self.prefix}{next(self._numbers)}"
                request = enroll(person_id, self._faces.next(), request_id=f"of {person_id}")
                await self.caller.answer(attempt, request)
                writes.append(Write(person_id, begun, time.monotonic()))

    def more(self) -> None:
        """Wait until each matcher has acknowledged some more."""
        wanted = [len(writes) + PERSONS for writes in self.writes]
        wait_until(lambda: all(len(each) >= number for each, number in zip(self.writes, wanted, strict=True)))

    def next_after(self, begun: float) -> list[float]:
        """The time when each matcher acknowledged a write again that was begun after some time."""

        def first(writes: list[Write]) -> float | None:
            return next((each.acknowledged for each in tuple(writes) if each.begun > begun), None)

        wait_until(lambda: all(first(writes) is not None for writes in self.writes))
        return [first(writes) or 0.0 for writes in self.writes]


def run(
    servers: Cluster,
    running: Matchers,
    failovers: int,
    *,
    synchronous: bool,
    late: bool = False,
    seed: int = 1,
) -> Outcome:
    """Fail over so often; `synchronous` is whether a standby confirms each commit, `late` the network."""
    outcome = Outcome()
    asyncio.run(_confirm(servers, synchronous))
    enrolling = Enrolling(running.addresses, f"{synchronous}-{late}-", seed)
    gone: set[str] = set()
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(asyncio.run, enrolling.run())
        try:
            for _ in range(failovers):
                _fail_over(servers, enrolling, outcome, gone, late=late)
        finally:
            enrolling.caller.enough.set()
        work.result()
    outcome.enrolled = sum(map(len, enrolling.writes))
    outcome.failures, outcome.internal_errors = enrolling.caller.failures, running.internal_errors()
    outcome.doubled = asyncio.run(_doubled(servers.primary, enrolling.prefix))
    return outcome


def _fail_over(
    servers: Cluster, enrolling: Enrolling, outcome: Outcome, gone: set[str], *, late: bool
) -> None:
    for link in servers.links:
        link.switch(Mode.DELAY if late else Mode.PASS)
    enrolling.more()
    servers.lose_primary()
    acknowledged = {each.person_id for writes in enrolling.writes for each in tuple(writes)}
    promoted = time.monotonic()
    servers.promote()
    outcome.seconds += [end - promoted for end in enrolling.next_after(promoted)]
    lost = acknowledged - gone - asyncio.run(_persons(servers.primary))
    outcome.lost.append(len(lost))
    gone |= lost
    servers.rejoin()
    asyncio.run(fetch(servers.primary, "CHECKPOINT"))
    wait_until(lambda: asyncio.run(_followers(servers.primary)) == len(servers.standbys))
    outcome.rejoined += 1


async def _confirm(servers: Cluster, synchronous: bool) -> None:
    """Have commits wait for one of the standbys, or for none."""
    names = "'ANY 1 (*)'" if synchronous else "''"
    for server in (servers.primary, *servers.standbys):
        await configure(server, {"synchronous_standby_names": names})


async def _persons(server: EmbeddedPostgres) -> set[str]:
    table = partition_name("person", "default")
    return set(await fetch(server, f"SELECT array_agg(person_id) FROM facerec.{table}") or ())


async def _doubled(server: EmbeddedPostgres, prefix: str) -> int:
    """How many of the people whose ids begin so have another number of faces than one."""
    person, face = (partition_name(each, "default") for each in ("person", "face"))
    counted: int = await fetch(
        server,
        f"SELECT count(*) FROM (SELECT FROM facerec.{person} p LEFT JOIN facerec.{face} f USING (person_key)"
        " WHERE starts_with(p.person_id, $1) GROUP BY p.person_key HAVING count(f.face_id) <> 1) AS each",
        prefix,
    )
    return counted


async def _followers(server: EmbeddedPostgres) -> int:
    followers: int = await fetch(server, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
    return followers
