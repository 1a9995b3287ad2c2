"""HTTP connections: uvicorn's protocol with h11, and limits for clients that send no request.

h11 because it limits the bytes of a request's head; uvicorn's other parser does not.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from facerec.serving.fairness.evicting_set import FairEvictingSet

MAX_HEAD_BYTES: Final = 32 * 1024
HEAD_SECONDS: Final = 10.0
"""How long a client may take to send the head of a request, on a connection that is new or was answered."""
MAX_WITHOUT_REQUEST: Final = 512  # half of the files that a process may usually open


class Connection(H11Protocol):
    """A connection, which is closed if no request's head arrives in time.

    Of those that wait for one, at most MAX_WITHOUT_REQUEST are kept (`waiting`): one more ends the oldest of
    the host with the most. After an answer that came before the end of the request's body, the rest is
    discarded for HEAD_SECONDS, so that the client reads the answer.
    """

    waiting: FairEvictingSet

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        answer = self.app
        self._timer: asyncio.TimerHandle | None = None

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["abort"] = self.transport.abort
            await answer(scope, receive, send)

        self.app = app

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what arrived; a complete head ends the wait."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the end of this one's body."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        host = self.client[0] if self.client else ""
        self.waiting.add(host, self, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.waiting.remove(self.client[0] if self.client else "", self)


def protocol() -> Callable[..., asyncio.Protocol]:
    """The class of a server's connections, with a set of those that wait of its own."""
    return type("Connection", (Connection,), {"waiting": FairEvictingSet(MAX_WITHOUT_REQUEST)})
