"""A state machine for hypothesis: a matcher, and an oracle of each of its collections."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg
import grpc.aio
from hypothesis.stateful import RuleBasedStateMachine

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.e2e.matcher.oracle import VECTORS, Tenant
from tests.e2e.matcher.requests import refused
from tests.fixtures.matcher import matcher_service

T = TypeVar("T")


class MatcherMachine(RuleBasedStateMachine):
    """A matcher that begins with the collection `default`, empty; the calls to it, and what it stored."""

    database_url: str
    administrator: asyncpg.Connection
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
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
        self.service = matcher_service(self.database_url)
        await self.service.start()
        await self.service.checked.wait()
        self.channel = grpc.aio.insecure_channel(self.service.server.address)
        self.stub: Any = matcher_pb2_grpc.MatcherServiceStub(self.channel)
        self.collections: Any = matcher_pb2_grpc.CollectionServiceStub(self.channel)

    async def _close(self) -> None:
        await self.channel.close()
        await self.service.stop()

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
