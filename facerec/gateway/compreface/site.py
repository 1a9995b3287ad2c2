"""Answers CompreFace's paths, with its form of keys and errors."""

import json
from collections.abc import Mapping
from typing import Any, Final

from facerec.gateway.admission import BodyReader, Scope
from facerec.gateway.answers import AnswerSender
from facerec.gateway.compreface import asked, refusals, routes
from facerec.gateway.compreface.calls import Calls
from facerec.gateway.compreface.refusals import Refused
from facerec.gateway.exchange import Exchange
from facerec.gateway.failures import Failed, fail
from facerec.gateway.forwarding import Forwarder
from facerec.gateway.hangups import unless_gone
from facerec.serving.middleware import status

KEY_HEADER: Final = "x-api-key"


class CompreFaceSite:
    """The site of CompreFace's paths.

    The key of a request is an API key, for the services to check. As a key of CompreFace's has faces of its
    own, one that is limited to a collection chooses that; others get `collection_id`. All calls of a request
    have `max_seconds` together.
    """

    def __init__(self, forwarder: Forwarder, collection_id: str, max_seconds: float) -> None:
        self._forwarder = forwarder
        self._collection_id = collection_id
        self._max_seconds = max_seconds

    def takes(self, scope: Scope, current: Exchange) -> bool:
        """Whether it is a path of CompreFace's."""
        return bytes(scope["raw_path"]).startswith(routes.PREFIX.encode())

    async def answer(self, scope: Scope, body: BodyReader, answer: AnswerSender, current: Exchange) -> None:
        """Answer a request, its errors included."""
        try:
            http_status, found = await self._answer(scope, body, current)
            text = json.dumps(found, ensure_ascii=False).encode()
        except ConnectionResetError:
            raise
        except Refused as error:
            refused = error
        except Failed as failed:
            refused = refusals.from_failure(failed)
        except Exception as error:
            where = current.method.path if current.method else ""  # the path may have a name or a key
            refused = refusals.from_failure(fail(status.to_internal_error(error, where)))
        else:
            await answer.send_all(http_status, text + b"\n")
            return
        refused.note()
        await answer.send_all(refused.http_status, refused.to_json() + b"\n")

    async def _answer(self, scope: Scope, body: BodyReader, current: Exchange) -> tuple[int, Any]:
        found = routes.find(scope["method"], scope["raw_path"].decode("ascii"))
        if found is None:
            raise Refused(
                f"Request method '{scope['method']}' is not supported on this path", refusals.OTHER, 404
            )
        route, in_path = found
        current.method = route.method
        _set_key(current, in_path)
        body.check()
        calls = Calls(self._forwarder, self._max_seconds)
        await calls.authorize(self._collection_id)
        kind = current.headers.get("content-type", "")
        request = asked.read(in_path, scope["query_string"], kind, await body.read_all())
        return route.http_status, await unless_gone(body, route.handler(request, calls))


def _set_key(current: Exchange, in_path: Mapping[str, str]) -> None:
    """Have calls bring the request's key. Raises Refused if it has none."""
    key = current.headers.get(KEY_HEADER) or in_path.get("api_key")
    if not key:
        raise Refused(f"Missing header: {KEY_HEADER}", refusals.MISSING_HEADER)
    current.headers["authorization"] = f"Bearer {key}"
