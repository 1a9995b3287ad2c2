"""The layer that lets calls in: who calls, with which role, into which gallery, how often."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from google.protobuf.message import DecodeError

from facerec.errors import FacerecError, Reason
from facerec.serving import call
from facerec.serving.access.errors import NotPermitted
from facerec.serving.access.grants import Grant, Role
from facerec.serving.access.keyring import Keyring
from facerec.serving.layers import HEALTH, Context, behavior, made_anew
from facerec.serving.metrics import DENIED

OURS = "/facerec."
DEFAULT_COLLECTION_ID = "default"


class Door:
    """Lets a call of a method in whose role its caller has; `roles` is by `/SERVICE/METHOD`.

    Nothing of a message is parsed before its sender is known. A method of ours without a role is nobody's;
    reflection, which shows the public contract, is anybody's who is known.
    """

    def __init__(self, keyring: Keyring, roles: Mapping[str, Role]) -> None:
        self._keyring = keyring
        self._roles = roles

    def __call__(self, method: str, handler: Any) -> Any:
        """The same handler behind its door."""
        if method.startswith(HEALTH):
            return handler
        does, generates = behavior(handler)
        wrap = self._generating if generates else self._awaiting
        read = self._items if handler.request_streaming else self._one
        return made_anew(handler, wrap(method, does, read, handler.request_deserializer), deserializer=None)

    def _awaiting(self, method: str, does: Any, read: Any, parse: Any) -> Callable[..., Any]:
        async def handle(raw: Any, context: Context) -> Any:
            grant = self._admit(method, context)
            return await does(read(raw, grant, parse), context)

        return handle

    def _generating(self, method: str, does: Any, read: Any, parse: Any) -> Callable[..., Any]:
        async def handle(raw: Any, context: Context) -> AsyncIterator[Any]:
            grant = self._admit(method, context)
            async for answer in does(read(raw, grant, parse), context):
                yield answer

        return handle

    def _admit(self, method: str, context: Context) -> Grant:
        """Raises KeyMissing, KeyUnknown, NotPermitted, RateLimited."""
        present = call.current() or call.begin(context.invocation_metadata())
        try:
            grant = self._keyring.find(present.header("authorization"), lambda: _peer(context))
            role = self._roles.get(method)
            if method.startswith(OURS) and (role is None or not grant.permits(role)):
                raise NotPermitted(f"{grant.name} does not have the role {role or 'for this'}")
            self._keyring.take(grant)
        except FacerecError as error:
            raise _counted(error) from None
        present.caller = grant.caller
        return grant

    def _one(self, raw: bytes, grant: Grant, parse: Callable[[bytes], Any]) -> Any:
        request = _parsed(raw, parse)
        _check_collection(request, grant, "collection_id")
        return request

    async def _items(
        self, raws: AsyncIterator[bytes], grant: Grant, parse: Callable[[bytes], Any]
    ) -> AsyncIterator[Any]:
        """The messages of a stream. One too many a second waits: what is under way is not thrown away."""
        first = True
        async for raw in raws:
            if not first:
                while wait_seconds := self._keyring.wait_seconds(grant):  # noqa: ASYNC110
                    await asyncio.sleep(wait_seconds)
            first = False
            request = _parsed(raw, parse)
            if "header" in request.DESCRIPTOR.fields_by_name and request.HasField("header"):
                _check_collection(request.header, grant, "header.collection_id")
            yield request


def _counted(error: FacerecError) -> FacerecError:
    """Count whoever is not let in."""
    DENIED.labels(error.reason.value).inc()
    return error


def _parsed(raw: bytes, parse: Callable[[bytes], Any]) -> Any:
    try:
        return parse(raw)
    except DecodeError:
        raise FacerecError(
            "the request is not a message of this type", reason=Reason.OPTION_INVALID
        ) from None


def _check_collection(message: Any, grant: Grant, field: str) -> None:
    """Raises NotPermitted where it is about a gallery that the caller may not reach, or about all."""
    if grant.collections is None or message.DESCRIPTOR.full_name.startswith("facerec.encoder."):
        return
    if "collection_id" not in message.DESCRIPTOR.fields_by_name:
        if message.DESCRIPTOR.full_name.startswith("facerec."):
            raise _counted(NotPermitted(f"{grant.name} may reach some collections, and this is about all"))
        return
    if not grant.reaches(message.collection_id or DEFAULT_COLLECTION_ID):
        raise _counted(NotPermitted(f"{grant.name} may not reach this collection", field=field))


def _peer(context: Context) -> list[str]:
    """The names in the certificate that the peer has shown, which the handshake has verified."""
    found: Mapping[str, Iterable[bytes]] = context.auth_context() or {}
    names = ("x509_subject_alternative_name", "x509_common_name")
    return [_text(value) for name in names for value in found.get(name, ())]


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
