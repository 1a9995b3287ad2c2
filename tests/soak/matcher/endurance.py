"""Enrollments while matchers and Postgres are killed in turn, and what is left of them."""

import asyncio
import collections
import dataclasses
import itertools
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import grpc.aio

from facerec.matcher import v1
from tests.soak.matcher import storage
from tests.soak.matcher.caller import Caller
from tests.soak.matcher.histories import History
from tests.soak.matcher.ledger import Ledger, Verdict
from tests.soak.matcher.recovery import recovery_seconds
from tests.soak.matcher.stack import Stack

COLLECTIONS = ("flagging", "c1", "c2", "c3", "c4", "c5")
FLAGS = ("--scan-apart-above-faces", "0")  # so that the pool of exact scans is used from the first face on
STALL_SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much: at least so many enrollments acknowledged, and kills spread evenly among them."""

    kills: int
    enrollments: int
    workers: int = 24
    seed: int = 0
    caller: type[Caller] = Caller


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome; `recoveries` in seconds from Postgres accepting connections, a replica each."""

    ledger: Ledger
    kills: collections.Counter[str]
    stored: Verdict  # by SQL
    listed: Verdict  # by the API
    recoveries: list[float]
    seconds: float
    internal_errors: list[str]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.ledger.different_replays or self.errors
        return not (self.stored.counts or self.listed.counts or wrong)

    @property
    def errors(self) -> int:
        """How many errors came that no caller should see."""
        return sum(self.ledger.surprises.values()) + len(self.internal_errors)


class Load:
    """Workers that live one history after another until there are enough."""

    def __init__(self, plan: Plan, addresses: Sequence[str]) -> None:
        self._plan = plan
        self._addresses = addresses
        self._numbers = itertools.count()
        self.enough = threading.Event()
        self.ledger = Ledger()

    async def run(self) -> None:
        """Work on an event loop of its own."""
        async with (
            self._plan.caller.open(self._addresses, self.ledger) as caller,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self._plan.workers):
                group.create_task(self._work(caller))

    async def _work(self, caller: Caller) -> None:
        while not self.enough.is_set():
            number = next(self._numbers)
            await History(number, COLLECTIONS[number % len(COLLECTIONS)], caller, self.ledger).run()


def run_plan(plan: Plan, stack: Stack) -> Outcome:
    """Run a plan over a fresh stack. The main thread kills, another one calls."""
    asyncio.run(_create_collections(stack.addresses[0]))
    load, began = Load(plan, stack.addresses), time.monotonic()
    killing = Killing(plan, stack)
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(asyncio.run, load.run())
        try:
            for number in range(plan.kills):
                _wait(load, work, (number + 1) * plan.enrollments // (plan.kills + 1))
                killing.kill(number)
            _wait(load, work, plan.enrollments)
        finally:
            load.enough.set()
        work.result()
    return Outcome(
        ledger=load.ledger,
        kills=killing.kills,
        stored=load.ledger.compare(asyncio.run(storage.from_sql(stack.database_url, load.ledger))),
        listed=load.ledger.compare(asyncio.run(storage.from_api(stack.addresses, load.ledger))),
        recoveries=killing.recoveries,
        seconds=time.monotonic() - began,
        internal_errors=killing.internal_errors + stack.events("internal_error"),
    )


class Killing:
    """Kills in turn: a matcher, Postgres, the other matcher, Postgres again."""

    def __init__(self, plan: Plan, stack: Stack) -> None:
        self._stack = stack
        self._random = random.Random(plan.seed)
        self.kills = collections.Counter[str]()
        self.recoveries: list[float] = []
        self.internal_errors: list[str] = []

    def kill(self, number: int) -> None:
        """Kill, start again, and wait until every replica decides."""
        time.sleep(self._random.uniform(0, 0.05))
        if number % 2:
            self.kills["Postgres"] += 1
            self._stack.kill_postgres()
            accepting = self._stack.start_postgres()
            self.recoveries += recovery_seconds(self._stack.addresses, COLLECTIONS[0], accepting)
        else:
            self.kills["matcher"] += 1
            replica = self._stack.replicas[number // 2 % 2]
            self.internal_errors += replica.events("internal_error")
            replica.kill()
            replica.start()
            replica.wait()


def _wait(load: Load, work: Future[None], enrollments: int) -> None:
    """Wait for so many acknowledgements. Raises the error of the load, or TimeoutError for a stall."""
    last, since = load.ledger.enrollments, time.monotonic()
    while load.ledger.enrollments < enrollments and not work.done():
        time.sleep(0.01)
        if load.ledger.enrollments != last:
            last, since = load.ledger.enrollments, time.monotonic()
        if time.monotonic() - since > STALL_SECONDS:
            raise TimeoutError(f"no enrollment was acknowledged for {STALL_SECONDS:.0f} s")
    if work.done():
        work.result()


async def _create_collections(address: str) -> None:
    """The first looks for duplicates, as a new collection does; the others do not."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = v1.CollectionServiceStub(channel)
        for collection_id in COLLECTIONS:
            policy = (
                v1.DUPLICATE_POLICY_FLAG if collection_id == COLLECTIONS[0] else v1.DUPLICATE_POLICY_ALLOW
            )
            await stub.CreateCollection(
                v1.CreateCollectionRequest(
                    collection_id=collection_id, settings=v1.CollectionSettings(duplicate_policy=policy)
                )
            )
