"""The present call: who makes it and under which id, without an argument in every layer."""

import contextvars
import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from facerec.serving.middleware.caller import ANYBODY
from facerec.serving.middleware.reading.message import Message

REQUEST_ID = "x-request-id"
"""The header with the id by which the log lines of caller, matcher and encoder are found together."""

ON_BEHALF_OF = "x-on-behalf-of"
"""The header that names whom a caller calls for: they take turns within the caller's share."""

_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ids = random.Random()  # noqa: S311 - ids are unlike one another, not secret, and the system's are expensive

Metadata = Sequence[tuple[str, str | bytes]]


class Rates(Protocol):
    """What counts the probes of calls."""

    def charge(self, present: "Call", probes: float) -> None:
        """Count so many probes of the call in all. Raises RateLimited."""

    async def charge_message(self, present: "Call", probes: float, counted: float) -> None:
        """Count so many probes of a message in all, of which some are counted. Raises RateLimited."""


class Call:
    """One call. Its caller is anybody until one is authenticated; `reason` is the error's that ended it."""

    __slots__ = (
        "_key",
        "_metadata",
        "_peer",
        "_request_id",
        "about",
        "caller",
        "charged",
        "ends_at",
        "message",
        "permissions",
        "rates",
        "reason",
        "streams",
    )

    def __init__(self, metadata: Metadata, peer: Callable[[], str] = str) -> None:
        self._metadata = metadata
        self._peer = peer
        self._key = ""
        self._request_id = ""
        self.caller = ANYBODY
        self.permissions: Any = None  # of the caller's key or certificate, which authentication alone reads
        self.about: tuple[str, str] | None = None  # the collection that a message names, and in which field
        self.rates: Rates | None = None
        self.charged = 0.0  # probes counted so far
        self.ends_at: float | None = (
            None  # by time.monotonic, when its caller stops waiting; None without a deadline
        )
        self.streams = False  # whether messages go on coming
        self.message: Message | None = None  # of a stream, the last that was read
        self.reason = ""

    def header(self, name: str) -> str:
        """The first value of a header; "" without one. What is not text comes with replacements."""
        for key, value in self._metadata:
            if key == name:
                return value if isinstance(value, str) else value.decode(errors="replace")
        return ""

    @property
    def request_id(self) -> str:
        """The id that the caller chose, or else one made when it is first asked for."""
        if not self._request_id:
            given = self.header(REQUEST_ID)
            # Whatever else somebody sends as an id is not for the log.
            self._request_id = given if _FORM.fullmatch(given) else f"{_ids.getrandbits(64):016x}"
        return self._request_id

    @property
    def on_behalf_of(self) -> str:
        """Whom the caller calls for, by an id of its choice; "" where it says nothing of that form."""
        given = self.header(ON_BEHALF_OF)
        return given if _FORM.fullmatch(given) else ""

    @property
    def key(self) -> str:
        """Whose share of the service the call takes: the caller's name, else its host's address."""
        if self.caller.name:
            return self.caller.name
        if not self._key:
            # Without the port, which is another for each connection that a caller opens.
            self._key = self._peer().rpartition(":")[0] or "unknown"
        return self._key


_call: contextvars.ContextVar[Call | None] = contextvars.ContextVar("call", default=None)


def begin(metadata: Iterable[tuple[str, str | bytes]] | None, peer: Callable[[], str] = str) -> Call:
    """Note a call at its beginning; `peer` says its connection's other end as gRPC writes it."""
    call = Call(tuple(metadata or ()), peer)
    _call.set(call)
    return call


def current() -> Call | None:
    """The present call; None outside of one."""
    return _call.get()


def request_id() -> str:
    """The present call's id; "" outside of one."""
    call = _call.get()
    return call.request_id if call else ""


def caller_name() -> str:
    """The caller's name; "" where no key is asked for."""
    call = _call.get()
    return call.caller.name if call else ""


def caller_key() -> str:
    """Whose share of the service is taken: the key's or certificate's name, else the peer's address.

    The address is the host's, as `ipv4:192.0.2.7`, whatever the connection. "" outside of a call.
    """
    call = _call.get()
    return call.key if call else ""


def on_behalf_of() -> str:
    """Whom the caller calls for, an id that says nothing by itself; "" where it does not say."""
    call = _call.get()
    return call.on_behalf_of if call else ""


def set_deadline(remaining_seconds: float) -> None:
    """Note for how many seconds from now the present call's caller waits. Called once, by the middleware."""
    call = _call.get()
    if call:
        call.ends_at = time.monotonic() + remaining_seconds


def remaining_seconds(cap_seconds: float) -> float:
    """Seconds that the present call's deadline leaves, at least 0 and at most `cap_seconds`.

    `cap_seconds` where the caller set no deadline, and outside of a call.
    """
    call = _call.get()
    if call is None or call.ends_at is None:
        return cap_seconds
    return max(0.0, min(cap_seconds, call.ends_at - time.monotonic()))


def offer_message(message: Message) -> None:
    """Note a stream's message, for its handler to keep."""
    call = _call.get()
    if call:
        call.message = message


def keep_message() -> Message | None:
    """Keep the room of the stream's message that was read last, past the next one.

    For a handler that works on several at once. None outside of a call of a stream.
    """
    call = _call.get()
    if call is None or call.message is None:
        return None
    message, call.message = call.message, None
    message.keep()
    return message


def may_see_scores() -> bool:
    """Whether distances may be answered: from many of them a face can be rebuilt."""
    call = _call.get()
    return call.caller.scores if call else True


def may_send_encodings() -> bool:
    """Whether requests may carry vectors: chosen at will, they reveal more of a stored face than pictures."""
    call = _call.get()
    return call.caller.encodings if call else True


def failed_tries_per_day() -> float | None:
    """How many failed tries a day the caller has against one person; None for any number."""
    call = _call.get()
    return call.caller.failed_tries_per_day if call else None


def charge(probes: float) -> None:
    """Count probes against the caller's rate: how many the call has brought in all, as far as is known now.

    Raises RateLimited where there is a rate and not as many are left.
    """
    call = _call.get()
    if call and call.rates:
        call.rates.charge(call, probes)


async def charge_message(probes: float, counted: float = 1.0) -> None:
    """Count the probes of one message, how many in all, of which `counted` are counted already.

    Where messages go on coming this waits until there are as many: what is under way is not thrown away.
    Elsewhere it raises RateLimited, as `charge` does.
    """
    call = _call.get()
    if call and call.rates:
        await call.rates.charge_message(call, probes, counted)


def is_admin() -> bool:
    """Whether the caller has the role admin, as everybody has where no key is asked for."""
    call = _call.get()
    return call.caller.is_admin if call else True
