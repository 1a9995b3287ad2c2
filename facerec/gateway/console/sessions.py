"""Signing in and out at `/console/session`, and the calls of pages that have signed in."""

import hmac
import json
import re
from typing import Any, Final

from google.rpc import code_pb2

from facerec.errors import FacerecError, Reason
from facerec.gateway import failures
from facerec.gateway.admission import BodyReader, Scope
from facerec.gateway.answers import AnswerSender
from facerec.gateway.console import cookies
from facerec.gateway.console.headers import is_from_own_page
from facerec.gateway.console.session import Sealer, Session
from facerec.gateway.exchange import Exchange
from facerec.gateway.forwarding import Forwarder
from facerec.gateway.methods import METHODS

_CHECK: Final = METHODS["/facerec.matcher.v1.CollectionService/GetCaller"]
_KEY: Final = re.compile(r"[!-~]{1,512}")
_MAX_BODY_BYTES: Final = 4096


class Sessions:
    """The sessions of the console's pages.

    A session is a cookie that no script can read, with the API key sealed in it. It counts only beside the
    session's own token, in the header X-CSRF-Token, and only from pages of the gateway's origin.
    `keys_expected` refuses to serve the pages before services that need no key.
    """

    def __init__(self, sealer: Sealer, forwarder: Forwarder, *, keys_expected: bool) -> None:
        self._sealer = sealer
        self._forwarder = forwarder
        self._keys_expected = keys_expected

    async def watch(self) -> None:
        """Reload the secrets when they change, until cancelled."""
        await self._sealer.watch()

    def authorize(self, scope: Scope, current: Exchange) -> None:
        """Give a call of the session's pages the key; any other call stays as it is."""
        headers = current.headers
        token = headers.get("x-csrf-token", "")
        is_call = scope["path"] in METHODS or scope["path"].startswith("/v1/")
        if not (is_call and token) or "authorization" in headers:
            return
        session = self._session(scope, current)
        if session and hmac.compare_digest(session.csrf_token, token):
            headers["authorization"] = f"Bearer {session.api_key}"

    def _session(self, scope: Scope, current: Exchange) -> Session | None:
        """The session of a request that one of its own pages has sent."""
        if not is_from_own_page(scope["scheme"], current.headers):
            return None
        sealed = cookies.read(scope["headers"], is_tls=scope["scheme"] == "https")
        return self._sealer.open(sealed) if sealed else None

    async def answer(self, scope: Scope, body: BodyReader, answer: AnswerSender, current: Exchange) -> None:
        """Answer a request to `/console/session`."""
        try:
            body.check()
            if not is_from_own_page(scope["scheme"], current.headers):
                raise failures.fail(
                    FacerecError("only the console's own pages have sessions", reason=Reason.NOT_PERMITTED)
                )
            match scope["method"]:
                case "GET":
                    await self._show(scope, answer, current)
                case "POST":
                    await self._sign_in(scope, body, answer, current)
                case "DELETE":
                    await answer.send_all(204, b"", [_cookie(scope, current, "", 0)])
                case _:
                    allowed = [(b"allow", b"GET, POST, DELETE")]
                    await answer.text(
                        405, code_pb2.UNIMPLEMENTED, "this path takes GET, POST, DELETE", allowed
                    )
        except failures.Failed as failed:
            await answer.fail(failed)

    async def _show(self, scope: Scope, answer: AnswerSender, current: Exchange) -> None:
        keys_required = not await self._is_accepted(current, "")
        if self._keys_expected and not keys_required:
            raise failures.fail(
                FacerecError(
                    "the services need no key, so everybody who reaches this address could use the console: "
                    "give them a keys file, or set console to on",
                    reason=Reason.NOT_PERMITTED,
                )
            )
        session = self._session(scope, current)
        if session and keys_required and not await self._is_accepted(current, session.api_key):
            session = None
        await answer.send_all(200, _state(session, keys_required=keys_required))

    async def _sign_in(self, scope: Scope, body: BodyReader, answer: AnswerSender, current: Exchange) -> None:
        api_key, remember = _parse(await body.read_all(), current.headers.get("content-type", ""))
        if not await self._is_accepted(current, api_key):
            raise failures.fail(
                FacerecError("the key is not valid, or it has expired", reason=Reason.KEY_UNKNOWN)
            )
        keys_required = not await self._is_accepted(current, "")
        sealed = self._sealer.seal(api_key)
        cookie = _cookie(scope, current, sealed, self._sealer.max_seconds if remember else None)
        await answer.send_all(200, _state(self._sealer.open(sealed), keys_required=keys_required), [cookie])

    async def _is_accepted(self, current: Exchange, api_key: str) -> bool:
        """Whether the matcher answers calls with a key, or with "" those without one. Raises Failed."""
        current.method = _CHECK
        current.headers.pop("authorization", None)
        if api_key:
            current.headers["authorization"] = f"Bearer {api_key}"
        try:
            await self._forwarder.unary(_CHECK, b"", None)
        except failures.Failed as failed:
            if failed.status.code != code_pb2.UNAUTHENTICATED:
                raise
            current.forget_failure()
            return False
        return True


def _parse(body: bytes, content_type: str) -> tuple[str, bool]:
    """The key, and whether the session outlives the browser. Raises Failed, naming the field."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise failures.option_invalid("send application/json", "content-type")
    try:
        found: Any = json.loads(body) if len(body) <= _MAX_BODY_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise failures.option_invalid('the body is no JSON object such as {"key": "fr_..."}')
    if unknown := sorted(found.keys() - {"key", "remember"}):
        raise failures.option_invalid("there is no such field; there are key and remember", unknown[0][:64])
    api_key, remember = found.get("key"), found.get("remember", False)
    if not isinstance(api_key, str) or not _KEY.fullmatch(api_key):
        raise failures.option_invalid("key is no API key: it has 1 to 512 printable characters", "key")
    if not isinstance(remember, bool):
        raise failures.option_invalid("remember is true or false", "remember")
    return api_key, remember


def _cookie(scope: Scope, current: Exchange, sealed: str, max_age_seconds: int | None) -> tuple[bytes, bytes]:
    """The header that sets the cookie: a secure one where the gateway, or a proxy before it, has TLS."""
    origin = current.headers.get("origin", "")
    is_secure = scope["scheme"] == "https" or origin.startswith("https://")
    return cookies.set_header(sealed, is_secure=is_secure, max_age_seconds=max_age_seconds)


def _state(session: Session | None, *, keys_required: bool) -> bytes:
    state: dict[str, Any] = {
        "keys_required": keys_required,
        "signed_in": session is not None,
        "expires": session.expires.isoformat().replace("+00:00", "Z") if session else None,
        "csrf_token": session.csrf_token if session else None,
    }
    return json.dumps(state).encode()
