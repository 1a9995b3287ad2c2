"""Changes at one matcher, and searches for them at another one at once, while standbys are late at random."""

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import numpy as np

from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.requests import enroll
from tests.fixtures.standbys import send
from tests.soak.replication.cluster import Cluster, Link, configure
from tests.soak.replication.matchers import TRANSIENT, Caller, Enough, Faces, Matchers, stubs
from tests.soak.service.proxy import Mode

WORKERS = 6
HEALTHY_SHARE = 0.5  # of a standby's time
LATE_SECONDS = 0.2, 1.0  # how long it is late, or healthy: the least, and the most
DELAY_MILLISECONDS = 10, 500
NOBODY = "nobody"
SEED_NUMBERS = 1_000_000  # the numbers of rounds of each seed are others


@dataclasses.dataclass
class Outcome:
    """What callers saw: `stale` is what was answered although a change that was acknowledged says else.

    With each of the `searches` a claim was verified.

    `reads` are those by the role of the server that answered, `fallbacks` what a standby did not answer, by
    reason, and `delays` how often a standby was late, by the way.
    """

    rounds: int = 0
    searches: int = 0
    stale: list[str] = dataclasses.field(default_factory=list)
    failures: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    reads: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    fallbacks: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    delays: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    internal_errors: list[str] = dataclasses.field(default_factory=list)

    @property
    def share(self) -> float:
        """The share of the reads that standbys answered."""
        return self.reads["standby"] / max(1, self.reads.total())

    @property
    def passed(self) -> bool:
        """Whether every answer was fresh, and no call failed but for want of time."""
        others = self.failures.keys() - {str(reason) for reason in TRANSIENT}
        return bool(self.rounds) and not (self.stale or others or self.internal_errors)

    def summary(self) -> str:
        """The figures, in a line."""
        return (
            f"{self.rounds} rounds, {self.searches} searches and verifications: {len(self.stale)} stale "
            f"{self.stale[:3]}; {100 * self.share:.0f} % of {self.reads.total()} reads by standbys; "
            f"went on elsewhere: {dict(self.fallbacks)}; late: {dict(self.delays)}; "
            f"failed: {dict(self.failures)}; internal errors: {self.internal_errors}"
        )


class Checks:
    """Rounds of changes, each of which another matcher is asked about as soon as it is acknowledged."""

    def __init__(self, numbers: Iterable[int], seed: int) -> None:
        """`numbers` are those of the rounds, which the people's ids have too."""
        self.outcome = Outcome()
        self.caller = Caller()
        self._numbers = iter(numbers)
        self._faces = Faces(seed)

    async def run(self, addresses: list[str]) -> None:
        """Run rounds until there is none left, or it is enough."""
        async with stubs(addresses) as called:
            await asyncio.gather(*(self._work(called) for _ in range(WORKERS)))

    async def _work(self, called: list[Any]) -> None:
        with contextlib.suppress(Enough):
            for number in self._numbers:
                await self._round(called[number % 2], called[(number + 1) % 2], number)
                self.outcome.rounds += 1

    async def _round(self, changes: Any, reads: Any, number: int) -> None:
        """Enroll two people, merge them, and erase the one that is left."""
        a, b = f"a{number}", f"b{number}"
        faces = {a: self._faces.next(), b: self._faces.next()}
        requests = (enroll(each, faces[each], request_id=f"of {each}") for each in faces)
        await asyncio.gather(*(self.caller.answer(changes.Enroll, request) for request in requests))
        await self._check(reads, "enroll", faces, {a: a, b: b})
        merge = pb.MergePersonsRequest(source_person_id=b, target_person_id=a)
        # An answer that was lost may have been of a merge that was made.
        await self.caller.answer(changes.MergePersons, merge, missing=pb.MergePersonsResponse())
        await self._check(reads, "merge", faces, {a: a, b: a})
        await self.caller.answer(changes.DeletePerson, pb.DeletePersonRequest(person_id=a))
        await self._check(reads, "erase", faces, {a: NOBODY, b: NOBODY})

    async def _check(
        self, reads: Any, change: str, faces: dict[str, pb.Probe], owners: dict[str, str]
    ) -> None:
        """Search for both faces, and verify the second person, at once."""
        last = list(faces)[-1]
        claim = pb.VerifyRequest(person_id=last, probe=faces[last])
        found, verified = await asyncio.gather(
            self.caller.answer(reads.Identify, pb.IdentifyRequest(probes=list(faces.values()))),
            self.caller.answer(reads.Verify, claim, missing=pb.VerifyResponse()),
        )
        self.outcome.searches += 1
        seen = [",".join(each.person_id for each in face.candidates) or NOBODY for face in found.faces]
        if seen != list(owners.values()) or verified.match != (owners[last] == last):
            self.outcome.stale.append(f"{change}: {seen}, {verified.match}, of {owners}")


class Delays:
    """Makes one standby late in a way, for a time and after a time that are drawn, again and again."""

    def __init__(self, standby: EmbeddedPostgres, link: Link, seed: int) -> None:
        self._standby = standby
        self._link = link
        self._random = np.random.default_rng(seed)
        self._ways: dict[str, Callable[[], contextlib.AbstractAsyncContextManager[None]]] = {
            "applied late": self._applied_late,
            "stopped": self._stopped,
            "network late": lambda: self._network(Mode.DELAY),
            "network cut": lambda: self._network(Mode.BLACK_HOLE),
        }
        self.count: collections.Counter[str] = collections.Counter()

    async def run(self) -> None:
        """Go on until it is cancelled; the standby is well again then."""
        while True:
            if self._random.random() < HEALTHY_SHARE:
                await self._while()
                continue
            way = str(self._random.choice(list(self._ways)))
            async with self._ways[way]():
                self.count[way] += 1
                await self._while()

    async def _while(self) -> None:
        await asyncio.sleep(self._random.uniform(*LATE_SECONDS))

    @contextlib.asynccontextmanager
    async def _applied_late(self) -> AsyncIterator[None]:
        milliseconds = self._random.integers(*DELAY_MILLISECONDS)
        await configure(self._standby, {"recovery_min_apply_delay": f"'{milliseconds}ms'"})
        try:
            yield
        finally:
            await configure(self._standby, {"recovery_min_apply_delay": "0"})

    @contextlib.asynccontextmanager
    async def _stopped(self) -> AsyncIterator[None]:
        send(self._standby, signal.SIGSTOP)
        try:
            yield
        finally:
            send(self._standby, signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def _network(self, mode: Mode) -> AsyncIterator[None]:
        self._link.switch(mode)
        try:
            yield
        finally:
            self._link.switch(Mode.PASS)


def run(servers: Cluster, running: Matchers, rounds: int, *, seed: int = 1) -> Outcome:
    """Run so many rounds, with standbys that are late at random."""
    return asyncio.run(_run(servers, running, rounds, seed))


async def _run(servers: Cluster, running: Matchers, rounds: int, seed: int) -> Outcome:
    numbers = itertools.islice(itertools.count(seed * SEED_NUMBERS), rounds)
    checks, before = Checks(numbers, seed), (running.reads(), running.fallbacks())
    pairs = zip(servers.standbys, servers.links, itertools.count(seed))
    delays = [Delays(standby, link, number) for standby, link, number in pairs]
    late = [asyncio.create_task(each.run()) for each in delays]
    try:
        await checks.run(running.addresses)
    finally:
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    outcome = checks.outcome
    outcome.failures = checks.caller.failures
    outcome.reads, outcome.fallbacks = running.reads() - before[0], running.fallbacks() - before[1]
    outcome.delays = sum((each.count for each in delays), collections.Counter())
    outcome.internal_errors = running.internal_errors()
    return outcome
