"""A backend that calls two replicas, retries what failed, and records every answer."""

import asyncio
import contextlib
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from typing import Self

import grpc

from facerec.client import AsyncMatcherClient, Enrollment
from facerec.client.failures import from_rpc_error
from facerec.errors import FacerecError, Reason
from facerec.matcher import v1
from tests.soak.matcher.calls import Line
from tests.soak.matcher.faces import Place, encoding
from tests.soak.matcher.ledger import Ledger

TIMEOUT_SECONDS = 5.0
PATIENCE_SECONDS = 90.0  # a caller that waits longer than this for an answer has found a fault
RETRIED = frozenset(
    {Reason.STORE_UNAVAILABLE, Reason.UNREACHABLE, Reason.OVERLOADED, Reason.DEADLINE_EXCEEDED}
)


@dataclasses.dataclass(frozen=True)
class Receipt:
    """How many faces went; `doubtful` where an earlier attempt, without an answer, may have erased more."""

    faces: int
    doubtful: bool


class Refused(Exception):
    """The matcher refused for good; `reason` says why."""

    def __init__(self, error: FacerecError) -> None:
        super().__init__(error.message)
        self.reason = error.reason


class Caller:
    """Asks the replicas in turn. A request id makes an enrollment the same in every attempt."""

    def __init__(self, clients: Sequence[AsyncMatcherClient], lines: Sequence[Line], ledger: Ledger) -> None:
        self._clients = clients
        self._lines = lines
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
            lines = [await stack.enter_async_context(Line.open(address)) for address in addresses]
            yield cls(clients, lines, ledger)

    async def enroll_once(
        self, place: Place, numbers: Sequence[int], request_id: str
    ) -> Enrollment | FacerecError:
        """One attempt at an enrollment: its answer, or why it has none. Raises Refused."""
        client = self._clients[next(self._turns) % len(self._clients)]
        faces = [encoding(number) for number in numbers]
        try:
            return await client.enroll(
                place.person_id, *faces, request_id=request_id, collection_id=place.collection_id
            )
        except FacerecError as error:
            return self._retried(error)

    def retry_id(self, request_id: str) -> str:
        """The request id of a further attempt."""
        return request_id

    async def delete_person(self, place: Place) -> Receipt:
        """Erase a person, however many attempts it takes."""
        request = v1.DeletePersonRequest(collection_id=place.collection_id, person_id=place.person_id)
        return await self._erase(request)

    async def delete_face(self, place: Place, face_id: str) -> Receipt:
        """Erase a face, however many attempts it takes."""
        return await self._erase(v1.DeleteFaceRequest(collection_id=place.collection_id, face_id=face_id))

    async def _erase(self, request: v1.DeletePersonRequest | v1.DeleteFaceRequest) -> Receipt:
        """Ask without a retry that is not seen: the receipt of a second attempt counts nothing."""
        began = time.monotonic()
        for attempt in itertools.count():
            line = self._lines[next(self._turns) % len(self._lines)]
            try:
                answer = await line.send(request, TIMEOUT_SECONDS)
                return Receipt(answer.faces_deleted, attempt > 0)
            except grpc.RpcError as error:
                await self.wait(self._retried(from_rpc_error(error, "the matcher")), began)
        raise AssertionError

    def _retried(self, error: FacerecError) -> FacerecError:
        """Count an error after which to try again. Raises Refused for any other."""
        if error.reason not in RETRIED:
            raise Refused(error) from error
        self._ledger.retries[error.reason] += 1
        return error

    async def wait(self, error: FacerecError, began: float) -> None:
        """Wait as long as an error asks for. Raises TimeoutError when patience is at its end."""
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise TimeoutError(f"still {error.reason} after {PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(min(error.retry_after_seconds or 0.1, 0.2))
