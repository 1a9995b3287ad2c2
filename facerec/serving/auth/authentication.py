"""The middleware that authenticates and authorizes: who calls, in which role, how often, which collection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import structlog

from facerec.contract import DEFAULT_COLLECTION_ID
from facerec.errors import FacerecError
from facerec.serving.auth import files
from facerec.serving.auth.errors import NotPermitted
from facerec.serving.auth.key_store import KeyStore
from facerec.serving.auth.permissions import Permissions, Role
from facerec.serving.middleware import call
from facerec.serving.middleware.caller import Caller
from facerec.serving.middleware.chain import Context, Handler, Method
from facerec.serving.observability.metrics import DENIED

OURS = "facerec."
log = structlog.get_logger(__name__)


class Authenticator:
    """Admits calls of methods whose role the caller has; `roles` is by `/SERVICE/METHOD`.

    `admit` runs before a message is read, `check` after. A method of ours without a role is nobody's;
    reflection, which shows the public contract, is for every caller that is known. A stream ends when its
    caller's permissions do. `probes` says by method how many probes a message brings, where that is not one.
    """

    def __init__(
        self,
        key_store: KeyStore,
        roles: Mapping[str, Role],
        probes: Mapping[str, Callable[[Any], int]],
    ) -> None:
        self._key_store = key_store
        self._roles = roles
        self._probes = probes
        self._streams: set[_Stream] = set()

    async def watch(self) -> None:
        """Read the file of keys again when it changes, and end streams by it. Ends when cancelled."""
        while True:
            await asyncio.sleep(files.POLL_SECONDS)
            try:
                await asyncio.to_thread(self._key_store.follow)
                self._key_store.prune_buckets()
                self._review()
            except Exception as error:  # whatever it is, keys that are taken away must not stay in force
                log.error("key_store_watch_failed", why=type(error).__name__)

    def _review(self) -> None:
        """End the streams whose callers may not make them any more."""
        for stream in list(self._streams):
            try:
                self._reauthorize(stream.call, stream.method)
            except FacerecError as error:
                stream.end(_count_denied(error))

    def admit(self, method: Method, handler: Handler) -> Handler:
        """Authenticate the caller before anything of its message is read.

        Raises KeyMissing, KeyUnknown, NotPermitted, RateLimited.
        """
        if method.is_health:
            return handler

        async def handle(request: Any, context: Context) -> Any:
            self._admit(method, context)
            return await handler(request, context)

        async def handle_stream(request: Any, context: Context) -> Any:
            task = asyncio.current_task()
            assert task is not None
            self._admit(method, context)
            present = call.current()
            assert present is not None
            stream = _Stream(task, present, method)
            self._streams.add(stream)
            try:
                return await handler(request, context)
            except asyncio.CancelledError:
                if stream.error is None:
                    raise
                task.uncancel()
                raise stream.error from None
            finally:
                self._streams.discard(stream)

        return handle_stream if method.request_streaming or method.response_streaming else handle

    def check(self, method: Method, handler: Handler) -> Handler:
        """Check that the caller may reach the collection of a message, and count the probes that it brings.

        Raises NotPermitted, RateLimited.
        """
        if method.is_health:
            return handler
        probes = self._probes.get(method.path)

        async def handle(request: Any, context: Context) -> Any:
            if method.request_streaming:
                return await handler(self._items(method, request), context)
            self._refresh(method)  # its message may have been long in coming
            _check_collection(request, "collection_id")
            if probes:
                call.charge(probes(request))
            return await handler(request, context)

        return handle

    def charge(self, present: call.Call, probes: float) -> None:
        """Count so many probes of a call in all. Raises RateLimited."""
        if probes <= present.charged:
            return
        try:
            self._key_store.take(present.permissions, probes - present.charged, present.charged)
        except FacerecError as error:
            raise _count_denied(error) from None
        present.charged = probes

    async def charge_message(self, present: call.Call, probes: float, counted: float) -> None:
        """Count so many probes of a message in all. Raises RateLimited where it is the only one."""
        if not present.streams:
            self.charge(present, probes)
            return
        while probes > counted:
            wait_seconds = self._key_store.wait_seconds(present.permissions, probes - counted, counted)
            if not wait_seconds:
                return
            await asyncio.sleep(wait_seconds)

    def _admit(self, method: Method, context: Context) -> None:
        present = call.current() or call.begin(context.invocation_metadata(), context.peer)
        try:
            permissions = self._key_store.find(present.header("authorization"), lambda: _peer(context))
            # Before they are refused: the access log says who was.
            present.permissions, present.caller = permissions, permissions.caller
            self._check_role(permissions, method)
            self._key_store.take(permissions)
        except FacerecError as error:
            raise _count_denied(error) from None
        present.rates, present.charged = self, 1.0
        present.streams = method.request_streaming

    def _reauthorize(self, present: call.Call, method: Method) -> None:
        """Give a call under way the permissions that its caller has now.

        Raises KeyUnknown, and NotPermitted where what it is about is not within them any more.
        """
        permissions = self._key_store.refresh(present.permissions)
        self._check_role(permissions, method)
        if present.about is not None:
            _check_reach(permissions.caller, *present.about)
        present.permissions, present.caller = permissions, permissions.caller

    def _refresh(self, method: Method) -> None:
        """Apply the permissions that the caller has now. Raises KeyUnknown, NotPermitted."""
        present = call.current()
        assert present is not None
        try:
            self._reauthorize(present, method)
        except FacerecError as error:
            raise _count_denied(error) from None

    def _check_role(self, permissions: Permissions, method: Method) -> None:
        role = self._roles.get(method.path)
        if method.service.startswith(OURS) and (role is None or not permissions.permits(role)):
            raise NotPermitted(f"{permissions.name} does not have the role {role or 'for this'}")

    async def _items(self, method: Method, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The messages of a stream. One too many a second waits: what is under way is not thrown away."""
        present = call.current()
        assert present is not None
        first = True
        async for item in items:
            self._refresh(method)
            if not first:
                while wait_seconds := self._key_store.wait_seconds(present.permissions):  # noqa: ASYNC110
                    await asyncio.sleep(wait_seconds)
            first = False
            if "header" in item.DESCRIPTOR.fields_by_name and item.HasField("header"):
                _check_collection(item.header, "header.collection_id")
            yield item


class _Stream:
    """A call that lasts."""

    def __init__(self, task: "asyncio.Task[Any]", present: call.Call, method: Method) -> None:
        self._task = task
        self.call = present
        self.method = method
        self.error: FacerecError | None = None

    def end(self, error: FacerecError) -> None:
        """End it with an error."""
        if self.error is None:
            self.error = error
            self._task.cancel()


def _count_denied(error: FacerecError) -> FacerecError:
    """Count a call that is refused, by the reason; returns the error."""
    DENIED.labels(error.reason.value).inc()
    return error


def _check_collection(message: Any, field: str) -> None:
    """Raises NotPermitted where it is about a collection that the caller may not reach, or about all."""
    present = call.current()
    assert present is not None
    if message.DESCRIPTOR.full_name.startswith("facerec.encoder."):
        return
    if "collection_id" not in message.DESCRIPTOR.fields_by_name:
        if present.caller.collections is not None and message.DESCRIPTOR.full_name.startswith(OURS):
            who = present.caller.name
            raise _count_denied(NotPermitted(f"{who} may reach some collections, and this is about all"))
        return
    present.about = (message.collection_id or DEFAULT_COLLECTION_ID, field)
    try:
        _check_reach(present.caller, *present.about)
    except FacerecError as error:
        raise _count_denied(error) from None


def _check_reach(caller: Caller, collection_id: str, field: str) -> None:
    """Raises NotPermitted where the caller may not reach a collection, which this field names."""
    if caller.collections is not None and collection_id not in caller.collections:
        raise NotPermitted(f"{caller.name} may not reach this collection", field=field)


def _peer(context: Context) -> list[str]:
    """The names in the certificate that the peer has shown, which the handshake has verified."""
    found: Mapping[str, Iterable[bytes]] = context.auth_context() or {}
    names = ("x509_subject_alternative_name", "x509_common_name")
    return [value.decode(errors="replace") for name in names for value in found.get(name, ())]
