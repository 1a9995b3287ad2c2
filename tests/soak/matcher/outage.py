"""Postgres killed under every kind of call, and a pool that has no connection left."""

import asyncio
import dataclasses
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from facerec.matcher import v1
from matcher_service.admission import three_quarters_of
from matcher_service.postgres.statements import partition_name
from tests.fixtures.waiting import until, wait_until
from tests.soak.matcher import calls
from tests.soak.matcher.calls import Answer, Line
from tests.soak.matcher.recovery import recovery_seconds
from tests.soak.matcher.stack import Stack, connected

POOL = 4
FLAGS = ("--scan-apart-above-faces", "0", "--pool-max-size", str(POOL))
WORKERS = 4  # a replica
LOAD_SECONDS = 0.7  # before and after each outage
NOTICE_SECONDS = 0.1  # for the last bytes from the dead server to arrive
HELD = "held"
DEADLINE_SECONDS = 0.8


@dataclasses.dataclass(frozen=True)
class Outage:
    """One kill: answers while Postgres was down and at other times, and how soon each replica recovered."""

    down: list[Answer]
    others: list[Answer]
    recoveries: list[float]

    @property
    def as_expected(self) -> bool:
        """Whether every caller was asked to retry, and every other answer was in order."""
        expected = (answer.code == grpc.StatusCode.UNAVAILABLE and answer.as_expected for answer in self.down)
        return bool(self.down) and all(expected) and all(answer.as_expected for answer in self.others)


async def prepare(stack: Stack) -> None:
    """Make a collection with a face, which stays."""
    async with Line.open(stack.addresses[0]) as line:
        for request in (calls.every_rpc(HELD, 0)[0], calls.enroll(HELD, "ann", 0)):
            answer = await line.ask(request)
            assert answer.code == calls.OK, answer


def outage(stack: Stack, *, down_seconds: float) -> Outage:
    """Kill Postgres under load, leave it down until some call failed with it and at least for a while, start
    it, and wait for the replicas.
    """
    load = _EveryCall(stack)
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(asyncio.run, load.run())
        try:
            time.sleep(LOAD_SECONDS)
            stack.kill_postgres()
            down = time.monotonic() + NOTICE_SECONDS
            time.sleep(down_seconds)
            wait_until(lambda: any(answer.began >= down for answer in tuple(load.answers)))
            up = time.monotonic()
            accepting = stack.start_postgres()
            recoveries = recovery_seconds(stack.addresses, HELD, accepting)
            time.sleep(LOAD_SECONDS)
        finally:
            load.enough.set()
        work.result()
    within = [down <= answer.began and answer.began + answer.seconds <= up for answer in load.answers]
    return Outage(
        down=list(itertools.compress(load.answers, within)),
        others=[answer for answer, inside in zip(load.answers, within, strict=True) if not inside],
        recoveries=recoveries,
    )


class _EveryCall:
    """Workers that call every RPC in turn, each over a collection of its own."""

    def __init__(self, stack: Stack) -> None:
        self._addresses = stack.addresses
        self.enough = threading.Event()
        self.answers: list[Answer] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for replica, worker in itertools.product(range(len(self._addresses)), range(WORKERS)):
                group.create_task(self._work(self._addresses[replica], f"outage-{replica}-{worker}"))

    async def _work(self, address: str, collection_id: str) -> None:
        async with Line.open(address) as line:
            for turn in itertools.count():
                for request in calls.every_rpc(collection_id, 2 * turn):
                    if self.enough.is_set():
                        return
                    answer = await line.ask(request)
                    self.answers.append(answer)
                    if answer.code in calls.TRANSIENT:
                        await asyncio.sleep(0.02)


async def exhaust(stack: Stack, deadline_seconds: float = DEADLINE_SECONDS) -> list[Answer]:
    """Take as many connections of a replica as a caller may by calls that wait for a lock; then ask for what
    needs one more of them.

    Returns the answers of the latter, each asked with that deadline.
    """
    async with connected(stack.database_url) as administrator, Line.open(stack.addresses[0]) as line:
        async with administrator.transaction():
            await administrator.execute(f"LOCK TABLE facerec.{partition_name('face', HELD)}")
            waiting = [
                asyncio.create_task(line.ask(calls.enroll(HELD, f"ann-{number}", 0)))
                for number in range(three_quarters_of(POOL))
            ]

            async def full() -> bool:
                count = await administrator.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
                return bool(count == three_quarters_of(POOL))

            await until(full)
            requests = [
                each
                for each in calls.every_rpc("default", 0)[4:]
                if not isinstance(each, v1.DeleteCollectionRequest)  # of another pool
            ] * 3
            refused = await asyncio.gather(*(line.ask(request, deadline_seconds) for request in requests))
        held = await asyncio.gather(*waiting)
    assert [answer.code for answer in held] == [calls.OK] * three_quarters_of(POOL), held
    return refused


def refused_in_time(answer: Answer, deadline_seconds: float = DEADLINE_SECONDS) -> bool:
    """Whether a call was refused for the exhausted pool, with a time to retry, before its deadline."""
    overloaded = answer.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    return overloaded and answer.as_expected and answer.seconds < deadline_seconds
