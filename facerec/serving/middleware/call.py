"""The current call (caller, request id, deadline), by a context variable instead of arguments."""

import contextvars
import copy
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from facerec.serving.middleware.caller import ANYBODY
from facerec.serving.middleware.reading.message import StreamMessage

REQUEST_ID = "x-request-id"
"""The header with the id that the logs of client, matcher and encoder have in common."""

ON_BEHALF_OF = "x-on-behalf-of"
"""The header with an id of the end caller on whose behalf a service calls.

End callers divide the share of the service that calls for them fairly.
"""

_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ids = random.Random()  # noqa: S311 - ids must differ, not be secret, and the system's generator is slow

Metadata = Sequence[tuple[str, str | bytes]]


class Rates(Protocol):
    """The rate limits of callers: counts the probes that calls bring."""

    def charge(self, current_call: "Call", total: float) -> None:
        """Count probes of the call up to `total`, that of all its probes so far. Raises RateLimited."""

    async def charge_message(self, current_call: "Call", total: float, already_charged: float) -> None:
        """Count probes of a message up to `total`, `already_charged` of them before. Raises RateLimited."""


class Call:
    """One call. `caller` is ANYBODY until authenticated; `reason` is that of the error that ended it."""

    __slots__ = (
        "_host",
        "_metadata",
        "_peer",
        "_request_id",
        "already_charged",
        "caller",
        "collection",
        "credential",
        "ends_at",
        "message",
        "rates",
        "reason",
        "streams_requests",
    )

    def __init__(self, metadata: Metadata, peer: Callable[[], str] = str) -> None:
        self._metadata = metadata
        self._peer = peer
        self._host = ""
        self._request_id = ""
        self.caller = ANYBODY
        self.credential: Any = None  # the caller's entry of the keys file; read by authentication only
        self.collection: tuple[str, str] | None = None  # the id that the request names, and the field's path
        self.rates: Rates | None = None
        self.already_charged = 0.0  # probes counted so far
        self.ends_at: float | None = None  # the deadline in time.monotonic(); None without one
        self.streams_requests = False
        self.message: StreamMessage | None = None  # of a stream, the message that was read last
        self.reason = ""

    def header(self, name: str) -> str:
        """The first value of a header, invalid UTF-8 replaced; "" without one."""
        for key, value in self._metadata:
            if key == name:
                return value if isinstance(value, str) else value.decode(errors="replace")
        return ""

    @property
    def request_id(self) -> str:
        """The id that the caller sent, else one generated at the first use."""
        if not self._request_id:
            given = self.header(REQUEST_ID)
            # Ids in any other form stay out of the log.
            self._request_id = given if _FORM.fullmatch(given) else f"{_ids.getrandbits(64):016x}"
        return self._request_id

    @property
    def on_behalf_of(self) -> str:
        """The id of the end caller on whose behalf the caller calls; "" without a valid one."""
        given = self.header(ON_BEHALF_OF)
        return given if _FORM.fullmatch(given) else ""

    @property
    def share_key(self) -> str:
        """The key by which callers share limits: the caller's name, else its host's address."""
        return self.caller.name or self.host

    @property
    def host(self) -> str:
        """The address of the caller's host in gRPC's form, without the port: `ipv4:192.0.2.7`."""
        if not self._host:
            # Without the port, which differs between the connections of one host.
            self._host = self._peer().rpartition(":")[0] or "unknown"
        return self._host


_call: contextvars.ContextVar[Call | None] = contextvars.ContextVar("call", default=None)


def begin(metadata: Iterable[tuple[str, str | bytes]] | None, peer: Callable[[], str] = str) -> Call:
    """Make a call the current one; `peer` returns the peer's address in gRPC's form."""
    call = Call(tuple(metadata or ()), peer)
    _call.set(call)
    return call


def current() -> Call | None:
    """The current call; None outside of one."""
    return _call.get()


def request_id() -> str:
    """The current call's request id; "" outside of a call."""
    call = _call.get()
    return call.request_id if call else ""


def caller_name() -> str:
    """The caller's name; "" if no key is required."""
    call = _call.get()
    return call.caller.name if call else ""


def share_key() -> str:
    """The key by which callers share limits: the name of the key or certificate, else the host's address.

    The address is without the port, such as `ipv4:192.0.2.7`. "" outside of a call.
    """
    call = _call.get()
    return call.share_key if call else ""


def on_behalf_of() -> str:
    """The opaque id of the end caller on whose behalf the caller calls; "" without one."""
    call = _call.get()
    return call.on_behalf_of if call else ""


def set_deadline(remaining_seconds: float) -> None:
    """Set the current call's deadline, in seconds from now. Called once, by the middleware."""
    call = _call.get()
    if call:
        call.ends_at = time.monotonic() + remaining_seconds


def detach(max_seconds: float) -> None:
    """Make the current call, in this task, one of the same caller that ends in `max_seconds`.

    For work that goes on when its call has ended: it keeps the caller's name, rights and share of limits, and
    nothing of gRPC's call.
    """
    current_call = _call.get()
    if current_call is None:
        return
    detached = copy.copy(current_call)
    detached._host = current_call.host
    detached._peer = str
    detached.ends_at = time.monotonic() + max_seconds
    detached.rates = detached.message = None
    _call.set(detached)


def remaining_seconds(cap_seconds: float) -> float:
    """Seconds until the current call's deadline, at least 0 and at most `cap_seconds`.

    `cap_seconds` if the caller set no deadline, and outside of a call.
    """
    call = _call.get()
    if call is None or call.ends_at is None:
        return cap_seconds
    return max(0.0, min(cap_seconds, call.ends_at - time.monotonic()))


def set_message(message: StreamMessage) -> None:
    """Set the message that was read last in the current call's stream, for `keep_message`."""
    call = _call.get()
    if call:
        call.message = message


def keep_message() -> StreamMessage | None:
    """Keep the bytes reserved of the stream's message that was read last, until it is ended.

    For a handler that works on several messages concurrently. None outside of a streaming call.
    """
    call = _call.get()
    if call is None or call.message is None:
        return None
    message, call.message = call.message, None
    message.keep()
    return message


def may_see_scores() -> bool:
    """Whether the caller may see distances: a face can be reconstructed from many of them."""
    call = _call.get()
    return call.caller.scores if call else True


def may_send_encodings() -> bool:
    """Whether the caller may send vectors: freely chosen ones reveal more of a stored face than images."""
    call = _call.get()
    return call.caller.encodings if call else True


def failed_tries_per_day() -> float | None:
    """How many failed tries a day the caller has against one person; None for no limit."""
    call = _call.get()
    return call.caller.failed_tries_per_day if call else None


def caller_labels() -> Mapping[str, Sequence[str]]:
    """The labels, with their values, of the people whom the caller may find; empty for all people."""
    call = _call.get()
    return call.caller.labels if call else {}


def charge(total: float) -> None:
    """Count probes of the current call up to `total`, that of all its probes so far, against its rate.

    Raises RateLimited if the rate does not allow as many.
    """
    call = _call.get()
    if call and call.rates:
        call.rates.charge(call, total)


async def charge_message(total: float, already_charged: float = 1.0) -> None:
    """Count probes of one message up to `total`; `already_charged` of these were counted before.

    In a stream this waits until the rate allows them, so that the work done so far is not lost. In a unary
    call it raises RateLimited as `charge` does.
    """
    call = _call.get()
    if call and call.rates:
        await call.rates.charge_message(call, total, already_charged)


def is_admin() -> bool:
    """Whether the caller has the role admin, as every caller has if no key is required."""
    call = _call.get()
    return call.caller.is_admin if call else True
