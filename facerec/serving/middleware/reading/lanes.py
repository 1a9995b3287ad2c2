"""Where messages are read: those of calls, and those of health, which callers without a key may ask for."""

from collections.abc import Callable
from typing import Protocol

from facerec.serving.middleware.reading.budget import Lease, overloaded
from facerec.serving.middleware.reading.permits import Crowd, Permits
from facerec.serving.observability.memory import Memory

AT_ONCE = 8  # messages that are read and may be there any moment
AT_ONCE_PER_CALLER = 6
MAX_WAITING_CALLS = 4096  # of one caller, each of which takes some 20 KB
MAX_WAITING_HEALTH = 256  # of one host
HEALTH_AT_ONCE = 4
HEALTH_AT_ONCE_PER_HOST = 3
LATE_HEALTH_MESSAGES = 4


class Lane(Protocol):
    """Permits to read, and room for messages that are late."""

    permits: Permits
    max_seconds: float

    def enter(self, lease: Lease, message: object, leave: Callable[[], None]) -> None:
        """Make room for a late message; `leave` is called where it has to go.

        Raises FacerecError OVERLOADED.
        """

    def look(self) -> None:
        """Called every few milliseconds for each late message. Raises FacerecError OVERLOADED."""

    def exit(self, lease: Lease, message: object) -> None:
        """Free the room."""


class CallLane:
    """A late message holds `late_bytes` of its caller's share, and is refused where memory is tight."""

    def __init__(self, late_bytes: int, max_seconds: float, memory: Memory) -> None:
        self.permits = Permits(AT_ONCE, AT_ONCE_PER_CALLER, MAX_WAITING_CALLS)
        self.max_seconds = max_seconds
        self._late_bytes = late_bytes
        self._memory = memory

    def enter(self, lease: Lease, message: object, leave: Callable[[], None]) -> None:
        """Raises FacerecError OVERLOADED where the caller's share is used up."""
        del message, leave
        lease.take(self._late_bytes)

    def look(self) -> None:
        """Raises FacerecError OVERLOADED where memory is tight."""
        if self._memory.tight():
            raise overloaded()

    def exit(self, lease: Lease, message: object) -> None:
        """Nothing: what is held becomes the message's."""


class HealthLane:
    """A check that is late is not refused for want of room: an older one goes, of the host that has most."""

    def __init__(self, max_seconds: float) -> None:
        self.permits = Permits(HEALTH_AT_ONCE, HEALTH_AT_ONCE_PER_HOST, MAX_WAITING_HEALTH, newest_first=True)
        self.max_seconds = max_seconds
        self._crowd = Crowd(LATE_HEALTH_MESSAGES)

    def enter(self, lease: Lease, message: object, leave: Callable[[], None]) -> None:
        """Let it in."""
        self._crowd.enter(lease.owner, message, leave)

    def look(self) -> None:
        """Nothing: memory may be tight for a long time, in which health is asked for all the same."""

    def exit(self, lease: Lease, message: object) -> None:
        """It is there, or never will be."""
        self._crowd.exit(lease.owner, message)
