"""The admin port: metrics, liveness and readiness over plain HTTP, on a port of its own.

`/metrics` is for Prometheus, `/livez` says whether the event loop runs, `/readyz` which services are not
ready. `/livez` depends neither on calls nor on the database: an unreachable database must not cause restarts.
"""

import asyncio
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from facerec.serving.server import address
from facerec.serving.server.errors import AddressInUse

LOOP_SECONDS: Final = 2.0
REQUEST_SECONDS: Final = 10.0

Start = Callable[[str, list[tuple[str, str]]], Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _ServerV6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS  # after which a client that sends nothing no longer holds a thread

    def log_message(self, format: str, *args: Any) -> None:
        """Do nothing: a scrape every few seconds need not be logged."""


class Admin:
    """Serves the admin port on threads of its own, in plain text.

    `at` is HOST:PORT. `states` returns whether each service is SERVING, by name. `insecure` allows an address
    that other machines can reach. Raises AddressInvalid, InsecureAddress.
    """

    def __init__(self, at: str, states: Callable[[], Mapping[str, bool]], *, insecure: bool) -> None:
        self._address = address.parse(at)
        address.check_insecure(self._address, insecure=insecure)
        self._states = states
        self._metrics = make_wsgi_app()
        self._server: _Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def address(self) -> str:
        """The `HOST:PORT` listened on."""
        return str(self._address)

    def start(self) -> None:
        """Listen. Called on the event loop that `/livez` checks. Raises AddressInUse."""
        self._loop = asyncio.get_running_loop()
        try:
            self._server = make_server(
                self._address.host,
                self._address.port,
                self._answer,
                server_class=_ServerV6 if ":" in self._address.host else _Server,
                handler_class=_Handler,
            )
        except OSError as error:
            raise AddressInUse(f"cannot listen on {self._address}: {error.strerror}") from error
        self._address = dataclasses.replace(self._address, port=self._server.server_port)
        threading.Thread(target=self._server.serve_forever, name="admin", daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                answered: Iterable[bytes] = self._metrics(environ, start)
                return answered
            case "/livez":
                return _text(start, *self._live())
            case "/readyz":
                missing = [name for name, serving in self._states().items() if not serving]
                ready = "ready" if not missing else f"not ready: {', '.join(missing)}"
                return _text(start, "503 Service Unavailable" if missing else "200 OK", ready)
            case _:
                return _text(start, "404 Not Found", "there are /metrics, /livez and /readyz")

    def _live(self) -> tuple[str, str]:
        has_run = threading.Event()
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(has_run.set)
        except RuntimeError:  # the loop is closed
            return "503 Service Unavailable", "the event loop has ended"
        if has_run.wait(LOOP_SECONDS):
            return "200 OK", "alive"
        return "503 Service Unavailable", f"the event loop has been blocked for {LOOP_SECONDS:g} s"


def _text(start: Start, status: str, text: str) -> list[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]
