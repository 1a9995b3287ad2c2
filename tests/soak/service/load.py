"""Callers who know what is right: true and false claims, photos, enrollments that must not get lost."""

import asyncio
import dataclasses
import time
import uuid
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facerec.client import AsyncMatcherClient, Encoding, Security
from facerec.errors import FacerecError, Reason

SPACE = "dlib-resnet-v1/small/150x0.25"
# The reasons a caller may get while something is broken: all are retryable.
RETRYABLE = frozenset(
    {
        Reason.STORE_UNAVAILABLE,
        Reason.ENCODER_UNAVAILABLE,
        Reason.OVERLOADED,
        Reason.UNREACHABLE,
        Reason.DEADLINE_EXCEEDED,
    }
)
CALL_SECONDS = 5.0
SLOW_SECONDS = 1.0
PEOPLE = 50


@dataclasses.dataclass(frozen=True)
class Answer:
    """One call: what it asked, when it began and ended, and why it failed, if it did."""

    kind: str
    began: float
    ended: float
    reason: Reason | None
    wrong: bool = False

    @property
    def bad(self) -> bool:
        """Whether it failed or was slow."""
        return self.reason is not None or self.ended - self.began > SLOW_SECONDS


def vector(seed: int) -> npt.NDArray[np.float32]:
    """A vector of the length of dlib's; those of two seeds are farther apart than any threshold."""
    drawn = np.random.default_rng(seed).normal(size=128)
    scaled: npt.NDArray[np.float32] = (1.42 * drawn / np.linalg.norm(drawn)).astype(np.float32)
    return scaled


class Load:
    """Calls at a fixed rate with the client's own retries, until it is stopped."""

    def __init__(
        self, target: str, photo: Path | None, *, workers: int = 4, pause_seconds: float = 0.02,
        claim_pause_seconds: float | None = None, security: Security | None = None,
    ) -> None:  # fmt: skip
        self._target = target
        self._photo = photo.read_bytes() if photo else b""
        self._workers = workers
        self._pause_seconds = pause_seconds
        self._claim_pause_seconds = pause_seconds if claim_pause_seconds is None else claim_pause_seconds
        self._security = security or Security()
        self._tasks: list[asyncio.Task[None]] = []
        self.answers: list[Answer] = []
        self.enrolled: list[str] = []

    async def start(self) -> None:
        """Enroll the people of the claims, and begin."""
        self._client = AsyncMatcherClient(self._target, timeout_seconds=CALL_SECONDS, security=self._security)
        for person in range(PEOPLE):
            await self._client.enroll(f"p{person}", Encoding(vector(person), SPACE))
        if self._photo:
            await self._client.enroll("photographed", self._photo)
            self._tasks.append(asyncio.create_task(self._photos()))
        self._tasks += [asyncio.create_task(self._claims(number)) for number in range(self._workers)]
        self._tasks.append(asyncio.create_task(self._enrollments()))

    async def stop(self) -> None:
        """End, and wait for the last answers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def lost(self) -> list[str]:
        """The people whose enrollment was acknowledged and who are not there."""
        there = {person.person_id async for person in self._client.list_persons(page_size=1000)}
        await self._client.close()
        return [person for person in self.enrolled if person not in there]

    async def _claims(self, number: int) -> None:
        turn = number
        while True:
            person = turn % PEOPLE
            true = turn % 2 == 0
            probe = Encoding(vector(person if true else person + 1), SPACE)
            await self._verify("claim", f"p{person}", probe, true=true)
            turn += self._workers
            await asyncio.sleep(self._claim_pause_seconds)

    async def _photos(self) -> None:
        turn = 0
        while True:
            person = "photographed" if turn % 2 == 0 else "p0"
            await self._verify("photo", person, self._photo, true=person == "photographed")
            turn += 1
            await asyncio.sleep(10 * self._pause_seconds)

    async def _verify(self, kind: str, person: str, probe: bytes | Encoding, *, true: bool) -> None:
        began = time.monotonic()
        reason, wrong = None, False
        try:
            wrong = (await self._client.verify(person, probe)).match is not true
        except FacerecError as error:
            reason = error.reason
        self.answers.append(Answer(kind, began, time.monotonic(), reason, wrong))

    async def _enrollments(self) -> None:
        """A new person again and again; one that is not acknowledged is asked for until it is."""
        number = 0
        while True:
            person, request_id = f"new-{number}", str(uuid.uuid4())
            began = time.monotonic()
            reason = None
            try:
                await self._client.enroll(
                    person, Encoding(vector(1000 + number), SPACE), request_id=request_id
                )
                self.enrolled.append(person)
                number += 1
            except FacerecError as error:
                reason = error.reason
            self.answers.append(Answer("enroll", began, time.monotonic(), reason))
            await asyncio.sleep(5 * self._pause_seconds)


@dataclasses.dataclass(frozen=True)
class Seen:
    """What callers saw of a fault: calls, failures by reason, wrong ones, seconds until recovery."""

    calls: int
    failures: Counter[Reason]
    wrong: int
    longest_seconds: float
    recovery_seconds: float


def seen(answers: list[Answer], began: float, ended: float) -> Seen:
    """Look at the answers of calls that a fault from `began` to `ended` can have touched."""
    touched = [each for each in answers if each.ended >= began]
    bad = [each.ended for each in touched if each.bad and each.ended > ended]
    return Seen(
        calls=len(touched),
        failures=Counter(each.reason for each in touched if each.reason is not None),
        wrong=sum(each.wrong for each in touched),
        longest_seconds=max((each.ended - each.began for each in touched), default=0.0),
        recovery_seconds=max(bad, default=ended) - ended,
    )
