"""The middleware that authenticates and authorizes calls: key, role, rate, collection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import structlog

from facerec.contract import DEFAULT_COLLECTION_ID
from facerec.errors import FacerecError
from facerec.serving.auth import files
from facerec.serving.auth.errors import NotPermitted
from facerec.serving.auth.key_store import KeyStore
from facerec.serving.auth.peer import certificate_names
from facerec.serving.auth.permissions import ANY_ROLE, Credential, Role
from facerec.serving.middleware import call
from facerec.serving.middleware.caller import Caller
from facerec.serving.middleware.chain import Context, Handler, Method
from facerec.serving.observability.metrics import DENIED

CONTRACT_PACKAGE = "facerec."
log = structlog.get_logger(__name__)


class Authenticator:
    """Authenticates callers and checks that they have the role of the method they call.

    It implements `call.Rates`, by which handlers count further probes. `authenticate` runs before a message
    is read, `authorize` after. `roles` has the role of each method, by `/SERVICE/METHOD`, or ANY_ROLE: a
    facerec method without an entry is refused to every caller, and reflection, which shows the public
    contract, is allowed to every authenticated caller. A stream ends when its caller's permissions end.
    `probes` has a function for each method whose message may bring other than one probe: it counts them.
    """

    def __init__(
        self,
        key_store: KeyStore,
        roles: Mapping[str, Role | None],
        probes: Mapping[str, Callable[[Any], int]],
    ) -> None:
        self._key_store = key_store
        self._roles = roles
        self._probes = probes
        self._streams: set[_Stream] = set()

    async def watch(self) -> None:
        """Reload the keys file when it changes, and end the streams it no longer permits; until cancelled."""
        while True:
            await asyncio.sleep(files.POLL_SECONDS)
            try:
                await asyncio.to_thread(self._key_store.reload_if_changed)
                self._key_store.prune_buckets()
                self._end_unauthorized_streams()
            except Exception as error:  # any: the watch must go on, or revoked keys would stay valid
                log.error("key_store_watch_failed", why=type(error).__name__)

    def _end_unauthorized_streams(self) -> None:
        """End the streams that their callers are no longer permitted to make."""
        for stream in list(self._streams):
            try:
                self._update_permissions(stream.call, stream.method)
            except FacerecError as error:
                stream.end(_count_denied(error))

    def authenticate(self, method: Method, handler: Handler) -> Handler:
        """Wrap a handler so that the caller is authenticated before a message is read.

        Raises KeyMissing, KeyUnknown, NotPermitted, RateLimited.
        """
        if method.is_health:
            return handler

        async def handle(request: Any, context: Context) -> Any:
            self._authenticate(method, context)
            return await handler(request, context)

        async def handle_stream(request: Any, context: Context) -> Any:
            task = asyncio.current_task()
            assert task is not None
            self._authenticate(method, context)
            current_call = call.current()
            assert current_call is not None
            stream = _Stream(task, current_call, method)
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

    def authorize(self, method: Method, handler: Handler) -> Handler:
        """Wrap a handler so that each message's collection is authorized and its probes are counted.

        Raises NotPermitted, RateLimited.
        """
        if method.is_health:
            return handler
        probes = self._probes.get(method.path)

        async def handle(request: Any, context: Context) -> Any:
            if method.request_streaming:
                return await handler(self._authorized_items(method, request), context)
            self._update_current(method)  # the message may have taken long to arrive
            if self._roles.get(method.path, Role.ADMIN) is not ANY_ROLE:
                _check_collection(request, "collection_id")
            if probes:
                call.charge(probes(request))
            return await handler(request, context)

        return handle

    def charge(self, current_call: call.Call, total: float) -> None:
        """Count probes of a call up to `total`, that of all its probes so far. Raises RateLimited."""
        if total <= current_call.already_charged:
            return
        try:
            self._key_store.take(
                current_call.credential, total - current_call.already_charged, current_call.already_charged
            )
        except FacerecError as error:
            raise _count_denied(error) from None
        current_call.already_charged = total

    async def charge_message(self, current_call: call.Call, total: float, already_charged: float) -> None:
        """Count probes of a message up to `total`; `already_charged` of these were counted before.

        In a stream this waits until the rate allows them. Raises RateLimited in a unary call.
        """
        if not current_call.streams_requests:
            self.charge(current_call, total)
            return
        while total > already_charged:
            retry_after_seconds = self._key_store.try_take(
                current_call.credential, total - already_charged, already_charged
            )
            if not retry_after_seconds:
                return
            await asyncio.sleep(retry_after_seconds)

    def _authenticate(self, method: Method, context: Context) -> None:
        current_call = call.current() or call.begin(context.invocation_metadata(), context.peer)
        try:
            credential = self._key_store.find(
                current_call.header("authorization"), lambda: certificate_names(context)
            )
            # Before the checks, so that the access log names the caller that they refuse.
            current_call.credential, current_call.caller = credential, credential.caller
            self._check_role(credential, method)
            self._key_store.take(credential)
        except FacerecError as error:
            raise _count_denied(error) from None
        current_call.rates, current_call.already_charged = self, 1.0
        current_call.streams_requests = method.request_streaming

    def _update_permissions(self, current_call: call.Call, method: Method) -> None:
        """Give a running call the permissions that its caller has now.

        Raises KeyUnknown, and NotPermitted if they no longer include its role or collection.
        """
        credential = self._key_store.refresh(current_call.credential)
        self._check_role(credential, method)
        if current_call.collection is not None:
            _check_collection_permitted(credential.caller, *current_call.collection)
        current_call.credential, current_call.caller = credential, credential.caller

    def _update_current(self, method: Method) -> None:
        """Give the current call the permissions that its caller has now. Raises KeyUnknown, NotPermitted."""
        current_call = call.current()
        assert current_call is not None
        try:
            self._update_permissions(current_call, method)
        except FacerecError as error:
            raise _count_denied(error) from None

    def _check_role(self, credential: Credential, method: Method) -> None:
        if not method.service.startswith(CONTRACT_PACKAGE):
            return
        if method.path not in self._roles:
            raise NotPermitted(f"{credential.name} may not call this method")
        role = self._roles[method.path]
        if role is not ANY_ROLE and not credential.permits(role):
            raise NotPermitted(f"{credential.name} does not have the role {role}")

    async def _authorized_items(self, method: Method, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The messages of a stream, each authorized and delayed until the caller's rate allows it."""
        current_call = call.current()
        assert current_call is not None
        first = True
        async for item in items:
            self._update_current(method)
            if not first:
                while retry_after_seconds := self._key_store.try_take(current_call.credential):  # noqa: ASYNC110
                    await asyncio.sleep(retry_after_seconds)
            first = False
            if "header" in item.DESCRIPTOR.fields_by_name and item.HasField("header"):
                _check_collection(item.header, "header.collection_id")
            yield item


class _Stream:
    """A streaming call that is running."""

    def __init__(self, task: "asyncio.Task[Any]", current_call: call.Call, method: Method) -> None:
        self._task = task
        self.call = current_call
        self.method = method
        self.error: FacerecError | None = None

    def end(self, error: FacerecError) -> None:
        """End the call with an error."""
        if self.error is None:
            self.error = error
            self._task.cancel()


def _count_denied(error: FacerecError) -> FacerecError:
    """Count a denied call by the reason of its error; returns the error."""
    DENIED.labels(error.reason.value).inc()
    return error


def _check_collection(message: Any, field: str) -> None:
    """Raises NotPermitted if the caller may not reach the message's collection, or if it is about all."""
    current_call = call.current()
    assert current_call is not None
    if message.DESCRIPTOR.full_name.startswith("facerec.encoder."):
        return
    if "collection_id" not in message.DESCRIPTOR.fields_by_name:
        if current_call.caller.collections is not None and message.DESCRIPTOR.full_name.startswith(
            CONTRACT_PACKAGE
        ):
            who = current_call.caller.name
            raise _count_denied(
                NotPermitted(f"{who} may reach only some collections, and this method needs all of them")
            )
        return
    current_call.collection = (message.collection_id or DEFAULT_COLLECTION_ID, field)
    try:
        _check_collection_permitted(current_call.caller, *current_call.collection)
    except FacerecError as error:
        raise _count_denied(error) from None


def _check_collection_permitted(caller: Caller, collection_id: str, field: str) -> None:
    """Raises NotPermitted, with the field, if the caller may not reach the collection."""
    if caller.collections is not None and collection_id not in caller.collections:
        raise NotPermitted(f"{caller.name} may not reach this collection", field=field)
