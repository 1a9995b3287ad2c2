"""The current HTTP request: what is known of it, and how it ended."""

import contextvars
import re
from collections.abc import Iterable

from facerec.errors import FacerecError, Reason
from facerec.gateway.methods import Method
from facerec.serving.fairness.byte_budget import FairByteBudget, Reservation
from facerec.serving.middleware import call

_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MILLISECONDS = re.compile(r"[0-9]{1,10}")


class Exchange:
    """A request and its answer.

    Attributes:
        call: What the access log shows of it.
        host: The client's address without the port, by which clients share the limits.
        is_admitted: Whether there was a place for it; else it is refused.
        reservation: The bytes of the body that the gateway holds.
        answer_reservation: The bytes of the answer, or of a stream's last one, that it holds.
        code: The name of the gRPC status code that it ended with.
        method: The method called; None if it is none of the contract.
        retry_after_seconds: What the answer's Retry-After says; None for no such header.
    """

    def __init__(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        client: tuple[str, int] | None,
        budget: FairByteBudget,
        answers: FairByteBudget,
    ) -> None:
        self.headers: dict[str, str] = {}
        for name, value in headers:
            text = value.decode("latin-1").replace("\t", " ")
            if text.isascii() and text.isprintable():  # no header that is read has others
                self.headers.setdefault(name.decode("latin-1"), text)
        address, port = client or ("unknown", 0)
        peer = f"ipv6:[{address}]:{port}" if ":" in address else f"ipv4:{address}:{port}"
        self.call = call.begin(self.headers.items(), lambda: peer)
        self.host = self.call.host
        self.reservation = Reservation(budget, self.host)
        self.answer_reservation = Reservation(answers, self.host)
        self.is_admitted = False
        self.code = "OK"
        self.method: Method | None = None
        self.retry_after_seconds: float | None = None

    def metadata(self) -> list[tuple[str, str]]:
        """The metadata of the call to the service: the caller's key, ids and trace."""
        found = [(call.REQUEST_ID, self.call.request_id)]
        if key := self.headers.get("authorization"):
            found.append(("authorization", key))
        if party := self.call.on_behalf_of:
            found.append((call.ON_BEHALF_OF, party))
        trace = self.headers.get("traceparent", "")
        if _TRACE_PARENT.fullmatch(trace):
            found.append(("traceparent", trace))
        return found

    def forget_failure(self) -> None:
        """Have the request go on after a failure that was expected: it is no failure of the request."""
        self.code, self.call.reason, self.retry_after_seconds = "OK", "", None

    def timeout_seconds(self) -> float | None:
        """The deadline that the header Connect-Timeout-Ms sets, in seconds; None without it.

        Raises FacerecError OPTION_INVALID.
        """
        text = self.headers.get("connect-timeout-ms")
        if text is None:
            return None
        if not _MILLISECONDS.fullmatch(text):
            raise FacerecError(
                "the header Connect-Timeout-Ms has up to 10 digits",
                reason=Reason.OPTION_INVALID,
                field="connect-timeout-ms",
            )
        return int(text) / 1000


_exchange: contextvars.ContextVar[Exchange] = contextvars.ContextVar("exchange")


def begin(exchange: Exchange) -> None:
    """Make it the current one."""
    _exchange.set(exchange)


def current() -> Exchange:
    """The current request. Raises LookupError outside of one."""
    return _exchange.get()
