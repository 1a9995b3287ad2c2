"""Limits on how many messages are read concurrently: of calls, and of health checks, which need no key."""

from collections.abc import Callable
from typing import Protocol

from facerec.serving.fairness.byte_budget import Reservation, overloaded
from facerec.serving.fairness.evicting_set import FairEvictingSet
from facerec.serving.fairness.queue_semaphore import FairQueueSemaphore
from facerec.serving.observability.memory import Memory

MAX_NOT_LATE = 8  # messages being read concurrently, without the late ones
MAX_NOT_LATE_PER_CALLER = 6
MAX_WAITING_CALLS = 4096  # of one caller; each takes about 20 KB
MAX_WAITING_HEALTH = 256  # of one host
MAX_NOT_LATE_HEALTH = 4
MAX_NOT_LATE_HEALTH_PER_HOST = 3
MAX_LATE_HEALTH = 4


class Admission(Protocol):
    """Permits to read messages, and what a message must hold once it is late."""

    permits: FairQueueSemaphore
    max_seconds: float

    def enter(self, reservation: Reservation, message: object, evict: Callable[[], None]) -> None:
        """Admit a late message; `evict` is called when the message is evicted for another.

        Raises FacerecError OVERLOADED.
        """

    def check(self) -> None:
        """Check that a late message may go on; called every 10 ms. Raises FacerecError OVERLOADED."""

    def exit(self, reservation: Reservation, message: object) -> None:
        """Remove a message that was admitted as late."""


class CallAdmission:
    """A late message reserves `late_bytes` of its caller's share, and is refused while memory is low."""

    def __init__(self, late_bytes: int, max_seconds: float, memory: Memory) -> None:
        self.permits = FairQueueSemaphore(MAX_NOT_LATE, MAX_NOT_LATE_PER_CALLER, MAX_WAITING_CALLS)
        self.max_seconds = max_seconds
        self._late_bytes = late_bytes
        self._memory = memory

    def enter(self, reservation: Reservation, message: object, evict: Callable[[], None]) -> None:
        """Reserve the bytes. Raises FacerecError OVERLOADED if the caller's share is used up."""
        del message, evict
        reservation.take(self._late_bytes)

    def check(self) -> None:
        """Raises FacerecError OVERLOADED if memory is low."""
        if self._memory.is_low():
            raise overloaded("the memory of this process is nearly used up")

    def exit(self, reservation: Reservation, message: object) -> None:
        """Do nothing: the message keeps the reservation."""


class HealthAdmission:
    """A late health check is never refused: the oldest of the host with the most is evicted for it."""

    def __init__(self, max_seconds: float) -> None:
        self.permits = FairQueueSemaphore(
            MAX_NOT_LATE_HEALTH, MAX_NOT_LATE_HEALTH_PER_HOST, MAX_WAITING_HEALTH, newest_first=True
        )
        self.max_seconds = max_seconds
        self._late = FairEvictingSet(MAX_LATE_HEALTH)

    def enter(self, reservation: Reservation, message: object, evict: Callable[[], None]) -> None:
        """Add the message to the late health checks."""
        self._late.add(reservation.owner, message, evict)

    def check(self) -> None:
        """Do nothing: memory may be low for a long time, and health must be answered meanwhile."""

    def exit(self, reservation: Reservation, message: object) -> None:
        """Remove the message from the late health checks."""
        self._late.remove(reservation.owner, message)
