"""Sends answers, with the headers that all have, and no longer than their clients read them."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from google.rpc import code_pb2, status_pb2

from facerec.gateway import failures
from facerec.gateway.admission import Event, Send
from facerec.gateway.exchange import Exchange
from facerec.gateway.origins import Headers

PIECE_BYTES: Final = 64 * 1024
_JSON: Final = b"application/json"
_CACHING: Final = b"cache-control"
_CODES: Final = {499: "CANCELLED", 404: "UNIMPLEMENTED", 405: "UNIMPLEMENTED", 429: "RESOURCE_EXHAUSTED"}


class AnswerSender:
    """The `send` of a request: adds headers, and ends the connection of a client that reads too slowly.

    `more` are further headers. What an answer does not allow to be cached is not.
    """

    def __init__(self, send: Send, current: Exchange, cors: Headers, max_seconds: float, abort: Any) -> None:
        self._send = send
        self._current = current
        self._cors = cors
        self._max_seconds = max_seconds
        self._abort = abort
        self.has_started = False
        self.more: Headers = []

    async def __call__(self, event: Event) -> None:
        """Send an event of ASGI. Raises ConnectionResetError if the client takes too long to read."""
        if event["type"] == "http.response.start":
            self.has_started = True
            event["headers"] = [*event["headers"], *self._headers()]
            if not any(name == _CACHING for name, _ in event["headers"]):
                event["headers"].append((_CACHING, b"no-store"))
            if event["status"] >= 400 and self._current.code == "OK":
                self._current.code = _CODES.get(event["status"], "INVALID_ARGUMENT")
        body, at = event.get("body", b""), 0
        while len(body) - at > PIECE_BYTES:  # uvicorn waits for a slow client before it sends, not after
            piece = body[at : at + PIECE_BYTES]
            await self._send_in_time({"type": event["type"], "body": piece, "more_body": True})
            at += PIECE_BYTES
        await self._send_in_time({**event, "body": body[at:]} if at else event)

    async def _send_in_time(self, event: Event) -> None:
        try:
            async with asyncio.timeout(self._max_seconds):
                await self._send(event)
        except TimeoutError:
            if self._abort:
                self._abort()
            raise ConnectionResetError from None

    def _headers(self) -> Headers:
        found = [
            (b"x-request-id", self._current.call.request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
            *self._cors,
            *self.more,
        ]
        if self._current.retry_after_seconds is not None:
            found.append((b"retry-after", failures.retry_after(self._current.retry_after_seconds)))
        return found

    async def send_all(
        self, http_status: int, body: bytes, more: Headers | None = None, *, content_type: bytes = _JSON
    ) -> None:
        """Send a whole answer, with `more` headers."""
        length = str(len(body)).encode()
        headers = [(b"content-type", content_type), (b"content-length", length), *(more or [])]
        await self({"type": "http.response.start", "status": http_status, "headers": headers})
        await self({"type": "http.response.body", "body": body, "more_body": False})

    async def fail(self, failed: failures.Failed) -> None:
        """Send an error, with the HTTP status of its code."""
        http_status = failures.HTTP_STATUSES.get(failed.status.code, 500)
        await self.send_all(http_status, failures.to_json(failed.status))

    async def text(self, http_status: int, code: int, message: str, more: Headers | None = None) -> None:
        """Send an error that is about HTTP itself."""
        body = failures.to_json(status_pb2.Status(code=code, message=message))
        await self.send_all(http_status, body, more)

    async def refuse_path(self, verbs: Sequence[str], meant: str = "") -> None:
        """Send that a path takes these HTTP methods only; without any, that there is no such path.

        `meant` is the path that was probably meant, if one is known.
        """
        if verbs:
            allowed = ", ".join(verbs)
            more = [(b"allow", allowed.encode())]
            await self.text(405, code_pb2.UNIMPLEMENTED, f"this path takes {allowed}", more)
        else:
            where = f"{meant} is one" if meant else "/openapi.json lists them"
            await self.text(404, code_pb2.UNIMPLEMENTED, f"there is no such path; {where}")
