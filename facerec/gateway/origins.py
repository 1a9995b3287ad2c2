"""Which web pages may call the gateway: a browser calls for any page, from its user's machine."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from facerec.loopback import is_loopback_host

_ALLOWED_HEADERS: Final = (
    "authorization, content-type, connect-protocol-version, connect-timeout-ms, grpc-timeout, x-grpc-web, "
    "x-user-agent, x-request-id, x-on-behalf-of, traceparent, x-api-key"
)
_EXPOSED_HEADERS: Final = "retry-after, x-request-id, grpc-status, grpc-message, grpc-status-details-bin"
_PREFLIGHT_SECONDS: Final = "7200"

Headers = list[tuple[bytes, bytes]]


class Origins:
    """Pages of `allowed` origins may call, and those of the gateway's own address.

    With `loopback` the gateway listens on a loopback address. Then it answers only requests to a loopback
    host, to a host of `allowed` or to one of `names`: a page whose host's name was made to lead to this
    machine is refused. Elsewhere it answers requests to those hosts and names alone if there are `names`.
    """

    def __init__(self, allowed: frozenset[str], names: frozenset[str], *, loopback: bool) -> None:
        self._allowed = allowed
        self._names = names
        self._loopback = loopback
        self._hosts = {urlsplit(origin).netloc for origin in allowed}

    def refusal(self, scheme: str, headers: Mapping[str, str]) -> str:
        """Why a request is refused; empty if it is not."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if host and not self._is_known(host):
            return "this host is not the gateway's: call its address, or name it in allowed_hosts"
        if origin is not None and origin not in self._allowed and origin != f"{scheme}://{host}":
            return "pages of this origin may not call the gateway: name it in allowed_origins"
        if origin is None and _is_embedded(headers):
            return "pages of other origins may not embed what the gateway answers"
        return ""

    def _is_known(self, host: str) -> bool:
        name = _name(host)
        if host in self._hosts or name in self._names:
            return True
        return is_loopback_host(name) if self._loopback else not self._names

    def headers(self, headers: Mapping[str, str]) -> Headers:
        """The headers of an answer that let the page read it."""
        origin = headers.get("origin", "")
        if origin not in self._allowed:
            return []
        return [
            (b"access-control-allow-origin", origin.encode()),
            (b"access-control-expose-headers", _EXPOSED_HEADERS.encode()),
            (b"vary", b"origin"),
        ]

    def preflight(self) -> Headers:
        """Further headers of the answer to a browser that asks before it calls for a page."""
        return [
            (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
            (b"access-control-allow-headers", _ALLOWED_HEADERS.encode()),
            (b"access-control-max-age", _PREFLIGHT_SECONDS.encode()),
        ]


def _is_embedded(headers: Mapping[str, str]) -> bool:
    """Whether a page of another origin has an element load what is asked for, which names no origin.

    The page could not read it, but tell from an element's events whether there is a person of some id.
    """
    is_foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    return is_foreign and headers.get("sec-fetch-dest") != "document"  # but a link may lead to the console


def _name(host: str) -> str:
    """The host of the header Host, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")
