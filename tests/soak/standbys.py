"""Reads from standbys that are broken in turn, and failovers: counts what is stale, lost or doubled.

`python -m tests.soak.standbys [--rounds 5] [--seconds 10]`. A round has a primary with two standbys, of which
one confirms each commit, and two matchers. Callers enroll people at one matcher, and search for each at the
other one as soon as it is acknowledged. Others read with a bound on staleness (bounded.py).
"""

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import itertools
import json
import re
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc.aio
import numpy as np

from facerec.client.failures import from_rpc_error
from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import encoding, enroll
from tests.fixtures.process import ServiceProcess
from tests.fixtures.standbys import Replication, fetch, kill, replicated, send
from tests.fixtures.waiting import LIMIT_SECONDS, until
from tests.soak.bounded import BoundedReads

WORKERS = 4
TRANSIENT = {"STORE_UNAVAILABLE", "OVERLOADED", "DEADLINE_EXCEEDED"}
CALL_SECONDS = 20.0
CONFIRMED = "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby1, standby2)'"
EXPECTED = {"replay paused": "lagging", "standby hangs": "unresponsive", "standby crashes": "unavailable"}
FALLBACK = re.compile(r'^facerec_matcher_read_fallbacks_total\{reason="(\w+)"\} ([\d.]+)$', re.MULTILINE)
EXCLUDED = "standby_excluded"
FLAGS = (
    *("--statement-timeout-seconds", "3", "--lock-timeout-seconds", "1"),
    *("--encoder-address", "127.0.0.1:1", "--admin-address", "127.0.0.1:0"),
)


@dataclasses.dataclass
class Seen:
    """What callers saw during a fault: `stale` searches missed somebody whose enrollment was acknowledged.

    `fallbacks` are the reads that a standby did not answer, by reason. `had_effect` is whether there was one
    for the reason that the fault is to have, or a check found it first.
    """

    enrolled: int = 0
    searches: int = 0
    stale: int = 0
    failures: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    fallbacks: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    longest_seconds: float = 0.0
    had_effect: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A round: what was seen by fault, and how many acknowledged people are missing or have two faces."""

    seen: dict[str, Seen]
    lost: int
    doubled: int
    bounded: BoundedReads

    @property
    def passed(self) -> bool:
        """Whether every promise held."""
        stale = sum(each.stale for each in self.seen.values())
        wrong = {reason for each in self.seen.values() for reason in each.failures} - TRANSIENT
        fired = all(self.seen[fault].had_effect for fault in EXPECTED)
        called = all(each.enrolled and each.searches for each in self.seen.values())
        kept = self.bounded.passed and not (self.lost or self.doubled or stale)
        return fired and called and kept and not wrong


class Load:
    """Callers of two matchers; `seen` is what they see now."""

    def __init__(self, addresses: list[str], seed: int, bound_seconds: float) -> None:
        self._addresses = addresses
        self._random = np.random.default_rng(seed)
        self._numbers = itertools.count()
        self.enough = threading.Event()
        self.acknowledged: list[str] = []
        self.seen = Seen()
        self.bounded = BoundedReads(bound_seconds, self.enough)

    async def run(self) -> None:
        """Call until it is enough."""
        async with contextlib.AsyncExitStack() as stack:
            stubs = [
                matcher_pb2_grpc.MatcherServiceStub(
                    await stack.enter_async_context(grpc.aio.insecure_channel(address))
                )
                for address in self._addresses
            ]
            await asyncio.gather(
                *(self._work(stubs, worker) for worker in range(WORKERS)),
                self.bounded.run(stubs, self._answer, self._random),
            )

    async def _work(self, stubs: list[Any], worker: int) -> None:
        while not self.enough.is_set():
            number = next(self._numbers)
            drawn = self._random.normal(size=128)
            probe = encoding((1.42 * drawn / np.linalg.norm(drawn)).astype(np.float32))
            writes, reads = stubs[(worker + number) % 2], stubs[(worker + number + 1) % 2]
            person_id = f"p{number}"
            request = enroll(person_id, probe, request_id=f"r{number}")
            if await self._answer(writes.Enroll, request) is None:
                return
            self.acknowledged.append(person_id)
            self.seen.enrolled += 1
            found = await self._answer(reads.Identify, pb.IdentifyRequest(probes=[probe]))
            if found is None:
                return
            self.seen.searches += 1
            self.seen.stale += [each.person_id for each in found.faces[0].candidates] != [person_id]

    async def _answer(self, call: Callable[..., Awaitable[Any]], request: Any) -> Any:
        """The answer, asked for until there is one; None if it is enough before."""
        while not self.enough.is_set():
            began = time.monotonic()
            try:
                return await call(request, timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                self.seen.failures[str(from_rpc_error(error, "the matcher").reason)] += 1
                await asyncio.sleep(0.02)
            finally:
                self.seen.longest_seconds = max(self.seen.longest_seconds, time.monotonic() - began)
        return None


class Round:
    """The servers of a round and its faults, which the main thread injects."""

    def __init__(
        self, servers: Replication, matchers: list[ServiceProcess], load: Load, seconds: float
    ) -> None:
        self._servers = servers
        self._matchers = matchers
        self._load = load
        self._seconds = seconds
        self.primary: EmbeddedPostgres = servers.primary

    def run(self) -> dict[str, Seen]:
        """Break one thing after another; returns what was seen during each."""
        faults: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
            "none": contextlib.nullcontext,
            "replay paused": self._paused,
            "standby hangs": self._hanging,
            "standby crashes": self._crashed,
            "impatient replay": self._impatient,
            "failover": self._failed_over,
        }
        return {name: self._inject(fault, EXPECTED.get(name)) for name, fault in faults.items()}

    def _inject(
        self, fault: Callable[[], contextlib.AbstractContextManager[None]], reason: str | None
    ) -> Seen:
        """Call during a fault and after it; `reason` is why it is to keep a matcher from a standby."""
        self._load.seen = seen = Seen()
        before = fallbacks(self._matchers)
        known = excluded(self._matchers)

        def had_effect() -> bool:
            noticed = fallbacks(self._matchers) - before + excluded(self._matchers) - known
            return reason is None or noticed[reason] > 0

        with fault():
            self._call(seen, had_effect)
            seen.had_effect = had_effect()
        self._call(seen)
        seen.fallbacks = fallbacks(self._matchers) - before
        return seen

    def _call(self, seen: Seen, had_effect: Callable[[], bool] = lambda: True) -> None:
        """Go on for the time of a fault, until more were enrolled and searched for and it had its effect."""
        before = seen.enrolled, seen.searches
        time.sleep(self._seconds)
        ends = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < ends:
            called = min(seen.enrolled - before[0], seen.searches - before[1]) >= WORKERS
            if called and (seen.stale or had_effect()):
                return
            time.sleep(0.05)

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        for standby in self._servers.standbys:
            asyncio.run(fetch(standby, "SELECT pg_wal_replay_pause()"))
        yield
        for standby in self._servers.standbys:
            asyncio.run(fetch(standby, "SELECT pg_wal_replay_resume()"))

    @contextlib.contextmanager
    def _hanging(self) -> Iterator[None]:
        send(self._servers.standbys[1], signal.SIGSTOP)
        yield
        send(self._servers.standbys[1], signal.SIGCONT)

    @contextlib.contextmanager
    def _crashed(self) -> Iterator[None]:
        kill(self._servers.standbys[0])
        yield
        self._servers.standbys[0].start()

    @contextlib.contextmanager
    def _impatient(self) -> Iterator[None]:
        """Replay that waits for no reader, and vacuums that remove what one may be reading."""
        for standby in self._servers.standbys:
            asyncio.run(fetch(standby, "ALTER SYSTEM SET max_standby_streaming_delay = 0"))
            asyncio.run(fetch(standby, "SELECT pg_reload_conf()"))
        table = f"facerec.{partition_name('face', 'default')}"
        for _ in range(10):
            asyncio.run(
                fetch(self.primary, f"UPDATE {table} SET external_ref = external_ref WHERE random() < 0.1")
            )
            asyncio.run(fetch(self.primary, f"VACUUM {table}"))
        yield

    @contextlib.contextmanager
    def _failed_over(self) -> Iterator[None]:
        """Kill the primary and promote the standby that has more; the other one follows it."""
        kill(self.primary)
        first, second = self._servers.standbys
        received = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
        if asyncio.run(fetch(second, received)) > asyncio.run(fetch(first, received)):
            first, second = second, first
        first.promote()
        self.primary = first
        yield
        kill(second)
        second.follow(first)
        second.start()


def attempt(*, seconds: float, seed: int = 1, module: str = "matcher_service") -> Outcome:
    """Run one round, with `seconds` for each fault and as much after it; `module` is the matcher to run."""
    with replicated(2) as servers, contextlib.ExitStack() as cleanup:
        asyncio.run(_confirm_commits(servers))
        flags = ("--database-url", servers.url, "--read-database-urls", servers.read_urls, *FLAGS)
        matchers = [ServiceProcess(module, *flags) for _ in range(2)]
        for matcher in matchers:
            cleanup.callback(matcher.stop)
            matcher.event("standby_usable")
        load = Load([matcher.address for matcher in matchers], seed, bound_seconds=seconds / 2)
        with ThreadPoolExecutor(1) as pool:
            work = pool.submit(asyncio.run, load.run())
            one = Round(servers, matchers, load, seconds)
            try:
                seen = one.run()
            finally:
                load.enough.set()
            work.result()
        lost, doubled = asyncio.run(_count(one.primary, load.acknowledged))
        for line in (
            line for matcher in matchers for line in tuple(matcher.lines) if "internal_error" in line
        ):
            seen["none"].failures[line] += 1
        return Outcome(seen, lost, doubled, load.bounded)


def fallbacks(matchers: list[ServiceProcess]) -> collections.Counter[str]:
    """The reads so far that a standby did not answer, by reason, of all matchers together."""
    counted: collections.Counter[str] = collections.Counter()
    for matcher in matchers:
        url = f"http://{matcher.event('listening')['admin']}/metrics"
        with urllib.request.urlopen(url, timeout=LIMIT_SECONDS) as page:
            for reason, count in FALLBACK.findall(page.read().decode()):
                counted[reason] += int(float(count))
    return counted


def excluded(matchers: list[ServiceProcess]) -> collections.Counter[str]:
    """How often matchers have stopped reading from a standby so far, by reason."""
    lines = (json.loads(line) for matcher in matchers for line in tuple(matcher.lines) if EXCLUDED in line)
    return collections.Counter(line["why"] for line in lines)


async def _confirm_commits(servers: Replication) -> None:
    for statement in (CONFIRMED, "SELECT pg_reload_conf()"):
        await fetch(servers.primary, statement)

    async def confirmed() -> bool:
        return bool(
            await fetch(servers.primary, "SELECT bool_or(sync_state = 'quorum') FROM pg_stat_replication")
        )

    await until(confirmed)


async def _count(primary: EmbeddedPostgres, acknowledged: list[str]) -> tuple[int, int]:
    """How many acknowledged people are missing, and how many have more than one face."""
    person, face = (partition_name(each, "default") for each in ("person", "face"))
    there = await fetch(primary, f"SELECT array_agg(person_id) FROM facerec.{person}")
    doubled = await fetch(
        primary,
        f"SELECT count(*) FROM (SELECT FROM facerec.{person} p LEFT JOIN facerec.{face} f USING (person_key)"
        " GROUP BY p.person_key HAVING count(f.face_id) <> 1) AS each",
    )
    return len(set(acknowledged) - set(there)), doubled


def _counts(counted: collections.Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counted.items()) or "0"


def main() -> int:
    """Print what was seen; exit code 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.standbys")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    passed = True
    print("| round | fault | enrolled | searches | stale | fallbacks | failed | longest |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for number in range(1, given.rounds + 1):
        outcome = attempt(seconds=given.seconds, seed=number)
        for fault, seen in outcome.seen.items():
            print(
                f"| {number} | {fault} | {seen.enrolled} | {seen.searches} | {seen.stale} | "
                f"{_counts(seen.fallbacks)} | {_counts(seen.failures)} | {seen.longest_seconds:.2f} s |"
            )
        bounded = outcome.bounded
        print(
            f"round {number}: {outcome.lost} lost, {outcome.doubled} doubled; of {bounded.reads} reads with "
            f"a bound of {bounded.seconds:g} s {bounded.missing} missed somebody and {bounded.erased} found "
            f"somebody erased, {bounded.refused} were refused",
            flush=True,
        )
        passed = passed and outcome.passed
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
