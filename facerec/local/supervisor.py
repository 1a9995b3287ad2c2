"""Restarts the processes of the stack when they end, and tells what they cannot reload."""

import time
from collections import deque
from collections.abc import Callable

from facerec.local.errors import ServiceFailed
from facerec.local.reload_failures import ReloadFailures
from facerec.local.service import MISUSE_STATUS, Service, describe

TICK_SECONDS = 0.05  # while the stack starts
IDLE_TICK_SECONDS = 0.5
RESTART_SECONDS = 1.0
MAX_EXITS = 5  # as many within the window are a crash loop
WINDOW_SECONDS = 60.0


class Supervisor:
    """Restarts services `RESTART_SECONDS` after they have ended; `say` is given messages for the user."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._services: list[Service] = []
        self._exits: dict[str, deque[float]] = {}  # when each service ended last, in time.monotonic()
        self._reload_failures: dict[str, ReloadFailures] = {}
        self._restart_at: dict[str, float] = {}  # when to restart an ended service, in time.monotonic()

    def add(self, service: Service) -> None:
        """Supervise a service that was started."""
        self._services.append(service)
        self._exits[service.name] = deque(maxlen=MAX_EXITS)
        self._reload_failures[service.name] = ReloadFailures(service.child.command.log_path)

    def tick(self, seconds: float = TICK_SECONDS) -> None:
        """Check each service once, then sleep for `seconds`.

        Raises ServiceFailed for a crash loop, and for a service whose settings do not let it start.
        """
        for service in self._services:
            self._check(service)
        time.sleep(seconds)

    def _check(self, service: Service) -> None:
        name = service.name
        if name in self._restart_at:
            if time.monotonic() >= self._restart_at[name]:
                del self._restart_at[name]
                service.start()
        elif (status := service.child.poll()) is not None:
            self._check_restart(service, status)
            self._say(f"{name} {describe(status)}: starting it again")
            self._restart_at[name] = time.monotonic() + RESTART_SECONDS
        else:
            for reason in self._reload_failures[name].take():
                self._say(f"{name}: {reason}")
            service.child.rotate_log()

    def _check_restart(self, service: Service, status: int) -> None:
        name, child, exits = service.name, service.child, self._exits[service.name]
        # After the first start the settings are known to be valid, and the error may be temporary, such as a
        # port that the system gave to another connection while the service was down.
        if status == MISUSE_STATUS and not exits:
            raise ServiceFailed(f"{name}: {child.last_line().removeprefix('error: ')}")
        exits.append(time.monotonic())
        if len(exits) == MAX_EXITS and exits[-1] - exits[0] < WINDOW_SECONDS:
            raise ServiceFailed(
                f"{name} {describe(status)}, {MAX_EXITS} times in {WINDOW_SECONDS:.0f} s; "
                f"{child.log_excerpt()}"
            )
