"""Answers the short paths: each request is one call of a method, in JSON."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from google.protobuf.message import Message

from facerec.errors import FacerecError
from facerec.gateway import failures
from facerec.gateway.admission import BodyReader, Scope
from facerec.gateway.answers import AnswerSender
from facerec.gateway.exchange import Exchange
from facerec.gateway.forwarding import Forwarder
from facerec.gateway.hangups import unless_gone
from facerec.gateway.messages import Answer, to_json
from facerec.gateway.short_paths import requests, routes
from facerec.gateway.short_paths.routes import Route

PREFIX: Final = "/v1/"


class ShortPathSite:
    """The site of the short paths."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder

    def takes(self, scope: Scope, current: Exchange) -> bool:
        """Whether it is a short path, or one below the same prefix that does not exist."""
        return bool(scope["path"].startswith(PREFIX))

    async def answer(self, scope: Scope, body: BodyReader, answer: AnswerSender, current: Exchange) -> None:
        """Answer a request, its errors included."""
        # Not the decoded path: a person's id may have an encoded slash.
        route, found = routes.find(scope["method"], scope["raw_path"].decode("ascii"))
        if route is None:
            await answer.refuse_path(found)
            return
        current.method = route.method
        try:
            body.check()
            in_path = {name: _decoded(name, text) for name, text in found.items()}
            request = await _read(route, in_path, scope["query_string"], body, current)
            data = request.SerializeToString()
            del request
            calling = self._forwarder.unary(route.method, data, _timeout_seconds(current))
            text = to_json(Answer(await unless_gone(body, calling), route.method.response))
        except failures.Failed as failed:
            await answer.fail(failed)
        else:
            await answer.send_all(200, text)


async def _read(
    route: Route, in_path: Mapping[str, str], query: bytes, body: BodyReader, current: Exchange
) -> Message:
    """The request of a path. Raises Failed, naming the field."""
    data = await body.read_all()
    requests.check_place(route, query, data)
    if not route.has_body:
        return requests.from_query(route, in_path, query)
    kind = current.headers.get("content-type", "")
    match kind.partition(";")[0].strip().lower():
        case "multipart/form-data":
            return requests.from_form(route, in_path, data, kind)
        case "application/json":
            return requests.from_json(route, in_path, data)
        case "" if not data:
            return requests.from_json(route, in_path, data)
        case _:
            raise failures.option_invalid("send multipart/form-data or application/json", "content-type")


def _decoded(name: str, text: str) -> str:
    """A field of the path. Raises Failed."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise failures.option_invalid(f"{name} in the path is not UTF-8", name) from None


def _timeout_seconds(current: Exchange) -> float | None:
    try:
        return current.timeout_seconds()
    except FacerecError as error:
        raise failures.fail(error) from None
