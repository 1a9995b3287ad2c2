"""A process of the stack that is started again when it dies, within reason."""

import signal
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from facerec.local.child import Child, Command
from facerec.local.errors import ServiceFailed

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 5.0
DEATHS = 5  # this many within the window are a crash loop
WINDOW_SECONDS = 60.0
STOP_SECONDS = 5.0
MISUSE_STATUS = 2  # how a service says that it can't start as told, which no restart of a first start mends


class Service(Protocol):
    """What the supervisor keeps running."""

    @property
    def name(self) -> str:
        """The name shown to people."""

    @property
    def child(self) -> Child:
        """The process last started."""

    def start(self) -> None:
        """Start it, for the first time or again."""


class CommandService:
    """A service that is one command."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._child: Child | None = None

    @property
    def name(self) -> str:
        """The name shown to people."""
        return self._command.name

    @property
    def child(self) -> Child:
        """The process last started."""
        assert self._child is not None, "not started"
        return self._child

    def start(self) -> None:
        """Start the command."""
        self._child = Child.spawn(self._command)


def stop_together(services: Sequence[Service]) -> None:
    """Ask the services to end, wait `STOP_SECONDS` for all of them, then make them."""
    for service in services:
        service.child.send(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for service in services:
        if not service.child.wait(deadline - time.monotonic()):
            service.child.send(signal.SIGKILL)
            service.child.wait(1.0)


class Restarts:
    """How one service's deaths are answered: with a growing delay, and at last by giving up."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=DEATHS)

    def delay_seconds(self, name: str, child: Child) -> float:
        """Return how long to wait before the next start. Raises ServiceFailed for a crash loop,
        and at once with the service's own line where its first start shows that its settings are wrong.
        """
        status = child.poll()
        # Later on the settings have proved right, and what is in the way may pass: a port, say, that
        # some connection of this machine was given while the service was down.
        if status == MISUSE_STATUS and not self._deaths:
            raise ServiceFailed(f"{name}: {child.last_line().removeprefix('error: ')}")
        now = time.monotonic()
        self._deaths.append(now)
        recent = sum(now - death < WINDOW_SECONDS for death in self._deaths)
        if recent >= DEATHS:
            raise ServiceFailed(
                f"{name} {describe(status)}, {recent} times in {WINDOW_SECONDS:.0f} s; {child.last_words()}"
            )
        return min(FIRST_DELAY_SECONDS * 2.0 ** (recent - 1), LONGEST_DELAY_SECONDS)


def describe(status: int | None) -> str:
    """Say how a process ended."""
    if status is not None and status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
