"""A backend that calls two replicas, tries again what failed, and writes down what it was told."""

import asyncio
import contextlib
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Generic, Self, TypeVar

from facerec.client import AsyncMatcherClient, Enrollment, Erasure
from facerec.errors import FacerecError, Reason
from tests.soak.matcher.faces import Place, encoding
from tests.soak.matcher.ledger import Ledger

A = TypeVar("A")

TIMEOUT_SECONDS = 5.0
PATIENCE_SECONDS = 90.0  # a caller that waits longer than this for an answer has found a fault
RETRIED = frozenset(
    {Reason.STORE_UNAVAILABLE, Reason.UNREACHABLE, Reason.OVERLOADED, Reason.DEADLINE_EXCEEDED}
)


@dataclasses.dataclass(frozen=True)
class Answered(Generic[A]):
    """An answer, and how many attempts before it had none."""

    answer: A
    unanswered: int


class Refused(Exception):
    """The matcher refused for good; `reason` says why."""

    def __init__(self, error: FacerecError) -> None:
        super().__init__(error.message)
        self.reason = error.reason


class Caller:
    """Asks the replicas in turn. A request id makes an enrolment the same in every attempt."""

    def __init__(self, clients: Sequence[AsyncMatcherClient], ledger: Ledger) -> None:
        self._clients = clients
        self._ledger = ledger
        self._turns = itertools.count()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, addresses: Sequence[str], ledger: Ledger) -> AsyncIterator[Self]:
        """A caller with a channel to each replica."""
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(AsyncMatcherClient(address, timeout_seconds=TIMEOUT_SECONDS))
                for address in addresses
            ]
            yield cls(clients, ledger)

    async def enroll_once(
        self, place: Place, numbers: Sequence[int], request_id: str
    ) -> Enrollment | FacerecError:
        """One attempt at an enrolment: its answer, or why it has none. Raises Refused."""
        faces = [encoding(number) for number in numbers]

        async def enroll(client: AsyncMatcherClient) -> Enrollment:
            return await client.enroll(
                place.person_id, *faces, request_id=request_id, collection_id=place.collection_id
            )

        return await self._attempt(enroll)

    def retry_id(self, request_id: str) -> str:
        """The request id of a further attempt."""
        return request_id

    async def delete_person(self, place: Place) -> Answered[Erasure]:
        """Erase a person, however many attempts it takes."""
        return await self._insist(
            lambda client: client.delete_person(place.person_id, collection_id=place.collection_id)
        )

    async def delete_face(self, place: Place, face_id: str) -> Answered[Erasure]:
        """Erase a face, however many attempts it takes."""
        return await self._insist(
            lambda client: client.delete_face(face_id, collection_id=place.collection_id)
        )

    async def _insist(self, ask: Callable[[AsyncMatcherClient], Awaitable[A]]) -> Answered[A]:
        began = time.monotonic()
        for unanswered in itertools.count():
            answer = await self._attempt(ask)
            if not isinstance(answer, FacerecError):
                return Answered(answer, unanswered)
            await self.wait(answer, began)
        raise AssertionError

    async def _attempt(self, ask: Callable[[AsyncMatcherClient], Awaitable[A]]) -> A | FacerecError:
        client = self._clients[next(self._turns) % len(self._clients)]
        try:
            return await ask(client)
        except FacerecError as error:
            if error.reason in RETRIED:
                self._ledger.retries[error.reason] += 1
                return error
            raise Refused(error) from error

    async def wait(self, error: FacerecError, began: float) -> None:
        """Wait as long as an error asks for. Raises TimeoutError when patience is at its end."""
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise TimeoutError(f"still {error.reason} after {PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(min(error.retry_after_seconds or 0.1, 0.2))
