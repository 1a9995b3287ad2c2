"""A process of the stack: how it is started, and how it is ended."""

import signal
import time
from collections.abc import Sequence
from typing import Protocol

from facerec.local.child import Child, Command

STOP_SECONDS = 5.0
MISUSE_STATUS = 2  # how a service says that its settings do not let it start, which no restart fixes


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


def describe(status: int | None) -> str:
    """Say how a process ended."""
    if status is not None and status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
