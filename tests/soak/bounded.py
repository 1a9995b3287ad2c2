"""Reads that allow staleness, checked against what was acknowledged before each of them.

People are enrolled and erased, one after another. A read must find everybody who was enrolled longer ago than
its bound, and nobody who was erased longer ago than that; of later changes it may see any.
"""

import asyncio
import dataclasses
import itertools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import numpy as np

from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.reading import stale
from tests.e2e.matcher.requests import encoding, enroll

RETRY_SECONDS = 0.02
CALL_SECONDS = 20.0
Answer = Callable[[Callable[..., Awaitable[Any]], Any], Awaitable[Any]]
"""Sends a request until it is answered; None if it is enough before."""


@dataclasses.dataclass(frozen=True)
class Changed:
    """Somebody whose enrollment or erasure was acknowledged at `time`."""

    person_id: str
    probe: pb.Probe
    time: float


@dataclasses.dataclass
class BoundedReads:
    """Counts reads with a bound of `seconds`: `missing` did not find somebody who was enrolled before,
    `erased` found somebody who was erased before. `refused` calls were not answered.
    """

    seconds: float
    enough: threading.Event
    reads: int = 0
    missing: int = 0
    erased: int = 0
    refused: int = 0
    _enrolled: list[Changed] = dataclasses.field(default_factory=list)  # and never erased
    _erased: list[Changed] = dataclasses.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether there were reads and all kept their bound."""
        return self.reads > 0 and not (self.missing or self.erased)

    async def run(self, stubs: list[Any], answer: Answer, random: np.random.Generator) -> None:
        """Change and read until it is enough."""
        await asyncio.gather(self._change(stubs[0], answer, random), self._read(stubs))

    async def _change(self, stub: Any, answer: Answer, random: np.random.Generator) -> None:
        """Enroll one after another, and erase every second one."""
        for number in itertools.count():
            drawn = random.normal(size=128)
            probe = encoding((1.42 * drawn / np.linalg.norm(drawn)).astype(np.float32))
            person_id = f"bounded{number}"
            if await answer(stub.Enroll, enroll(person_id, probe, request_id=person_id)) is None:
                return
            if number % 2 == 0:
                self._enrolled.append(Changed(person_id, probe, time.monotonic()))
            elif await self._erase(stub, person_id):
                self._erased.append(Changed(person_id, probe, time.monotonic()))

    async def _erase(self, stub: Any, person_id: str) -> bool:
        """Erase until it is acknowledged, or was made all the same; False if it is enough before."""
        while not self.enough.is_set():
            try:
                await stub.DeletePerson(pb.DeletePersonRequest(person_id=person_id), timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
            return True
        return False

    async def _read(self, stubs: list[Any]) -> None:
        """Search for those whose changes are just older than the bound, at one matcher after the other."""
        for stub in itertools.cycle(stubs):
            if self.enough.is_set():
                return
            before = time.monotonic() - self.seconds
            if enrolled := _last(self._enrolled, before):
                self.missing += await self._finds(stub, enrolled) is False
            if erased := _last(self._erased, before):
                self.erased += await self._finds(stub, erased) is True
            await asyncio.sleep(RETRY_SECONDS)

    async def _finds(self, stub: Any, person: Changed) -> bool | None:
        """Whether a bounded read finds somebody; None if it is not answered."""
        request = pb.IdentifyRequest(probes=[person.probe], consistency=stale(self.seconds))
        try:
            found = await stub.Identify(request, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError:
            self.refused += 1
            return None
        self.reads += 1
        return [each.person_id for each in found.faces[0].candidates] == [person.person_id]


def _last(changed: list[Changed], before: float) -> Changed | None:
    """The last one who was changed before a time."""
    return next((each for each in reversed(changed) if each.time < before), None)
