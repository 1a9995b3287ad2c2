"""Keeps the processes of the stack running."""

import time
from collections.abc import Callable

from facerec.local.service import Restarts, Service, describe

TICK_SECONDS = 0.05


class Supervisor:
    """Starts services again when they die.

    `say` is told, in a sentence, what a person should know.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._services: list[Service] = []
        self._restarts: dict[str, Restarts] = {}
        self._due: dict[str, float] = {}  # when to start a dead service, of time.monotonic

    def add(self, service: Service) -> None:
        """Watch over a service that was started."""
        self._services.append(service)
        self._restarts[service.name] = Restarts()

    def tick(self) -> None:
        """Look after each service once, and wait a moment. Raises ServiceFailed for a crash loop."""
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
            delay_seconds = self._restarts[name].delay_seconds(name, service.child)
            self._say(f"{name} {describe(status)}: starting it again in {delay_seconds:.1f} s")
            self._due[name] = time.monotonic() + delay_seconds
