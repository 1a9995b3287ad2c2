"""Keeps the processes of the stack running."""

import time
from collections import deque
from collections.abc import Callable

from facerec.local.errors import ServiceFailed
from facerec.local.service import MISUSE_STATUS, Service, describe

TICK_SECONDS = 0.05
RESTART_SECONDS = 1.0
DEATHS = 5  # this many within the window are a crash loop
WINDOW_SECONDS = 60.0


class Supervisor:
    """Starts services again `RESTART_SECONDS` after they have died.

    `say` is called with a sentence that a person should read.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._services: list[Service] = []
        self._deaths: dict[str, deque[float]] = {}  # the last of each service, of time.monotonic
        self._due: dict[str, float] = {}  # when to start a dead service, of time.monotonic

    def add(self, service: Service) -> None:
        """Watch over a service that was started."""
        self._services.append(service)
        self._deaths[service.name] = deque(maxlen=DEATHS)

    def tick(self) -> None:
        """Look after each service once, then sleep `TICK_SECONDS`.

        Raises ServiceFailed for a crash loop, and for a service whose settings do not let it start.
        """
        for service in self._services:
            self._look_after(service)
        time.sleep(TICK_SECONDS)

    def _look_after(self, service: Service) -> None:
        name = service.name
        if name in self._due:
            if time.monotonic() >= self._due[name]:
                del self._due[name]
                service.start()
        elif (status := service.child.poll()) is not None:
            self._check_restart(service, status)
            self._say(f"{name} {describe(status)}: starting it again")
            self._due[name] = time.monotonic() + RESTART_SECONDS
        else:
            service.child.bound_log()

    def _check_restart(self, service: Service, status: int) -> None:
        name, child, deaths = service.name, service.child, self._deaths[service.name]
        # Later on the settings have proved right, and what is in the way may pass: a port, say, that
        # some connection of this machine was given while the service was down.
        if status == MISUSE_STATUS and not deaths:
            raise ServiceFailed(f"{name}: {child.last_line().removeprefix('error: ')}")
        deaths.append(time.monotonic())
        if len(deaths) == DEATHS and deaths[-1] - deaths[0] < WINDOW_SECONDS:
            raise ServiceFailed(
                f"{name} {describe(status)}, {DEATHS} times in {WINDOW_SECONDS:.0f} s; {child.last_words()}"
            )
