"""A page of the console in a browser: what it sends, and the cookie that it holds."""

import json
import ssl
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any

from tests.e2e.access.conftest import Authority
from tests.e2e.gateway import http

SESSION = "/console/session"


def trusting(authority: Authority) -> ssl.SSLContext:
    """A context of TLS that trusts an authority."""
    return ssl.create_default_context(cafile=str(authority.ca_file))


class Browser:
    """A page of a gateway's console. `cookie` is what the header Cookie is, `token` the session's."""

    def __init__(self, address: str, *, context: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.cookie = ""
        self.token = ""
        self._context = context

    def send(
        self, verb: str, path: str, body: Any = None, more: Mapping[str, str | None] = http.NOTHING
    ) -> http.Answer:
        """Send a request as the page does, with further headers; None leaves one out."""
        headers: dict[str, str | None] = {
            "sec-fetch-site": "same-origin",
            "x-csrf-token": self.token or None,
            "cookie": self.cookie or None,
            "content-type": "application/json" if body is not None else None,
            **more,
        }
        kept = {name: value for name, value in headers.items() if value is not None}
        content = None if body is None else json.dumps(body).encode()
        answer = http.send(self.address, verb, path, content, kept, context=self._context)
        if "set-cookie" in answer.headers:
            for name, morsel in SimpleCookie(answer.headers["set-cookie"]).items():
                self.cookie = f"{name}={morsel.value}" if morsel.value else ""
        return answer

    def sign_in(self, key: str, **fields: Any) -> http.Answer:
        """Sign in, and keep the session's token."""
        answer = self.send("POST", SESSION, {"key": key, **fields})
        self.token = answer.json.get("csrf_token") or ""
        return answer

    def state(self) -> Any:
        """What the gateway says of the session."""
        return self.send("GET", SESSION).json

    def get_person(self, more: Mapping[str, str | None] = http.NOTHING) -> tuple[int, str]:
        """The status and reason of a call; (404, PERSON_NOT_FOUND) if it had a valid key."""
        answer = self.send("GET", "/v1/persons/nobody", more=more)
        return answer.status, answer.reason
