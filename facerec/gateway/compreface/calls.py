"""The calls that one request makes to the services: in one collection, and all within one deadline."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from facerec.errors import FacerecError, Reason
from facerec.gateway import exchange, failures
from facerec.gateway.forwarding import Forwarder
from facerec.gateway.methods import METHODS

PAGE_SIZE: Final = 1000
BY_NAME: Final = {method.name: method for method in METHODS.values()}
"""The methods of both services by their own names; the matcher's where both have one."""


class Calls:
    """Calls methods for the current request, with its key and ids. Every function raises Failed.

    `max_seconds` is the time that all calls have together.

    Attributes:
        collection_id: The collection of every request that names one.
        sends_vectors: Whether the key may have vectors compared and sees distances, so that a photo's vectors
            need computing only once. Else photos are sent.
    """

    def __init__(self, forwarder: Forwarder, max_seconds: float) -> None:
        self.collection_id = ""
        self.sends_vectors = False
        self._forwarder = forwarder
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + max_seconds
        self._held_bytes = 0

    async def authorize(self, collection_id: str) -> None:
        """Learn what the key may do, and use the one collection that it is limited to, or the given one."""
        caller = (await self.call("GetCaller")).caller
        reachable = caller.collection_ids
        self.collection_id = reachable[0] if len(reachable) == 1 else collection_id
        self.sends_vectors = not caller.keys_required or (caller.scores and caller.encodings)

    async def call(self, name: str, **fields: Any) -> Any:
        """Call a method by its own name with the fields of its request; returns its answer."""
        method = BY_NAME[name]
        if "collection_id" in method.request.DESCRIPTOR.fields_by_name:
            fields["collection_id"] = self.collection_id
        left_seconds = self._ends_at - self._loop.time()
        if left_seconds <= 0:
            raise failures.fail(
                FacerecError(
                    "the request took too long; what it has changed so far stays",
                    reason=Reason.DEADLINE_EXCEEDED,
                )
            )
        data = method.request(**fields).SerializeToString()
        return method.response.FromString(await self._forwarder.unary(method, data, left_seconds))

    def hold(self, more_bytes: int) -> None:
        """Count bytes of an answer that is collected from several calls. Raises Failed OVERLOADED."""
        self._held_bytes += more_bytes
        try:
            exchange.current().answer_reservation.take(self._held_bytes)
        except FacerecError as error:
            raise failures.fail(error) from None

    async def persons(self) -> AsyncIterator[list[Any]]:
        """The people of the collection by id, a page of at most PAGE_SIZE at a time."""
        token = ""
        while True:
            page = await self.call("ListPersons", page_size=PAGE_SIZE, page_token=token)
            yield list(page.persons)
            token = page.next_page_token
            if not token:
                return

    async def faces(self, person_id: str) -> AsyncIterator[Any]:
        """The stored faces of a person, oldest first."""
        token = ""
        while True:
            page = await self.call("ListFaces", person_id=person_id, page_size=PAGE_SIZE, page_token=token)
            for face in page.faces:
                yield face
            token = page.next_page_token
            if not token:
                return
