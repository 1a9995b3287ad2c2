"""A process of the stack: its start and stop."""

import signal
import time
from collections.abc import Sequence
from typing import Protocol

from facerec.local.child import Child, Command

STOP_SECONDS = 5.0
MISUSE_STATUS = 2  # the exit code of a service whose settings are invalid, which no restart fixes


class Service(Protocol):
    """A process that the supervisor keeps running."""

    @property
    def name(self) -> str:
        """The name to show to users."""

    @property
    def child(self) -> Child:
        """The process that was started last."""

    def start(self) -> None:
        """Start the process, also after it has ended."""


class CommandService:
    """A service that runs one command."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._child: Child | None = None

    @property
    def name(self) -> str:
        """The name to show to users."""
        return self._command.name

    @property
    def child(self) -> Child:
        """The process that was started last."""
        assert self._child is not None, "not started"
        return self._child

    def start(self) -> None:
        """Start the command."""
        self._child = Child.spawn(self._command)


def stop_together(services: Sequence[Service]) -> None:
    """Send SIGTERM to the services, wait `STOP_SECONDS` for all of them, then kill the rest."""
    for service in services:
        service.child.send(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for service in services:
        if not service.child.wait(deadline - time.monotonic()):
            service.child.send(signal.SIGKILL)
            service.child.wait(1.0)


def describe(status: int | None) -> str:
    """A phrase that says how a process ended."""
    if status is not None and status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
