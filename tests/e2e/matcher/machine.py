"""A state machine for hypothesis: two matchers over one database, and an oracle of each collection."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg
import grpc.aio
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.e2e.matcher.oracle import VECTORS, Tenant
from tests.e2e.matcher.requests import refused
from tests.fixtures.matcher import matcher_service

T = TypeVar("T")


def drive(machine: "type[MatcherMachine]", database_url: str, *, sequences: int, steps: int) -> int:
    """Run sequences of steps drawn at random; the number of calls made."""
    with asyncio.Runner() as runner:
        administrator = runner.run(asyncpg.connect(database_url))
        values = {"database_url": database_url, "administrator": administrator, "runner": runner, "calls": 0}
        driven: type[MatcherMachine] = type("Driven", (machine,), values)
        run_state_machine_as_test(
            driven,
            settings=settings(
                max_examples=sequences,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(administrator.close())
    return driven.calls


class MatcherMachine(RuleBasedStateMachine):
    """Two matchers that begin with the collection `default`, empty; calls to either, and what they stored.

    `calls` counts the calls of all machines of a class.
    """

    database_url: str
    administrator: asyncpg.Connection
    runner: asyncio.Runner
    calls: int

    def __init__(self) -> None:
        super().__init__()
        self.random = random.Random()
        self.tenants = {"default": Tenant()}
        self.births = itertools.count()
        self.run(self._open(empty=True))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self, *, empty: bool = False) -> None:
        if empty:
            await self.administrator.execute(
                "SELECT facerec.delete_collection(collection_id) FROM facerec.collection"
            )
        self.services = [matcher_service(self.database_url) for _ in range(2)]
        for service in self.services:
            await service.start()
            await service.checked.wait()
        self.channels = [grpc.aio.insecure_channel(service.server.address) for service in self.services]
        self.stubs = [matcher_pb2_grpc.MatcherServiceStub(channel) for channel in self.channels]
        self.collection_stubs = [matcher_pb2_grpc.CollectionServiceStub(channel) for channel in self.channels]

    @property
    def stub(self) -> Any:
        """One of the two matchers at random."""
        return self.random.choice(self.stubs)

    @property
    def collections(self) -> Any:
        """One of the two matchers at random."""
        return self.random.choice(self.collection_stubs)

    async def _close(self) -> None:
        for channel, service in zip(self.channels, self.services, strict=True):
            await channel.close()
            await service.stop()

    def teardown(self) -> None:
        self.run(self._close())

    async def _stored(self) -> list[tuple[str, str | None, str]]:
        rows = await self.administrator.fetch(
            "SELECT collection_id, person_id, face_id FROM facerec.face"
            " LEFT JOIN facerec.person USING (collection_id, person_key)"
        )
        return [(row["collection_id"], row["person_id"], str(row["face_id"])) for row in rows]

    def _call(self, name: str, method: str, request: Any) -> Any:
        """The answer of a collection's call; None, refused as it must be, where there is no collection."""
        if name not in self.tenants:
            self._refused(name, method, request, Reason.COLLECTION_NOT_FOUND, "collection_id")
            return None
        request.collection_id = name
        return self.run(self._answer(getattr(self.stub, method), request))

    def _refused(self, name: str, method: str, request: Any, reason: Reason, field: str) -> None:
        request.collection_id = name
        with refused(reason, field):
            self.run(self._answer(getattr(self.stub, method), request))

    async def _answer(self, call: Callable[[Any], Any], request: Any) -> Any:
        type(self).calls += 1
        return await call(request)

    def _pages(self, name: str, method: str, request: Any, field: str) -> list[Any]:
        listed: list[Any] = []
        for _ in range(len(VECTORS) + 1):
            page = self._call(name, method, request)
            listed += getattr(page, field)
            request.page_token = page.next_page_token
            if not request.page_token:
                return listed
        raise AssertionError("the pages do not end")
