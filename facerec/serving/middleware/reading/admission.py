"""Which messages are read now: those of calls, and those of health, for which nobody needs a key."""

from collections.abc import Callable
from typing import Protocol

from facerec.serving.middleware.reading.budget import Lease, overloaded
from facerec.serving.middleware.reading.permits import EvictingSet, Permits
from facerec.serving.observability.memory import Memory

MAX_PROMPT = 8  # messages being read that are not late yet
MAX_PROMPT_PER_CALLER = 6
MAX_WAITING_CALLS = 4096  # of one caller, each of which takes some 20 KB
MAX_WAITING_HEALTH = 256  # of one host
MAX_PROMPT_HEALTH = 4
MAX_PROMPT_HEALTH_PER_HOST = 3
MAX_LATE_HEALTH = 4


class Admission(Protocol):
    """Permits to read, and what a message takes that turns out to be late."""

    permits: Permits
    max_seconds: float

    def enter(self, lease: Lease, message: object, evict: Callable[[], None]) -> None:
        """Make room for a late message; `evict` is called where it has to go.

        Raises FacerecError OVERLOADED.
        """

    def check(self) -> None:
        """Called every few milliseconds for each late message. Raises FacerecError OVERLOADED."""

    def exit(self, lease: Lease, message: object) -> None:
        """Free the room."""


class CallAdmission:
    """A late message holds `late_bytes` of its caller's share, and is refused where memory is tight."""

    def __init__(self, late_bytes: int, max_seconds: float, memory: Memory) -> None:
        self.permits = Permits(MAX_PROMPT, MAX_PROMPT_PER_CALLER, MAX_WAITING_CALLS)
        self.max_seconds = max_seconds
        self._late_bytes = late_bytes
        self._memory = memory

    def enter(self, lease: Lease, message: object, evict: Callable[[], None]) -> None:
        """Raises FacerecError OVERLOADED where the caller's share is used up."""
        del message, evict
        lease.take(self._late_bytes)

    def check(self) -> None:
        """Raises FacerecError OVERLOADED where memory is tight."""
        if self._memory.tight():
            raise overloaded("the memory of this process is nearly used up")

    def exit(self, lease: Lease, message: object) -> None:
        """Nothing: what is held becomes the message's."""


class HealthAdmission:
    """A late check is not refused for want of room: an older one is evicted, of the host that has most."""

    def __init__(self, max_seconds: float) -> None:
        self.permits = Permits(
            MAX_PROMPT_HEALTH, MAX_PROMPT_HEALTH_PER_HOST, MAX_WAITING_HEALTH, newest_first=True
        )
        self.max_seconds = max_seconds
        self._late = EvictingSet(MAX_LATE_HEALTH)

    def enter(self, lease: Lease, message: object, evict: Callable[[], None]) -> None:
        """Add it to the late checks."""
        self._late.add(lease.owner, message, evict)

    def check(self) -> None:
        """Nothing: memory may be tight for a long time, in which health is asked for all the same."""

    def exit(self, lease: Lease, message: object) -> None:
        """Remove it from the late checks: it has arrived, or never will."""
        self._late.remove(lease.owner, message)
