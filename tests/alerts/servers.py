"""Servers that restart on their old ports, and callers that go on until they are stopped."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import grpc

from tests.fixtures.process import ServiceProcess


class Server:
    """A service whose address and admin port stay the same when it is started again."""

    def __init__(self, module: str, ready: str, *flags: str) -> None:
        self._module, self._ready, self._flags = module, ready, flags
        self.process = ServiceProcess(module, *flags, "--admin-address", "127.0.0.1:0")
        listening = self.process.event("listening")
        self.address, self.admin = str(listening["address"]), str(listening["admin"])
        self.process.event(ready)

    def start(self) -> None:
        """Start it again after it was stopped."""
        admin = ("--admin-address", self.admin)
        self.process = ServiceProcess(self._module, *self._flags, *admin, address=self.address)
        self.process.event(self._ready)

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self.process.process.poll() is None:
            self.process.stop()


@contextlib.contextmanager
def calling(call: Callable[[], object], callers: int = 1) -> Iterator[None]:
    """Have callers make one call after another meanwhile, whatever each is answered."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            with contextlib.suppress(grpc.RpcError):
                call()

    threads = [threading.Thread(target=go_on) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
